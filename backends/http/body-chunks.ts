/**
 * The bytes of a response as they arrive, until it ends or the caller leaves.
 *
 * Rule: the caller's signal ends the reading at once, also between two chunks; a body that is not read to its end is
 * destroyed. Unrequested compression is undone as the bytes arrive.
 * Imports zlib. The client imports it.
 */
import { pipeline, type Readable } from 'node:stream';
import { constants, createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';

const FLUSH = { flush: constants.Z_SYNC_FLUSH, finishFlush: constants.Z_SYNC_FLUSH };
const DECODERS: Readonly<Record<string, () => NodeJS.ReadWriteStream>> = {
  gzip: () => createGunzip(FLUSH),
  'x-gzip': () => createGunzip(FLUSH),
  deflate: () => createInflate(FLUSH),
  br: () => createBrotliDecompress({ flush: constants.BROTLI_OPERATION_FLUSH }),
};

/** null: an encoding that is not known. */
export const decodedBody = (body: Readable, encoding: string | undefined): Readable | null => {
  const name = encoding?.trim().toLowerCase() ?? '';
  if (name === '' || name === 'identity') return body;
  const decoder = DECODERS[name]?.();
  if (decoder === undefined) return null;
  return pipeline(body, decoder, () => undefined) as unknown as Readable;
};

export interface BodyChunks {
  chunks: AsyncIterable<Uint8Array>;
  /** Ends the connection, whatever is still on its way. */
  close(): void;
  /**
   * Takes no more of a body whose content has come. What is left of it (the mark of its end) is discarded, so that the
   * next request finds the connection open; a body that goes on for longer than a second or 64 KiB is closed.
   */
  release(): void;
}

/** What is read of a released body. */
const REST_BYTES = 65_536;
const REST_MS = 1_000;

export const bodyChunks = (
  body: Readable,
  signal: AbortSignal | undefined,
  translate: (error: unknown) => unknown,
): BodyChunks => {
  // A listener for the whole body: one for each chunk costs a tenth of the time that a chunk takes.
  const onAbort = (): void => void body.destroy();
  const forget = (): void => signal?.removeEventListener('abort', onAbort);
  const close = (): void => {
    forget();
    body.destroy();
  };
  if (signal?.aborted === true) onAbort();
  else signal?.addEventListener('abort', onAbort, { once: true });
  const read = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    const chunks = pieces(body);
    try {
      for (;;) {
        const chunk = await chunks.next();
        signal?.throwIfAborted();
        if (chunk === null) return;
        yield chunk;
      }
    } catch (error) {
      throw signal?.aborted === true ? signal.reason : translate(error);
    } finally {
      close();
    }
  };
  return {
    chunks: read(),
    close,
    release: () => {
      forget();
      discardRest(body);
    },
  };
};

/** Reads what has arrived, or waits for more. Node's own iterator adds a dozen listeners to each body. */
const pieces = (body: Readable): { next(): Promise<Uint8Array | null> } => {
  let wake: (() => void) | null = null;
  let failure: { error: unknown } | null = null;
  body
    .on('readable', () => wake?.())
    .on('end', () => wake?.())
    .on('close', () => wake?.())
    .on('error', (error) => {
      failure = { error };
      wake?.();
    });
  return {
    async next() {
      for (;;) {
        const chunk: Uint8Array | null = body.destroyed ? null : body.read();
        if (chunk !== null) return chunk;
        if (failure !== null) throw failure.error;
        if (body.readableEnded) return null;
        if (body.closed) throw body.errored ?? new Error('The body was closed before its end.');
        await new Promise<void>((resolve) => (wake = resolve));
      }
    },
  };
};

const discardRest = (body: Readable): void => {
  if (body.destroyed || body.readableEnded) return;
  let left = REST_BYTES;
  const timer = setTimeout(() => body.destroy(), REST_MS).unref();
  const discard = (): void => {
    for (let chunk: Uint8Array | null = body.read(); chunk !== null; chunk = body.read())
      left -= chunk.byteLength;
    if (left < 0) body.destroy();
  };
  body.once('close', () => clearTimeout(timer)).on('readable', discard);
  discard();
};
