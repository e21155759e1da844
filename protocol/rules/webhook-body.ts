/**
 * Builds the body of a webhook from its event in the outbox. Pure.
 *
 * Rule: equal at each attempt, because the event and what it names never change. It holds no text of a model, so nothing
 * that a model writes reaches a chat room or a mail, and its size is bounded.
 * Imported by the activities and by tests.
 */
import type { OutboxApproval, PendingDelivery } from '../ports/webhook-store.ts';
import type { WebhookApproval, WebhookBody } from '../wire/webhooks.ts';
import type { RunStatus } from '../wire/objects.ts';
import { wireSeconds } from '../wire/run-view.ts';

/** More calls of one turn are counted by the receiver on the page, not listed. */
const MAX_APPROVALS = 100;

/** The page where a person decides; null = the server's public address is not known. */
export const approvalUrl = (publicUrl: string | null, id: string): string | null =>
  publicUrl === null ? null : `${publicUrl.replace(/\/+$/, '')}/console/approvals/${encodeURIComponent(id)}`;

const approvalOf = (
  publicUrl: string | null,
  { id, kind = 'approval', tool, due_at: dueAt, on_deadline }: OutboxApproval,
): WebhookApproval => ({
  id,
  kind,
  tool,
  answer_by: dueAt === Number.MAX_SAFE_INTEGER ? null : wireSeconds(dueAt),
  on_deadline,
  url: approvalUrl(publicUrl, id),
});

export const webhookBody = (
  { event, decision, errorCode }: Pick<PendingDelivery, 'event' | 'decision' | 'errorCode'>,
  publicUrl: string | null,
): WebhookBody => {
  const { type, tenant, sequence, runId, at, data } = event;
  return {
    type,
    timestamp: new Date(at).toISOString(),
    data: {
      tenant,
      sequence,
      run_id: runId,
      ...(data.thread_id === undefined ? {} : { thread_id: data.thread_id }),
      ...(data.assistant_id === undefined ? {} : { assistant_id: data.assistant_id }),
      ...(type === 'run.ended'
        ? {
            status: data.status as RunStatus,
            error_code: errorCode,
            incomplete_reason: data.incomplete_reason ?? null,
          }
        : {}),
      ...(data.approvals === undefined
        ? {}
        : { approvals: data.approvals.slice(0, MAX_APPROVALS).map((call) => approvalOf(publicUrl, call)) }),
      ...(data.approval === undefined ? {} : { approval: approvalOf(publicUrl, data.approval) }),
      ...(type === 'approval.decided' ? { decision } : {}),
    },
  };
};
