/**
 * Entry `durable-runs/worker`: define tools, run workers, or add runs to a worker that a program has.
 *
 * Rule: at most 25 names, each reported in `docs/reference/api/`. Rooms of the project import `index.ts`.
 */
export {
  defineTools,
  toJSONSchema,
  ToolError,
  type DurationText,
  type FollowUpRunRequest,
  type HookContext,
  type Hooks,
  type RetryOptions,
  type ToolContext,
  type ToolDefinition,
  type ToolOptions,
  type ToolRegistry,
} from '../activities/index.ts';
export { createAssistantsBackend, type AssistantsOptions } from '../backends/assistants/index.ts';
export { productionBackends, type ProductionBackends } from './backends.ts';
export { configFromEnv, type Config } from './config.ts';
export { DurableRunsPlugin, type DurableRunsPluginOptions } from './plugin.ts';
export { runWorker, type RunWorkerOptions } from './run-worker.ts';
export { startWorker, type RunningWorker, type WorkerDependencies } from './start-worker.ts';
