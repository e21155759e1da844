/**
 * The data converter of a process: the built-in encryption of RUNS_ENCRYPTION_KEYS, and the module of
 * RUNS_DATA_CONVERTER with payload codecs and converters of the operator's.
 *
 * Rule: worker and client load the same converter the same way; a client with another one could not read a run.
 * Imported by the composition root and the CLI.
 */
import { ValueError, type DataConverter, type PayloadCodec } from '@temporalio/common';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { EncryptionKeyMissingError, encryptionOf } from '../client/encryption.ts';
import { RunsError, quote } from '../protocol/index.ts';
import type { Logger } from '../protocol/ports/backend.ts';
import { WORKFLOWS_MODULE } from '../workflows/location.ts';
import { loadModule } from './load-module.ts';

const KEYS = ['payloadConverterPath', 'failureConverterPath', 'payloadCodecs', 'externalStorage'];

/** Encrypts message and stack of a failure, too. */
export const ENCRYPTED_FAILURES = fileURLToPath(new URL('encrypted-failures.cjs', WORKFLOWS_MODULE));

/** Loads the export `dataConverter` (or the default export). Throws `RunsError('config')`. */
export const loadDataConverter = async (
  path: string,
  cwd: string = process.cwd(),
): Promise<DataConverter> => {
  const refuse = (what: string, cause?: unknown): RunsError =>
    new RunsError('config', `RUNS_DATA_CONVERTER=${quote(path)} can't be used: ${what}.`, { cause });
  let module: Record<string, unknown>;
  try {
    module = await loadModule(pathToFileURL(resolve(cwd, path)).href);
  } catch (error) {
    throw refuse(`loading it failed: ${error instanceof Error ? error.message : String(error)}`, error);
  }
  const converter = module['dataConverter'] ?? module['default'];
  if (typeof converter !== 'object' || converter === null || Array.isArray(converter))
    throw refuse(`it must export "dataConverter", an object; it exports ${quote(Object.keys(module))}`);
  const unknown = Object.keys(converter).filter((key) => !KEYS.includes(key));
  if (unknown.length > 0)
    throw refuse(`a data converter has ${KEYS.join(', ')}; this one has ${quote(unknown)}`);
  return converter;
};

/** A codec of the user's throws anything when it lacks the key; the client then knows that it is a payload that it can't read. */
const named = (codec: PayloadCodec, path: string): PayloadCodec => ({
  encode: (payloads) => codec.encode(payloads),
  decode: async (payloads) => {
    try {
      return await codec.decode(payloads);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new ValueError(`RUNS_DATA_CONVERTER=${quote(path)} can't decode the payload: ${why}`, error);
    }
  },
});

/** The built-in codec encrypts last, after the converters of the operator's module. Throws `RunsError('config')`. */
const withEncryption = (own: DataConverter | undefined, env: Env): DataConverter | undefined => {
  const encryption = encryptionOf(env);
  if (encryption === undefined) return own;
  if (own?.payloadCodecs !== undefined)
    throw new RunsError(
      'config',
      'RUNS_ENCRYPTION_KEYS and RUNS_DATA_CONVERTER both encode payloads: its module exports "payloadCodecs". Unset one of the two, or remove the codecs from the module.',
    );
  return { failureConverterPath: ENCRYPTED_FAILURES, ...own, ...encryption };
};

type Env = Readonly<Record<string, string | undefined>>;

const ownConverter = async (path: string): Promise<DataConverter> => {
  const converter = await loadDataConverter(path);
  const { payloadCodecs } = converter;
  return payloadCodecs === undefined
    ? converter
    : { ...converter, payloadCodecs: payloadCodecs.map((codec) => named(codec, path)) };
};

const REPORT_EVERY_MS = 10_000;

/**
 * Reports payloads that can't be decoded, at most every ten seconds: the SDK writes the error into the history only, where
 * it is encrypted.
 */
const reported = (codec: PayloadCodec, log: Logger): PayloadCodec => {
  let reportedAt = -Infinity;
  return {
    encode: (payloads, context) => codec.encode(payloads, context),
    async decode(payloads, context) {
      try {
        return await codec.decode(payloads, context);
      } catch (error) {
        if (performance.now() - reportedAt >= REPORT_EVERY_MS) {
          reportedAt = performance.now();
          const keyId = error instanceof EncryptionKeyMissingError ? { keyId: error.keyId } : {};
          log.error({ error, ...keyId }, 'a payload can not be decoded: its run waits for a worker that can');
        }
        throw error;
      }
    },
  };
};

/** A worker's converter: as `dataConverterOf`, and what can't be decoded is logged. */
export const workerConverter = async (
  env: Env,
  given: DataConverter | undefined,
  log: Logger,
): Promise<{ dataConverter?: DataConverter }> => {
  const { dataConverter } = await dataConverterOf(env, given);
  if (dataConverter?.payloadCodecs === undefined) return dataConverter === undefined ? {} : { dataConverter };
  const payloadCodecs = dataConverter.payloadCodecs.map((codec) => reported(codec, log));
  return { dataConverter: { ...dataConverter, payloadCodecs } };
};

/**
 * The connect options for RUNS_DATA_CONVERTER and RUNS_ENCRYPTION_KEYS of an environment. `given` replaces the module of
 * the first; the second is added to either.
 */
export const dataConverterOf = async (
  env: Env,
  given?: DataConverter,
): Promise<{ dataConverter?: DataConverter }> => {
  const path = env['RUNS_DATA_CONVERTER']?.trim() ?? '';
  const own = given ?? (path === '' ? undefined : await ownConverter(path));
  const dataConverter = withEncryption(own, env);
  return dataConverter === undefined ? {} : { dataConverter };
};
