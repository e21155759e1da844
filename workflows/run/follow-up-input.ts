/**
 * Hands calls whose answer may still come over to the workflow that waits for them.
 * Pure; imports protocol and the state.
 */
import type { FollowUpInput, RunInput } from '../../protocol/temporal/messages.ts';
import { requestOf } from './call-state.ts';
import type { LateCall, MachineState } from './state.ts';

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
    ...(call.refusedEdit === undefined ? {} : { refusedEdit: call.refusedEdit }),
    ...(call.given === undefined ? {} : { given: call.given.payload }),
  })),
  answerBy: at + state.about.followUpWithinMs,
  searchAttributes: input.searchAttributes,
  hooks: input.hooks,
  settings: input.settings,
});
