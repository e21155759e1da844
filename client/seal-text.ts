/**
 * Encrypts short texts that the store keeps, with the keys of `RUNS_ENCRYPTION_KEYS`.
 *
 * Rule: a sealed text names its key, and the tag covers that name and what the text belongs to, so a secret that is copied
 * into another row does not open. Without keys a text is stored as it is; texts from before the keys stay readable.
 * Imports protocol and Node only. Imported by the composition roots and tests.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { RunsError } from '../protocol/errors.ts';
import { parseEncryptionKeys, type EncryptionKeys } from './encryption-keys.ts';

export interface TextSeal {
  readonly seal: (text: string, belongsTo: string) => string;
  /** Throws `RunsError` `config` when no key opens it. */
  readonly open: (sealed: string, belongsTo: string) => string;
}

const FORM = /^sealed\.v1\.([A-Za-z0-9_.-]{1,64}):([A-Za-z0-9_-]+)$/;
const IV_BYTES = 12;
const TAG_BYTES = 16;

const aad = (keyId: string, belongsTo: string): Buffer => Buffer.from(`AES-256-GCM ${keyId} ${belongsTo}`);

const sealWith = ({ current, byId }: EncryptionKeys, text: string, belongsTo: string): string => {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', byId.get(current) ?? Buffer.alloc(0), iv);
  cipher.setAAD(aad(current, belongsTo));
  const body = [cipher.update(text, 'utf8'), cipher.final()];
  return `sealed.v1.${current}:${Buffer.concat([iv, cipher.getAuthTag(), ...body]).toString('base64url')}`;
};

const openWith = (keys: EncryptionKeys | null, sealed: string, belongsTo: string): string => {
  const match = FORM.exec(sealed);
  if (match === null) return sealed;
  const [, keyId = '', data = ''] = match;
  const key = keys?.byId.get(keyId);
  const refused = (why: string, cause?: unknown): RunsError =>
    new RunsError('config', `The stored secret of ${JSON.stringify(belongsTo)} ${why}`, { cause });
  if (key === undefined)
    throw refused(
      `was encrypted with key ${JSON.stringify(keyId)}, which RUNS_ENCRYPTION_KEYS does not have. Add the key to servers and workers, or rotate the secret.`,
    );
  const bytes = Buffer.from(data, 'base64url');
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, IV_BYTES));
    decipher.setAAD(aad(keyId, belongsTo));
    decipher.setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
    return Buffer.concat([
      decipher.update(bytes.subarray(IV_BYTES + TAG_BYTES)),
      decipher.final(),
    ]).toString();
  } catch (error) {
    throw refused(
      `does not decrypt with key ${JSON.stringify(keyId)}: the key under this id is another one, or the row was changed. Rotate the secret.`,
      error,
    );
  }
};

/** `setting`: RUNS_ENCRYPTION_KEYS; null or empty = texts are stored as they are. Throws `RunsError` `config`. */
export const textSeal = (setting: string | null): TextSeal => {
  const keys = setting === null || setting.trim() === '' ? null : parseEncryptionKeys(setting);
  return {
    seal: (text, belongsTo) => (keys === null ? text : sealWith(keys, text, belongsTo)),
    open: (sealed, belongsTo) => openWith(keys, sealed, belongsTo),
  };
};
