/**
 * The reply to the query `run`, and the notice that hooks receive: the state without internal fields.
 * Pure; imports the state only.
 */
import type { CallSnapshot, RunSnapshot, WaitingNotice } from '../../protocol/temporal/messages.ts';
import { answerBy } from './deadline.ts';
import { decisionsOf } from './decisions.ts';
import { apiStatus, phaseOf, takesAnswers, waitingCalls } from './state.ts';
import type { CallState, MachineState } from './state.ts';

const callSnapshot = (state: MachineState, call: CallState): CallSnapshot => {
  const by = call.outcome?.by ?? call.answer?.by;
  return {
    callId: call.callId,
    name: call.name,
    arguments: call.editedArguments ?? call.arguments,
    kind: call.plan.kind,
    state: call.status,
    ...(call.outcome === undefined ? {} : { ok: call.outcome.ok }),
    ...(call.outcome?.notes === undefined ? {} : { notes: call.outcome.notes }),
    ...(by === undefined ? {} : { by }),
    ...(call.answer?.verified === undefined ? {} : { verified: true }),
    ...(call.status === 'waiting' && takesAnswers(state) && 'wait' in call.plan
      ? {
          answerBy: answerBy(state, call),
          onDeadline: call.plan.wait.onDeadline,
          ...(call.argumentsDigest === undefined ? {} : { argumentsDigest: call.argumentsDigest }),
          ...(call.digestRequired === undefined ? {} : { digestRequired: call.digestRequired }),
          ...(call.refusedEdit === undefined ? {} : { refusedEdit: call.refusedEdit }),
          ...(call.plan.kind === 'approval' && call.plan.approvers !== undefined
            ? { approvers: call.plan.approvers }
            : {}),
          ...(call.ballot === undefined ? {} : { ballot: call.ballot }),
        }
      : {}),
  };
};

export const snapshotOf = (state: MachineState): RunSnapshot => ({
  runId: state.about.runId,
  backendRunId: state.run?.backendRunId ?? null,
  threadId: state.threadId,
  assistantId: state.about.assistantId,
  backend: state.about.backend,
  phase: phaseOf(state),
  status: apiStatus(state),
  round: state.round,
  expiresAt: state.expiresAt,
  calls: state.calls.map((call) => callSnapshot(state, call)),
  unusable: state.unusable,
  result: state.ending?.result ?? null,
  ...(state.decisions === undefined ? {} : { decisions: decisionsOf(state) }),
});

export const noticeOf = (state: MachineState): WaitingNotice => ({
  runId: state.about.runId,
  threadId: state.threadId ?? '',
  assistantId: state.about.assistantId,
  round: state.round,
  calls: waitingCalls(state).map((call) => callSnapshot(state, call)),
  expiresAt: state.expiresAt,
});
