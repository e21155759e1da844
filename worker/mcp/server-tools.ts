/**
 * The list of an MCP server → the tools that the worker has. Pure but for `execute`, which is handed in.
 *
 * Rule: a tool that can't be offered is left out and said, with the reason; it never takes another one with it.
 * Imported within `worker/mcp/` and by tests.
 */
import {
  foreignParameters,
  mcpToolName,
  toDefinition,
  TOOL_DEFAULTS,
  type McpServerOptions,
  type ToolContext,
  type ToolDefinition,
} from '../../activities/index.ts';
import { ARGUMENT_LIMITS, MCP_LIMITS, quote, type JsonSchema } from '../../protocol/index.ts';
import type { McpTool } from './load-sdk.ts';
import { mcpToolPolicy } from './tool-policy.ts';

export interface ServerTools {
  /** By the name that runs and models use. */
  tools: ReadonlyMap<string, ToolDefinition>;
  /** For the operator: what was left out and why, options that fit nothing. */
  notes: readonly string[];
}

export type MakeExecute = (
  tool: McpTool,
  maxOutputBytes: number,
) => (args: Record<string, unknown>, context: ToolContext) => Promise<unknown>;

const depthOf = (value: unknown): number => {
  let deepest = 0;
  const open: { value: unknown; depth: number }[] = [{ value, depth: 0 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    deepest = Math.max(deepest, next.depth);
    if (typeof next.value !== 'object' || next.value === null) continue;
    for (const item of Object.values(next.value)) open.push({ value: item, depth: next.depth + 1 });
  }
  return deepest;
};

const schemaOf = ({ inputSchema }: McpTool): JsonSchema => {
  const { $schema: _dialect, ...schema } = inputSchema as JsonSchema;
  return schema['properties'] === undefined ? { ...schema, properties: {} } : schema;
};

const whyLeftOut = (tool: McpTool): string | undefined => {
  const schema = schemaOf(tool);
  if (schema['type'] !== 'object') return 'its arguments are not an object';
  const depth = depthOf(schema);
  if (depth > ARGUMENT_LIMITS.depth)
    return `its schema is nested ${depth} levels deep, more than ${ARGUMENT_LIMITS.depth}`;
  const { length } = JSON.stringify(schema);
  return length > MCP_LIMITS.schemaChars
    ? `its schema has ${length} characters, more than ${MCP_LIMITS.schemaChars}`
    : undefined;
};

const describe = ({ description, title, annotations, name }: McpTool): string => {
  const text = [description, title, annotations?.title, name].find(
    (item) => item !== undefined && item.trim() !== '',
  );
  const whole = text ?? name;
  return whole.length > MCP_LIMITS.descriptionChars
    ? `${whole.slice(0, MCP_LIMITS.descriptionChars - 1)}…`
    : whole;
};

const definitionOf = (
  name: string,
  tool: McpTool,
  options: McpServerOptions,
  makeExecute: MakeExecute,
): ToolDefinition => {
  const schema = schemaOf(tool);
  const policy = mcpToolPolicy(tool, options);
  return toDefinition(
    name,
    {
      ...policy,
      description: describe(tool),
      parameters: foreignParameters(schema),
      execute: makeExecute(tool, policy.maxOutputBytes ?? TOOL_DEFAULTS.maxOutputBytes),
    },
    schema,
  );
};

/** Names in options that the server does not have: most likely misspelled, or renamed over there. */
const unknownOptionNames = (
  listed: readonly McpTool[],
  { include = [], exclude = [], tools = {} }: McpServerOptions,
): string[] => {
  const known = new Set(listed.map(({ name }) => name));
  return Object.entries({ include, exclude, tools: Object.keys(tools) }).flatMap(([option, names]) =>
    names
      .filter((name) => !known.has(name))
      .map((name) => `${option} names ${quote(name)}, which the server does not have`),
  );
};

export const serverTools = (
  server: string,
  listed: readonly McpTool[],
  options: McpServerOptions,
  makeExecute: MakeExecute,
): ServerTools => {
  const { include, exclude = [] } = options;
  const notes = unknownOptionNames(listed, options);
  const byName = new Map<string, McpTool[]>();
  for (const tool of listed) {
    if (exclude.includes(tool.name) || include?.includes(tool.name) === false) continue;
    const why = whyLeftOut(tool);
    const name = mcpToolName(server, tool.name);
    if (why === undefined) byName.set(name, [...(byName.get(name) ?? []), tool]);
    else notes.push(`${quote(tool.name)} is left out: ${why}`);
  }
  const tools = new Map<string, ToolDefinition>();
  for (const [name, [tool, ...others]] of byName) {
    if (tool === undefined) continue;
    if (others.length > 0)
      notes.push(
        `${[tool, ...others].map((one) => quote(one.name)).join(' and ')} are left out: each would be named ${quote(name)}; exclude all but one of them`,
      );
    else if (tools.size >= MCP_LIMITS.tools)
      notes.push(
        `${quote(tool.name)} is left out: a server may have ${MCP_LIMITS.tools} tools; choose by include`,
      );
    else tools.set(name, definitionOf(name, tool, options, makeExecute));
  }
  return { tools, notes };
};
