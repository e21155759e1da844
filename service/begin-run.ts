/**
 * Starts a run: its rows first, then its workflow.
 *
 * Rule: a lost start (the workflow could not be started) is undone by a rollback of the rows (`store/roll-back-run.ts`), unless
 * a worker has claimed the run or another request with the same key has returned it.
 * Imported within `service/` only.
 */
import type { Caller, RunParams } from '../protocol/ports/runs-service.ts';
import { apiErrors } from '../protocol/errors.ts';
import { mintId } from '../protocol/wire/ids.ts';
import type { CreatedRun, NewRun } from '../protocol/ports/run-store.ts';
import type { ModelsConfig } from '../protocol/models.ts';
import type { RunSettings } from '../protocol/temporal/messages.ts';
import { admitModel } from './admit-model.ts';
import { isTransientApiError } from './errors.ts';
import { assertRunSees } from './image-support.ts';
import { isOffered, type OfferTools } from './offered-tools.ts';
import { withPingWatchdog } from './ping-watchdog.ts';
import { sha256, type ServiceContext } from './service-context.ts';

/** What every new run gets, whatever its request says. */
export interface BeginRunOptions {
  /** From creation to expiry when a run names none, in milliseconds. Default 600,000. */
  expiresInMs?: number;
  /** Hooks that the workers have. Default none. */
  hooks?: { onWaiting?: boolean; onEnd?: boolean };
  settings?: RunSettings;
  /** The models that runs may ask for. Default: any name. */
  models?: ModelsConfig;
  /** Offer the worker's tools to runs that declare none. Default `none`. */
  offerTools?: OfferTools;
}

export interface BeginRunContext extends ServiceContext {
  run: BeginRunOptions;
}

const startWorkflow = async (
  { workflows, run: options }: BeginRunContext,
  created: CreatedRun,
): Promise<void> => {
  const { run } = created;
  const input = {
    runId: run.id,
    backend: 'chat',
    assistantId: run.assistant_id,
    threadId: run.thread_id,
    metadata: run.metadata,
    expiresAt: created.expiresAt,
    createdAt: created.createdAt,
    ...(options.hooks === undefined ? {} : { hooks: options.hooks }),
    ...(options.settings === undefined ? {} : { settings: options.settings }),
  } as const;
  await withPingWatchdog(workflows, (signal) => workflows.start(input, { signal }));
};

/**
 * Writes the row, then starts its workflow. When the start fails the row is rolled back, unless a worker has claimed
 * it.
 */
export const beginRun = async (
  context: BeginRunContext,
  caller: Caller,
  thread: NewRun['thread'],
  params: RunParams,
): Promise<CreatedRun> => {
  const { store, quotas, now, run: options } = context;
  await context.assertBudgetLeft(caller.tenant);
  await assertRunSees(context, caller.tenant, thread, params);
  await quotas.takeSpace(caller.tenant, [thread, params]);
  await quotas.takeRun(caller.tenant);
  const at = now();
  const expiresInMs = params.expires_in == null ? options.expiresInMs : params.expires_in * 1000;
  const runId = mintId('run');
  const newRun: NewRun = {
    runId,
    thread,
    params,
    expiresAt: at + (expiresInMs ?? 600_000),
    ...(options.models === undefined ? {} : { admit: admitModel(options.models, caller.tenant) }),
    grantedTools: caller.grantedTools ?? null,
    ...(isOffered(options.offerTools ?? 'none', caller) ? { offerTools: true } : {}),
    ...(caller.keyName == null ? {} : { requestedBy: caller.keyName }),
    idempotency:
      caller.idempotencyKey === null
        ? null
        : {
            key: sha256(`run:${caller.idempotencyKey}`),
            request: sha256(JSON.stringify([thread, params])),
          },
    now: at,
  };
  const created = await store.createRun(caller.tenant, newRun).catch(async (error: unknown) => {
    quotas.returnRun(caller.tenant);
    // The connection broke during the commit: the row may exist, and must not lock the thread.
    if (isTransientApiError(error)) await rollBackRun(context, runId);
    throw error;
  });
  if (created.existing?.claimed === true) return created;
  try {
    await startWorkflow(context, created);
    // The earlier request with this key may fail to start the workflow and roll the row back, but not after this
    // acknowledgement. When it was faster, there is no run to return.
    if (created.existing !== null && !(await store.acknowledgeRun(created.run.id)))
      throw apiErrors.unavailable('The workflow service');
    return created;
  } catch (error) {
    // Only the request that created the row rolls it back.
    if (created.existing !== null || (await rollBackRun(context, created.run.id))) throw error;
    // A worker has the run, or a later request with its key has returned it: the start took effect, and only its
    // reply was lost.
    return created;
  }
};

/** False when it is too late: a worker has claimed the run, or a request has returned it. */
const rollBackRun = async ({ store, log }: ServiceContext, runId: string): Promise<boolean> => {
  try {
    return await store.removeUnclaimed(runId);
  } catch (error) {
    // Neither service can be reached. The reconciler starts the remaining row.
    log?.error(
      { runId, error },
      'a failed start could not be rolled back: the reconciler starts the remaining row',
    );
    return true;
  }
};
