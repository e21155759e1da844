/**
 * The bytes of a response as they arrive, until it ends or the caller leaves.
 *
 * Rule: the caller's signal ends the reading at once, also between two chunks; a body that is not read to its end is
 * destroyed. Unrequested compression is undone as the bytes arrive.
 * Imports zlib. The client imports it.
 */
import { pipeline, type Readable } from 'node:stream';
import { constants, createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { createRequestDeadline } from './request-deadline.ts';

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
  close(): void;
}

export const bodyChunks = (
  body: Readable,
  signal: AbortSignal | undefined,
  translate: (error: unknown) => unknown,
): BodyChunks => {
  const life = createRequestDeadline(signal, null);
  const close = (): void => {
    life.finish();
    body.destroy();
  };
  const read = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      const bytes: AsyncIterator<Uint8Array> = body[Symbol.asyncIterator]();
      for (;;) {
        const next = await life.race(bytes.next());
        if (next.done === true) return;
        yield next.value;
      }
    } catch (error) {
      throw life.explain(error, translate);
    } finally {
      close();
    }
  };
  return { chunks: read(), close };
};
