/**
 * Webhooks on the wire: endpoints, deliveries, and the body that a receiver gets.
 *
 * Rule: a body holds ids, states and times, and no text of a model: a link leads to the page that shows the call. Times of
 * objects are unix seconds, as in `objects.ts`. No imports but types. Any room may import it.
 */
import type { RunStatus } from './objects.ts';

/**
 * `run.waiting`: calls of the run wait for a person, or one waits again. `approval.*`: what became of one of them.
 * `run.ended`: the run has its last status. A type that the database writes and this list lacks is delivered all the same.
 */
export const WEBHOOK_EVENTS = [
  'run.waiting',
  'approval.reminded',
  'approval.escalated',
  'approval.decided',
  'approval.expired',
  'approval.cancelled',
  'run.ended',
] as const;
/** The event that `POST /v1/webhooks/{id}/test` sends; every endpoint gets it. */
export const TEST_EVENT = 'webhook.test';
export type WebhookEventType = (typeof WEBHOOK_EVENTS)[number];

/** Where events of one tenant are sent. */
export interface WebhookEndpoint {
  id: string;
  object: 'webhook';
  created_at: number;
  tenant: string;
  url: string;
  description: string | null;
  /** null = all. */
  events: WebhookEventType[] | null;
  /** Nothing is sent while it is disabled. */
  disabled_at: number | null;
  /** Why: a person's doing, or the receiver answered 410. */
  disabled_reason: 'by_operator' | 'gone' | null;
  /** Secrets that sign now; an older one ends at its `expires_at`. */
  secrets: { created_at: number; expires_at: number | null }[];
}

/** The only responses that hold a secret: creation and rotation. */
export interface WebhookWithSecret extends WebhookEndpoint {
  /** `whsec_…`, the form of Standard Webhooks. */
  secret: string;
}

export interface DeliveryAttempt {
  at: number;
  /** Status of the response; null = there was none. */
  status: number | null;
  milliseconds: number;
  /** Why the attempt failed; null = it did not. */
  error: string | null;
}

/**
 * `pending`: attempts go on. `failed`: the last attempt failed. `cancelled`: the endpoint was disabled.
 */
export const DELIVERY_STATUSES = ['pending', 'delivered', 'failed', 'cancelled'] as const;
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

/** One event for one endpoint. */
export interface WebhookDelivery {
  id: string;
  object: 'webhook.delivery';
  created_at: number;
  tenant: string;
  webhook_id: string;
  /** The header `webhook-id`: the same at each attempt, and at each endpoint. */
  event_id: string;
  event: string;
  /** null = a test. */
  run_id: string | null;
  /** Number of the event among those of its run. */
  sequence: number;
  status: DeliveryStatus;
  attempts: number;
  delivered_at: number | null;
  /** The latest attempts, oldest first. */
  log: DeliveryAttempt[];
}

export interface WebhookApproval {
  id: string;
  /** `output`: a person gives the output of the call. */
  kind: 'approval' | 'output';
  tool: string;
  answer_by: number | null;
  on_deadline: 'fail' | 'placeholder' | 'follow-up';
  /** The page where a person decides; null without RUNS_PUBLIC_URL. */
  url: string | null;
}

/** What a receiver gets. */
export interface WebhookBody {
  type: string;
  /** ISO 8601: when it happened. */
  timestamp: string;
  data: {
    tenant: string;
    /** Number of the event among those of its run, from 1, without gaps. 0 = a test. */
    sequence: number;
    run_id: string | null;
    thread_id?: string;
    assistant_id?: string;
    /** Of `run.ended`. */
    status?: RunStatus;
    error_code?: string | null;
    incomplete_reason?: string | null;
    /** Of `run.waiting`: the calls that wait. */
    approvals?: WebhookApproval[];
    /** Of `approval.*`: the call. */
    approval?: WebhookApproval;
    /** Of `approval.decided`. */
    decision?: { type: string; by: string | null; verified: boolean; edited: boolean } | null;
  };
}
