/**
 * The composition root of a worker: configuration in, a running worker out. It builds the parts that it is not given.
 *
 * Rule: the only place that joins backends, tools, activities and Temporal. Parts built here are closed here, in
 * reverse order, also when the start fails half-way; parts that were passed in belong to the caller.
 * Imported by `run-worker.ts`, by the app, the CLI and live tests.
 */
import { Client } from '@temporalio/client';
import type { DataConverter } from '@temporalio/common';
import { NativeConnection, type Worker } from '@temporalio/worker';
import { join } from 'node:path';
import {
  createActivities,
  noMetrics,
  noTools,
  type ActivityDeps,
  type HookContext,
  type Hooks,
  type FollowUpRunRequest,
  type McpServers,
  type Metrics,
  type ToolRegistry,
} from '../activities/index.ts';
import {
  ensureSearchAttributes,
  registerCommand,
  requireNamespace,
  RunsClient,
  temporalTarget,
  unreachable,
  type TemporalTarget,
} from '../client/index.ts';
import type { Logger } from '../protocol/index.ts';
import type { LearnedOfServer } from '../protocol/ports/model.ts';
import type { WebhookStore } from '../protocol/ports/webhook-store.ts';
import { workflowCode, type WorkflowCode } from './bundle.ts';
import type { Config, ConfigEnv } from './config.ts';
import { workerConverter } from './data-converter.ts';
import { Disposables } from './disposables.ts';
import { startFollowUpAssistantsRun } from './follow-up-runs.ts';
import { makeLog } from './log.ts';
import { prometheusMetrics } from './metrics.ts';
import { serveMetrics } from './serve-metrics.ts';
import type { Telemetry } from './telemetry/types.ts';
import { joinMcpServers } from './mcp/mcp-file.ts';
import { loadToolsFile } from './tools-file.ts';
import { openWebhooks } from './webhooks.ts';
import { HEARTBEAT_THROTTLE_MS, installRuntime, makeWorker } from './worker.ts';

/** Parts of a worker. `startWorker` builds those that have a default. */
export interface WorkerDependencies {
  /** TEMPORAL_… and RUNS_TASK_QUEUE are read from it. Default: the process's. */
  env?: ConfigEnv;
  /** The Temporal server; default: the one of the environment. */
  temporal?: TemporalTarget;
  backends: ActivityDeps['backends'];
  /** Starts follow-up runs on the chat backend; on `assistants` the worker does it itself. */
  startFollowUpRun?: (
    request: FollowUpRunRequest,
    context: HookContext,
    /** The worker's own client. */
    client: RunsClient,
  ) => Promise<{ runId: string }>;
  /** The outbox of webhooks; without it the worker sends none. */
  webhookStore?: WebhookStore;
  /** Default: the file that the configuration names, else none. */
  tools?: ToolRegistry;
  /** Default: the file's export `hooks`. Called for runs that were started with hooks. */
  hooks?: Hooks;
  /** Default: the module of RUNS_DATA_CONVERTER. RUNS_ENCRYPTION_KEYS adds its codec to both. */
  dataConverter?: DataConverter;
  /** Default: the build's bundle, else one made now and cached in the data directory. */
  workflows?: WorkflowCode;
  /** Default: nothing is exported. Stays the caller's to close. */
  telemetry?: Telemetry | null;
  log?: Logger;
}

