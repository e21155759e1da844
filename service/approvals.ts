/**
 * Approvals over all runs: which wait, one with its details, a decision by its id, and changes as they happen.
 *
 * Rule: a key reads the approvals of its tenant and tools, an operator those of all tenants. A decision goes the way of every
 * answer, so its rules are the same. Imported by `service/index.ts`.
 */
import type { ApprovalScope } from '../protocol/ports/run-store.ts';
import type { Caller, RunsService } from '../protocol/ports/runs-service.ts';
import type { Voter } from '../protocol/decisions.ts';
import { answerCall } from './answer-run.ts';
import { withApiErrors } from './errors.ts';
import type { ServiceContext } from './service-context.ts';
import { approvalsOf } from './signature.ts';
import { tailApprovals } from './tail-approvals.ts';
import type { TailOptions } from './tail-events.ts';

export type ApprovalMethods = Pick<
  RunsService,
  'listApprovals' | 'getApproval' | 'decideApproval' | 'answerApproval' | 'commentApproval' | 'approvalEvents'
>;

const voterOf = ({ keyName, verified, groups }: Caller): Voter => ({
  ...(keyName == null ? {} : { by: keyName, ...(verified ? { verified: true as const } : {}) }),
  ...(groups === undefined ? {} : { groups }),
});

export const createApprovalMethods = (
  context: ServiceContext,
  { followUpWithinMs, tail }: { followUpWithinMs: number; tail?: TailOptions | undefined },
): ApprovalMethods => {
  const { store, now } = context;
  const scopeOf = (caller: Caller): ApprovalScope => ({ ...approvalsOf(caller), followUpWithinMs });
  /** An operator reads every tenant's approvals and decides none of them. */
  const ownOf = (caller: Caller): ApprovalScope => ({
    tenant: caller.tenant,
    tools: caller.grantedTools ?? null,
    followUpWithinMs,
  });
  return {
    listApprovals: (caller, { beforeDeadline, ...query }) =>
      withApiErrors(() =>
        store.listApprovals({
          ...query,
          ...(beforeDeadline === undefined ? {} : { beforeDeadline: beforeDeadline * 1000 }),
          ...scopeOf(caller),
          now: now(),
        }),
      ),
    getApproval: (caller, id) => withApiErrors(() => store.getApproval(scopeOf(caller), id, voterOf(caller))),
    decideApproval: (caller, id, { comment, note, ...decision }) =>
      withApiErrors(async () => {
        const { thread_id: threadId, run_id: runId, call_id } = await store.findApproval(ownOf(caller), id);
        const text = note ?? comment;
        const said = { ...decision, call_id, ...(text === undefined ? {} : { note: text }) };
        return answerCall(context, caller, [threadId, runId], said);
      }),
    commentApproval: (caller, id, { text, by }) =>
      withApiErrors(() => {
        const { keyName, verified } = caller;
        const name = keyName ?? by;
        return store.commentApproval(ownOf(caller), id, {
          ...(name === undefined ? {} : { by: name }),
          ...(keyName != null && verified ? { verified: true as const } : {}),
          text,
          at: now(),
        });
      }),
    answerApproval: (caller, id, { output, by, note }) =>
      withApiErrors(async () => {
        const { thread_id: threadId, run_id: runId, call_id } = await store.findApproval(ownOf(caller), id);
        const said = { ...(by === undefined ? {} : { by }), ...(note === undefined ? {} : { note }) };
        return answerCall(context, caller, [threadId, runId], { call_id, output, ...said });
      }),
    approvalEvents: (caller, from) => tailApprovals(store, scopeOf(caller), from, tail),
  };
};
