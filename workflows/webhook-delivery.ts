/**
 * The workflow `webhookDelivery`: sends the events of one run to one endpoint, one after the other.
 *
 * Rule: the next event is sent when the one before has arrived or is given up, so a receiver that is up gets them in their
 * order. Temporal owns the attempts and their pauses. The store says what is pending: an execution that begins again, or
 * two that were started, change nothing but the time.
 * Exported by workflows/index.ts only.
 */
import {
  ActivityCancellationType,
  CancellationScope,
  continueAsNew,
  defineSignal,
  proxyActivities,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type {
  WebhookActivities,
  WebhookDeliveryInput,
  WebhookWake,
} from '../protocol/temporal/activities.ts';
import { WEBHOOK_WAKE } from '../protocol/temporal/names.ts';
import { toActivityFailureInfo } from './failure.ts';

const wakeSignal = defineSignal<[WebhookWake | undefined]>(WEBHOOK_WAKE);

const STORE_START_TO_CLOSE_MS = 30_000;
/** Longer than an attempt's own timeout, which names the cause. */
const ATTEMPT_START_TO_CLOSE_MS = 60_000;

const store = proxyActivities<Pick<WebhookActivities, 'nextWebhookDelivery' | 'endWebhookDelivery'>>({
  startToCloseTimeout: STORE_START_TO_CLOSE_MS,
  retry: { initialInterval: 1_000, maximumInterval: 60_000 },
});

/** What an execution did. */
export interface WebhookDeliveryResult {
  delivered: number;
  failed: number;
}

/** The workflow that sends the events of one run to one endpoint. */
export async function webhookDelivery(input: WebhookDeliveryInput): Promise<WebhookDeliveryResult> {
  const { webhookId, runId, retry } = input;
  const done: WebhookDeliveryResult = { delivered: 0, failed: 0 };
  let woken = true;
  let attempts: CancellationScope | null = null;
  setHandler(
    wakeSignal,
    (wake) => {
      woken = true;
      if (wake?.now === true) attempts?.cancel();
    },
    { description: 'Deliveries were added. {"now": true} makes an attempt that waits for its time at once.' },
  );
  const sender = proxyActivities<Pick<WebhookActivities, 'sendWebhook'>>({
    startToCloseTimeout: ATTEMPT_START_TO_CLOSE_MS,
    scheduleToCloseTimeout: retry.giveUpAfterMs,
    retry: {
      initialInterval: retry.initialIntervalMs,
      backoffCoefficient: 3,
      maximumInterval: retry.maximumIntervalMs,
    },
    // An attempt under way may arrive, so its outcome is awaited; one that waits for its time ends at once.
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  });
  /** null: the attempts were stopped in order to begin anew. */
  const send = async (deliveryId: string): Promise<'delivered' | 'ended' | 'failed' | null> => {
    const scope = new CancellationScope();
    attempts = scope;
    try {
      return await scope.run(() => sender.sendWebhook({ deliveryId }));
    } catch (error) {
      if (toActivityFailureInfo(error) === null || CancellationScope.current().consideredCancelled)
        throw error;
      // The last attempt under way may fail after the signal; the next ones begin anew all the same.
      return scope.consideredCancelled ? null : 'failed';
    } finally {
      attempts = null;
    }
  };
  while (woken) {
    woken = false;
    for (;;) {
      const deliveryId = await store.nextWebhookDelivery({ webhookId, runId });
      if (deliveryId === null) break;
      const outcome = await send(deliveryId);
      if (outcome === 'delivered') done.delivered += 1;
      if (outcome === 'failed') {
        await store.endWebhookDelivery({ deliveryId });
        done.failed += 1;
      }
      if (workflowInfo().continueAsNewSuggested) await continueAsNew<typeof webhookDelivery>(input);
    }
  }
  return done;
}
