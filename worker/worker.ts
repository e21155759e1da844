/**
 * `makeWorker`: one Temporal worker with this project's settings.
 *
 * Rule: every number with a consequence is set here, with its reason, and can be overridden; the SDK's defaults are
 * used only where nothing depends on them.
 * Imported by the composition root, tests and benchmarks.
 */
import type { DataConverter } from '@temporalio/common';
import { Runtime, Worker, type NativeConnection, type WorkerOptions } from '@temporalio/worker';
import type { WorkerActivities } from '../activities/index.ts';
import { DEFAULT_TASK_QUEUE, type Logger } from '../protocol/index.ts';
import type { WorkflowCode } from './bundle.ts';
import { temporalLogger } from './log.ts';
import { noTraceSinks } from './telemetry/no-trace-sinks.ts';
import type { WorkerTelemetry } from './telemetry/types.ts';

/**
 * Heartbeats reach the server at most this often, and a cancellation reaches an activity in the reply: a cancelled tool
 * runs on for this long. Activities need the number to know how old the server's information about them may be.
 */
export const HEARTBEAT_THROTTLE_MS = 2_000;

/**
 * Time limit of one activation of workflow code. A flood of signals on a busy machine can exceed the SDK's 5 s (half a
 * millisecond each), and an interrupted activation can end the whole process: Node aborts when it is stopped inside of
 * a promise hook. The sandbox runs no user code, so this only guards against an endless loop.
 */
export const ACTIVATION_MS = 60_000;

export interface MakeWorkerOptions {
  connection: NativeConnection;
  /** Default `default`. */
  namespace?: string;
  /** Default `runs`. */
  taskQueue?: string;
  activities: WorkerActivities;
  workflows: WorkflowCode;
  dataConverter?: DataConverter;
  /**
   * Runs kept in memory while they wait; others are replayed when they wake. Default 500, as many as activities at a time; 0 replays at
   * every step.
   */
  maxCachedRuns?: number;
  /** Runs followed and tools run at a time. Default 500. */
  maxActivities?: number;
  /** How long running work may go on after `shutdown()`, in milliseconds. Default 10,000. */
  shutdownGraceMs?: number;
  identity?: string;
  /** Pins each run to the worker version it started on. Default: unversioned. */
  deployment?: { name: string; buildId: string } | null;
  /** Where spans go. Default: nowhere. */
  telemetry?: Pick<WorkerTelemetry, 'activityInterceptors' | 'sinks'>;
}

/**
 * How much longer than the grace time a worker may take to end, in milliseconds, for tools that ignore their signal.
 */
const FORCE_AFTER_GRACE_MS = 10_000;

/** The SDK reads this option; its type does not list it. */
export interface ActivationLimit {
  isolateExecutionTimeout: number;
}

export const workerOptions = (options: MakeWorkerOptions): WorkerOptions & ActivationLimit => {
  const { maxCachedRuns = 500, maxActivities = 500, shutdownGraceMs = 10_000, deployment = null } = options;
  return {
    connection: options.connection,
    namespace: options.namespace ?? 'default',
    taskQueue: options.taskQueue ?? DEFAULT_TASK_QUEUE,
    workflowBundle: options.workflows,
    activities: options.activities,
    maxCachedWorkflows: maxCachedRuns,
    maxConcurrentActivityTaskExecutions: maxActivities,
    // Follows the load in both directions; with fixed pollers the slowest percent waits twice as long.
    workflowTaskPollerBehavior: { type: 'autoscaling' },
    activityTaskPollerBehavior: { type: 'autoscaling' },
    isolateExecutionTimeout: ACTIVATION_MS,
    maxHeartbeatThrottleInterval: HEARTBEAT_THROTTLE_MS,
    // Tools without a heartbeat timeout send heartbeats only to receive a cancellation.
    defaultHeartbeatThrottleInterval: HEARTBEAT_THROTTLE_MS,
    shutdownGraceTime: shutdownGraceMs,
    shutdownForceTime: shutdownGraceMs + FORCE_AFTER_GRACE_MS,
    sinks: options.telemetry?.sinks ?? noTraceSinks,
    ...(options.telemetry === undefined
      ? {}
      : { interceptors: { activity: [options.telemetry.activityInterceptors] } }),
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
      // The code that composed the process closes its other parts, in the right order.
      shutdownSignals: [],
      // Forwarded, because the SDK's core would write to stdout, which belongs to a command's JSON document.
      telemetryOptions: { logging: { filter: { core: 'WARN', other: 'ERROR' }, forward: {} } },
    });
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'IllegalStateError') throw error;
  }
};
