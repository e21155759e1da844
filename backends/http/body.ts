/**
 * Reading a response body with a bound on its size, whatever the server sends or does not end.
 *
 * Rule: memory is bounded before and after decompression; a body that is not read to its end is destroyed, or its
 * socket would be lost to the pool.
 * Imports zlib only. Imported by the client and by backends/models.
 */
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate } from 'node:zlib';

export class BodyError extends Error {
  override readonly name = 'BodyError';
  readonly reason: 'too_large' | 'encoding';

  constructor(reason: 'too_large' | 'encoding', message: string) {
    super(message);
    this.reason = reason;
  }
}

const DECODERS: Readonly<Record<string, (raw: Uint8Array, maxOutputLength: number) => Promise<Buffer>>> = {
  gzip: (raw, maxOutputLength) => promisify(gunzip)(raw, { maxOutputLength }),
  'x-gzip': (raw, maxOutputLength) => promisify(gunzip)(raw, { maxOutputLength }),
  deflate: (raw, maxOutputLength) => promisify(inflate)(raw, { maxOutputLength }),
  br: (raw, maxOutputLength) => promisify(brotliDecompress)(raw, { maxOutputLength }),
};

export const isEncoded = (encoding: string | undefined): boolean =>
  encoding !== undefined && encoding.trim() !== '' && encoding.trim().toLowerCase() !== 'identity';

/** Bytes of a body up to `max`; one byte more is a `BodyError`. Leaving the loop early destroys the stream. */
export const readBytes = async (chunks: AsyncIterable<Uint8Array>, max: number): Promise<Buffer> => {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    size += chunk.byteLength;
    if (size > max) throw new BodyError('too_large', `the body is larger than ${max} bytes`);
    parts.push(chunk);
  }
  return parts.length === 1 && parts[0] !== undefined ? Buffer.from(parts[0]) : Buffer.concat(parts, size);
};

/**
 * The first `max` bytes of an error's body; the rest is discarded. The status line has decided already, so a body that
 * breaks off yields the bytes that came. `passOn` names the errors that the caller must see, such as its own abort.
 */
export const readStart = async (
  chunks: AsyncIterable<Uint8Array>,
  max: number,
  passOn: (error: unknown) => boolean = () => false,
): Promise<Buffer> => {
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of chunks) {
      parts.push(chunk);
      size += chunk.byteLength;
      if (size >= max) break;
    }
  } catch (error) {
    if (passOn(error)) throw error;
  }
  return Buffer.concat(parts).subarray(0, max);
};

/** We never ask for compression, but gateways compress unasked. Bounded; unknown or chained encodings are refused. */
export const decode = async (raw: Buffer, encoding: string | undefined, max: number): Promise<Buffer> => {
  if (encoding === undefined || !isEncoded(encoding)) return raw;
  const decoder = DECODERS[encoding.trim().toLowerCase()];
  if (decoder === undefined)
    throw new BodyError('encoding', `the body is encoded as ${JSON.stringify(encoding.slice(0, 40))}`);
  try {
    return await decoder(raw, max);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    throw code === 'ERR_BUFFER_TOO_LARGE'
      ? new BodyError('too_large', `the body unpacks to more than ${max} bytes`)
      : new BodyError('encoding', `the body is not valid ${encoding.trim().toLowerCase()}`);
  }
};
