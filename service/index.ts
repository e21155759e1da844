/**
 * The runs API over the store and the runs' workflows.
 *
 * Rule: a start writes the row first, then the workflow; an answer reaches the workflow first, then the row. When a
 * start fails, its row is rolled back. When the row of an accepted answer can't be written, the worker writes it. Every
 * method may be repeated after a 503.
 * Imported by the composition roots of servers and by tests.
 */
import { createHash } from 'node:crypto';
import type { RunsClient } from '../client/index.ts';
import { FOLLOW_UP_WITHIN_MS, type Decision } from '../protocol/decisions.ts';
import type { Logger } from '../protocol/ports/backend.ts';
import type {
  Caller,
  RunParams,
  RunsService,
  StartedRunEvents,
  ThreadParams,
} from '../protocol/ports/runs-service.ts';
import { apiErrors, RunsError } from '../protocol/errors.ts';
import { pollAfterMs } from '../protocol/rules/polling.ts';
import { mintId } from '../protocol/wire/ids.ts';
import type { CreatedRun, NewRun, RunForSubmit, Store } from '../protocol/ports/run-store.ts';
import { isTerminal, type Run, type ToolOutput } from '../protocol/wire/objects.ts';
import type { AnswerPayload, AnswerReply, RunSettings } from '../protocol/temporal/messages.ts';
import { awaitRun } from './await-run.ts';
import { retryUntilWorkflowReady } from './retry-until-ready.ts';
import {
  answerRefusal,
  isTransientApiError,
  toOutcomeUnknown,
  submitRefusal,
  fromRunsError,
} from './errors.ts';
import { isOffered, type OfferTools } from './offered-tools.ts';
import { withPingWatchdog } from './ping-watchdog.ts';
import { createQuotas, type TenantLimits } from './quotas.ts';
import { equalsAcceptedOutputs, checkSubmit } from './check-submit.ts';
import { approvalsOf, decidable, originOf, refusedDecision, signed } from './signature.ts';
import { tailEvents, type TailOptions } from './tail-events.ts';
import { workflowsOf, type Workflows } from './run-workflows.ts';
import { toolsLister } from './worker-tools.ts';

export { createFollowUpRun, type FollowUpRun } from './follow-up-runs.ts';
export { startMaintenance, type Maintenance, type MaintenanceOptions } from './maintenance.ts';
export type { OfferTools } from './offered-tools.ts';
export { workflowsOf, type Workflows } from './run-workflows.ts';

