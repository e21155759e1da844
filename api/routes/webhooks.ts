/** Routes of webhooks: endpoints, their secrets, and the log of deliveries. Rule: see `route.ts`. */
import {
  emptyBodySchema,
  webhookParamsSchema,
  webhookRotationSchema,
  webhookUpdateSchema,
} from '../../protocol/wire/schemas.ts';
import { DELIVERY_STATUSES } from '../../protocol/wire/webhooks.ts';
import { idParam, route } from '../route.ts';
import type { Route } from '../route.ts';
import { parseChoice, parseId, parsePage } from '../validate.ts';

/** Reading a secret or an address of another system is an operator's business. */
const roles = ['operator'] as const;
const WEBHOOK = '/v1/webhooks/{webhook_id}';
const DELIVERY = '/v1/webhooks/deliveries/{delivery_id}';
const DAY_SECONDS = 86_400;

const deliveryRoutes: readonly Route[] = [
  route('GET', '/v1/webhooks/deliveries', {
    summary: 'List deliveries of webhooks, the newest first (an extension of this server)',
    roles,
    query: ['webhook_id', 'run_id', 'event', 'status', 'limit', 'after'],
    returns: { object: 'WebhookDelivery', list: true },
    handle: async ({ engine, caller, query }) => {
      const { limit, after } = parsePage(query);
      const { webhook_id: webhook, run_id: run, event, status } = query;
      return {
        json: await engine.listWebhookDeliveries(caller, {
          limit,
          ...(after === undefined ? {} : { after }),
          ...(webhook === undefined ? {} : { webhookId: parseId('webhook_id', webhook) }),
          ...(run === undefined ? {} : { runId: parseId('run_id', run) }),
          ...(event === undefined ? {} : { event: parseId('event', event) }),
          ...(status === undefined ? {} : { status: parseChoice('status', status, DELIVERY_STATUSES) }),
        }),
      };
    },
  }),
  route('GET', DELIVERY, {
    summary: 'Read one delivery with its latest attempts (an extension of this server)',
    roles,
    returns: { object: 'WebhookDelivery' },
    handle: async (input) => ({
      json: await input.engine.getWebhookDelivery(input.caller, idParam(input, 'delivery_id')),
    }),
  }),
  route('POST', `${DELIVERY}/redeliver`, {
    summary: 'Send a delivery again, with the same webhook-id (an extension of this server)',
    roles,
    body: emptyBodySchema,
    returns: { object: 'WebhookDelivery' },
    handle: async (input) => ({
      json: await input.engine.redeliverWebhook(input.caller, idParam(input, 'delivery_id')),
    }),
  }),
];

export const webhookRoutes: readonly Route[] = [
  ...deliveryRoutes,
  route('GET', '/v1/webhooks', {
    summary: 'List webhooks, the newest first (an extension of this server)',
    roles,
    query: ['limit', 'after'],
    returns: { object: 'Webhook', list: true },
    handle: async ({ engine, caller, query }) => {
      const { limit, after } = parsePage(query);
      return {
        json: await engine.listWebhooks(caller, { limit, ...(after === undefined ? {} : { after }) }),
      };
    },
  }),
  route('POST', '/v1/webhooks', {
    summary: 'Add a webhook; only this response holds its secret (an extension of this server)',
    roles,
    body: webhookParamsSchema,
    returns: { object: 'WebhookWithSecret' },
    handle: async ({ engine, caller, body }) => ({ json: await engine.createWebhook(caller, body) }),
  }),
  route('GET', WEBHOOK, {
    summary: 'Read a webhook (an extension of this server)',
    roles,
    returns: { object: 'Webhook' },
    handle: async (input) => ({
      json: await input.engine.getWebhook(input.caller, idParam(input, 'webhook_id')),
    }),
  }),
  route('POST', WEBHOOK, {
    summary: 'Change, disable or enable a webhook (an extension of this server)',
    roles,
    body: webhookUpdateSchema,
    returns: { object: 'Webhook' },
    handle: async (input) => ({
      json: await input.engine.updateWebhook(input.caller, idParam(input, 'webhook_id'), input.body),
    }),
  }),
  route('DELETE', WEBHOOK, {
    summary: 'Delete a webhook and the log of its deliveries (an extension of this server)',
    roles,
    returns: { object: 'Deleted' },
    handle: async (input) => ({
      json: await input.engine.deleteWebhook(input.caller, idParam(input, 'webhook_id')),
    }),
  }),
  route('POST', `${WEBHOOK}/rotate`, {
    summary:
      'Make a new secret; the older ones sign as well for a day, or as long as the body says (an extension of this server)',
    roles,
    body: webhookRotationSchema,
    returns: { object: 'WebhookWithSecret' },
    handle: async (input) => ({
      json: await input.engine.rotateWebhook(input.caller, idParam(input, 'webhook_id'), {
        oldExpiresIn: input.body.old_expires_in ?? DAY_SECONDS,
      }),
    }),
  }),
  route('POST', `${WEBHOOK}/test`, {
    summary: 'Send a test event to a webhook (an extension of this server)',
    roles,
    body: emptyBodySchema,
    returns: { object: 'WebhookDelivery' },
    handle: async (input) => ({
      json: await input.engine.testWebhook(input.caller, idParam(input, 'webhook_id')),
    }),
  }),
];
