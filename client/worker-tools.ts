/**
 * The tools of the workers on the task queue: one worker returns them, through a workflow that lives for milliseconds.
 *
 * Rule: nothing is cached, so the list is that of a live worker; without a worker there is no list. Concurrent callers
 * share one workflow. Imported by the client only.
 */
import { WorkflowFailedError } from '@temporalio/client';
import { RunsError, WORKFLOWS, type WorkerTool, type WorkerToolList } from '../protocol/index.ts';
import type { ClientSession } from './session.ts';
import type { CallOptions } from './types.ts';

const WORKER_TIMEOUT_MS = 10_000;
/** Longer than a caller waits by default: without a worker it ends by itself soon after. */
const EXECUTION_TIMEOUT_MS = 15_000;

/** One id for each task queue. */
const workerToolsWorkflowId = (taskQueue: string): string => `${WORKFLOWS.workerTools}.servers.${taskQueue}`;

export const listWorkerTools = async (
  session: ClientSession,
  { timeoutMs = WORKER_TIMEOUT_MS, signal }: CallOptions,
): Promise<WorkerToolList> => {
  const { client, taskQueue } = session;
  const what = `Asking the workers of task queue ${JSON.stringify(taskQueue)} for their tools`;
  const context = { what, timeoutMs, awaitsWorker: true, ...(signal === undefined ? {} : { signal }) };
  return await session.call(context, async (): Promise<WorkerToolList> => {
    const handle = await client.workflow.start(WORKFLOWS.workerTools, {
      workflowId: workerToolsWorkflowId(taskQueue),
      taskQueue,
      args: [{ servers: true }],
      workflowIdConflictPolicy: 'USE_EXISTING',
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      workflowExecutionTimeout: EXECUTION_TIMEOUT_MS,
    });
    try {
      const answer = (await handle.result()) as WorkerTool[] | WorkerToolList;
      // A worker of an earlier version lists its tools alone.
      return Array.isArray(answer) ? { tools: answer, servers: [] } : answer;
    } catch (error) {
      if (!(error instanceof WorkflowFailedError)) throw error;
      throw new RunsError(
        'no_worker',
        `${what} failed: no worker of this version answered in time. Start one ("runs worker") and try again.`,
        { cause: error },
      );
    }
  });
};
