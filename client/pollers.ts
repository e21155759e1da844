/**
 * Who polls a task queue now, and how long tasks have waited in it.
 *
 * Rule: read only. Temporal remembers a poller for five minutes after its last poll, which lasts a minute at most; who has not
 * polled for longer counts as gone. Imported by the client and, through its face, by the command line.
 */
import type { Client } from '@temporalio/client';

export interface QueuePoller {
  identity: string;
  /** null = a worker without a build. */
  deployment: string | null;
  buildId: string | null;
}

export interface QueueState {
  workflows: QueuePoller[];
  activities: QueuePoller[];
  /** Tasks that wait for a worker, on both sides. */
  backlog: number;
  /** Of the task that has waited longest, in milliseconds; 0 = none waits. */
  backlogAgeMs: number;
  /** The deployment whose current build takes new runs of this queue; null = workers without a build do. */
  routedTo: { deployment: string; buildId: string } | null;
}

const RECENT_MS = 70_000;
/** The wire's numbers for the workflow and the activity side of a queue; the SDK exports no names for them. */
const WORKFLOW_SIDE: Record<string, number> = { taskQueueType: 1 };
const ACTIVITY_SIDE: Record<string, number> = { taskQueueType: 2 };
const VERSIONED = 2;

type Description = Awaited<ReturnType<Client['workflowService']['describeTaskQueue']>>;

const pollersOf = ({ pollers }: Description, now: number): QueuePoller[] =>
  (pollers ?? [])
    .filter(({ lastAccessTime }) => now - Number(lastAccessTime?.seconds ?? 0) * 1_000 < RECENT_MS)
    .map(({ identity, deploymentOptions: options }) => {
      const versioned = Number(options?.workerVersioningMode) === VERSIONED;
      return {
        identity: identity ?? '?',
        deployment: versioned ? (options?.deploymentName ?? null) : null,
        buildId: versioned ? (options?.buildId ?? null) : null,
      };
    });

const ageOf = ({ stats }: Description): number => {
  const age = stats?.approximateBacklogAge;
  return Number(age?.seconds ?? 0) * 1_000 + Math.round((age?.nanos ?? 0) / 1e6);
};

/** Errors are Temporal's. */
export const readPollers = async (
  service: Client['workflowService'],
  namespace: string,
  taskQueue: string,
): Promise<QueueState> => {
  const side = (which: Record<string, number>): Promise<Description> =>
    service.describeTaskQueue({
      namespace,
      taskQueue: { name: taskQueue },
      reportStats: true,
      ...which,
    });
  const [workflows, activities] = await Promise.all([side(WORKFLOW_SIDE), side(ACTIVITY_SIDE)]);
  const now = Date.now();
  const current = workflows.versioningInfo?.currentDeploymentVersion;
  return {
    workflows: pollersOf(workflows, now),
    activities: pollersOf(activities, now),
    backlog: [workflows, activities].reduce(
      (sum, { stats }) => sum + Number(stats?.approximateBacklogCount ?? 0),
      0,
    ),
    backlogAgeMs: Math.max(ageOf(workflows), ageOf(activities)),
    routedTo:
      current?.deploymentName == null || current.buildId == null
        ? null
        : { deployment: current.deploymentName, buildId: current.buildId },
  };
};
