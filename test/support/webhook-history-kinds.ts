/**
 * Every kind of the workflow `webhookDelivery` whose history is kept, each played on a real server with scripted activities.
 *
 * Rule: as in `history-kinds.ts`. The recorder imports it, and the tests that demand and replay the files.
 */
import { ApplicationFailure } from '@temporalio/common';
import { Worker } from '@temporalio/worker';
import type { WorkerOptions } from '@temporalio/worker';
import type { WorkflowHandle } from '@temporalio/client';
import type { WebhookActivities, WebhookDeliveryInput } from '../../protocol/temporal/activities.ts';
import { FAILURES, WEBHOOK_WAKE, WORKFLOWS } from '../../protocol/temporal/names.ts';
import { deferred } from './deferred.ts';
import type { Server } from './run-on-server.ts';

/** One attempt at a delivery: what it answers. */
type Attempt = 'delivered' | 'ended' | 'refused' | 'final';

interface WebhookKind {
  /** Attempts at each delivery, in order; the deliveries are pending one after the other. */
  deliveries: readonly (readonly Attempt[])[];
  /** Longer than the play: an attempt is then made only when it is asked for. */
  initialIntervalMs?: number;
  /** Begins when the first attempt has failed. */
  play?(handle: WorkflowHandle): Promise<void>;
}

export const WEBHOOK_KINDS: Record<string, WebhookKind> = {
  'webhooks-delivered': { deliveries: [['delivered'], ['refused', 'delivered'], ['ended']] },
  'webhooks-given-up': { deliveries: [['refused', 'final'], ['delivered']] },
  'webhooks-hurried': {
    deliveries: [['refused', 'delivered']],
    initialIntervalMs: 3_600_000,
    play: (handle) => handle.signal(WEBHOOK_WAKE, { now: true }),
  },
};

/** The activities of a script, and what they were asked for. */
export const scriptedWebhooks = (deliveries: WebhookKind['deliveries']) => {
  const left = deliveries.map((attempts) => [...attempts]);
  const asked: string[] = [];
  const failed = deferred();
  let current = 0;
  const activities: WebhookActivities = {
    nextWebhookDelivery: async () => (current < left.length ? `dlv_${current}` : null),
    sendWebhook: async ({ deliveryId }) => {
      const attempt = left[current]?.shift();
      asked.push(`${deliveryId} ${attempt}`);
      if (attempt === 'delivered' || attempt === 'ended') {
        current += 1;
        return attempt;
      }
      setTimeout(() => failed.resolve(), 200);
      const nonRetryable = attempt !== 'refused';
      throw ApplicationFailure.create({ type: FAILURES.webhookFailed, message: 'no', nonRetryable });
    },
    endWebhookDelivery: async ({ deliveryId }) => {
      asked.push(`${deliveryId} end`);
      current += 1;
    },
  };
  return { activities, asked, failed: failed.promise };
};

/** Plays a kind to its end; returns what the activities were asked for. */
export const playWebhooks = async (
  { client, nativeConnection, workflowBundle }: Server,
  workflowId: string,
  kind: WebhookKind,
  options: Partial<WorkerOptions> = {},
): Promise<string[]> => {
  const taskQueue = `queue-of-${workflowId}`;
  const { activities, asked, failed } = scriptedWebhooks(kind.deliveries);
  const worker = await Worker.create({
    connection: nativeConnection,
    taskQueue,
    workflowBundle,
    activities: { ...activities },
    ...options,
  });
  const initialIntervalMs = kind.initialIntervalMs ?? 100;
  const input: WebhookDeliveryInput = {
    webhookId: 'wh_1',
    runId: 'run_1',
    retry: {
      initialIntervalMs,
      maximumIntervalMs: Math.max(1_000, initialIntervalMs),
      giveUpAfterMs: 86_400_000,
    },
  };
  await worker.runUntil(async () => {
    const handle = await client.workflow.signalWithStart(WORKFLOWS.webhookDelivery, {
      workflowId,
      taskQueue,
      args: [input],
      signal: WEBHOOK_WAKE,
      signalArgs: [{ now: false }],
    });
    if (kind.play !== undefined) {
      await failed;
      await kind.play(handle);
    }
    await handle.result();
  });
  return asked;
};
