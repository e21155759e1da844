/**
 * The workflow `workerTools`: lists the tools of a worker of the task queue, for processes that have no tools file.
 *
 * Rule: one local activity, so one workflow task on any worker: the answer describes a live worker. The workflow ends
 * within seconds (`client/worker-tools.ts` bounds it), so no deployment has to replay it. Exported by
 * workflows/index.ts only.
 */
import { proxyLocalActivities } from '@temporalio/workflow';
import type { WorkerTool, WorkerToolList, WorkerToolsActivities } from '../protocol/temporal/activities.ts';

/** Clients of earlier versions ask without arguments, and read the answer as a list of tools. */
export async function workerTools(asked?: { servers: true }): Promise<WorkerTool[] | WorkerToolList> {
  const { listTools, listToolServers } = proxyLocalActivities<WorkerToolsActivities>({
    scheduleToCloseTimeout: '10s',
  });
  const tools = await listTools();
  return asked?.servers === true ? { tools, servers: await listToolServers() } : tools;
}
