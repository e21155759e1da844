/**
 * The file that RUNS_TOOLS names: TypeScript or JavaScript whose default export is what `defineTools` returned.
 *
 * Rule: a file that can't be used stops the worker at start with the path, what happened and the fix; nothing of it is
 * used in part.
 * Imported by the composition root and the CLI's `doctor`.
 */
import { access } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isToolRegistry, type ToolRegistry } from '../activities/index.ts';
import { RunsError, shown } from '../protocol/index.ts';
import { loadModule } from './load-module.ts';

const KINDS = ['.ts', '.mts', '.js', '.mjs'];

const EXAMPLE = `export default defineTools({ … }) with defineTools from 'durable-runs/worker'`;

/** Loads the tools. Throws `RunsError('config')`. `path` is relative to `cwd`. */
export const loadTools = async (path: string, cwd: string = process.cwd()): Promise<ToolRegistry> => {
  const file = resolve(cwd, path);
  const refuse = (what: string, cause?: unknown): RunsError =>
    new RunsError('config', `RUNS_TOOLS=${shown(path)} can't be used: ${what}.`, { cause });
  if (!KINDS.includes(extname(file)))
    throw refuse(`it must be a ${KINDS.join(', ')} file, and ${shown(file)} is not`);
  try {
    await access(file);
  } catch (error) {
    throw refuse(`there is no readable file ${shown(file)}`, error);
  }
  let module: Record<string, unknown>;
  try {
    module = await loadModule(pathToFileURL(file).href);
  } catch (error) {
    // defineTools lists its own problems; its message is the whole story.
    throw refuse(`loading it failed: ${error instanceof Error ? error.message : String(error)}`, error);
  }
  const exported = module['default'];
  if (isToolRegistry(exported)) return exported;
  throw refuse(
    exported === undefined
      ? `it has no default export (it exports ${shown(Object.keys(module))}). Write ${EXAMPLE}`
      : `its default export is ${typeof exported === 'object' ? 'an object' : shown(exported)} that defineTools did not return. Write ${EXAMPLE}`,
  );
};
