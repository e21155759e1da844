/**
 * Keeps a long-running process alive: starts it again when it ends without being asked to.
 *
 * Rule: the supervisor loads nothing of the program and holds none of its state; ports and locks belong to the child
 * process, which finds them as after a kill. The child ends with its supervisor in every case. A child that ends with
 * an error that it reports (a bad configuration, an unreachable server) is not started again.
 * Imported by the command's entry and by tests.
 */
import { fork } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { EXIT } from '../app/exit.ts';

/** Set in the environment of the child process. */
const SUPERVISED_VARIABLE = 'DURABLE_RUNS_SUPERVISED';
const SUPERVISED_COMMANDS: readonly string[] = ['dev', 'worker', 'serve'];
/** After this life, a death is unrelated to the one before. Milliseconds. */
const HEALTHY_MS = 60_000;
const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 30_000;

/** Is this command supervised? */
export const isSupervised = (
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): boolean => {
  const command = args.find((arg) => !arg.startsWith('-'));
  if (
    command === undefined ||
    !SUPERVISED_COMMANDS.includes(command) ||
    env[SUPERVISED_VARIABLE] !== undefined
  )
    return false;
  // The API alone runs no user code.
  if (command === 'serve' && !args.includes('--worker')) return false;
  return !args.some((arg) => ['--no-restart', '--help', '-h', '--version', '-V'].includes(arg));
};

/** Milliseconds before the next start, after so many deaths in a row (1, 2, …): 1 s, 2 s, 4 s … 30 s. */
export const pauseAfter = (deaths: number): number =>
  Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(deaths - 1, 10));

/** The child's reports. */
export type Report = { ready: true } | { ended: true };

/**
 * glibc gives each thread an arena and keeps what the arenas freed: 140 MB more of a worker with 1,000 cached runs. It reads these
 * at a process's start only, so what starts the process sets them; a value of the environment wins.
 */
const ALLOCATOR = { MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: '131072' };

/** The environment of the child. `again`: an earlier one was ready. */
export const childEnvironment = (
  env: Readonly<Record<string, string | undefined>>,
  again: boolean,
): Record<string, string | undefined> => ({
  ...ALLOCATOR,
  ...env,
  [SUPERVISED_VARIABLE]: again ? 'again' : 'first',
});

export interface ProcessEnd {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** Deaths in a row, without ever becoming ready, after which the supervisor gives up. */
const MAX_FALSE_STARTS = 5;

/**
 * Is an ended child started again? `reported`: it ended in order; `wasReady`: it, or an earlier one, became ready;
 * `deaths`: how many died in a row. Pure.
 */
export const startsAgain = (seen: {
  reported: boolean;
  stopping: boolean;
  wasReady: boolean;
  deaths: number;
}): boolean => !seen.reported && !seen.stopping && (seen.wasReady || seen.deaths < MAX_FALSE_STARTS);

const isReport = (message: unknown, name: 'ready' | 'ended'): boolean =>
  typeof message === 'object' && message !== null && name in message;

/** One life of the child; resolves when it has ended and all its reports were read. */
const live = async (
  script: string,
  args: readonly string[],
  again: boolean,
  onChild: (stop: () => void) => void,
): Promise<ProcessEnd & { ready: boolean; reported: boolean }> => {
  const child = fork(script, args, { env: childEnvironment(process.env, again), stdio: 'inherit' });
  const seen = { ready: false, reported: false };
  child.on('message', (message) => {
    if (isReport(message, 'ready')) seen.ready = true;
    if (isReport(message, 'ended')) seen.reported = true;
  });
  let asked = false;
  onChild(() => {
    // The second signal, as with any process, ends it at once.
    if (asked) child.kill('SIGKILL');
    else if (child.connected) child.send({ stop: true });
    asked = true;
  });
  const exited = new Promise<ProcessEnd>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  // The last message may be read after the exit.
  const silent = new Promise<void>((resolve) => {
    child.once('disconnect', resolve);
  });
  const [ending] = await Promise.all([exited, silent]);
  return { ...ending, ...seen };
};

const nothing = (): void => undefined;

/** Runs `script` with `args` until it ends in order or a signal asks for it; resolves to its exit code. */
export const supervise = async (script: string, args: readonly string[]): Promise<number> => {
  let stopping = false;
  let stop = nothing;
  let pausing = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.on(name, () => {
      stopping = true;
      stop();
      pausing.abort();
    });
  const codeOf = ({ code }: ProcessEnd): number => code ?? (stopping ? EXIT.interrupted : EXIT.unexpected);
  for (let deaths = 1, wasReady = false; ; deaths += 1) {
    const begun = performance.now();
    const end = await live(script, args, wasReady, (ask) => {
      stop = ask;
      if (stopping) ask();
    });
    wasReady ||= end.ready;
    const { reported } = end;
    if (!startsAgain({ reported, stopping, wasReady, deaths })) return codeOf(end);
    if (performance.now() - begun >= HEALTHY_MS) deaths = 1;
    const pauseMs = pauseAfter(deaths);
    process.stderr.write(
      `runs: the process ended by itself (${end.signal ?? `exit code ${end.code}`}); starting it again in ${pauseMs / 1_000} s\n`,
    );
    pausing = new AbortController();
    await pause(pauseMs, undefined, { signal: pausing.signal }).catch(() => undefined);
    if (stopping) return codeOf(end);
  }
};

export interface Joined {
  /** An earlier child of this command became ready. */
  again: boolean;
  report(report: Report): void;
  leave(): void;
}

/** Those who started the command see one process that was killed. */
const killSelf = (): void => void process.kill(process.pid, 'SIGKILL');

/** In the child: ends with the supervisor, receives its request to stop, and reports. */
export const joinSupervisor = (onStop: () => void): Joined => {
  const mark = process.env[SUPERVISED_VARIABLE];
  if (mark === undefined || process.send === undefined)
    return { again: false, report: nothing, leave: nothing };
  // Programs that this one starts are not children of that supervisor.
  Reflect.deleteProperty(process.env, SUPERVISED_VARIABLE);
  process.once('disconnect', killSelf);
  process.on('message', (message) => {
    if (typeof message === 'object' && message !== null && 'stop' in message) onStop();
  });
  process.channel?.unref();
  return {
    again: mark === 'again',
    report: (report) => void process.send?.(report),
    leave: () => {
      process.off('disconnect', killSelf);
      if (process.connected) process.disconnect();
    },
  };
};
