/**
 * The `runs` command in tests: in this process with injected I/O, or as a separate process as a user starts it.
 *
 * Rule: the developer's environment and `.runs/` are not visible. Processes that start here end here.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { runCli } from '../../cli/program.ts';
import { ROOT } from './sources.ts';

export interface CliResult {
  code: number | null;
  stdout: string;
  stderr: string;
  /** The one document on stdout; throws when there is none, or more than one. */
  json(): unknown;
}

/** A directory that never exists, so that no `runs dev` is found. */
const NOWHERE = '/nonexistent/runs';

const result = (code: number | null, stdout: string, stderr: string): CliResult => ({
  code,
  stdout,
  stderr,
  json: (): unknown => JSON.parse(stdout),
});

export const cli = async (
  args: readonly string[],
  env: Record<string, string> = {},
  signal: AbortSignal = new AbortController().signal,
): Promise<CliResult> => {
  let stdout = '';
  let stderr = '';
  const code = await runCli(args, {
    env: { RUNS_DATA_DIR: NOWHERE, ...env },
    stdout: (text) => (stdout += text),
    stderr: (text) => (stderr += text),
    stderrIsTty: false,
    columns: () => 80,
    signal,
  });
  return result(code, stdout, stderr);
};

export interface CliProcess {
  pid: number;
  /** What it has written so far. */
  stdout(): string;
  stderr(): string;
  /** Resolves when stderr or stdout has this; rejects when the process ends without it. */
  said(what: RegExp): Promise<RegExpExecArray>;
  signal(name: NodeJS.Signals): void;
  ended: Promise<CliResult>;
}

export interface SpawnOptions {
  env?: Record<string, string>;
  cwd?: string;
  /** Default: `bin/runs.mjs`. */
  script?: string;
}

export const spawnCli = (args: readonly string[], options: SpawnOptions = {}): CliProcess => {
  const { PATH = '', HOME = '', XDG_CACHE_HOME } = process.env;
  const child = spawn(process.execPath, [options.script ?? join(ROOT, 'bin', 'runs.mjs'), ...args], {
    cwd: options.cwd ?? ROOT,
    env: { PATH, HOME, ...(XDG_CACHE_HOME === undefined ? {} : { XDG_CACHE_HOME }), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  const waiters = new Set<() => void>();
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
      for (const look of waiters) look();
    });
  const ended = new Promise<CliResult>((resolve) => {
    child.once('close', (code) => resolve(result(code, output.stdout, output.stderr)));
  });
  const onExit = (): void => void child.kill('SIGKILL');
  process.once('exit', onExit);
  void ended.then(() => process.removeListener('exit', onExit));
  return {
    pid: child.pid ?? 0,
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    said: (what) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = what.exec(output.stderr) ?? what.exec(output.stdout);
          if (found === null) return;
          waiters.delete(look);
          resolve(found);
        };
        waiters.add(look);
        look();
        void ended.then(({ code }) =>
          reject(
            new Error(
              `The process ended (${code}) without saying ${what}:\n${output.stderr}\n${output.stdout}`,
            ),
          ),
        );
      }),
    signal: (name) => void child.kill(name),
    ended,
  };
};
