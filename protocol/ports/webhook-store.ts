/**
 * The outbox of webhooks and its endpoints. The database writes an event in the transaction of the change that it tells of,
 * whichever process makes the change.
 *
 * Rule: a delivery is pending until an attempt succeeds, the attempts end, or its endpoint is disabled. Callers pass the
 * time in unix milliseconds. `tenant` null = of all tenants. A lookup that finds nothing throws `ApiError` 404.
 * Imports protocol shapes only. `store/` implements it; `service/`, the worker and tests import it.
 */
import type {
  DeliveryAttempt,
  DeliveryStatus,
  WebhookDelivery,
  WebhookEndpoint,
  WebhookEventType,
} from '../wire/webhooks.ts';
import type { Page } from '../wire/objects.ts';

/** A secret as it is stored: sealed where the server has a key, else the secret itself. */
export interface StoredSecret {
  sealed: string;
  createdAt: number;
  /** null = it signs until it is rotated. */
  expiresAt: number | null;
}

export interface NewWebhook {
  id: string;
  tenant: string;
  url: string;
  description: string | null;
  events: WebhookEventType[] | null;
  secrets: StoredSecret[];
  now: number;
}

/** Fields to change; absent = as before. */
export interface WebhookChange {
  url?: string;
  description?: string | null;
  events?: WebhookEventType[] | null;
  disabled?: 'by_operator' | 'gone' | null;
  /** Computed from the secrets in the row, under its lock. */
  secrets?: (current: readonly StoredSecret[]) => StoredSecret[];
}

export interface DeliveryQuery {
  tenant: string | null;
  limit: number;
  after?: string;
  webhookId?: string;
  runId?: string;
  event?: string;
  status?: DeliveryStatus;
}

/** Deliveries of one run (or tests) to one endpoint: they are sent one after the other. */
export interface WebhookLane {
  webhookId: string;
  /** null = tests. */
  runId: string | null;
}

/** A lane with deliveries that no workflow knows of yet. */
export interface UndispatchedLane extends WebhookLane {
  deliveryIds: string[];
  /** A person asked for one of them: an attempt that waits for its time is made now. */
  now: boolean;
}

/** The event of a delivery, as the database wrote it. */
export interface OutboxEvent {
  id: string;
  type: string;
  tenant: string;
  runId: string | null;
  sequence: number;
  /** Unix ms. */
  at: number;
  /** Ids, states and times from the rows that changed. */
  data: OutboxData;
}

export interface OutboxApproval {
  id: string;
  /** Absent in events of an older version. */
  kind?: 'approval' | 'output';
  tool: string;
  due_at: number;
  on_deadline: 'fail' | 'placeholder' | 'follow-up';
}

export interface OutboxData {
  thread_id?: string;
  assistant_id?: string;
  status?: string;
  incomplete_reason?: string | null;
  approvals?: OutboxApproval[];
  approval?: OutboxApproval;
  /** Unix ms of the decision. */
  decided_at?: number | null;
}

/** What an attempt needs. `decision` and `errorCode` are read from the rows that the event names. */
export interface PendingDelivery {
  id: string;
  attempts: number;
  endpoint: { id: string; url: string; secrets: StoredSecret[]; disabled: boolean };
  event: OutboxEvent;
  decision: { type: string; by: string | null; verified: boolean; edited: boolean } | null;
  errorCode: string | null;
}

export interface WebhookStore {
  /** Throws `ApiError` 400 when the tenant has `most` endpoints. */
  createWebhook(webhook: NewWebhook, most: number): Promise<WebhookEndpoint>;
  listWebhooks(query: {
    tenant: string | null;
    limit: number;
    after?: string;
  }): Promise<Page<WebhookEndpoint>>;
  getWebhook(tenant: string | null, id: string): Promise<WebhookEndpoint>;
  changeWebhook(
    tenant: string | null,
    id: string,
    change: WebhookChange,
    now: number,
  ): Promise<WebhookEndpoint>;
  /** Deletes its deliveries, too. */
  deleteWebhook(tenant: string | null, id: string): Promise<void>;
  /** Adds an event for this endpoint alone. */
  addTestDelivery(tenant: string | null, id: string, now: number): Promise<WebhookDelivery>;

  listDeliveries(query: DeliveryQuery): Promise<Page<WebhookDelivery>>;
  getDelivery(tenant: string | null, id: string): Promise<WebhookDelivery>;
  /** Makes it pending again, for the dispatcher. */
  redeliver(tenant: string | null, id: string): Promise<WebhookDelivery>;

  /** Lanes with news for the dispatcher, the oldest first. */
  undispatchedLanes(limit: number): Promise<UndispatchedLane[]>;
  markDispatched(deliveryIds: readonly string[]): Promise<void>;
  /** Resolves when undispatched deliveries may exist: watch first, then read. */
  watchWebhooks(): {
    nextChange(options: { timeoutMs: number; signal: AbortSignal }): Promise<void>;
    close(): void;
  };

  /** The pending delivery with the lowest number; null = none. */
  nextDelivery(lane: WebhookLane): Promise<string | null>;
  /** null: it is not pending. */
  pendingDelivery(id: string): Promise<PendingDelivery | null>;
  /** Adds an attempt to the log, and the status that it leads to. */
  recordAttempt(id: string, attempt: DeliveryAttempt, status: DeliveryStatus, now: number): Promise<void>;
  /** Ends a pending delivery without another attempt. */
  endDelivery(id: string, status: 'failed' | 'cancelled'): Promise<void>;
  /** Deletes events, with their deliveries, from before this time; returns how many. */
  pruneWebhooks(before: number, limit: number): Promise<number>;
}
