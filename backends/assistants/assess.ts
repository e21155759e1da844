/**
 * The decisions of this backend, as pure functions: the meaning of a run's state, the time to wait, the run that blocks
 * a thread, whether outputs were accepted.
 *
 * Rule: no I/O and no clock. The set of required call ids is the version of a round: neither a count nor the order of
 * answers decides. Imports shapes only. The rest of this folder imports it.
 */
import type { Settled } from '../../protocol/ports/backend.ts';
import type { PlannedCall, ToolCall } from '../../protocol/tool-calls.ts';
import { quote as quoted } from '../../protocol/rules/validation.ts';
import { isTerminal } from '../../protocol/wire/objects.ts';
import type { ToolOutput } from '../../protocol/wire/objects.ts';
import { planFitting } from '../fit-calls.ts';
import type { UpstreamRun } from './parse.ts';

/** The action that a read of the run requires. */
export type Assessment =
  | { kind: 'settled' }
  /** Known and on its way. */
  | { kind: 'wait' }
  /** Not in our vocabulary: wait, but not for ever. */
  | { kind: 'puzzling'; what: string }
  /** It waits for something that we can't give. */
  | { kind: 'unsupported'; what: string };

const WAITING = new Set(['queued', 'in_progress', 'cancelling']);

export const assessRun = (run: UpstreamRun): Assessment => {
  if (isTerminal(run.status)) return { kind: 'settled' };
  if (WAITING.has(run.status)) return { kind: 'wait' };
  if (run.status !== 'requires_action') return { kind: 'puzzling', what: `the status ${quoted(run.status)}` };
  if (run.actionType !== null && run.actionType !== 'submit_tool_outputs')
    return { kind: 'unsupported', what: `the required action ${quoted(run.actionType)}` };
  if (run.malformedCalls > 0)
    return {
      kind: 'unsupported',
      what: `${run.malformedCalls} tool call(s) without a usable id or a function name`,
    };
  // A status that is ahead of its action: a replica, or a server that fills it in later.
  if (run.calls.length === 0)
    return { kind: 'puzzling', what: 'the status "requires_action" without any call' };
  return { kind: 'settled' };
};

/** Subtract from a server time to get this worker's time. */
export interface AssessedReading {
  run: UpstreamRun;
  /** Server's clock minus this worker's clock, in milliseconds. */
  offsetMs: number;
  receivedAt: number;
}

export const settledFrom = (
  reading: AssessedReading,
  threadId: string,
  plan: (calls: ToolCall[], declaredTools: string[]) => PlannedCall[],
): Settled => {
  const { run, offsetMs } = reading;
  const ref = { backendRunId: run.id, threadId };
  if (isTerminal(run.status))
    return {
      status: run.status,
      run: ref,
      ...(run.usage === undefined ? {} : { usage: run.usage }),
      ...(run.lastError === undefined ? {} : { lastError: run.lastError }),
      ...(run.incompleteDetails === undefined ? {} : { incompleteDetails: run.incompleteDetails }),
    };
  return {
    status: 'requires_action',
    run: ref,
    calls: planFitting(run.calls, (calls) => plan(calls, run.toolNames)),
    expiresAt: run.expiresAt === null ? null : run.expiresAt - offsetMs,
    createdAt: run.createdAt === null ? reading.receivedAt : run.createdAt - offsetMs,
  };
};

/**
 * Server's clock minus ours. The `date` header has whole seconds and a flight time in it, so small differences are
 * noise; half a second is added for the cut-off part.
 */
export const clockOffset = (serverTime: number | null, receivedAt: number): number => {
  if (serverTime === null) return 0;
  const offset = serverTime + 500 - receivedAt;
  return Math.abs(offset) < 3000 ? 0 : offset;
};

export interface PollBounds {
  /** Share of the run's age. Default 0.1. */
  factor: number;
  minMs: number;
  maxMs: number;
  /** Longest pause that a server may ask for. */
  hintMaxMs: number;
  /** Shortest pause after a status that we do not know. */
  unknownFloorMs: number;
  /** How long a status that we do not know is waited out. */
  unknownLimitMs: number;
}

/** The server's hint within reason, else a tenth of the run's age: the lag stays a constant share of the run. */
export const pollDelay = (
  bounds: PollBounds,
  given: { hintMs: number | null; ageMs: number; unrecognised: boolean },
): number => {
  const own = Math.min(bounds.maxMs, Math.max(bounds.minMs, given.ageMs * bounds.factor));
  // A hint of 0 is read as "soon": a poller without any pause is a hot loop.
  const delay =
    given.hintMs === null
      ? own
      : Math.min(bounds.hintMaxMs, Math.max(Math.min(bounds.minMs, 20), given.hintMs));
  return Math.round(given.unrecognised ? Math.max(delay, bounds.unknownFloorMs) : delay);
};

/** How the calls that a run requires relate to the outputs that we hold. */
export type IdRelation =
  /** Exactly the submitted ids: not applied (or a stale read). */
  | 'same'
  /** None of the submitted ids: applied, and the next round has started. */
  | 'none'
  /** Some of the submitted ids: a server that accepts partial submits. */
  | 'some';

export const relateIds = (required: readonly ToolCall[], ours: readonly ToolOutput[]): IdRelation => {
  const ids = new Set(ours.map(({ tool_call_id }) => tool_call_id));
  const shared = required.filter(({ callId }) => ids.has(callId)).length;
  if (shared === 0) return 'none';
  return shared === ids.size && required.length === ids.size ? 'same' : 'some';
};

/** The submitted outputs, as the run's steps show them. */
export type OutputRelation =
  | { kind: 'equal' }
  | { kind: 'different'; callIds: string[] }
  /** The steps show none of the submitted outputs. */
  | { kind: 'absent' }
  /** The server has no steps, or they do not mention our calls. */
  | { kind: 'unknown' };

export const relateOutputs = (
  shown: ReadonlyMap<string, string | null> | null,
  ours: readonly ToolOutput[],
): OutputRelation => {
  const known = ours.filter(({ tool_call_id }) => shown?.has(tool_call_id));
  if (shown === null || known.length === 0) return { kind: 'unknown' };
  const different = known.filter(({ tool_call_id, output }) => {
    const submitted = shown.get(tool_call_id);
    return submitted != null && submitted !== output;
  });
  if (different.length > 0)
    return { kind: 'different', callIds: different.map(({ tool_call_id }) => tool_call_id) };
  return known.some(({ tool_call_id }) => shown.get(tool_call_id) != null)
    ? { kind: 'equal' }
    : { kind: 'absent' };
};

/**
 * Is this refusal about a thread that another run locks? Matches texts of servers, because they send no code.
 * `runId` is null when the text names none.
 */
export const busyFrom = (message: string): { runId: string | null } | null => {
  if (!/already has an active run|while a run\b.*\bis active/i.test(message)) return null;
  const named = /(?:active run|while a run)\s+[`'"]?([A-Za-z0-9_][\w.:-]*)/i.exec(message)?.[1];
  const runId = named?.replace(/[.:-]+$/, '');
  return { runId: runId === undefined || /^(is|on|in|for)$/i.test(runId) ? null : runId };
};

/** Of several runs with one token the earliest stays. */
export const earliest = <R extends Pick<UpstreamRun, 'id' | 'createdAt'>>(
  runs: readonly R[],
): R | undefined =>
  runs.toSorted(
    (a, b) => (a.createdAt ?? 0) - (b.createdAt ?? 0) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0),
  )[0];
