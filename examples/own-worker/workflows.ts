import { proxyActivities } from '@temporalio/workflow';

const { greet } = proxyActivities<{ greet(name: string): Promise<string> }>({ startToCloseTimeout: '10s' });

/** A workflow of this program. It shares the worker with the runs. */
export async function welcome(name: string): Promise<string> {
  return await greet(name);
}
