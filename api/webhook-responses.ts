/**
 * Response schemas of webhooks.
 *
 * Rule: as in `responses.ts`, which names them in the OpenAPI document. Imports zod.
 */
import { z } from 'zod';
import { DELIVERY_STATUSES, WEBHOOK_EVENTS } from '../protocol/wire/webhooks.ts';

const time = z.int().describe('unix seconds');

const webhookFields = {
  id: z.string(),
  object: z.literal('webhook'),
  created_at: time,
  tenant: z.string().describe('its events are those of this tenant'),
  url: z.string(),
  description: z.string().nullable(),
  events: z.array(z.enum(WEBHOOK_EVENTS)).nullable().describe('null = all'),
  disabled_at: time.nullable().describe('nothing is sent while it is disabled'),
  disabled_reason: z.enum(['by_operator', 'gone']).nullable().describe('gone: the receiver answered 410'),
  secrets: z
    .array(z.strictObject({ created_at: time, expires_at: time.nullable() }))
    .describe('secrets that sign, the newest first; their values are shown once, when they are made'),
};

export const webhook = z.strictObject(webhookFields);
export const webhookWithSecret = z.strictObject({
  ...webhookFields,
  secret: z.string().describe('whsec_…, as libraries of Standard Webhooks take it; not shown again'),
});

export const deliveryResponse = z.strictObject({
  id: z.string(),
  object: z.literal('webhook.delivery'),
  created_at: time,
  tenant: z.string(),
  webhook_id: z.string(),
  event_id: z.string().describe('the header webhook-id: the same at each attempt'),
  event: z.string().describe('type of the event, such as run.waiting'),
  run_id: z.string().nullable().describe('null = a test'),
  sequence: z.int().describe('number of the event among those of its run'),
  status: z.enum(DELIVERY_STATUSES).describe('pending: attempts go on'),
  attempts: z.int(),
  delivered_at: time.nullable(),
  log: z
    .array(
      z.strictObject({
        at: time,
        status: z.int().nullable().describe('of the response; null = there was none'),
        milliseconds: z.int(),
        error: z.string().nullable(),
      }),
    )
    .describe('the latest attempts, oldest first'),
});
