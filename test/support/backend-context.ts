/**
 * A `BackendContext` with virtual time that records every effect, for tests of backends.
 *
 * Rule: `sleep` takes no time: it moves the test's clock (or its own) and lets I/O happen once. Each attempt of an
 * activity is a separate context; `next` makes the attempt that Temporal would start after it. Tests only.
 */
import { setImmediate } from 'node:timers/promises';
import type { BackendContext, BackendObservation, Progress } from '../../protocol/ports/backend.ts';
import type { PlannedCall, ToolCall } from '../../protocol/tool-calls.ts';
import type { FunctionTool } from '../../protocol/wire/objects.ts';

export interface FakeContextOptions {
  attempt?: number;
  previous?: Progress | null;
  /** Default: a clock that stands still but for sleeps. */
  now?: () => number;
  /** Called by every sleep: moves the clock behind `now`. */
  advance?: (ms: number) => void;
  /** Default: never throws. */
  fence?: () => void;
  /** Default: every call is external. */
  plan?: BackendContext['plan'];
  /** Default none. */
  workerTools?: readonly FunctionTool[];
  /** Hears of every sleep before it happens; may abort, add faults, or submit behind the backend's back. */
  onSleep?: (ms: number, count: number) => void | Promise<void>;
  onHeartbeat?: (progress: Progress, count: number) => void;
}

export interface LogLine {
  level: 'debug' | 'info' | 'warn' | 'error';
  message: string;
  fields: Record<string, unknown>;
}

export type FakeContext = BackendContext & {
  heartbeats: Progress[];
  sleeps: number[];
  observed: BackendObservation[];
  logs: LogLine[];
  fences: number;
  declaredTools: string[][];
  abort(reason?: unknown): void;
  /** The next attempt after this one died: it knows the last heartbeat. */
  next(more?: FakeContextOptions): FakeContext;
};

const external = (calls: ToolCall[]): PlannedCall[] =>
  calls.map((call) => ({
    ...call,
    plan: { kind: 'external', wait: { onDeadline: 'fail', answerWithinMs: null } },
  }));

const START = 1_767_225_600_000;

export const fakeContext = (options: FakeContextOptions = {}): FakeContext => {
  const controller = new AbortController();
  let own = START;
  const heartbeats: Progress[] = [];
  const sleeps: number[] = [];
  const observed: BackendObservation[] = [];
  const logs: LogLine[] = [];
  const declaredTools: string[][] = [];
  const log =
    (level: LogLine['level']) =>
    (fields: Record<string, unknown>, message: string): void =>
      void logs.push({ level, message, fields });
  const context: FakeContext = {
    heartbeats,
    sleeps,
    observed,
    logs,
    declaredTools,
    fences: 0,
    signal: controller.signal,
    attempt: options.attempt ?? 1,
    previous: options.previous ?? null,
    heartbeat(progress) {
      heartbeats.push(structuredClone(progress));
      options.onHeartbeat?.(progress, heartbeats.length);
    },
    fence() {
      context.fences++;
      options.fence?.();
    },
    now: options.now ?? (() => own),
    async sleep(ms) {
      controller.signal.throwIfAborted();
      sleeps.push(ms);
      await options.onSleep?.(ms, sleeps.length);
      if (options.advance === undefined) own += ms;
      else options.advance(ms);
      await setImmediate();
      controller.signal.throwIfAborted();
    },
    plan(calls, tools, grant) {
      declaredTools.push(tools);
      return (options.plan ?? external)(calls, tools, grant);
    },
    workerTools: () => options.workerTools ?? [],
    log: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
    observe: (what) => void observed.push(what),
    abort: (reason = new Error('aborted by the test')) => controller.abort(reason),
    next: (more = {}) =>
      fakeContext({
        ...options,
        attempt: context.attempt + 1,
        previous: heartbeats.at(-1) ?? context.previous,
        ...more,
      }),
  };
  return context;
};
