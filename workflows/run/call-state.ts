/**
 * Creates the calls of a round, and builds the output that the model reads when a call fails.
 *
 * Rule: a failed tool produces an output, never a failed run. When an at-most-once call loses its attempt, its outcome
 * is unknown, and the output says so.
 * Imports protocol and the state, no SDK.
 */
import { errorOutput } from '../../protocol/tool-calls.ts';
import type {
  ArgumentsMark,
  CallOutcome,
  OutcomeNote,
  PlannedCall,
  ToolCall,
} from '../../protocol/tool-calls.ts';
import { FAILURES } from '../../protocol/temporal/names.ts';
import type { CallSummary } from '../../protocol/temporal/messages.ts';
import { toolEnd } from './deadline.ts';
import { MIN_TOOL_MS } from './timeouts.ts';
import type { CallState, ActivityFailureInfo, ArchivedCall, MachineState } from './state.ts';

/** A longer error message does not help the model; the tool's own logs have it. */
const MESSAGE_CHARS = 500;

const failed = (note: OutcomeNote, type: string, message: string): CallOutcome => ({
  output: errorOutput(type, message.length > MESSAGE_CHARS ? `${message.slice(0, MESSAGE_CHARS)}…` : message),
  ok: false,
  notes: [note],
});

/** Starts an automatic or approved call, unless its time is over. */
export const startCall = (state: MachineState, call: CallState, at: number): CallState => {
  const endBy = toolEnd(state);
  return endBy !== null && endBy - at < MIN_TOOL_MS
    ? {
        ...call,
        status: 'done',
        outcome: failed(
          'deadline',
          'deadline',
          'The tool was not run: the run expires before it could finish.',
        ),
      }
    : { ...call, status: 'running', endBy };
};

/** The request of a call, without its outcome. */
export const requestOf = (call: ToolCall & ArgumentsMark): ToolCall & ArgumentsMark => ({
  callId: call.callId,
  name: call.name,
  arguments: call.arguments,
  ...(call.argumentsDigest === undefined ? {} : { argumentsDigest: call.argumentsDigest }),
  ...(call.digestRequired === undefined ? {} : { digestRequired: call.digestRequired }),
});

export const newCallState = (state: MachineState, planned: PlannedCall, at: number): CallState => {
  const call: CallState = { ...requestOf(planned), plan: planned.plan, status: 'waiting' };
  const { plan } = planned;
  switch (plan.kind) {
    case 'refused':
      return {
        ...call,
        status: 'done',
        outcome: { output: plan.output, ok: false, notes: [plan.note ?? 'unknown_tool'] },
      };
    case 'automatic':
      return startCall(state, call, at);
    default:
      return { ...call, waitStart: at };
  }
};

const LOST: readonly (ActivityFailureInfo['timeout'] | undefined)[] = [
  'start_to_close',
  'heartbeat',
  'schedule_to_close',
];

const TIMEOUTS = {
  start_to_close: 'one attempt took longer than allowed',
  heartbeat: 'it sent no heartbeat in time',
  schedule_to_close: 'it did not finish within its total time',
  schedule_to_start: 'no worker started it in time',
} as const;

/** The output for a tool whose activity failed for good. */
export const failedOutcome = (call: CallState, failure: ActivityFailureInfo): CallOutcome => {
  const policy = call.plan.kind === 'automatic' || call.plan.kind === 'approval' ? call.plan.policy : null;
  const unknown =
    failure.type === FAILURES.toolOutcomeUnknown ||
    (policy?.atMostOnce === true && failure.kind === 'timeout' && LOST.includes(failure.timeout));
  if (unknown)
    return failed(
      'outcome_unknown',
      'outcome_unknown',
      'The attempt was lost before it reported a result. The tool may or may not have taken effect; it was not run again. Check before you call it again.',
    );
  if (failure.kind === 'timeout') {
    const over = failure.timeout === 'schedule_to_close' && call.endBy != null;
    const why = failure.timeout === undefined ? 'it timed out' : TIMEOUTS[failure.timeout];
    const last = failure.message === '' ? '' : ` Last failure: ${failure.message}`;
    return failed(
      over ? 'deadline' : 'tool_failed',
      over ? 'deadline' : 'tool_failed',
      `The tool gave no output: ${why}.${last}`,
    );
  }
  return failed(
    'tool_failed',
    'tool_failed',
    failure.message === '' ? 'The tool failed without a message.' : failure.message,
  );
};

export const deniedOutcome = (reason: string | undefined, by: string | undefined): CallOutcome => ({
  ...failed(
    'denied',
    'denied',
    reason ? `A person denied this call: ${reason}` : 'A person denied this call.',
  ),
  ...(by === undefined ? {} : { by }),
});

export const placeholderOutcome = (followsUp: boolean): CallOutcome =>
  failed(
    'placeholder',
    'deadline',
    followsUp
      ? 'Nobody has answered yet. The answer will come later, as a message on this thread; go on without it.'
      : 'Nobody answered in time; go on without the answer.',
  );

export const summaryOf = (call: CallState, round: number): CallSummary => {
  const notes = call.outcome?.notes ?? [];
  const by = call.outcome?.by ?? call.answer?.by;
  return {
    callId: call.callId,
    name: call.name,
    round,
    kind: call.plan.kind,
    ok: call.outcome?.ok ?? false,
    ...(notes.length === 0 ? {} : { notes }),
    ...(by === undefined ? {} : { by }),
    ...(call.answer?.verified === undefined ? {} : { verified: true }),
  };
};

export const archiveCall = (call: CallState, round: number): ArchivedCall => ({
  ...summaryOf(call, round),
  ...(call.answer === undefined ? {} : { digest: call.answer.digest }),
});
