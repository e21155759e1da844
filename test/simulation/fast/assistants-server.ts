/**
 * An upstream runs server, as a model: threads with a lock, runs that play a scenario's turns, expiry, cancel.
 *
 * Rule: the semantics of the wire without HTTP. `log` has every change, for the auditor. Only `test/simulation` imports
 * it.
 */
import { isTerminal } from '../../../protocol/wire/objects.ts';
import type { RunStatus, TerminalStatus, ToolOutput } from '../../../protocol/wire/objects.ts';
import type { Random } from '../../support/random.ts';
import type { CallScript, Scenario } from '../scenario.ts';
import type { SimClock } from '../temporal/types.ts';

export interface ServerRun {
  id: string;
  threadId: string;
  token: string | null;
  status: RunStatus;
  createdAt: number;
  expiresAt: number | null;
  /** Rounds of outputs accepted. */
  round: number;
  calls: CallScript[];
  accepted: { round: number; outputs: ToolOutput[]; by: string; at: number }[];
  endedAt: number | null;
  /** Earlier looks of it, oldest first: for stale reads. */
  past: Seen[];
}

export interface Seen {
  id: string;
  token: string | null;
  status: RunStatus;
  createdAt: number;
  expiresAt: number | null;
  calls: readonly CallScript[];
  round: number;
}

/** A refusal of the server. */
export class Refused extends Error {
  readonly code: 'busy' | 'not_waiting' | 'call_ids' | 'not_found' | 'cannot_cancel';
  readonly runId: string | null;
  constructor(code: Refused['code'], runId: string | null = null) {
    super(code);
    this.code = code;
    this.runId = runId;
  }
}

export interface AssistantsServer {
  readonly runs: readonly ServerRun[];
  createThread(): string;
  createRun(threadId: string, token: string): Seen;
  /** A run of somebody else that holds the thread for so long. */
  occupy(threadId: string, ms: number): void;
  get(runId: string): Seen;
  getStale(runId: string): Seen;
  list(threadId: string): Seen[];
  submit(runId: string, outputs: readonly ToolOutput[], by: string): Seen;
  outputsOf(runId: string): ToolOutput[];
  cancel(runId: string): Seen;
  subscribe(runId: string, listener: () => void): () => void;
  readonly timersOf: () => number;
}

export const createAssistantsServer = (
  scenario: Scenario,
  clock: SimClock,
  random: Random,
  on: {
    opened(round: number, calls: readonly CallScript[]): void;
    ended(run: ServerRun): void;
    created(run: ServerRun): void;
  },
): AssistantsServer => {
  const runs: ServerRun[] = [];
  const listeners = new Map<string, Set<() => void>>();
  let threads = 0;
  const timers = new Set<() => void>();

  const seen = (run: ServerRun): Seen => ({
    id: run.id,
    token: run.token,
    status: run.status,
    createdAt: run.createdAt,
    expiresAt: run.expiresAt,
    calls: run.status === 'requires_action' ? run.calls : [],
    round: run.round,
  });
  const changed = (run: ServerRun): void => {
    run.past.push(seen(run));
    for (const listener of listeners.get(run.id) ?? []) listener();
  };
  const later = (ms: number, fn: () => void): void => {
    const off = clock.setTimeout(() => {
      timers.delete(off);
      fn();
    }, ms);
    timers.add(off);
  };
  const end = (run: ServerRun, status: TerminalStatus): void => {
    if (isTerminal(run.status)) return;
    run.status = status;
    run.endedAt = clock.now();
    changed(run);
    on.ended(run);
  };
  const expireIfDue = (run: ServerRun): void => {
    if (run.expiresAt !== null && !scenario.lax && clock.now() >= run.expiresAt) end(run, 'expired');
  };

  const play = (run: ServerRun): void => {
    run.status = 'queued';
    changed(run);
    later(random.int(0, 20), () => {
      if (run.status !== 'queued') return;
      run.status = 'in_progress';
      changed(run);
      const turn = run.token === null ? undefined : scenario.turns[run.round];
      if (turn === undefined || turn.kind === 'hang') return;
      later(turn.thinkMs, () => {
        if (run.status !== 'in_progress') return;
        if (turn.kind === 'end') return end(run, turn.status);
        run.calls = turn.calls;
        run.status = 'requires_action';
        changed(run);
        on.opened(run.round + 1, turn.calls);
      });
    });
  };

  const find = (runId: string): ServerRun => {
    const run = runs.find(({ id }) => id === runId);
    if (run === undefined) throw new Refused('not_found', runId);
    expireIfDue(run);
    return run;
  };
  const holder = (threadId: string): ServerRun | undefined =>
    runs.find((run) => {
      if (run.threadId === threadId) expireIfDue(run);
      return run.threadId === threadId && !isTerminal(run.status);
    });
  const add = (threadId: string, token: string | null, lifeMs: number | null): ServerRun => {
    const run: ServerRun = {
      id: `srv_${runs.length + 1}`,
      threadId,
      token,
      status: 'queued',
      createdAt: clock.now(),
      expiresAt: lifeMs === null ? null : clock.now() + lifeMs,
      round: 0,
      calls: [],
      accepted: [],
      endedAt: null,
      past: [],
    };
    runs.push(run);
    if (lifeMs !== null) later(lifeMs, () => expireIfDue(run));
    return run;
  };

  return {
    runs,
    timersOf: () => timers.size,
    createThread() {
      threads += 1;
      return `thread_srv${threads}`;
    },
    createRun(threadId, token) {
      const held = holder(threadId);
      if (held !== undefined) throw new Refused('busy', held.id);
      const run = add(threadId, token, scenario.lifeMs);
      on.created(run);
      play(run);
      return seen(run);
    },
    occupy(threadId, ms) {
      const run = add(threadId, null, null);
      run.status = 'in_progress';
      changed(run);
      later(ms, () => end(run, 'completed'));
    },
    get: (runId) => seen(find(runId)),
    getStale(runId) {
      const run = find(runId);
      return run.past[Math.max(0, run.past.length - 2)] ?? seen(run);
    },
    list: (threadId) =>
      runs
        .filter((run) => run.threadId === threadId)
        .toReversed()
        .map(seen),
    submit(runId, outputs, by) {
      const run = find(runId);
      if (run.status !== 'requires_action') throw new Refused('not_waiting', runId);
      const ids = new Set(outputs.map((output) => output.tool_call_id));
      if (
        ids.size !== outputs.length ||
        ids.size !== run.calls.length ||
        run.calls.some(({ callId }) => !ids.has(callId))
      )
        throw new Refused('call_ids', runId);
      run.accepted.push({ round: run.round + 1, outputs: [...outputs], by, at: clock.now() });
      run.round += 1;
      run.calls = [];
      play(run);
      return seen(run);
    },
    outputsOf: (runId) => find(runId).accepted.flatMap(({ outputs }) => outputs),
    cancel(runId) {
      const run = find(runId);
      if (run.status === 'cancelling') return seen(run);
      if (isTerminal(run.status)) throw new Refused('cannot_cancel', runId);
      run.status = 'cancelling';
      changed(run);
      later(random.int(0, scenario.closeMs), () => end(run, 'cancelled'));
      return seen(run);
    },
    subscribe(runId, listener) {
      const set = listeners.get(runId) ?? new Set();
      listeners.set(runId, set);
      set.add(listener);
      return () => set.delete(listener);
    },
  };
};
