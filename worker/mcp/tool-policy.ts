/**
 * Options of an MCP server's tool: what the user says, else what the server's annotations say. Pure.
 *
 * Rule: the careful choice is the default. Only a tool that is marked read-only runs without an approval; only one that is
 * marked read-only or idempotent runs again after an attempt without an answer.
 * Imported within `worker/mcp/` and by tests.
 */
import type { McpServerOptions, McpToolOptions } from '../../activities/index.ts';
import type { McpTool } from './load-sdk.ts';

export const mcpToolPolicy = (
  { name, annotations = {} }: Pick<McpTool, 'name' | 'annotations'>,
  { toolDefaults = {}, tools = {} }: Pick<McpServerOptions, 'toolDefaults' | 'tools'>,
): McpToolOptions => {
  const said: McpToolOptions = { ...toolDefaults, ...(Object.hasOwn(tools, name) ? tools[name] : {}) };
  const readOnly = annotations.readOnlyHint === true;
  const repeatable = readOnly || annotations.idempotentHint === true;
  // To name a number of attempts is to say that another one is fine.
  const mayRepeat = (said.retry?.maximumAttempts ?? 1) !== 1;
  return {
    ...said,
    needsApproval: said.needsApproval ?? !readOnly,
    atMostOnce: said.atMostOnce ?? !(repeatable || mayRepeat),
  };
};
