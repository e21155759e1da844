/**
 * The runs API over the store and the runs' workflows.
 *
 * Rule: a start writes the row first, then the workflow; an answer reaches the workflow first, then the row. When a
 * start fails, its row is rolled back. When the row of an accepted answer can't be written, the worker writes it. Every
 * method may be repeated after a 503.
 * Imported by the composition roots of servers and by tests.
 */
import type { RunsClient } from '../client/index.ts';
import { FOLLOW_UP_WITHIN_MS } from '../protocol/decisions.ts';
import type { Logger } from '../protocol/ports/backend.ts';
import type { Store } from '../protocol/ports/run-store.ts';
import type { RunsService, ThreadParams } from '../protocol/ports/runs-service.ts';
import { pollAfterMs } from '../protocol/rules/polling.ts';
import type { Budget, TenantBudgets } from '../protocol/rules/budget.ts';
import { answerCall, submitOutputs } from './answer-run.ts';
import { createApprovalMethods } from './approvals.ts';
import { awaitRun } from './await-run.ts';
import { beginRun, type BeginRunContext, type BeginRunOptions } from './begin-run.ts';
import { requestCancel } from './cancel-run.ts';
import { createDayBudgets } from './day-budget.ts';
import { fromRunsError, withApiErrors } from './errors.ts';
import type { BlindModel } from './image-support.ts';
import { withPingWatchdog } from './ping-watchdog.ts';
import { createQuotas, type TenantLimits } from './quotas.ts';
import { createRunRecordMethods } from './run-records.ts';
import { workflowsOf, type Workflows } from './run-workflows.ts';
import { decidable } from './signature.ts';
import { tailEvents, type TailOptions } from './tail-events.ts';
import { createUsageMethods } from './model-usage.ts';
import { createThreadMethods } from './thread-methods.ts';
import { createWebhookMethods, type WebhookOptions } from './webhooks.ts';
import { toolsLister } from './worker-tools.ts';

export { createFollowUpRun, type FollowUpRun } from './follow-up-runs.ts';
export type { WebhookOptions } from './webhooks.ts';
export { startWebhookDispatcher, type WebhookDispatcherOptions } from './webhook-dispatcher.ts';
export { startMaintenance, type Maintenance, type MaintenanceOptions } from './maintenance.ts';
export type { BlindModel } from './image-support.ts';
export type { OfferTools } from './offered-tools.ts';
export { webhookStarter, workflowsOf, type Workflows } from './run-workflows.ts';

export interface RunsServiceOptions extends BeginRunOptions {
  store: Store;
  /** The client of the runs' workflows, or a replacement in tests. */
  client: RunsClient | { workflows: Workflows };
  /** How long a submit or an answer waits for a worker, in milliseconds. Default 10,000. */
  workerTimeoutMs?: number;
  /** What one tenant may hold. */
  tenantLimits?: TenantLimits;
  /** What the runs of each tenant may use. Default: no budgets. */
  budgets?: TenantBudgets;
  tail?: TailOptions;
  webhooks?: WebhookOptions;
  /** Which models can't see images. Default: none is known to be. */
  blindModel?: BlindModel;
  now?: () => number;
  log?: Logger;
}

const rethrown = (error: unknown): never => {
  throw fromRunsError(error);
};

type RunMethods = Pick<
  RunsService,
  | 'createRun'
  | 'createThreadAndRun'
  | 'listRuns'
  | 'getRun'
  | 'updateRun'
  | 'cancelRun'
  | 'submitToolOutputs'
  | 'listDecisions'
  | 'ownerOf'
  | 'answer'
  | 'listSteps'
  | 'getStep'
>;

