/**
 * All activities of a worker, made from its dependencies.
 *
 * Rule: the names are the protocol's. A tool needs no registration with Temporal: one handler receives every type
 * `tool.<name>`, and a name that this worker does not have is a failure that a deployment repairs.
 * Imported by the worker (at run time) and by workflow code (types only, by way of the protocol).
 */
import { Context } from '@temporalio/activity';
import {
  BackendError,
  FAILURES,
  TOOL_ACTIVITY_PREFIX,
  readToolCall,
  showArguments,
  type RunActivities,
  type OutcomePayload,
  type ToolCallPayload,
  type WebhookActivities,
  type WorkerToolsActivities,
} from '../protocol/index.ts';
import { backendActivities } from './backend-activities.ts';
import type { ActivityDeps } from './dependencies.ts';
import { throwFailure, fromBackendError } from './failure.ts';
import { hookContext, runHook } from './hooks.ts';
import { systemClock } from './lease.ts';
import { noMetrics } from './metrics.ts';
import { listTools } from './tools/list-tools.ts';
import { runTool } from './tools/execute-tool.ts';
import { webhookActivities } from './webhooks/send.ts';

export type WorkerActivities = RunActivities &
  WorkerToolsActivities &
  WebhookActivities & {
    /** Serves every activity type without a function of its own: the tools. */
    default: (input: ToolCallPayload) => Promise<OutcomePayload>;
  };

export const createActivities = (deps: ActivityDeps): WorkerActivities => {
  const tools = {
    tools: deps.tools,
    log: deps.log,
    metrics: deps.metrics ?? noMetrics,
    clock: deps.clock ?? systemClock,
  };
  return {
    ...backendActivities(deps),
    ...webhookActivities(deps.webhooks),
    notifyWaiting: async (notice) => {
      const calls = notice.calls.map((call) => ({ ...call, shown: showArguments(call.arguments) }));
      const { hooks } = deps;
      if (hooks?.onWaiting !== undefined)
        await runHook('onWaiting', notice.runId, (context) =>
          hooks.onWaiting?.({ ...notice, calls }, context),
        );
    },
    listTools: async () => listTools(deps.tools),
    listToolServers: async () => deps.toolServers?.() ?? [],
    notifyEnd: async (result) => {
      const { hooks } = deps;
      if (hooks?.onEnd !== undefined)
        await runHook('onEnd', result.runId, (context) => hooks.onEnd?.(result, context));
    },
    startFollowUpRun: async ({ backend, newRunId, of, callId, message }) => {
      try {
        return await deps.startFollowUpRun({ backend, newRunId, of, callId, message }, hookContext());
      } catch (error) {
        throw error instanceof BackendError ? fromBackendError(error) : error;
      }
    },
    default: async (input) => {
      const { info } = Context.current();
      const { activityType, workflowExecution } = info;
      if (!activityType.startsWith(TOOL_ACTIVITY_PREFIX)) {
        throw throwFailure(
          FAILURES.toolNotRegistered,
          `This worker has no activity ${JSON.stringify(activityType)}: it is older than the workflow that asks for it. Deploy the same version everywhere.`,
          { retryable: true },
        );
      }
      const tool = activityType.slice(TOOL_ACTIVITY_PREFIX.length);
      const call = readToolCall(input, {
        workflowId: workflowExecution?.workflowId ?? '',
        tool,
        endsBy: info.scheduledTimestampMs + info.scheduleToCloseTimeoutMs,
      });
      return await runTool(tools, call);
    },
  };
};

export type { ActivityDeps, HookContext, Hooks, FollowUpRunRequest } from './dependencies.ts';
export type { LeaseClock } from './lease.ts';
export { noMetrics, type Metrics, type ToolAttemptOutcome } from './metrics.ts';
export {
  defineTools,
  isToolRegistry,
  noTools,
  toDefinition,
  toJSONSchema,
  TOOL_DEFAULTS,
  type DefineToolsOptions,
} from './tools/define.ts';
export { toFunctionTool } from './tools/json-schema.ts';
export { foreignParameters } from './tools/foreign-schema.ts';
export { mcpPrefix, mcpServerOf, mcpToolName } from './tools/mcp-names.ts';
export { planCalls } from './tools/plan-calls.ts';
export { NoAnswerError, ToolError } from './tools/tool-error.ts';
export { errorOutcome, limitOutput, MadeOutcome } from './tools/tool-output.ts';
export { mcpProblems } from './tools/validate-mcp.ts';
export type {
  DurationText,
  McpHeaders,
  McpServerOptions,
  McpServers,
  McpToolOptions,
  RetryOptions,
  ToolContext,
  ToolDefinition,
  ToolOptions,
  ToolRegistry,
} from './tools/types.ts';
