import {
  METADATA_ENCODING_KEY,
  type DataConverter,
  type Payload,
  type PayloadCodec,
} from '@temporalio/common';
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const ENCODING = 'binary/encrypted';
const text = (bytes: Uint8Array | null | undefined): string => Buffer.from(bytes ?? []).toString();

/** `id:64 hex digits`, comma-separated. The first key encrypts; all of them decrypt. */
export const parseKeys = (setting: string): Map<string, Buffer> =>
  new Map(
    setting.split(',').map((entry) => {
      const [id = '', hex = ''] = entry.trim().split(':');
      const key = Buffer.from(hex, 'hex');
      if (id === '' || key.length !== 32)
        throw new Error(`PAYLOAD_KEYS: entry ${JSON.stringify(id)} has no 32-byte key.`);
      return [id, key];
    }),
  );

export const createCodec = (keys: ReadonlyMap<string, Buffer>): PayloadCodec => {
  const [first] = keys;
  if (first === undefined) throw new Error('PAYLOAD_KEYS is empty: name at least one key.');
  const [currentId, currentKey] = first;

  const encrypt = (payload: Payload): Payload => {
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', currentKey, iv);
    // Metadata is encrypted with the data. JSON is enough: values are bytes, written as base64.
    const plain = JSON.stringify({
      metadata: Object.entries(payload.metadata ?? {}).map(([name, value]) => [
        name,
        Buffer.from(value).toString('base64'),
      ]),
      data: Buffer.from(payload.data ?? []).toString('base64'),
    });
    const sealed = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()]);
    return {
      metadata: { [METADATA_ENCODING_KEY]: Buffer.from(ENCODING), 'key-id': Buffer.from(currentId) },
      data: Buffer.concat([iv, cipher.getAuthTag(), sealed]),
    };
  };

  const decrypt = (payload: Payload): Payload => {
    // Payloads from before the encryption stay readable.
    if (text(payload.metadata?.[METADATA_ENCODING_KEY]) !== ENCODING) return payload;
    const id = text(payload.metadata?.['key-id']);
    const key = keys.get(id);
    if (key === undefined)
      throw new Error(`A payload needs key ${JSON.stringify(id)}, which PAYLOAD_KEYS does not have.`);
    const data = Buffer.from(payload.data ?? []);
    const decipher = createDecipheriv('aes-256-gcm', key, data.subarray(0, 12));
    decipher.setAuthTag(data.subarray(12, 28));
    const plain = Buffer.concat([decipher.update(data.subarray(28)), decipher.final()]).toString('utf8');
    const sealed = JSON.parse(plain) as { metadata: [name: string, value: string][]; data: string };
    return {
      metadata: Object.fromEntries(
        sealed.metadata.map(([name, value]) => [name, Buffer.from(value, 'base64')]),
      ),
      data: Buffer.from(sealed.data, 'base64'),
    };
  };

  return {
    encode: async (payloads) => payloads.map(encrypt),
    decode: async (payloads) => payloads.map(decrypt),
  };
};

export const dataConverter: DataConverter = {
  payloadCodecs: [createCodec(parseKeys(process.env['PAYLOAD_KEYS'] ?? ''))],
};
