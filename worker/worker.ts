/**
 * `makeWorker`: one Temporal worker with this project's settings.
 *
 * Rule: every number with a consequence is set here, with its reason, and can be overridden; the SDK's defaults are
 * taken only where nothing of ours depends on them.
 * Imported by the composition root, tests and benchmarks.
 */
import type { DataConverter } from '@temporalio/common';
import {
  Runtime,
  Worker,
  type InjectedSinks,
  type NativeConnection,
  type WorkerOptions,
} from '@temporalio/worker';
import type { WorkerActivities } from '../activities/index.ts';
import { DEFAULT_TASK_QUEUE, type Logger, type RunSinks } from '../protocol/index.ts';
import type { WorkflowCode } from './bundle.ts';
import { temporalLogger } from './log.ts';

/**
 * Heartbeats reach the server at most this often, and a cancellation reaches an activity in the reply to one: this is
 * how long a cancelled tool goes on. Activities need the number too, to know how stale the server's news of them may be.
 */
export const HEARTBEAT_THROTTLE_MS = 2_000;

/**
 * How long one activation of workflow code may take. The SDK's 5 s are reached by a flood of signals on a busy machine
 * (half a millisecond each), and an interrupted activation can end the whole process: Node aborts when it is stopped
 * inside a promise hook. No code of users runs in the sandbox, so this only guards against a loop without an end.
 */
export const ACTIVATION_MS = 60_000;

export interface MakeWorkerOptions {
  connection: NativeConnection;
  /** Default `default`. */
  namespace?: string;
  /** Default `runs`. */
  taskQueue?: string;
  activities: WorkerActivities;
  /** A native run's first activity is about to come, here probably. Must not throw; nothing waits for it. */
  onRunBegins?: (runId: string) => void;
  workflows: WorkflowCode;
  dataConverter?: DataConverter;
  /** Runs kept in memory while they wait; others cost a replay when they wake. Default 1,000; 0 replays at every step. */
  maxCachedRuns?: number;
  /** Runs followed and tools run at once. Default 500. */
  maxActivities?: number;
  /** How long work in flight may go on after `shutdown()`, in milliseconds. Default 10,000. */
  shutdownGraceMs?: number;
  identity?: string;
  /** Pins each run to the worker version it started on. Default: unversioned. */
  deployment?: { name: string; buildId: string } | null;
}

/** How much longer than the grace a worker may take to end, in milliseconds: tools that ignore their signal. */
const FORCE_AFTER_GRACE_MS = 10_000;

/** The SDK reads it and its type does not show it. */
export interface ActivationLimit {
  isolateExecutionTimeout: number;
}

const nothing = (): void => undefined;

/** The sinks that workflow `run` calls. */
export const runSinks = (onRunBegins: (runId: string) => void): InjectedSinks<RunSinks> => ({
  durableRuns: { runStarted: { fn: (_info, runId) => onRunBegins(runId), callDuringReplay: false } },
});

export const workerOptions = (options: MakeWorkerOptions): WorkerOptions & ActivationLimit => {
  const { maxCachedRuns = 1_000, maxActivities = 500, shutdownGraceMs = 10_000, deployment = null } = options;
  return {
    connection: options.connection,
    namespace: options.namespace ?? 'default',
    taskQueue: options.taskQueue ?? DEFAULT_TASK_QUEUE,
    workflowBundle: options.workflows,
    activities: options.activities,
    sinks: runSinks(options.onRunBegins ?? nothing),
    maxCachedWorkflows: maxCachedRuns,
    maxConcurrentActivityTaskExecutions: maxActivities,
    // Follows the load in both directions; with fixed pollers the slowest percent waits twice as long.
    workflowTaskPollerBehavior: { type: 'autoscaling' },
    activityTaskPollerBehavior: { type: 'autoscaling' },
    isolateExecutionTimeout: ACTIVATION_MS,
    maxHeartbeatThrottleInterval: HEARTBEAT_THROTTLE_MS,
    // Tools without a heartbeat timeout send beats only to hear of a cancellation.
    defaultHeartbeatThrottleInterval: HEARTBEAT_THROTTLE_MS,
    shutdownGraceTime: shutdownGraceMs,
    shutdownForceTime: shutdownGraceMs + FORCE_AFTER_GRACE_MS,
    ...(options.dataConverter === undefined ? {} : { dataConverter: options.dataConverter }),
    ...(options.identity === undefined ? {} : { identity: options.identity }),
    ...(deployment === null
      ? {}
      : {
          workerDeploymentOptions: {
            useWorkerVersioning: true,
            version: { deploymentName: deployment.name, buildId: deployment.buildId },
            defaultVersioningBehavior: 'PINNED',
          },
        }),
  };
};

/** Creates the worker; `run()` starts it. Install the runtime first (`installRuntime`). */
export const makeWorker = async (options: MakeWorkerOptions): Promise<Worker> =>
  await Worker.create(workerOptions(options));

/**
 * Sends the SDK's logs through `log` and leaves process signals to the caller. Once per process, before the first
 * connection; a later call changes nothing, since the SDK has one runtime per process.
 */
export const installRuntime = (log: Logger): void => {
  try {
    Runtime.install({
      logger: temporalLogger(log),
      // Whoever composed the process knows what else has to end, and in which order.
      shutdownSignals: [],
      // Forwarded, or the SDK's core would write to stdout, where a command's one JSON document belongs.
      telemetryOptions: { logging: { filter: { core: 'WARN', other: 'ERROR' }, forward: {} } },
    });
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'IllegalStateError') throw error;
  }
};