/** A worker that polls its task queue. */
export interface RunningWorker {
  /** Resolves when the worker has ended after `stop`; rejects when it ends by itself. */
  readonly done: Promise<void>;
  readonly taskQueue: string;
  readonly namespace: string;
  readonly address: string;
  readonly tools: readonly string[];
  readonly metricsUrl: string | null;
  /** What its backends have learned of their model servers so far. */
  learned(): LearnedOfServer[];
  /** The worker's own client: a run that it starts begins in this worker at once. Closed with the worker. */
  readonly client: RunsClient;
  /** Drains: the worker polls no more; running work has the grace time, then goes to other workers. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Builds and starts a worker; it polls when this resolves.
 * Throws `RunsError`: `config` (tools, converter, ports), `temporal_unavailable`.
 */
export const startWorker = async (config: Config, parts: WorkerDependencies): Promise<RunningWorker> => {
  const log = parts.log ?? makeLog(config.logLevel);
  const cleanup = new Disposables(log);
  try {
    return await start(config, parts, log, cleanup);
  } catch (error) {
    await cleanup.run();
    throw error;
  }
};

const connect = async (target: TemporalTarget): Promise<NativeConnection> => {
  try {
    return await NativeConnection.connect(target.connectionOptions);
  } catch (error) {
    throw unreachable(error, target);
  }
};

/** The user's tools, hooks and converter, and the workflows that are bundled for them. */
const loadUserCode = async (config: Config, parts: WorkerDependencies, log: Logger) => {
  const file = config.toolsFile === null ? null : await loadToolsFile(config.toolsFile);
  const tools = parts.tools ?? file?.tools ?? noTools();
  const mcp = await joinMcpServers(tools, config.mcpFile);
  const hooks = parts.hooks ?? file?.hooks;
  const converter = await workerConverter(parts.env ?? process.env, parts.dataConverter, log);
  const workflows =
    parts.workflows ?? (await workflowCode({ cacheDir: join(config.dataDir, 'cache'), ...converter }));
  return { tools, mcp, hooks: hooks === undefined ? {} : { hooks }, converter, workflows };
};

/** Counts where the figures have a reader: Prometheus at the port of the configuration, or a collector. */
const openMetrics = async (
  { host, metricsPort }: Config,
  learned: () => LearnedOfServer[],
  telemetry: Telemetry | null,
  cleanup: Disposables,
): Promise<{ metrics: Pick<ActivityDeps, 'metrics'>; url: string | null }> => {
  const traced = (metrics: Metrics): Metrics => telemetry?.tracing(metrics) ?? metrics;
  const exports = telemetry?.exportsMetrics === true;
  if (metricsPort === null && !exports)
    return { metrics: telemetry === null ? {} : { metrics: traced(noMetrics) }, url: null };
  const { metrics, registry } = prometheusMetrics(learned);
  if (exports) telemetry.exportMetrics(registry);
  if (metricsPort === null) return { metrics: { metrics: traced(metrics) }, url: null };
  const endpoint = await serveMetrics(registry, host, metricsPort);
  cleanup.add('metrics', () => endpoint.close());
  return { metrics: { metrics: traced(metrics) }, url: endpoint.url };
};

/** The worker's own client. */
const clientOver = (
  connection: NativeConnection,
  { namespace, taskQueue, address }: TemporalTarget,
  { deployment }: Config,
  converter: { dataConverter?: DataConverter },
  telemetry: Telemetry | null,
): RunsClient => {
  const interceptors = telemetry === null ? {} : { interceptors: telemetry.clientInterceptors };
  return new RunsClient({
    client: new Client({ connection, namespace, ...converter, ...interceptors }),
    taskQueue,
    address,
    // An eager start is not routed: a build that is not current would take runs that are meant for the current one.
    eagerStart: deployment === null,
  });
};

const start = async (
  config: Config,
  parts: WorkerDependencies,
  log: Logger,
  cleanup: Disposables,
): Promise<RunningWorker> => {
  const target =
    parts.temporal ??
    temporalTarget({ taskQueue: config.taskQueue, ...(parts.env === undefined ? {} : { env: parts.env }) });
  const { namespace, taskQueue, address } = target;
  // The user's files come first: their problems should be reported without a server.
  const user = await loadUserCode(config, parts, log);
  const learned = (): LearnedOfServer[] =>
    Object.values(parts.backends).flatMap((backend) => backend.learned?.() ?? []);
  const { telemetry = null } = parts;
  const { metrics, url: metricsUrl } = await openMetrics(config, learned, telemetry, cleanup);
  const { tools, ...servers } = await connectServers(user.tools, user.mcp, log, cleanup);
  installRuntime(log);
  const connection = await connect(target);
  cleanup.add('connection', () => connection.close());
  await requireNamespace(connection, target);
  await reportSearchAttributes(connection, namespace, log);
  const client = clientOver(connection, target, config, user.converter, telemetry);
  cleanup.add('client', () => client.close());

  const webhooks = parts.webhookStore === undefined ? null : openWebhooks(config, parts.webhookStore);
  if (webhooks !== null) cleanup.add('webhooks', () => webhooks.close());

  const activities = createActivities({
    backends: parts.backends,
    tools,
    ...servers,
    log,
    maxHeartbeatThrottleMs: HEARTBEAT_THROTTLE_MS,
    startFollowUpRun: async (request, context) =>
      request.backend === 'assistants' || parts.startFollowUpRun === undefined
        ? await startFollowUpAssistantsRun(client, request)
        : await parts.startFollowUpRun(request, context, client),
    ...user.hooks,
    ...(webhooks === null ? {} : { webhooks }),
    ...metrics,
  });
  const { workflows, converter } = user;
  const { maxCachedRuns, maxActivities, shutdownGraceMs, deployment } = config;
  const limits = {
    maxCachedRuns,
    maxActivities,
    shutdownGraceMs,
    deployment,
    ...(telemetry === null ? {} : { telemetry }),
  };
  const worker = await createWorker(target, () =>
    makeWorker({ connection, namespace, taskQueue, workflows, activities, ...limits, ...converter }),
  );
  const done = finish(worker, log, cleanup);
  return {
    done,
    taskQueue,
    namespace,
    address,
    tools: tools.names,
    metricsUrl,
    learned,
    client,
    stop: async () => {
      if (worker.getState() === 'RUNNING') worker.shutdown();
      await done;
    },
  };
};

/** Without servers nothing is loaded. */
const connectServers = async (
  own: ToolRegistry,
  servers: McpServers,
  log: Logger,
  cleanup: Disposables,
): Promise<Pick<ActivityDeps, 'tools' | 'toolServers'>> => {
  if (Object.keys(servers).length === 0) return { tools: own };
  const { startMcpServers } = await import('./mcp/start-servers.ts');
  const started = await startMcpServers(own, servers, { log });
  cleanup.add('MCP servers', () => started.close());
  return { tools: started.tools, toolServers: () => started.status() };
};

const createWorker = async (target: TemporalTarget, make: () => Promise<Worker>): Promise<Worker> => {
  try {
    return await make();
  } catch (error) {
    throw unreachable(error, target);
  }
};

/** Runs the worker to its end and closes its parts. */
const finish = (worker: Worker, log: Logger, cleanup: Disposables): Promise<void> => {
  const run = async () => {
    try {
      await worker.run();
    } catch (error) {
      // Work that ignored its signal through the grace time goes to another worker; this worker has not failed.
      if (!(error instanceof Error) || error.name !== 'GracefulShutdownPeriodExpiredError') throw error;
      log.warn({}, 'the worker stopped while attempts still ran: another worker repeats them');
    } finally {
      await cleanup.run();
    }
  };
  const done = run();
  // The caller of `done` receives the failure; until then it must not end the process as an unhandled rejection.
  done.catch(() => undefined);
  return done;
};

const reportSearchAttributes = async (
  connection: NativeConnection,
  namespace: string,
  log: Logger,
): Promise<void> => {
  const state = await ensureSearchAttributes(connection, namespace);
  if (state.available) return;
  const reason =
    state.problem ??
    (state.missing.length > 0
      ? `missing: ${state.missing.join(', ')}`
      : `of another type: ${state.mistyped.map(({ name }) => name).join(', ')}`);
  log.warn(
    { reason, namespace },
    `runs can't be found by status or wait in Temporal: search attributes are not available${
      state.missing.length === 0
        ? ''
        : `; an operator can add them: ${registerCommand(state.missing, namespace)}`
    }`,
  );
};
