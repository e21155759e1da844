/**
 * Public entry of the worker (`durable-runs/worker`): define tools, run workers.
 *
 * Rule: what a tools file imports is light; everything that a program needs to run a worker is exported here.
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
  type FollowUpRunRequest,
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
export { startWorker, type RunningWorker, type WorkerDependencies } from './start-worker.ts';
export { describeConfig, redactUrl } from './describe-config.ts';
export {
  configFromEnv,
  configErrors,
  storeFor,
  type BackendName,
  type Config,
  type ConfigEnv,
  type LogLevel,
  type Role,
} from './config.ts';
export { configWarnings } from './config-warnings.ts';
export { dataConverterOf, loadDataConverter } from './data-converter.ts';
export { isAllowedLogField as allowedLogFields, makeLog } from './log.ts';
export { runWorker, type RunWorkerOptions } from './run-worker.ts';
export { throwConfigErrors } from './config-errors.ts';
export { prometheusMetrics, serveMetrics, type MetricsEndpoint, type PrometheusMetrics } from './metrics.ts';
export { hooksOf, loadTools, loadToolsFile, type ToolsFile } from './tools-file.ts';
export { HEARTBEAT_THROTTLE_MS, installRuntime, makeWorker, type MakeWorkerOptions } from './worker.ts';
