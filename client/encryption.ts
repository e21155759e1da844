/**
 * The built-in payload codec: AES-256-GCM over whatever Temporal keeps of a run, with key ids for rotation.
 *
 * Rule: a payload names the key that encrypted it, and the authentication tag covers that name, so no payload decrypts
 * under another key or another form. A payload that is not encrypted is passed on, since runs from before the encryption
 * must stay readable. Search attributes and ids never pass through a codec.
 * Imported by the worker's composition root, the codec endpoint and tests.
 */
import {
  METADATA_ENCODING_KEY,
  ValueError,
  type DataConverter,
  type Payload,
  type PayloadCodec,
} from '@temporalio/common';
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { parseEncryptionKeys, type EncryptionKeys } from './encryption-keys.ts';
import { encryptedNotice } from './encrypted-notice.ts';

const ENCODING = 'binary/encrypted';
/** Metadata of an encrypted payload; part of every history, so neither name nor form ever changes. */
const KEY_ID = 'encryption-key-id';
const CIPHER = 'encryption-cipher';
const CIPHER_NAME = 'AES-256-GCM';
/** Where a payload that stays readable carries its encrypted original. */
const ORIGINAL = 'encryption-original';

const IV_BYTES = 12;
const TAG_BYTES = 16;

/** A payload that none of this process's keys decrypts. Its name is the type of the failure that Temporal records. */
export class EncryptionKeyMissingError extends ValueError {
  override readonly name = 'EncryptionKeyMissing';
  /** Id of the key that the payload names. */
  readonly keyId: string;
  constructor(keyId: string, message: string, cause?: unknown) {
    super(message, cause);
    this.keyId = keyId;
  }
}

const text = (bytes: Uint8Array | null | undefined): string =>
  bytes == null ? '' : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');

/** Length of the metadata (4 bytes), metadata as JSON with base64 values, data. */
const toBytes = ({ metadata, data }: Payload): Buffer => {
  const head = Buffer.from(
    JSON.stringify(
      Object.fromEntries(
        Object.entries(metadata ?? {}).map(([name, value]) => [name, Buffer.from(value).toString('base64')]),
      ),
    ),
  );
  const length = Buffer.alloc(4);
  length.writeUInt32BE(head.length);
  return Buffer.concat([length, head, data ?? Buffer.alloc(0)]);
};

const fromBytes = (bytes: Buffer): Payload => {
  const headEnd = 4 + bytes.readUInt32BE();
  const head = JSON.parse(bytes.subarray(4, headEnd).toString('utf8')) as Record<string, string>;
  return {
    metadata: Object.fromEntries(
      Object.entries(head).map(([name, value]) => [name, Buffer.from(value, 'base64')]),
    ),
    data: bytes.subarray(headEnd),
  };
};

const seal = (payload: Payload, { current, byId }: EncryptionKeys): Buffer => {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', byId.get(current) ?? Buffer.alloc(0), iv);
  cipher.setAAD(Buffer.from(`${CIPHER_NAME} ${current}`));
  const sealed = [cipher.update(toBytes(payload)), cipher.final()];
  return Buffer.concat([iv, cipher.getAuthTag(), ...sealed]);
};

const open = (sealed: Uint8Array, id: string, { byId }: EncryptionKeys): Payload => {
  const key = byId.get(id);
  if (key === undefined)
    throw new EncryptionKeyMissingError(
      id,
      `A payload was encrypted with key ${JSON.stringify(id)}; RUNS_ENCRYPTION_KEYS has ${[...byId.keys()].map((known) => JSON.stringify(known)).join(', ')}. Add the key to every process that reads runs.`,
    );
  try {
    const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, IV_BYTES));
    decipher.setAAD(Buffer.from(`${CIPHER_NAME} ${id}`));
    decipher.setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
    const rest = bytes.subarray(IV_BYTES + TAG_BYTES);
    return fromBytes(Buffer.concat([decipher.update(rest), decipher.final()]));
  } catch (error) {
    throw new EncryptionKeyMissingError(
      id,
      `A payload that names key ${JSON.stringify(id)} does not decrypt with it: the key under this id is another one, or the payload was changed.`,
      error,
    );
  }
};

/** Encrypts with the current key and decrypts with any. One codec serves all clients and workers of a process. */
export const createEncryptionCodec = (keys: EncryptionKeys): PayloadCodec => {
  const key = Buffer.from(keys.current);
  const cipher = Buffer.from(CIPHER_NAME);
  const encode = (payload: Payload): Payload => {
    const notice = encryptedNotice(payload);
    if (notice !== null)
      return {
        metadata: { ...notice.metadata, [KEY_ID]: key, [CIPHER]: cipher, [ORIGINAL]: seal(payload, keys) },
        data: notice.data ?? null,
      };
    return {
      metadata: { [METADATA_ENCODING_KEY]: Buffer.from(ENCODING), [KEY_ID]: key, [CIPHER]: cipher },
      data: seal(payload, keys),
    };
  };
  const decode = (payload: Payload): Payload => {
    const { metadata } = payload;
    const original = metadata?.[ORIGINAL];
    if (original != null) return open(original, text(metadata?.[KEY_ID]), keys);
    // Other codecs use the same encoding name; their payloads have no cipher of this name.
    if (text(metadata?.[METADATA_ENCODING_KEY]) !== ENCODING || text(metadata?.[CIPHER]) !== CIPHER_NAME)
      return payload;
    return open(payload.data ?? Buffer.alloc(0), text(metadata?.[KEY_ID]), keys);
  };
  return {
    encode: async (payloads) => payloads.map(encode),
    decode: async (payloads) => payloads.map(decode),
  };
};

/** The data converter of `RUNS_ENCRYPTION_KEYS`; undefined = the variable is not set. Throws `RunsError` `config`. */
export const encryptionOf = (
  env: Readonly<Record<string, string | undefined>>,
): Pick<DataConverter, 'payloadCodecs'> | undefined => {
  const setting = env['RUNS_ENCRYPTION_KEYS'];
  if (setting === undefined || setting.trim() === '') return undefined;
  return { payloadCodecs: [createEncryptionCodec(parseEncryptionKeys(setting))] };
};

/** A client's converter: the given one, else the encryption of its environment. */
export const clientConverter = (options: {
  dataConverter?: DataConverter;
  env?: Readonly<Record<string, string | undefined>>;
}): { dataConverter?: DataConverter } => {
  const dataConverter = options.dataConverter ?? encryptionOf(options.env ?? process.env);
  return dataConverter === undefined ? {} : { dataConverter };
};
