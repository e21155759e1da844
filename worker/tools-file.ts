/**
 * Loads the file of RUNS_TOOLS: TypeScript or JavaScript with a result of `defineTools` as its default export, and
 * optionally `hooks`, which are called when runs wait and end.
 *
 * Rule: a file that can't be used stops the worker at start, with path, problem and fix; it is never used in part.
 * Imported by the composition root and the CLI's `doctor`.
 */
import { access } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isToolRegistry, type Hooks, type ToolRegistry } from '../activities/index.ts';
import { RunsError, quote } from '../protocol/index.ts';
import { loadModule } from './load-module.ts';

const KINDS = ['.ts', '.mts', '.js', '.mjs'];

const EXAMPLE = `export default defineTools({ … }) with defineTools from 'durable-runs/worker'`;

export interface ToolsFile {
  tools: ToolRegistry;
  hooks: Hooks;
}

const HOOKS = ['onWaiting', 'onEnd'] as const;

const hooksProblem = (value: unknown): string | undefined => {
  if (value === undefined) return undefined;
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return `its export hooks must be an object of functions (${HOOKS.join(', ')}), got ${quote(value)}`;
  const strange = Object.keys(value).find((key) => !HOOKS.some((name) => name === key));
  if (strange !== undefined) return `hooks has no ${quote(strange)}: it may have ${HOOKS.join(' and ')}`;
  const wrong = Object.entries(value).find(([, hook]) => hook !== undefined && typeof hook !== 'function');
  return wrong === undefined ? undefined : `hooks.${wrong[0]} must be a function, got ${quote(wrong[1])}`;
};

/** Which hooks a run must name at its start, so that the worker's are called. None without a file. */
export const hooksOf = async (path: string | null): Promise<{ onWaiting: boolean; onEnd: boolean }> => {
  const hooks = path === null ? {} : (await loadToolsFile(path)).hooks;
  return { onWaiting: hooks.onWaiting !== undefined, onEnd: hooks.onEnd !== undefined };
};

/** Loads the tools alone; see `loadToolsFile`. */
export const loadTools = async (path: string, cwd?: string): Promise<ToolRegistry> =>
  (await loadToolsFile(path, cwd)).tools;

/**
 * The loader's message, without its list of loaders. Node prints the position of a syntax error itself, and does not
 * return it.
 */
const loadFailure = (error: unknown, file: string): string => {
  if (!(error instanceof Error)) return String(error);
  const [what = ''] = error.message.split('\nRequire stack:');
  return error instanceof SyntaxError ? `${what} (node --check ${quote(file)} shows where)` : what;
};

/** Loads tools and hooks. Throws `RunsError('config')`. `path` is relative to `cwd`. */
export const loadToolsFile = async (path: string, cwd: string = process.cwd()): Promise<ToolsFile> => {
  const file = resolve(cwd, path);
  const refuse = (what: string, cause?: unknown): RunsError =>
    new RunsError('config', `RUNS_TOOLS=${quote(path)} can't be used: ${what}.`, { cause });
  if (!KINDS.includes(extname(file)))
    throw refuse(`it must be a ${KINDS.join(', ')} file, and ${quote(file)} is not`);
  try {
    await access(file);
  } catch (error) {
    throw refuse(`there is no readable file ${quote(file)}`, error);
  }
  let module: Record<string, unknown>;
  try {
    module = await loadModule(pathToFileURL(file).href);
  } catch (error) {
    // defineTools lists its own problems; its message is complete.
    throw refuse(`loading it failed: ${loadFailure(error, file)}`, error);
  }
  const exported = module['default'];
  const wrongHooks = hooksProblem(module['hooks']);
  if (wrongHooks !== undefined) throw refuse(wrongHooks);
  if (isToolRegistry(exported)) return { tools: exported, hooks: module['hooks'] ?? {} };
  throw refuse(
    exported === undefined
      ? `it has no default export (it exports ${quote(Object.keys(module))}). Write ${EXAMPLE}`
      : `its default export is ${typeof exported === 'object' ? 'an object' : quote(exported)} that defineTools did not return. Write ${EXAMPLE}`,
  );
};