export interface RunsServiceOptions {
  store: Store;
  /** The client of the runs' workflows, or a replacement in tests. */
  client: RunsClient | { workflows: Workflows };
  /** From creation to expiry when a run names none, in milliseconds. Default 600,000. */
  expiresInMs?: number;
  /** Hooks that the workers have. Default none. */
  hooks?: { onWaiting?: boolean; onEnd?: boolean };
  settings?: RunSettings;
  /** Offer the worker's tools to runs that declare none. Default `none`. */
  offerTools?: OfferTools;
  /** How long a submit or an answer waits for a worker, in milliseconds. Default 10,000. */
  workerTimeoutMs?: number;
  /** What one tenant may hold. */
  tenantLimits?: TenantLimits;
  tail?: TailOptions;
  now?: () => number;
  log?: Logger;
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

const rethrown = (error: unknown): never => {
  throw fromRunsError(error);
};

const engineError = async <T>(work: () => Promise<T>): Promise<T> => {
  try {
    return await work();
  } catch (error) {
    throw fromRunsError(error);
  }
};

const repeated = (found: RunForSubmit): StartedRunEvents => ({
  run: found.run,
  eventsAfter: found.asked?.acceptedAfter ?? 0,
});

export const createRunsService = (options: RunsServiceOptions): RunsService => {
  const { store } = options;
  const workflows = 'workflows' in options.client ? options.client.workflows : workflowsOf(options.client);
  const now = options.now ?? Date.now;
  const workerTimeoutMs = options.workerTimeoutMs ?? 10_000;
  const followUpWithinMs = options.settings?.followUpWithinMs ?? FOLLOW_UP_WITHIN_MS;
  const quotas = createQuotas(store, options.tenantLimits ?? {});
  const listTools = toolsLister({
    ask: () =>
      withPingWatchdog(workflows, (signal) => workflows.tools({ timeoutMs: workerTimeoutMs, signal })),
    now,
  });
  const startWorkflow = async (created: CreatedRun): Promise<void> => {
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
  const beginRun = async (
    caller: Caller,
    thread: NewRun['thread'],
    params: RunParams,
  ): Promise<CreatedRun> => {
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
      grantedTools: caller.grantedTools ?? null,
      ...(isOffered(options.offerTools ?? 'none', caller) ? { offerTools: true } : {}),
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
      if (isTransientApiError(error)) await rollBackRun(runId);
      throw error;
    });
    if (created.existing?.claimed === true) return created;
    try {
      await startWorkflow(created);
      // The earlier request with this key may fail to start the workflow and roll the row back, but not after this
      // acknowledgement. When it was faster, there is no run to return.
      if (created.existing !== null && !(await store.acknowledgeRun(created.run.id)))
        throw apiErrors.unavailable('The workflow service');
      return created;
    } catch (error) {
      // Only the request that created the row rolls it back.
      if (created.existing !== null || (await rollBackRun(created.run.id))) throw error;
      // A worker has the run, or a later request with its key has returned it: the start took effect, and only its
      // reply was lost.
      return created;
    }
  };

  /** False when it is too late: a worker has claimed the run, or a request has returned it. */
  const rollBackRun = async (runId: string): Promise<boolean> => {
    try {
      return await store.removeUnclaimed(runId);
    } catch (error) {
      // Neither service can be reached. The reconciler starts the remaining row.
      options.log?.error({ runId, error }, 'a run could neither be started nor taken back');
      return true;
    }
  };

  const submit = async (
    caller: Caller,
    [threadId, runId]: [string, string],
    outputs: ToolOutput[],
  ): Promise<StartedRunEvents> => {
    const key = caller.idempotencyKey === null ? null : sha256(`submit:${caller.idempotencyKey}`);
    const { isRetry } = caller;
    const about = { callId: outputs[0]?.tool_call_id ?? null, key };
    const found = await store.runForSubmit(caller.tenant, threadId, runId, about);
    const verdict = checkSubmit(found, outputs, isRetry);
    if (verdict === 'repeated') return repeated(found);
    if (verdict === 'send') {
      const round = found.round === null ? {} : { round: found.round.round };
      const payload = { run_id: runId, tool_outputs: outputs };
      const isAsked = async (): Promise<boolean> => {
        const current = await store.runForSubmit(caller.tenant, threadId, runId, about);
        return current.status === 'requires_action' && current.round?.round === found.round?.round;
      };
      try {
        await retryUntilWorkflowReady(
          () =>
            withPingWatchdog(workflows, (signal) =>
              workflows.submitToolOutputs(runId, payload, {
                timeoutMs: workerTimeoutMs,
                signal,
                origin: originOf(caller),
                ...round,
              }),
            ),
          isAsked,
          workerTimeoutMs,
        );
      } catch (error) {
        if (!(error instanceof RunsError) || error.code !== 'refused') throw toOutcomeUnknown(error);
        // Another request was first; if it was an earlier try of this one, this one succeeded.
        const current = await store.runForSubmit(caller.tenant, threadId, runId, about);
        if ((isRetry || current.keyUsed) && equalsAcceptedOutputs(current.asked, outputs))
          return repeated(current);
        throw submitRefusal(error, current.status);
      }
    }
    const accepted = await store.acceptOutputs(runId, outputs, {
      now: now(),
      by: caller.requestId,
      idempotency: key === null ? null : { key, request: sha256(JSON.stringify(outputs)) },
    });
    if (accepted.result === 'repeated' && !isRetry) throw apiErrors.notWaiting(accepted.run.status);
    return { run: accepted.run, eventsAfter: accepted.eventsAfter };
  };

