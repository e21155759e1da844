/**
 * What a worker needs in order to send webhooks: the store, the keys of their secrets, and connections that are checked.
 *
 * Rule: only addresses of the internet are reached, and the networks of RUNS_WEBHOOK_NETWORKS.
 * Imported by the composition root.
 */
import { parseNetworks } from '../activities/webhooks/address-guard.ts';
import { guardedAgent, type Resolve } from '../activities/webhooks/connect-guard.ts';
import type { WebhookDeps } from '../activities/webhooks/send.ts';
import { textSeal } from '../client/seal-text.ts';
import type { WebhookStore } from '../protocol/ports/webhook-store.ts';
import type { Config } from './config.ts';

/** `resolve`: replaces the system's resolver in tests. `close` ends its connections. */
export const openWebhooks = (
  { encryptionKeys, publicUrl, webhookNetworks }: Config,
  store: WebhookStore,
  resolve?: Resolve,
): WebhookDeps & { close(): Promise<void> } => {
  const seal = textSeal(encryptionKeys);
  const agent = guardedAgent(
    parseNetworks(webhookNetworks ?? '', () => undefined),
    resolve,
  );
  return {
    store,
    openSecret: (sealed, webhookId) => seal.open(sealed, webhookId),
    publicUrl,
    dispatcher: agent,
    close: () => agent.destroy(),
  };
};
