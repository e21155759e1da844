/**
 * Hands deliveries of the outbox to their workflows.
 *
 * Rule: a delivery is marked after its workflow was started or woken, so a process that dies in between only wakes it twice.
 * A failed pass is tried again and never ends the process. Any number of processes may dispatch.
 * Imported through `service/index.ts`.
 */
import type { WebhookDeliveryInput, WebhookWake } from '../protocol/temporal/activities.ts';
import type { Logger } from '../protocol/ports/backend.ts';
import type { WebhookStore } from '../protocol/ports/webhook-store.ts';

export type StartWebhookDelivery = (input: WebhookDeliveryInput, wake: WebhookWake) => Promise<void>;

export interface WebhookDispatcherOptions {
  store: Pick<WebhookStore, 'undispatchedLanes' | 'markDispatched' | 'watchWebhooks'>;
  /** Starts the workflow of a lane, or wakes it. */
  start: StartWebhookDelivery;
  /** Default: 2 s, then three times as long each time, at most 10 minutes; the attempts end after a day. */
  retry?: WebhookDeliveryInput['retry'];
  /** How long a pass waits for a notification, in milliseconds. Default 5,000. */
  pollMs?: number;
  log?: Logger;
}

export const WEBHOOK_RETRY: WebhookDeliveryInput['retry'] = {
  initialIntervalMs: 2_000,
  maximumIntervalMs: 600_000,
  giveUpAfterMs: 86_400_000,
};

const BATCH = 200;
const AT_A_TIME = 16;
const PAUSE_AFTER_FAILURE_MS = 1_000;

/** One pass; returns whether more may be there. Throws when a workflow could not be started. */
const dispatch = async ({
  store,
  start,
  retry = WEBHOOK_RETRY,
}: WebhookDispatcherOptions): Promise<boolean> => {
  const lanes = await store.undispatchedLanes(BATCH);
  for (let from = 0; from < lanes.length; from += AT_A_TIME)
    await Promise.all(
      lanes.slice(from, from + AT_A_TIME).map(async ({ webhookId, runId, now, deliveryIds }) => {
        await start({ webhookId, runId, retry }, { now });
        await store.markDispatched(deliveryIds);
      }),
    );
  return lanes.length > 0;
};

export const startWebhookDispatcher = (options: WebhookDispatcherOptions): { stop: () => Promise<void> } => {
  const { store, log, pollMs = 5_000 } = options;
  const stop = new AbortController();
  const { signal } = stop;
  const watch = store.watchWebhooks();
  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      let timeoutMs = pollMs;
      try {
        if (await dispatch(options)) continue;
      } catch (error) {
        log?.warn({ error }, 'dispatching webhooks did not succeed; it is tried again');
        timeoutMs = PAUSE_AFTER_FAILURE_MS;
      }
      await watch.nextChange({ timeoutMs, signal });
    }
  };
  const running = run();
  return {
    async stop() {
      stop.abort();
      await running;
      watch.close();
    },
  };
};
