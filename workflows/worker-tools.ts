/**
 * The workflow `workerTools`: asks a worker of the task queue for its tools, for processes that have no tools file.
 *
 * Rule: one local activity, so one workflow task, on whichever worker takes it: the answer is what a live worker has now.
 * It ends within seconds (`client/worker-tools.ts` bounds it), so no deploy has to replay it. Exported by workflows/index.ts only.
 */
import { proxyLocalActivities } from '@temporalio/workflow';
import type { WorkerTool, WorkerToolsActivities } from '../protocol/temporal/activities.ts';

export async function workerTools(): Promise<WorkerTool[]> {
  const { listTools } = proxyLocalActivities<WorkerToolsActivities>({ scheduleToCloseTimeout: '10s' });
  return await listTools();
}
