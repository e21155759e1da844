/**
 * Headers of a webhook by Standard Webhooks.
 *
 * Rule: all secrets that are in force sign, so a receiver may hold the old or the new one during a rotation. The timestamp is
 * that of the attempt: receivers refuse old ones.
 * Imported by `send.ts` and tests.
 */
import { Webhook } from 'standardwebhooks';

/** `secrets`: `whsec_…`, at least one. `at`: Unix ms. */
export const webhookHeaders = (
  id: string,
  body: string,
  secrets: readonly string[],
  at: number,
): Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string> => ({
  'webhook-id': id,
  'webhook-timestamp': String(Math.floor(at / 1000)),
  'webhook-signature': secrets.map((secret) => new Webhook(secret).sign(id, new Date(at), body)).join(' '),
});
