/**
 * Worker deployments: which build of the worker takes new runs, and which builds still hold runs.
 *
 * Rule: routing is Temporal's; open runs are counted in its visibility store, since its own drainage state is minutes late.
 * Every write carries the token of the read before it, so that two operators can't undo each other unseen.
 * Imported by the command line; `stateOf` is pure.
 */
import { toRunsError, GRPC, grpcCode } from './errors.ts';
import { readPollers, type QueuePoller } from './pollers.ts';
import { SERVER_TIMEOUT_MS } from './session.ts';
import type { RunsClient } from './runs-client.ts';
import { quote, RunsError, WORKFLOWS } from '../protocol/index.ts';

type Service = RunsClient['temporal']['workflowService'];
type RawDeployment = NonNullable<
  Awaited<ReturnType<Service['describeWorkerDeployment']>>['workerDeploymentInfo']
>;

/**
 * `new`: has never taken runs. `current`: takes new runs. `ramping`: takes a part of them. `retired`: took runs once, and
 * takes no new ones.
 */
export type BuildStatus = 'new' | 'current' | 'ramping' | 'retired';

export interface DeploymentBuild {
  buildId: string;
  status: BuildStatus;
  /** Share of new runs while it ramps; else null. */
  rampPercent: number | null;
  /** Runs that have not ended and stay on this build. */
  liveRuns: number;
  /** Ended runs of this build that still await late answers. */
  lateAnswers: number;
  /** Identities of its workers that poll the task queue now. */
  workers: string[];
  /** Unix ms since it takes no new runs; null = it takes them, or has never taken any. */
  retiredAt: number | null;
}

export interface DeploymentState {
  deployment: string;
  taskQueue: string;
  /** null = new runs wait, unless workers without a build poll the queue. */
  currentBuild: string | null;
  /** Newest first. */
  builds: DeploymentBuild[];
  /** Identities of workers without a build on the same task queue. */
  unversionedWorkers: string[];
  /** Does every task queue of the server know the latest change? */
  settled: boolean;
}

/** What a write needs from the read before it. */
export interface DeploymentRead {
  state: DeploymentState;
  conflictToken: Uint8Array | null;
}

interface BuildCounts {
  liveRuns: number;
  lateAnswers: number;
}

const millis = (time: { seconds?: unknown } | null | undefined): number | null => {
  const seconds = Number(time?.seconds ?? 0);
  return seconds > 0 ? seconds * 1_000 : null;
};

const SETTLING = 1;

/** Exported for tests. */
export const stateOf = (
  raw: RawDeployment,
  taskQueue: string,
  pollers: readonly QueuePoller[],
  counts: ReadonlyMap<string, BuildCounts>,
): DeploymentState => {
  const deployment = raw.name ?? '';
  const routing = raw.routingConfig;
  const current = routing?.currentDeploymentVersion?.buildId ?? null;
  const ramping = routing?.rampingDeploymentVersion?.buildId ?? null;
  const builds = (raw.versionSummaries ?? []).flatMap((version): DeploymentBuild[] => {
    const buildId = version.deploymentVersion?.buildId;
    if (buildId == null) return [];
    const used = millis(version.firstActivationTime) !== null;
    const takesRuns = buildId === current || buildId === ramping;
    return [
      {
        buildId,
        status: buildId === current ? 'current' : buildId === ramping ? 'ramping' : used ? 'retired' : 'new',
        rampPercent: buildId === ramping ? (routing?.rampingVersionPercentage ?? 0) : null,
        ...(counts.get(buildId) ?? { liveRuns: 0, lateAnswers: 0 }),
        workers: pollers
          .filter((poller) => poller.deployment === deployment && poller.buildId === buildId)
          .map(({ identity }) => identity),
        retiredAt: takesRuns || !used ? null : millis(version.lastDeactivationTime),
      },
    ];
  });
  return {
    deployment,
    taskQueue,
    currentBuild: current,
    builds,
    unversionedWorkers: pollers.filter(({ buildId }) => buildId === null).map(({ identity }) => identity),
    settled: Number(raw.routingConfigUpdateState) !== SETTLING,
  };
};

/** How long a run that was started before the build retired may take to be counted, in milliseconds. */
const COUNT_SETTLES_MS = 10_000;

/** Has the build ended its work, so that its workers may be stopped? */
export const isDrained = (
  { status, liveRuns, lateAnswers, retiredAt }: DeploymentBuild,
  now: number,
): boolean =>
  status === 'retired' &&
  liveRuns + lateAnswers === 0 &&
  (retiredAt === null || now - retiredAt >= COUNT_SETTLES_MS);

const ask = async <T>(
  client: RunsClient,
  what: string,
  work: (service: Service) => Promise<T>,
): Promise<T> => {
  try {
    return await client.call(({ workflowService }) => work(workflowService), {
      timeoutMs: SERVER_TIMEOUT_MS,
    });
  } catch (error) {
    if (grpcCode(error) === GRPC.unimplemented)
      throw new RunsError(
        'config',
        `${what} failed: Temporal at ${quote(client.place.address)} has no worker deployments. They need a Temporal server 1.28 or newer; without one, start workers without RUNS_DEPLOYMENT and RUNS_BUILD_ID.`,
        { cause: error },
      );
    throw toRunsError(error, { what, ...client.place });
  }
};

