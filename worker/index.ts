/**
 * Public face of the worker (`durable-runs/worker`): define tools, run workers.
 *
 * Rule: what a tools file needs loads nothing heavy by itself; everything a program needs to run a worker is named here.
 */
export {
  createActivities,
  defineTools,
  isToolRegistry,
  planCalls,
  toJSONSchema,
  TOOL_DEFAULTS,
  ToolError,
  type ActivityDeps,
  type DurationText,
  type HookContext,
  type Hooks,
  type LinkedRunRequest,
  type Metrics,
  type RetryOptions,
  type ToolContext,
  type ToolDefinition,
  type ToolOptions,
  type ToolRegistry,
  type WorkerActivities,
} from '../activities/index.ts';
export { productionBackends, type ProductionBackends } from './backends.ts';
export { workflowCode, type BundleOptions, type WorkflowCode } from './bundle.ts';
export { startWorker, type RunningWorker, type WorkerParts } from './compose.ts';
export { describe, shownUrl } from './config-shown.ts';
export {
  fromEnv,
  notes,
  problems,
  storeFor,
  type BackendName,
  type Config,
  type Env,
  type LogLevel,
  type Role,
} from './config.ts';
export { dataConverterOf, loadDataConverter } from './data-converter.ts';
export { allowed as allowedLogFields, makeLog } from './log.ts';
export { runWorker, type RunWorkerOptions } from './main.ts';
export { refuseProblems } from './refuse.ts';
export { prometheusMetrics, serveMetrics, type MetricsEndpoint, type PrometheusMetrics } from './metrics.ts';
export { hooksOf, loadTools, loadToolsFile, type ToolsFile } from './tools-file.ts';
export { HEARTBEAT_THROTTLE_MS, installRuntime, makeWorker, type MakeWorkerOptions } from './worker.ts';
