/**
 * The activities of webhooks: which delivery is next, one attempt, and the end of the attempts.
 *
 * Rule: one attempt is one request. It follows no redirect, keeps no byte of the response, and is over within its timeout.
 * What the attempt did is in the log before Temporal hears of it; when the log can't be written, the attempt counts as
 * failed, and the receiver gets the same `webhook-id` again.
 * Imported by `activities/index.ts`.
 */
import { Context } from '@temporalio/activity';
import { request, type Dispatcher } from 'undici';
import { FAILURES } from '../../protocol/temporal/names.ts';
import type { WebhookActivities } from '../../protocol/temporal/activities.ts';
import type { PendingDelivery, WebhookStore } from '../../protocol/ports/webhook-store.ts';
import { webhookBody } from '../../protocol/rules/webhook-body.ts';
import type { DeliveryAttempt, DeliveryStatus } from '../../protocol/wire/webhooks.ts';
import { throwFailure } from '../failure.ts';
import { webhookHeaders } from './sign.ts';

export interface WebhookDeps {
  store: Pick<
    WebhookStore,
    'nextDelivery' | 'pendingDelivery' | 'recordAttempt' | 'endDelivery' | 'changeWebhook'
  >;
  /** Decrypts a stored secret. Throws when it can't. */
  openSecret(sealed: string, webhookId: string): string;
  /** The server's address for people; null = bodies have no links. */
  publicUrl: string | null;
  /** Connects to allowed addresses only. */
  dispatcher: Dispatcher;
  /** Of one attempt, in milliseconds. Default 15,000. */
  timeoutMs?: number;
  now?: () => number;
}

const TIMEOUT_MS = 15_000;
const MAX_RETRY_AFTER_MS = 3_600_000;
const ERROR_CHARS = 300;

interface Response {
  status: number;
  retryAfter: string | null;
}

const post = async (
  deps: WebhookDeps,
  url: string,
  headers: Record<string, string>,
  body: string,
  signal: AbortSignal,
): Promise<Response> => {
  const timeout = AbortSignal.timeout(deps.timeoutMs ?? TIMEOUT_MS);
  const {
    statusCode,
    headers: answered,
    body: stream,
  } = await request(url, {
    method: 'POST',
    dispatcher: deps.dispatcher,
    headers: { 'content-type': 'application/json', 'user-agent': 'durable-runs-webhooks', ...headers },
    body,
    signal: AbortSignal.any([timeout, signal]),
  });
  // Nothing of it is kept: what an inner host answers must not be readable through the log.
  stream.on('error', () => undefined).destroy();
  const after = answered['retry-after'];
  return { status: statusCode, retryAfter: typeof after === 'string' ? after : null };
};

const codeOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return 'the receiver did not answer in time';
  const { cause } = error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const text = error.message === '' && cause instanceof Error ? cause.message : error.message;
  return (code === '' || text.includes(code) ? text : `${code}: ${text}`).slice(0, ERROR_CHARS);
};

/** Seconds as a whole number; dates are ignored. */
const retryDelay = (retryAfter: string | null): { retryAfterMs?: number } =>
  retryAfter !== null && /^\d{1,6}$/.test(retryAfter)
    ? { retryAfterMs: Math.min(Number(retryAfter) * 1_000, MAX_RETRY_AFTER_MS) }
    : {};

/** What a status means. Pure. 410: the receiver is gone for good. */
export const statusMeaning = (
  status: number,
): { outcome: 'delivered' } | { outcome: 'gone' | 'failed'; error: string } => {
  if (status >= 200 && status < 300) return { outcome: 'delivered' };
  if (status === 410)
    return { outcome: 'gone', error: 'the receiver answered 410: the webhook was disabled' };
  if (status >= 300 && status < 400)
    return { outcome: 'failed', error: `the receiver answered ${status}: redirects are not followed` };
  return { outcome: 'failed', error: `the receiver answered ${status}` };
};

const secretsOf = (deps: WebhookDeps, { id, secrets }: PendingDelivery['endpoint'], at: number): string[] =>
  secrets
    .filter(({ expiresAt }) => expiresAt === null || expiresAt > at)
    .map(({ sealed }) => deps.openSecret(sealed, id));

const sendDelivery = async (deps: WebhookDeps, delivery: PendingDelivery): Promise<'delivered' | 'ended'> => {
  const { store, now = Date.now } = deps;
  const { id, endpoint, event } = delivery;
  const at = now();
  const record = async (
    { status, error }: { status: number | null; error: string | null },
    leadsTo: DeliveryStatus,
  ): Promise<void> => {
    const attempt: DeliveryAttempt = {
      at: Math.floor(at / 1000),
      status,
      milliseconds: Math.max(0, Math.round(now() - at)),
      error,
    };
    await store.recordAttempt(id, attempt, leadsTo, now());
  };
  let response: Response;
  try {
    const body = JSON.stringify(webhookBody(delivery, deps.publicUrl));
    const headers = webhookHeaders(event.id, body, secretsOf(deps, endpoint, at), at);
    response = await post(deps, endpoint.url, headers, body, Context.current().cancellationSignal);
  } catch (error) {
    await record({ status: null, error: codeOf(error) }, 'pending');
    throw throwFailure(FAILURES.webhookFailed, codeOf(error), { retryable: true });
  }
  const { status, retryAfter } = response;
  const meaning = statusMeaning(status);
  if (meaning.outcome === 'delivered') {
    await record({ status, error: null }, 'delivered');
    return 'delivered';
  }
  const { outcome, error } = meaning;
  if (outcome === 'gone') {
    await store.changeWebhook(null, endpoint.id, { disabled: 'gone' }, now());
    await record({ status, error }, 'failed');
    return 'ended';
  }
  await record({ status, error }, 'pending');
  throw throwFailure(FAILURES.webhookFailed, error, { retryable: true, ...retryDelay(retryAfter) });
};

/** Without a store there are no deliveries: another worker of the queue has it, or none is configured rightly. */
const required = (deps: WebhookDeps | undefined): WebhookDeps => {
  if (deps === undefined)
    throw throwFailure(
      FAILURES.webhookFailed,
      'This worker has no store, so it can send no webhooks: set RUNS_BACKEND=chat and DATABASE_URL, as on the server.',
      { retryable: true },
    );
  return deps;
};

export const webhookActivities = (deps: WebhookDeps | undefined): WebhookActivities => ({
  nextWebhookDelivery: async (lane) => required(deps).store.nextDelivery(lane),
  sendWebhook: async ({ deliveryId }) => {
    const given = required(deps);
    const delivery = await given.store.pendingDelivery(deliveryId);
    if (delivery === null) return 'ended';
    if (delivery.endpoint.disabled) {
      await given.store.endDelivery(deliveryId, 'cancelled');
      return 'ended';
    }
    return sendDelivery(given, delivery);
  },
  endWebhookDelivery: async ({ deliveryId }) => required(deps).store.endDelivery(deliveryId, 'failed'),
});
