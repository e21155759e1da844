/**
 * The workflow `workerTools`: lists the tools of a worker of the task queue, for processes that have no tools file.
 *
 * Rule: one local activity, so one workflow task on any worker: the answer describes a live worker. The workflow ends
 * within seconds (`client/worker-tools.ts` bounds it), so no deployment has to replay it. Exported by
 * workflows/index.ts only.
 */
import { proxyLocalActivities } from '@temporalio/workflow';
import type { WorkerTool, WorkerToolsActivities } from '../protocol/temporal/activities.ts';

export async function workerTools(): Promise<WorkerTool[]> {
  const { listTools } = proxyLocalActivities<WorkerToolsActivities>({ scheduleToCloseTimeout: '10s' });
  return await listTools();
}