  /** The refusal is the answer, whether it could be kept or not. */
  const keepRefusal = async (runId: string, refused: Decision | null): Promise<void> => {
    if (refused === null) return;
    await store.recordRefusedDecision(runId, refused).catch((error: unknown) => {
      options.log?.error({ runId, callId: refused.callId, error }, 'a refused decision could not be kept');
    });
  };

  const answer = async (
    caller: Caller,
    [threadId, runId]: [string, string],
    sent: AnswerPayload,
  ): Promise<AnswerReply> => {
    // The run must belong to the caller and to this thread.
    await store.getRun(caller.tenant, threadId, runId);
    const payload = signed(caller, sent);
    const { call_id: callId, run_id: named = runId } = payload;
    const isAsked = async (): Promise<boolean> => {
      const { round } = await store.runForSubmit(caller.tenant, threadId, runId, { callId, key: null });
      const isOfRound = round?.calls.some((call) => call.callId === callId) === true;
      return named === runId && isOfRound && !Object.hasOwn(round.outputs, callId);
    };
    let reply: AnswerReply;
    try {
      reply = await retryUntilWorkflowReady(
        () =>
          withPingWatchdog(workflows, (signal) =>
            workflows.answer(runId, payload, {
              timeoutMs: workerTimeoutMs,
              signal,
              origin: originOf(caller),
            }),
          ),
        isAsked,
        workerTimeoutMs,
      );
    } catch (error) {
      if (!(error instanceof RunsError) || error.code !== 'refused') throw toOutcomeUnknown(error);
      const refusal = answerRefusal(error);
      await keepRefusal(runId, refusedDecision(caller, payload, refusal, now()));
      throw refusal;
    }
    // Written at once, to be shown early. A text that was changed is left to the worker, which knows the final one. A
    // late answer is no output of its call: written before the placeholder, it would contradict the submit.
    const { notes, late, result } = reply;
    if (typeof payload.output === 'string' && notes === undefined && late !== true && result === 'accepted')
      await store
        .acceptOutputs(runId, [{ tool_call_id: payload.call_id, output: payload.output }], {
          now: now(),
          by: null,
        })
        .catch((error: unknown) => {
          options.log?.warn({ runId, error }, 'an accepted answer is shown later, by the worker');
        });
    return reply;
  };

