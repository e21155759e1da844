/**
 * `defineTools`: a user's tools, checked once and frozen, each with its retry policy.
 *
 * Rule: one error at definition lists every problem of every tool. A registry that exists is valid, and is not checked
 * again while runs are going.
 * Imported by the worker (which re-exports it to users) and by tests.
 */
import type { z } from 'zod';
import {
  parseDuration,
  RunsError,
  type FunctionTool,
  type JsonSchema,
  type ToolPolicy,
  type WaitPolicy,
} from '../../protocol/index.ts';
import { foreignEditSchema } from './foreign-schema.ts';
import { toEditSchema, toFunctionTool } from './json-schema.ts';
import { approvalCondition, approvalOption, approversOf } from './approval-options.ts';
import { toolProblems } from './validate-options.ts';
import { mcpProblems } from './validate-mcp.ts';
import type { DurationText, McpServers, ToolDefinition, ToolOptions, ToolRegistry } from './types.ts';

/** Defaults of every tool; documented at the options. */
export const TOOL_DEFAULTS = {
  maximumAttempts: 5,
  initialIntervalMs: 1_000,
  backoffCoefficient: 2,
  maximumIntervalMs: 60_000,
  startToCloseMs: 300_000,
  maxOutputBytes: 65_536,
} as const;

/** Marks registries across copies of this module: a tools file may have loaded another copy. */
const REGISTRY_SYMBOL = Symbol.for('durable-runs.tool-registry');

const ms = (value: DurationText | undefined, fallback: number): number => parseDuration(value) ?? fallback;

const toPolicy = (options: ToolOptions): ToolPolicy => {
  const { retry = {}, atMostOnce = false } = options;
  return {
    maximumAttempts: atMostOnce ? 1 : (retry.maximumAttempts ?? TOOL_DEFAULTS.maximumAttempts),
    initialIntervalMs: ms(retry.initialInterval, TOOL_DEFAULTS.initialIntervalMs),
    backoffCoefficient: retry.backoffCoefficient ?? TOOL_DEFAULTS.backoffCoefficient,
    maximumIntervalMs: ms(retry.maximumInterval, TOOL_DEFAULTS.maximumIntervalMs),
    startToCloseMs: ms(options.timeout, TOOL_DEFAULTS.startToCloseMs),
    heartbeatMs: options.heartbeat === undefined ? null : ms(options.heartbeat, 0),
    atMostOnce,
  };
};

const toWait = (options: ToolOptions): WaitPolicy => ({
  onDeadline: options.onDeadline ?? 'fail',
  answerWithinMs: options.answerWithin === undefined ? null : ms(options.answerWithin, 0),
});

/** `schema`: the parameters as an MCP server wrote them, in the place of what `options.parameters` tell. */
export const toDefinition = (
  name: string,
  options: ToolOptions,
  schema: JsonSchema | null = null,
): ToolDefinition => {
  const needsApproval = approvalCondition(options);
  const toEdit = () => (schema === null ? toEditSchema(options.parameters) : foreignEditSchema(schema));
  return Object.freeze({
    name,
    description: options.description,
    parameters: options.parameters,
    output: options.output ?? null,
    // Called on the options, so that a tool written as a method has its own object as `this`.
    execute:
      'execute' in options && options.execute !== undefined
        ? (args, context) => options.execute?.(args as Record<string, unknown>, context)
        : null,
    policy: Object.freeze(toPolicy(options)),
    wait: Object.freeze(toWait(options)),
    needsApproval,
    approvers: approversOf(approvalOption(options)),
    external: options.external ?? false,
    maxOutputBytes: options.maxOutputBytes ?? TOOL_DEFAULTS.maxOutputBytes,
    schema,
    editSchema: needsApproval === false ? null : toEdit(),
  } satisfies ToolDefinition);
};

export interface DefineToolsOptions {
  /** MCP servers whose tools the worker offers beside its own, by name. */
  mcp?: McpServers;
}

/**
 * Defines a worker's tools: `defineTools({ name: { description, parameters: z.object({…}), execute(args, context) } })`.
 * Throws `RunsError('config')` that lists every problem with tool, option, value and fix.
 */
export const defineTools = <
  Parameters extends Record<string, z.ZodObject>,
  Output extends Record<keyof Parameters, z.ZodType>,
>(
  tools: { [Name in keyof Parameters]: ToolOptions<Parameters[Name], Output[Name]> },
  { mcp = {} }: DefineToolsOptions = {},
): ToolRegistry => {
  const entries = Object.entries(tools) as [string, ToolOptions][];
  const problems = [...toolProblems(entries), ...mcpProblems(mcp, Object.keys(tools))];
  if (problems.length > 0) {
    throw new RunsError(
      'config',
      `The tools can't be used:\n${problems.map((problem) => `- ${problem}`).join('\n')}`,
      { details: problems },
    );
  }
  const byName = new Map(entries.map(([name, options]) => [name, toDefinition(name, options)]));
  // Every turn of the model reads them; the schemas never change.
  let definitions: FunctionTool[] | undefined;
  const registry = {
    names: Object.freeze([...byName.keys()]),
    get: (name: string) => byName.get(name),
    definitions: () => (definitions ??= [...byName.values()].map(toFunctionTool)),
    servers: Object.freeze({ ...mcp }),
    [REGISTRY_SYMBOL]: true,
  };
  return Object.freeze(registry);
};

/** True for a result of `defineTools`, from this copy of the package or another. */
export const isToolRegistry = (value: unknown): value is ToolRegistry =>
  typeof value === 'object' && value !== null && REGISTRY_SYMBOL in value;

/** The assistant's `tools` array of a registry. */
export const toJSONSchema = (registry: ToolRegistry) => registry.definitions();

/** A worker without tools: every declared call is external. */
export const noTools = (): ToolRegistry => defineTools({});
