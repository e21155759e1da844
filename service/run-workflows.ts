/**
 * The service's view of Temporal: start, cancel, answer, submit, and whether a run's workflow is alive.
 *
 * Rule: the only file of this folder that knows Temporal. Errors are `RunsError`s.
 * Imported within `service/` and by its composition roots.
 */
import { WorkflowNotFoundError } from '@temporalio/client';
import { readHistoryExport, readTrace, type RunsClient, type RunTrace } from '../client/index.ts';
import { RunsError } from '../protocol/errors.ts';
import { WEBHOOK_WAKE, webhookWorkflowId, WORKFLOWS } from '../protocol/temporal/names.ts';
import type { StartWebhookDelivery } from './webhook-dispatcher.ts';
import { quote } from '../protocol/rules/validation.ts';

export type WorkflowState =
  | 'running'
  | 'missing'
  /** Ended; Temporal's name: COMPLETED, FAILED, TERMINATED, TIMED_OUT, CANCELLED. */
  | { ended: string };

export interface Workflows extends Pick<
  RunsClient,
  'start' | 'cancel' | 'answer' | 'submitToolOutputs' | 'tools'
> {
  look(runId: string): Promise<WorkflowState>;
  /** Which of these runs Temporal's list shows as running. The list is seconds behind: a missing run proves nothing. */
  running(runIds: readonly string[]): Promise<Set<string>>;
  /** Run ids of workflows that failed, were terminated or timed out since this time (Unix ms): 1,000 at most. */
  brokenOffSince(since: number): Promise<string[]>;
  /** The course of a run by its history; null = Temporal no longer has it. */
  trace(runId: string): Promise<RunTrace | null>;
  /** The history of one execution, the newest by default, as Temporal exports it; null = Temporal no longer has it. */
  history(runId: string, execution: string | null): Promise<{ events: unknown[] } | null>;
  /** Throws when Temporal does not answer in time (default 2,000 ms). */
  ping(timeoutMs?: number): Promise<void>;
  /** Identifies a namespace, also among servers that use the same name. */
  namespaceId(): Promise<{ id: string; name: string }>;
}

/** Temporal's own maximum for a page of its list. */
const MAX_LISTED = 1_000;
/** Ids hold letters, digits and `_` only where this server made them; a quote would end the text of the query. */
const quoted = (id: string): string => `'${id.replaceAll("'", "''")}'`;
const TIMEOUT_MS = 5_000;
const PING_MS = 2_000;
/** A history of Temporal's maximal size is 50 MB. */
const HISTORY_MS = 30_000;

/** null: Temporal has no such workflow. */
const orNull = async <T>(reading: Promise<T>): Promise<T | null> => {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null;
    throw error;
  }
};

type Bounded = <T>(what: string, call: () => Promise<T>, timeoutMs?: number) => Promise<T>;

const historyReader = (
  temporal: RunsClient['temporal'],
  bounded: Bounded,
): Pick<Workflows, 'trace' | 'history'> => ({
  trace: (runId) =>
    orNull(bounded(`Reading the history of run ${quote(runId)}`, () => readTrace(temporal, runId))),
  history: (runId, execution) =>
    bounded(
      `Reading the history of run ${quote(runId)}`,
      () => readHistoryExport(temporal, runId, execution),
      HISTORY_MS,
    ),
});

/** Calls Temporal once, within its time. Throws `RunsError` `temporal_unavailable`. */
const callOf =
  (client: RunsClient) =>
  async <T>(what: string, call: () => Promise<T>, timeoutMs = TIMEOUT_MS): Promise<T> => {
    try {
      return await client.call(call, { timeoutMs });
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) throw error;
      throw new RunsError('temporal_unavailable', `${what} failed: Temporal can't be reached.`, {
        cause: error,
      });
    }
  };

/** Starts the workflow that sends the events of a run to an endpoint, or wakes it. */
export const webhookStarter =
  (client: RunsClient): StartWebhookDelivery =>
  async (input, wake) => {
    await callOf(client)('Starting the delivery of webhooks', () =>
      client.temporal.workflow.signalWithStart(WORKFLOWS.webhookDelivery, {
        workflowId: webhookWorkflowId(input.webhookId, input.runId),
        taskQueue: client.place.taskQueue,
        args: [input],
        signal: WEBHOOK_WAKE,
        signalArgs: [wake],
      }),
    );
  };

export const workflowsOf = (client: RunsClient): Workflows => {
  const { temporal } = client;
  const { namespace } = temporal.options;
  const bounded = callOf(client);
  /** Workflow ids that a visibility query finds. */
  const listed = (query: string, limit: number): Promise<string[]> =>
    bounded('Listing workflows', async () => {
      const ids: string[] = [];
      for await (const { workflowId } of temporal.workflow.list({ query, pageSize: limit })) {
        ids.push(workflowId);
        if (ids.length >= limit) break;
      }
      return ids;
    });
  return {
    start: (options, call) => client.start(options, call),
    cancel: (runId, call) => client.cancel(runId, call),
    tools: (options) => client.tools(options),
    answer: (runId, payload, options) => client.answer(runId, payload, options),
    submitToolOutputs: (runId, payload, options) => client.submitToolOutputs(runId, payload, options),
    async look(runId) {
      try {
        const { status } = await bounded('Looking for a run', () =>
          temporal.workflow.getHandle(runId).describe(),
        );
        return status.name === 'RUNNING' || status.name === 'CONTINUED_AS_NEW'
          ? 'running'
          : { ended: status.name };
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return 'missing';
        throw error;
      }
    },
    ...historyReader(temporal, bounded),
    running: async (runIds) =>
      new Set(
        runIds.length === 0
          ? []
          : await listed(
              `ExecutionStatus = 'Running' AND WorkflowId IN (${runIds.map(quoted).join(', ')})`,
              runIds.length,
            ),
      ),
    brokenOffSince: (since) =>
      listed(
        `WorkflowType = '${WORKFLOWS.run}' AND ExecutionStatus IN ('Failed', 'Terminated', 'TimedOut') AND CloseTime >= '${new Date(since).toISOString()}'`,
        MAX_LISTED,
      ),
    async ping(timeoutMs = PING_MS) {
      await bounded('Asking Temporal', () => temporal.workflowService.getSystemInfo({}), timeoutMs);
    },
    async namespaceId() {
      const { namespaceInfo } = await bounded('Asking for the namespace', () =>
        temporal.workflowService.describeNamespace({ namespace }),
      );
      return { id: namespaceInfo?.id ?? '', name: namespace };
    },
  };
};
