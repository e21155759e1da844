/**
 * Checks of the task queue: workers poll it, tasks do not grow old in it, and its deployments route new runs to a worker.
 *
 * Rule: read only. Imported by `runs doctor`.
 */
import {
  readDeployment,
  readPollers,
  type QueuePoller,
  type QueueState,
  type RunsClient,
} from '../../client/index.ts';
import { buildEnvironment, deploymentFindings } from '../deployment/findings.ts';
import { duration } from '../output/format.ts';
import { ok, problem, skipped, type Check, type Finding } from './check.ts';

export interface QueueGround {
  runs: () => Promise<RunsClient>;
  namespace: string;
  taskQueue: string;
  /** RUNS_DEPLOYMENT; null = none. */
  deployment: string | null;
}

export const queueChecks = (ground: QueueGround): Check[] => [
  {
    name: 'worker',
    needs: ['namespace'],
    run: async () => workerFinding(await readQueue(ground), ground.taskQueue),
  },
  {
    name: 'queue',
    needs: ['namespace'],
    run: async () => backlogFinding(await readQueue(ground), ground.taskQueue),
  },
  { name: 'deployment', needs: ['worker'], run: () => deploymentCheck(ground) },
];

const readQueue = async ({ runs, namespace, taskQueue }: QueueGround): Promise<QueueState> =>
  (await runs()).call(({ workflowService }) => readPollers(workflowService, namespace, taskQueue));

const described = ({ identity, buildId }: QueuePoller): string =>
  buildId === null ? identity : `${identity} of build ${buildId}`;

export const workerFinding = (
  { workflows, activities, routedTo }: QueueState,
  taskQueue: string,
): Finding => {
  const queue = JSON.stringify(taskQueue);
  if (workflows.length > 0 && activities.length > 0)
    return ok(`${workflows.length} on task queue ${queue} (${workflows.map(described).join(', ')})`);
  return problem(
    workflows.length === 0 && activities.length === 0
      ? `no worker polls task queue ${queue}: runs wait until one does`
      : `only ${workflows.length > 0 ? 'workflows' : 'activities'} are polled on task queue ${queue}`,
    `start one with "runs worker", with the same RUNS_TASK_QUEUE and TEMPORAL_NAMESPACE${
      routedTo === null
        ? ''
        : `, and of the current build: ${buildEnvironment(routedTo.deployment, routedTo.buildId)}`
    }`,
  );
};

/** Idle workers take a task within a fraction of a second. */
const OLD_MS = 30_000;

export const backlogFinding = ({ backlog, backlogAgeMs }: QueueState, taskQueue: string): Finding => {
  if (backlog === 0) return ok('no task waits for a worker');
  const tasks = `${backlog} task${backlog === 1 ? '' : 's'}`;
  if (backlogAgeMs < OLD_MS) return ok(`${tasks} waiting, the oldest for ${duration(backlogAgeMs)}`);
  return problem(
    `${tasks} of runs wait for a worker on task queue ${JSON.stringify(taskQueue)}, the oldest for ${duration(backlogAgeMs)}: queued runs are delayed`,
    'fix what the checks "worker" and "deployment" report; if both are in order, start more workers ("runs worker")',
  );
};

const deploymentCheck = async (ground: QueueGround): Promise<Finding> => {
  const { workflows, routedTo } = await readQueue(ground);
  const names = new Set(
    [
      ground.deployment,
      routedTo?.deployment ?? null,
      ...workflows.map(({ deployment }) => deployment),
    ].filter((name) => name !== null),
  );
  if (names.size === 0) return skipped('the workers have no builds (RUNS_DEPLOYMENT, RUNS_BUILD_ID)');
  const client = await ground.runs();
  const found = await Promise.all(
    [...names].map(async (name): Promise<Finding> => {
      const read = await readDeployment(client, name);
      if (read === null)
        return problem(
          `RUNS_DEPLOYMENT is ${JSON.stringify(name)}, and no worker of that deployment has polled`,
          `start one: RUNS_DEPLOYMENT=${name} RUNS_BUILD_ID=… runs worker`,
        );
      const { problems, mayStop } = deploymentFindings(read.state, Date.now());
      const [first] = problems;
      if (first !== undefined)
        return problem(
          problems.map(({ detail }) => detail).join('; '),
          problems.map(({ fix }) => fix).join('; '),
        );
      const done = mayStop.map(
        ({ buildId }) => `; no runs are left on build ${buildId}: its workers may be stopped`,
      );
      return ok(`${name}: new runs go to ${current(read.state.currentBuild)}${done.join('')}`);
    }),
  );
  return found.find(({ state }) => state === 'problem') ?? ok(found.map(({ detail }) => detail).join('; '));
};

const current = (build: string | null): string =>
  build === null ? 'workers without a build' : `build ${build}`;