  const cancel = async (caller: Caller, threadId: string, runId: string): Promise<Run> => {
    const run = await store.markCancelling(caller.tenant, threadId, runId, now());
    try {
      await withPingWatchdog(workflows, (signal) => workflows.cancel(runId, { signal }));
      return run;
    } catch (error) {
      if (!(error instanceof RunsError)) throw error;
      if (error.code === 'run_not_found') {
        // No workflow will close it. One that is being started finds it closed.
        await store.closeRun(runId, { kind: 'cancel' }, now());
        return store.getRun(caller.tenant, threadId, runId);
      }
      if (error.code === 'refused') {
        const current = await store.getRun(caller.tenant, threadId, runId);
        // The workflow has ended and left the row open: it is closed here, as no other process will.
        if (!isTerminal(current.status)) await store.closeRun(runId, { kind: 'cancel' }, now());
        return isTerminal(current.status) ? current : store.getRun(caller.tenant, threadId, runId);
      }
      if (!isTransientApiError(error)) throw error;
      options.log?.warn(
        { runId, error },
        'the wish to cancel is kept; it is passed on when Temporal is back',
      );
      return run;
    }
  };

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
      options.tail,
    );

  return {
    createAssistant: (caller, params) =>
      engineError(async () => {
        await quotas.takeSpace(caller.tenant, params);
        return store.createAssistant(caller.tenant, params, now());
      }),
    listAssistants: (caller, query) => engineError(() => store.listAssistants(caller.tenant, query)),
    getAssistant: (caller, id) => engineError(() => store.getAssistant(caller.tenant, id)),
    updateAssistant: (caller, id, params) =>
      engineError(async () => {
        await quotas.takeSpace(caller.tenant, params);
        return store.updateAssistant(caller.tenant, id, params);
      }),
    deleteAssistant: (caller, id) => engineError(() => store.deleteAssistant(caller.tenant, id)),

    createThread: (caller, params) =>
      engineError(async () => {
        await quotas.takeSpace(caller.tenant, params);
        return store.createThread(caller.tenant, params, now());
      }),
    listThreads: (caller, query) => engineError(() => store.listThreads(caller.tenant, query)),
    getThread: (caller, id) => engineError(() => store.getThread(caller.tenant, id)),
    updateThread: (caller, id, params) => engineError(() => store.updateThread(caller.tenant, id, params)),
    deleteThread: (caller, id) => engineError(() => store.deleteThread(caller.tenant, id)),

    createMessage: (caller, threadId, params) =>
      engineError(async () => {
        await quotas.takeSpace(caller.tenant, params);
        return store.createMessage(caller.tenant, threadId, params, now());
      }),
    listMessages: (caller, threadId, query) =>
      engineError(() => store.listMessages(caller.tenant, threadId, query)),
    getMessage: (caller, threadId, id) => engineError(() => store.getMessage(caller.tenant, threadId, id)),
    updateMessage: (caller, threadId, id, params) =>
      engineError(() => store.updateMessage(caller.tenant, threadId, id, params)),
    deleteMessage: (caller, threadId, id) =>
      engineError(() => store.deleteMessage(caller.tenant, threadId, id)),

    createRun: (caller, threadId, params) => engineError(() => beginRun(caller, { id: threadId }, params)),
    createThreadAndRun: (caller, thread: ThreadParams, params) =>
      engineError(() => beginRun(caller, { create: thread }, params)),
    listRuns: (caller, threadId, query) => engineError(() => store.listRuns(caller.tenant, threadId, query)),
    // The most frequent read, so it has one promise less.
    getRun: (caller, threadId, runId) => store.getRun(caller.tenant, threadId, runId).catch(rethrown),
    updateRun: (caller, threadId, runId, params) =>
      engineError(() => store.updateRun(caller.tenant, threadId, runId, params)),
    cancelRun: (caller, threadId, runId) => engineError(() => cancel(caller, threadId, runId)),
    submitToolOutputs: (caller, threadId, runId, outputs) =>
      engineError(() => submit(caller, [threadId, runId], outputs)),
    listApprovals: (caller, query) =>
      engineError(() =>
        store.listApprovals({ ...query, ...approvalsOf(caller), now: now(), followUpWithinMs }),
      ),
    listDecisions: (caller, threadId, runId, query) =>
      engineError(() =>
        store.listDecisions(caller.tenant, threadId, runId, { ...query, tools: decidable(caller) }),
      ),
    ownerOf: (kind, id) => engineError(() => store.ownerOf(kind, id)),
    answer: (caller, threadId, runId, payload) =>
      engineError(() => answer(caller, [threadId, runId], payload)),
    listSteps: (caller, threadId, runId, query) =>
      engineError(() => store.listSteps(caller.tenant, threadId, runId, query)),
    getStep: (caller, threadId, runId, stepId) =>
      engineError(() => store.getStep(caller.tenant, threadId, runId, stepId)),
    events,
    awaitRun: (caller, threadId, runId, wait) =>
      engineError(() => awaitRun(store, runId, () => store.getRun(caller.tenant, threadId, runId), wait)),
    pollAfterMs: (run) => pollAfterMs(run, now()),
    listTools: (caller) => engineError(() => listTools(caller)),
    async readiness() {
      const [database, temporal] = await Promise.allSettled([store.ping(), workflows.ping()]);
      return [
        ...(database.status === 'rejected' ? ["The database can't be reached."] : []),
        ...(temporal.status === 'rejected' ? ["Temporal can't be reached."] : []),
      ];
    },
  };
};
