/**
 * Builds the input of the follow-up workflow from calls whose answers may still arrive.
 * Pure; imports protocol and the state.
 */
import type { AnswerPayload, FollowUpInput, RunInput } from '../../protocol/temporal/messages.ts';
import { requestOf } from './call-state.ts';
import { toStore } from './decisions.ts';
import type { LateCall, MachineState } from './state.ts';

/** The payload with the sender's name that the run accepted. */
export const signedPayload = ({ payload, answer }: NonNullable<LateCall['given']>): AnswerPayload => {
  const { by: _claimed, ...rest } = payload;
  return answer.by === undefined ? rest : { ...rest, by: answer.by };
};

export const toFollowUpInput = (
  input: RunInput,
  state: MachineState,
  calls: readonly LateCall[],
  at: number,
): FollowUpInput => ({
  runId: input.runId,
  backend: input.backend,
  threadId: state.threadId ?? '',
  assistantId: input.assistantId,
  metadata: input.metadata,
  calls: calls.map((call) => ({
    ...requestOf(call),
    kind: call.plan.kind,
    ...(call.plan.kind === 'approval' ? { policy: call.plan.policy } : {}),
    ...(call.plan.kind === 'approval' && call.plan.schema !== undefined ? { schema: call.plan.schema } : {}),
    ...(call.plan.kind === 'approval' && call.plan.approvers !== undefined
      ? {
          approvers: call.plan.approvers,
          ...(call.plan.requestedBy === undefined ? {} : { requestedBy: call.plan.requestedBy }),
        }
      : {}),
    ...(call.ballot === undefined ? {} : { ballot: call.ballot }),
    ...(call.refusedEdit === undefined ? {} : { refusedEdit: call.refusedEdit }),
    ...(call.round === undefined ? {} : { round: call.round }),
    ...(call.given === undefined ? {} : { given: signedPayload(call.given) }),
    ...(call.given?.decision === undefined ? {} : { decision: toStore(call.given.decision) }),
  })),
  answerBy: at + state.about.followUpWithinMs,
  searchAttributes: input.searchAttributes,
  hooks: input.hooks,
  settings: input.settings,
});
