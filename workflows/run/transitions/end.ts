/**
 * Ends a run: the result, the unused answers, and the error that is named.
 *
 * Rule: the result is what happened. A run that completed before it could be closed is completed. An acknowledged
 * answer is either in a submit or listed as unused, with the reason.
 * Imports protocol and the state, no SDK.
 */
import type { LastError, Settled } from '../../../protocol/ports/backend.ts';
import { RESULT_MEMO } from '../../../protocol/temporal/names.ts';
import type { CallSummary, RunResult, UnusedAnswer } from '../../../protocol/temporal/messages.ts';
import type { Ballot } from '../../../protocol/rules/ballot.ts';
import { summaryOf } from '../call-state.ts';
import { utf8Length } from '../../../protocol/rules/tool-outputs.ts';
import type { ActivityFailureInfo, MachineState } from '../state.ts';
import { MAX_MEMO_BYTES } from '../timeouts.ts';

export type Terminal = Exclude<Settled, { status: 'requires_action' }>;
type Status = RunResult['status'];

/** `BackendNotFound` → `backend_not_found`: codes in results are written as the API writes its own. */
const snake = (type: string): string => type.replaceAll(/(?<=[a-z])(?=[A-Z])/g, '_').toLowerCase();

export const lastErrorOf = (failure: ActivityFailureInfo): LastError => ({
  code:
    failure.reason ??
    (failure.kind === 'timeout' ? 'timeout' : failure.type === '' ? 'failed' : snake(failure.type)),
  message:
    failure.message === '' ? `The activity ended by ${failure.kind} without a message.` : failure.message,
});

const REASONS: Record<Status, UnusedAnswer['reason']> = {
  expired: 'expired',
  cancelled: 'cancelled',
  failed: 'failed',
  incomplete: 'failed',
  completed: 'superseded',
};

/** The votes about a call that they did not decide, as unused. */
export const undecidedVotes = (
  { callId, ballot }: { callId: string; ballot?: Ballot },
  reason: UnusedAnswer['reason'],
): UnusedAnswer[] => (ballot?.votes ?? []).map(({ by, at }) => ({ callId, by, reason, at }));

/** The accepted answers of the current round, as unused. */
export const unusedOf = (state: MachineState, reason: UnusedAnswer['reason']): UnusedAnswer[] =>
  state.calls.flatMap((call) => {
    const { callId, answer } = call;
    return answer === undefined
      ? call.status === 'waiting'
        ? undecidedVotes(call, reason)
        : []
      : [{ callId, ...(answer.by === undefined ? {} : { by: answer.by }), reason, at: answer.at }];
  });

export const unusedLateAnswers = (state: MachineState, reason: UnusedAnswer['reason']): UnusedAnswer[] =>
  state.late.flatMap(({ callId, given, ballot }) =>
    given === undefined
      ? undecidedVotes({ callId, ...(ballot === undefined ? {} : { ballot }) }, reason)
      : [
          {
            callId,
            ...(given.answer.by === undefined ? {} : { by: given.answer.by }),
            reason,
            at: given.answer.at,
          },
        ],
  );

/** Moves the run to its end. `submitted`: the outputs of the current round were accepted. */
export const endRun = (
  state: MachineState,
  end: { status: Status; submitted: boolean } & Pick<Terminal, 'usage' | 'lastError' | 'incompleteDetails'>,
): MachineState => {
  const reason = REASONS[end.status];
  const unused = [...state.unused, ...(end.submitted ? [] : unusedOf(state, reason))];
  // Cancelling a run drops its late calls too; after any other end they may still be answered.
  const keepsLate = end.status !== 'cancelled';
  const calls: CallSummary[] = [
    ...state.past.map(({ digest: _digest, ...summary }) => summary),
    ...state.calls.map((call) => summaryOf(call, state.round)),
  ];
  const result: RunResult = {
    status: end.status,
    runId: state.about.runId,
    backendRunId: state.run?.backendRunId ?? null,
    threadId: state.threadId,
    rounds: state.round,
    usage: end.usage ?? null,
    ...(end.lastError === undefined ? {} : { lastError: end.lastError }),
    ...(end.incompleteDetails === undefined ? {} : { incompleteDetails: end.incompleteDetails }),
    calls,
    unusedAnswers: [
      ...unused,
      ...(keepsLate ? [] : unusedLateAnswers(state, reason)),
      ...state.unusable.latest,
    ],
  };
  return {
    ...state,
    op: null,
    tasks: [],
    late: keepsLate ? state.late : [],
    ending: { result, cancelled: end.status === 'cancelled' && state.closing?.kind === 'cancel' },
  };
};

/** The memo of a cancelled run: the result, shortened until it fits. */
export const memoOf = (result: RunResult): Record<string, RunResult> => {
  let small = result;
  while (
    utf8Length(JSON.stringify(small)) > MAX_MEMO_BYTES &&
    (small.calls.length > 0 || small.unusedAnswers.length > 0)
  )
    small = {
      ...small,
      calls: small.calls.slice(0, Math.floor(small.calls.length / 2)),
      unusedAnswers: small.unusedAnswers.slice(0, Math.floor(small.unusedAnswers.length / 2)),
    };
  if (small.lastError !== undefined && utf8Length(JSON.stringify(small)) > MAX_MEMO_BYTES)
    small = { ...small, lastError: { ...small.lastError, message: small.lastError.message.slice(0, 400) } };
  return { [RESULT_MEMO]: small };
};
