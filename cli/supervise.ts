/**
 * Keeps a process that stays running: starts it again when it ends without having been asked to.
 *
 * Rule: the supervisor loads nothing of the program and holds nothing of it; state, ports and locks belong to the process
 * below, which finds them as after a kill. The process below ends with its supervisor, however that one ends. What ends by
 * an error that it reports (a bad configuration, a server that is away) is not started again.
 * Imported by the command's entry and by tests.
 */
import { fork } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { EXIT } from '../app/exit.ts';

/** Set in the environment of the process below. */
const MARK = 'DURABLE_RUNS_SUPERVISED';
const STAYING: readonly string[] = ['dev', 'worker', 'serve'];
/** A process that has lived this long was not ended by the same thing as the one before. Milliseconds. */
const HEALTHY_MS = 60_000;
const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 30_000;

/** Is this command one to keep running? */
export const isSupervised = (
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): boolean => {
  const command = args.find((arg) => !arg.startsWith('-'));
  if (command === undefined || !STAYING.includes(command) || env[MARK] !== undefined) return false;
  // The API alone runs no code of users.
  if (command === 'serve' && !args.includes('--worker')) return false;
  return !args.some((arg) => ['--no-restart', '--help', '-h', '--version', '-V'].includes(arg));
};

/** Milliseconds before the next start, after so many deaths in a row (1, 2, …): 1 s, 2 s, 4 s … 30 s. */
export const pauseAfter = (deaths: number): number =>
  Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(deaths - 1, 10));

/** What the process below reports. */
export type Report = { ready: true } | { ended: true };

export interface ProcessEnd {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** Deaths in a row of a process that has never begun its work, after which it is given up. */
const MAX_FALSE_STARTS = 5;

/**
 * Whether a process that has ended is started again. `reported`: it ended in order; `wasReady`: it, or one before it, had
 * begun its work; `deaths`: how many have died in a row. Pure.
 */
export const startsAgain = (seen: {
  reported: boolean;
  stopping: boolean;
  wasReady: boolean;
  deaths: number;
}): boolean => !seen.reported && !seen.stopping && (seen.wasReady || seen.deaths < MAX_FALSE_STARTS);

const isReport = (message: unknown, name: 'ready' | 'ended'): boolean =>
  typeof message === 'object' && message !== null && name in message;

/** One life of the process below; resolves when it is gone and everything that it reported has been read. */
const live = async (
  script: string,
  args: readonly string[],
  again: boolean,
  onChild: (stop: () => void) => void,
): Promise<ProcessEnd & { ready: boolean; reported: boolean }> => {
  const env = { ...process.env, [MARK]: again ? 'again' : 'first' };
  const child = fork(script, args, { env, stdio: 'inherit' });
  const seen = { ready: false, reported: false };
  child.on('message', (message) => {
    if (isReport(message, 'ready')) seen.ready = true;
    if (isReport(message, 'ended')) seen.reported = true;
  });
  let asked = false;
  onChild(() => {
    // The second time, as with any process: the hard way.
    if (asked) child.kill('SIGKILL');
    else if (child.connected) child.send({ stop: true });
    asked = true;
  });
  const exited = new Promise<ProcessEnd>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  // Its last message is read before this, and may be read after the exit.
  const silent = new Promise<void>((resolve) => {
    child.once('disconnect', resolve);
  });
  const [ending] = await Promise.all([exited, silent]);
  return { ...ending, ...seen };
};

const nothing = (): void => undefined;

/** Runs `script` with `args` until it ends in order or a signal asks for the end; resolves to its exit code. */
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
  /** An earlier life of this process has begun its work. */
  again: boolean;
  report(report: Report): void;
  leave(): void;
}

/** As a kill of the one process that supervisor and program are to those who started it. */
const dieToo = (): void => void process.kill(process.pid, 'SIGKILL');

/** In the process below: ends with the supervisor, hears of its wish to stop, and reports. */
export const joinSupervisor = (onStop: () => void): Joined => {
  const mark = process.env[MARK];
  if (mark === undefined || process.send === undefined)
    return { again: false, report: nothing, leave: nothing };
  // Programs that this one starts are not below that supervisor.
  Reflect.deleteProperty(process.env, MARK);
  process.once('disconnect', dieToo);
  process.on('message', (message) => {
    if (typeof message === 'object' && message !== null && 'stop' in message) onStop();
  });
  process.channel?.unref();
  return {
    again: mark === 'again',
    report: (report) => void process.send?.(report),
    leave: () => {
      process.off('disconnect', dieToo);
      if (process.connected) process.disconnect();
    },
  };
};
