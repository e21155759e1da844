/**
 * One client's connection as the other files use it: calls with limits, errors mapped, workflows looked at.
 *
 * Rule: every call to Temporal goes through `call`, so that deadlines, aborts, closing and error mapping hold for all.
 * Imported by the client only.
 */
import type { Client, WorkflowHandle } from '@temporalio/client';
import { WorkflowFailedError, WorkflowNotFoundError } from '@temporalio/client';
import { RunsError, type RunResult } from '../protocol/index.ts';
import type { Calls, CallLimits } from './temporal-calls.ts';
import { toRunsError } from './errors.ts';
import { resultInMemo, type WorkflowView } from './view.ts';

/** Default bound of a call that no worker is needed for, in milliseconds. */
export const SERVER_TIMEOUT_MS = 10_000;

export interface CallContext extends CallLimits {
  /** What is tried, as the start of a sentence. */
  what: string;
  runId?: string;
  /** A worker must take part: without a reply in time, no worker is up. */
  awaitsWorker?: boolean;
}

export interface ClientSession {
  readonly client: Client;
  readonly taskQueue: string;
  /** Of Temporal's frontend, for error messages. */
  readonly address: string;
  /** Hand what is started to the worker that shares this connection. */
  readonly eagerStart: boolean;
  handle(workflowId: string): WorkflowHandle;
  /** Runs `fn` within the limits; Temporal's errors come back as `RunsError`. */
  call<T>(context: CallContext, fn: () => Promise<T>): Promise<T>;
  /** The workflow, or null when the namespace has none of this id. */
  look(workflowId: string, signal?: AbortSignal): Promise<WorkflowView | null>;
  /** The result of a closed workflow, wherever it was left; null = it left none. */
  closedResult(view: WorkflowView): Promise<RunResult | null>;
}

export interface SessionPlace {
  taskQueue: string;
  /** For error messages. */
  address: string;
  eagerStart: boolean;
}

export const createSession = (
  client: Client,
  calls: Calls,
  { taskQueue, address, eagerStart }: SessionPlace,
): ClientSession => {
  const namespace = client.options.namespace;
  const session: ClientSession = {
    client,
    taskQueue,
    address,
    eagerStart,
    handle: (workflowId) => client.workflow.getHandle(workflowId),
    async call({ what, runId, awaitsWorker = false, ...limits }, fn) {
      try {
        return await calls.run(fn, limits);
      } catch (error) {
        throw toRunsError(error, {
          what,
          address,
          namespace,
          taskQueue,
          awaitsWorker,
          givenUp: calls.closing || limits.signal?.aborted === true,
          ...(runId === undefined ? {} : { runId }),
        });
      }
    },
    async look(workflowId, signal) {
      return await session.call(
        {
          what: `Looking for run ${JSON.stringify(workflowId)}`,
          runId: workflowId,
          timeoutMs: SERVER_TIMEOUT_MS,
          ...(signal === undefined ? {} : { signal }),
        },
        async () => {
          try {
            return await session.handle(workflowId).describe();
          } catch (error) {
            if (error instanceof WorkflowNotFoundError) return null;
            throw error;
          }
        },
      );
    },
    async closedResult(view) {
      if (view.status.name === 'CANCELLED') return resultInMemo(view);
      if (view.status.name !== 'COMPLETED') return null;
      return await session.call(
        {
          what: `Reading the result of run ${JSON.stringify(view.workflowId)}`,
          runId: view.workflowId,
          timeoutMs: SERVER_TIMEOUT_MS,
        },
        async () => {
          try {
            const result: RunResult = await session.handle(view.workflowId).result();
            return result;
          } catch (error) {
            if (error instanceof WorkflowFailedError) return null;
            throw error;
          }
        },
      );
    },
  };
  return session;
};

export const notFound = (runId: string, { client, address }: ClientSession): RunsError =>
  new RunsError(
    'run_not_found',
    `There is no run ${JSON.stringify(runId)} in namespace ${JSON.stringify(client.options.namespace)} of Temporal at ${JSON.stringify(address)}. Check the id ("runs list" shows what is there), TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE; ended runs are kept for the namespace's retention time only.`,
  );