const createRunMethods = (context: BeginRunContext): RunMethods => {
  const { store } = context;
  return {
    createRun: (caller, threadId, params) =>
      withApiErrors(() => beginRun(context, caller, { id: threadId }, params)),
    createThreadAndRun: (caller, thread: ThreadParams, params) =>
      withApiErrors(() => beginRun(context, caller, { create: thread }, params)),
    listRuns: (caller, threadId, query) =>
      withApiErrors(() => store.listRuns(caller.tenant, threadId, query)),
    // The most frequent read, so it has one promise less.
    getRun: (caller, threadId, runId) => store.getRun(caller.tenant, threadId, runId).catch(rethrown),
    updateRun: (caller, threadId, runId, params) =>
      withApiErrors(() => store.updateRun(caller.tenant, threadId, runId, params)),
    cancelRun: (caller, threadId, runId) =>
      withApiErrors(() => requestCancel(context, caller, threadId, runId)),
    submitToolOutputs: (caller, threadId, runId, outputs) =>
      withApiErrors(() => submitOutputs(context, caller, [threadId, runId], outputs)),
    listDecisions: (caller, threadId, runId, query) =>
      withApiErrors(() =>
        store.listDecisions(caller.tenant, threadId, runId, { ...query, tools: decidable(caller) }),
      ),
    ownerOf: (kind, id) => withApiErrors(() => store.ownerOf(kind, id)),
    answer: (caller, threadId, runId, payload) =>
      withApiErrors(() => answerCall(context, caller, [threadId, runId], payload)),
    listSteps: (caller, threadId, runId, query) =>
      withApiErrors(() => store.listSteps(caller.tenant, threadId, runId, query)),
    getStep: (caller, threadId, runId, stepId) =>
      withApiErrors(() => store.getStep(caller.tenant, threadId, runId, stepId)),
  };
};

export const createRunsService = (options: RunsServiceOptions): RunsService => {
  const { store, tail, log } = options;
  const workflows = 'workflows' in options.client ? options.client.workflows : workflowsOf(options.client);
  const now = options.now ?? Date.now;
  const workerTimeoutMs = options.workerTimeoutMs ?? 10_000;
  const quotas = createQuotas(store, options.tenantLimits ?? {});
  const assertBudgetLeft = createDayBudgets(store, options.budgets ?? new Map<string, Budget>(), now);
  const blindModel = options.blindModel ?? (() => null);
  const context: BeginRunContext = {
    store,
    workflows,
    quotas,
    assertBudgetLeft,
    now,
    blindModel,
    workerTimeoutMs,
    log,
    run: options,
  };
  const listTools = toolsLister({
    ask: () =>
      withPingWatchdog(workflows, (signal) => workflows.tools({ timeoutMs: workerTimeoutMs, signal })),
    now,
  });

  const events: RunsService['events'] = (caller, threadId, runId, from) =>
    tailEvents(
      store,
      runId,
      {
        after: from.after,
        signal: from.signal,
        ...(from.admit === undefined ? {} : { admit: from.admit }),
        check: () => store.getRun(caller.tenant, threadId, runId),
        ...(from.initialEvents === undefined ? {} : { initialEvents: [...from.initialEvents] }),
      },
      tail,
    );

  return {
    ...createThreadMethods(context),
    ...createRunMethods(context),
    ...createRunRecordMethods(context),
    ...createUsageMethods(context),
    ...createWebhookMethods(context, options.webhooks),
    ...createApprovalMethods(context, {
      followUpWithinMs: options.settings?.followUpWithinMs ?? FOLLOW_UP_WITHIN_MS,
      tail,
    }),
    events,
    awaitRun: (caller, threadId, runId, wait) =>
      withApiErrors(() => awaitRun(store, runId, () => store.getRun(caller.tenant, threadId, runId), wait)),
    pollAfterMs: (run) => pollAfterMs(run, now()),
    listTools: (caller) => withApiErrors(() => listTools(caller)),
    async readiness() {
      const [database, temporal] = await Promise.allSettled([store.ping(), workflows.ping()]);
      return [
        ...(database.status === 'rejected' ? ["The database can't be reached."] : []),
        ...(temporal.status === 'rejected' ? ["Temporal can't be reached."] : []),
      ];
    },
  };
};
