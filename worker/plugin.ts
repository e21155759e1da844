/**
 * `DurableRunsPlugin`: runs on a worker, client and workflow bundle that a program already has.
 *
 * Rule: it adds and never replaces. Workflows and activities of the program stay; a name that both have is refused. What the
 * program set itself (heartbeat throttles, its own bundle) stands. The program owns backends and connections and closes them.
 * Imported by the public face of the worker.
 */
import { Context } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import type { DataConverter } from '@temporalio/common';
import { SimplePlugin } from '@temporalio/plugin';
import type { BundleOptions as SdkBundleOptions, WorkerOptions } from '@temporalio/worker';
import { fileURLToPath } from 'node:url';
import {
  createActivities,
  noTools,
  type ActivityDeps,
  type FollowUpRunRequest,
  type HookContext,
  type Hooks,
  type ToolRegistry,
  type WorkerActivities,
} from '../activities/index.ts';
import { RunsClient } from '../client/index.ts';
import { RunsError, TOOL_ACTIVITY_PREFIX, type Logger } from '../protocol/index.ts';
import { WORKFLOWS_MODULE } from '../workflows/location.ts';
import { sharedModules } from './bundle.ts';
import { startFollowUpAssistantsRun } from './follow-up-runs.ts';
import { makeLog } from './log.ts';
import { HEARTBEAT_THROTTLE_MS } from './worker.ts';

/** What `DurableRunsPlugin` adds to the program's worker, client and bundle. */
export interface DurableRunsPluginOptions {
  /** Where runs execute: `createAssistantsBackend(…)`, or those of `productionBackends(config)`. */
  backends: ActivityDeps['backends'];
  /** Default: none, so that every call is answered from outside. */
  tools?: ToolRegistry;
  /** Called for runs that were started with them asked for. */
  hooks?: Hooks;
  /** Starts the run that carries a late answer, on the chat backend; `productionBackends(config)` has it. */
  startFollowUpRun?: (
    request: FollowUpRunRequest,
    context: HookContext,
    client: RunsClient,
  ) => Promise<{ runId: string }>;
  /** Of worker and client, when the program has set none. */
  dataConverter?: DataConverter;
  /** Default: warnings and errors as JSON lines on stderr. */
  log?: Logger;
}

type ActivityFunction = (...args: unknown[]) => Promise<unknown>;

const workflowFile = (name: string): string => fileURLToPath(new URL(name, WORKFLOWS_MODULE));
/** The program's entry, as `workflows/beside.cjs` requires it. */
const OWN_WORKFLOWS = 'durable-runs-own-workflows';
const WORKFLOWS_BESIDE_OWN = workflowFile('beside.cjs');
const ONLY_RUNS = workflowFile(WORKFLOWS_MODULE.endsWith('.ts') ? 'index.ts' : 'index.js');

/** For `plugins` of a connection, a client, a worker, or `bundleWorkflowCode`. */
export class DurableRunsPlugin extends SimplePlugin {
  readonly #runs: DurableRunsPluginOptions;

  constructor(options: DurableRunsPluginOptions) {
    super({
      name: 'durable-runs.DurableRunsPlugin',
      ...(options.dataConverter === undefined ? {} : { dataConverter: options.dataConverter }),
    });
    if (options.backends.chat !== undefined && options.startFollowUpRun === undefined)
      throw new RunsError(
        'config',
        'DurableRunsPlugin has the backend "chat" and no startFollowUpRun, which starts the run of a late answer. Pass what productionBackends(config) returns, which has both.',
      );
    const servers = Object.keys(options.tools?.servers ?? {});
    if (servers.length > 0)
      throw new RunsError(
        'config',
        `DurableRunsPlugin connects to no MCP servers, and its tools name ${JSON.stringify(servers)}. Run these tools on a worker of "runs worker" or startWorker, or leave the servers out.`,
      );
    this.#runs = options;
  }

  /** The client of runs over the program's own, for the task queue of the worker that has this plugin. */
  runsClient(client: Client, taskQueue: string): RunsClient {
    return new RunsClient({ client, taskQueue });
  }

  override configureWorker(options: WorkerOptions): WorkerOptions {
    const configured = super.configureWorker(options);
    const throttle = options.maxHeartbeatThrottleInterval ?? HEARTBEAT_THROTTLE_MS;
    const bundles = options.workflowBundle !== undefined || options.workflowsPath !== undefined;
    return {
      ...configured,
      ...(bundles ? {} : { workflowsPath: ONLY_RUNS }),
      activities: withOwnActivities(options.activities, this.#activities(throttle)),
      maxHeartbeatThrottleInterval: throttle,
      defaultHeartbeatThrottleInterval: options.defaultHeartbeatThrottleInterval ?? throttle,
    };
  }

  override configureBundler(options: SdkBundleOptions): SdkBundleOptions {
    const base = super.configureBundler(options);
    const configured = { ...base, preloadModules: [...(base.preloadModules ?? []), ...sharedModules()] };
    const own = configured.workflowsPath;
    if (own === ONLY_RUNS || own === WORKFLOWS_BESIDE_OWN) return configured;
    const hook = configured.webpackConfigHook ?? ((config) => config);
    return {
      ...configured,
      workflowsPath: WORKFLOWS_BESIDE_OWN,
      webpackConfigHook: (config) => {
        const { resolve = {}, ...rest } = hook(config);
        const { alias = {} } = resolve;
        const withOwn = Array.isArray(alias)
          ? [...alias, { name: OWN_WORKFLOWS, alias: own, onlyModule: true }]
          : { ...alias, [`${OWN_WORKFLOWS}$`]: own };
        return { ...rest, resolve: { ...resolve, alias: withOwn } };
      },
    };
  }

  #activities(
    maxHeartbeatThrottle: NonNullable<WorkerOptions['maxHeartbeatThrottleInterval']>,
  ): WorkerActivities {
    const { backends, tools = noTools(), hooks, log = makeLog('warn'), startFollowUpRun } = this.#runs;
    return createActivities({
      backends,
      tools,
      log,
      // A duration in words is the program's own; tools then assume the SDK's throttle.
      ...(typeof maxHeartbeatThrottle === 'number' ? { maxHeartbeatThrottleMs: maxHeartbeatThrottle } : {}),
      ...(hooks === undefined ? {} : { hooks }),
      startFollowUpRun: async (request, context) => {
        const { client, info } = Context.current();
        const runs = this.runsClient(client, info.taskQueue);
        if (request.backend === 'assistants' || startFollowUpRun === undefined)
          return await startFollowUpAssistantsRun(runs, request);
        return await startFollowUpRun(request, context, runs);
      },
    });
  }
}

/** The program's activities and ours. Its `default`, if it has one, keeps every name that is no tool. */
const withOwnActivities = (own: object | undefined, ours: WorkerActivities): object => {
  const theirs = (own ?? {}) as Record<string, ActivityFunction>;
  const taken = Object.keys(theirs).filter((name) => name !== 'default' && name in ours);
  if (taken.length > 0)
    throw new RunsError(
      'config',
      `The worker defines activities ${JSON.stringify(taken)}, whose names belong to DurableRunsPlugin. Rename the worker's, or run the plugin on a worker of its own.`,
    );
  const fallback = theirs['default'];
  if (fallback === undefined) return { ...theirs, ...ours };
  return {
    ...theirs,
    ...ours,
    default: async (...args: Parameters<WorkerActivities['default']>): Promise<unknown> =>
      Context.current().info.activityType.startsWith(TOOL_ACTIVITY_PREFIX)
        ? await ours.default(...args)
        : await fallback(...args),
  };
};