/** A value inside the quotes of a visibility query. */
const literal = (value: string): string => `'${value.replaceAll("'", "''")}'`;

/** Workflows that have not ended and will not leave the build. */
const pinnedQuery = (deployment: string, buildId: string, type: string): string =>
  [
    `TemporalWorkerDeploymentVersion = ${literal(`${deployment}:${buildId}`)}`,
    "TemporalWorkflowVersioningBehavior = 'Pinned'",
    "ExecutionStatus = 'Running'",
    `WorkflowType = ${literal(type)}`,
  ].join(' AND ');

/** Names of all deployments of the namespace that the server lists first. */
export const listDeployments = async (client: RunsClient): Promise<string[]> => {
  const { namespace } = client.place;
  const { workerDeployments } = await ask(client, 'Listing deployments', (service) =>
    service.listWorkerDeployments({ namespace, pageSize: 100 }),
  );
  return (workerDeployments ?? []).flatMap(({ name }) => (name == null || name === '' ? [] : [name]));
};

/** null = the namespace has no deployment of this name. */
export const readDeployment = async (
  client: RunsClient,
  deployment: string,
): Promise<DeploymentRead | null> => {
  const { namespace, taskQueue } = client.place;
  const what = `Reading deployment ${quote(deployment)}`;
  const [reply, pollers] = await Promise.all([
    ask(client, what, async (service) => {
      try {
        return await service.describeWorkerDeployment({ namespace, deploymentName: deployment });
      } catch (error) {
        if (grpcCode(error) === GRPC.notFound) return null;
        throw error;
      }
    }),
    ask(client, what, (service) => readPollers(service, namespace, taskQueue)),
  ]);
  const raw = reply?.workerDeploymentInfo;
  if (reply == null || raw == null) return null;
  const count = async (buildId: string, type: string): Promise<number> => {
    const { count: found } = await ask(client, what, (service) =>
      service.countWorkflowExecutions({ namespace, query: pinnedQuery(deployment, buildId, type) }),
    );
    return Number(found ?? 0);
  };
  const buildIds = (raw.versionSummaries ?? []).flatMap(
    ({ deploymentVersion }) => deploymentVersion?.buildId ?? [],
  );
  const counts = await Promise.all(
    buildIds.map(async (buildId): Promise<[string, BuildCounts]> => {
      const [liveRuns, lateAnswers] = await Promise.all([
        count(buildId, WORKFLOWS.run),
        count(buildId, WORKFLOWS.followUp),
      ]);
      return [buildId, { liveRuns, lateAnswers }];
    }),
  );
  return {
    state: stateOf(raw, taskQueue, pollers.workflows, new Map(counts)),
    conflictToken: reply.conflictToken ?? null,
  };
};

/** Ids of runs that keep a build from being stopped, at most `limit`; those that await late answers by their ended run's id. */
export const runsOfBuild = async (
  client: RunsClient,
  deployment: string,
  buildId: string,
  limit: number,
): Promise<string[]> => {
  const { namespace } = client.place;
  const ids = async (type: string): Promise<string[]> => {
    const { executions } = await ask(client, `Listing the runs of build ${quote(buildId)}`, (service) =>
      service.listWorkflowExecutions({
        namespace,
        pageSize: limit,
        query: pinnedQuery(deployment, buildId, type),
      }),
    );
    return (executions ?? []).flatMap(({ execution }) => execution?.workflowId ?? []);
  };
  const [runs, followUps] = await Promise.all([ids(WORKFLOWS.run), ids(WORKFLOWS.followUp)]);
  return [...runs, ...followUps].slice(0, limit);
};

const write = async (
  client: RunsClient,
  what: string,
  work: (service: Service) => Promise<unknown>,
): Promise<void> => {
  await ask(client, what, async (service) => {
    try {
      await work(service);
    } catch (error) {
      if (grpcCode(error) !== GRPC.failedPrecondition) throw error;
      const reason = error instanceof Error && 'details' in error ? String(error.details) : String(error);
      throw new RunsError(
        'refused',
        `${what} was refused: ${reason}. Look at it again ("runs deployment show") and repeat the command.`,
        { cause: error },
      );
    }
  });
};

/** What each change of a deployment's routing names; the token refuses it when another change came first. */
const routing = (client: RunsClient, { state, conflictToken }: DeploymentRead) => ({
  namespace: client.place.namespace,
  deploymentName: state.deployment,
  conflictToken,
  identity: client.temporal.options.identity,
});

/** New runs begin on this build from now on, all of them. */
export const promoteBuild = async (
  client: RunsClient,
  read: DeploymentRead,
  buildId: string,
): Promise<void> => {
  await write(
    client,
    `Promoting build ${quote(buildId)} of deployment ${quote(read.state.deployment)}`,
    (service) =>
      service.setWorkerDeploymentCurrentVersion({
        ...routing(client, read),
        buildId,
      }),
  );
};

/** `percent` of new runs begin on this build; 0 ends the ramp. */
export const rampBuild = async (
  client: RunsClient,
  read: DeploymentRead,
  buildId: string,
  percent: number,
): Promise<void> => {
  await write(
    client,
    `Ramping build ${quote(buildId)} of deployment ${quote(read.state.deployment)}`,
    (service) =>
      service.setWorkerDeploymentRampingVersion({
        ...routing(client, read),
        buildId: percent === 0 ? '' : buildId,
        percentage: percent,
      }),
  );
};
