/**
 * The part of the port under the HTTP API that is about webhooks.
 *
 * Rule: as in `runs-service.ts`, which extends it. `Asker` is that file's `Caller`.
 * Imports shapes of the protocol only.
 */
import type { Deleted, Page } from '../wire/objects.ts';
import type {
  WebhookDelivery,
  WebhookEndpoint,
  WebhookEventType,
  WebhookWithSecret,
} from '../wire/webhooks.ts';
import type { DeliveryQuery } from './webhook-store.ts';

/** Fields of a webhook; `disabled` only in changes. */
export interface WebhookParams {
  url?: string;
  description?: string | null;
  /** null = all. */
  events?: WebhookEventType[] | null;
  disabled?: boolean;
}

export interface WebhooksService<Asker> {
  /** Our extension: webhooks of a tenant; for an operator, of all tenants. The secret is returned this once. */
  createWebhook(
    caller: Asker,
    params: Omit<WebhookParams, 'disabled'> & { url: string; tenant?: string },
  ): Promise<WebhookWithSecret>;
  listWebhooks(caller: Asker, query: { limit: number; after?: string }): Promise<Page<WebhookEndpoint>>;
  getWebhook(caller: Asker, id: string): Promise<WebhookEndpoint>;
  updateWebhook(caller: Asker, id: string, change: WebhookParams): Promise<WebhookEndpoint>;
  deleteWebhook(caller: Asker, id: string): Promise<Deleted<'webhook.deleted'>>;
  /** A new secret signs from now on, the others for `oldExpiresIn` seconds. */
  rotateWebhook(caller: Asker, id: string, options: { oldExpiresIn: number }): Promise<WebhookWithSecret>;
  /** Sends a test event to this endpoint. */
  testWebhook(caller: Asker, id: string): Promise<WebhookDelivery>;
  listWebhookDeliveries(caller: Asker, query: Omit<DeliveryQuery, 'tenant'>): Promise<Page<WebhookDelivery>>;
  getWebhookDelivery(caller: Asker, id: string): Promise<WebhookDelivery>;
  /** Sends it again, with the same `webhook-id`; one that waits for its next attempt is sent now. */
  redeliverWebhook(caller: Asker, id: string): Promise<WebhookDelivery>;
}
