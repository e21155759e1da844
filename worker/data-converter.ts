/**
 * Loads the module of RUNS_DATA_CONVERTER: payload codecs and converters, for encryption of what Temporal stores.
 *
 * Rule: worker and client load the same module the same way; a client with another converter could not read a run.
 * Imported by the composition root and the CLI.
 */
import { ValueError, type DataConverter, type PayloadCodec } from '@temporalio/common';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { RunsError, quote } from '../protocol/index.ts';
import { loadModule } from './load-module.ts';

const KEYS = ['payloadConverterPath', 'failureConverterPath', 'payloadCodecs', 'externalStorage'];

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
      throw new ValueError(`RUNS_DATA_CONVERTER=${quote(path)} does not decode it: ${why}`, error);
    }
  },
});

/** The connect options for RUNS_DATA_CONVERTER of an environment. */
export const dataConverterOf = async (
  env: Readonly<Record<string, string | undefined>>,
): Promise<{ dataConverter?: DataConverter }> => {
  const path = env['RUNS_DATA_CONVERTER']?.trim() ?? '';
  if (path === '') return {};
  const dataConverter = await loadDataConverter(path);
  const { payloadCodecs } = dataConverter;
  return {
    dataConverter:
      payloadCodecs === undefined
        ? dataConverter
        : { ...dataConverter, payloadCodecs: payloadCodecs.map((codec) => named(codec, path)) },
  };
};
