/**
 * Calls a tool of an MCP server: what `execute` is for the tools of a tools file.
 *
 * Rule: one request for each attempt, so Temporal alone repeats calls. The one exception is a session that the server has
 * forgotten: it did not look at the request, which is sent again in a new session.
 * Imported within `worker/mcp/`.
 */
import { errorOutcome, limitOutput, MadeOutcome, type ToolContext } from '../../activities/index.ts';
import type { JsonObject } from '../../protocol/index.ts';
import type { McpConnection } from './connection.ts';
import { callFailure, isConnectionFailure, isLostSession, whyNotConnected } from './failures.ts';
import type { McpClient, McpResult, McpSdk, McpTool } from './load-sdk.ts';
import { mcpResultText } from './result-text.ts';

/** Time ends by the activity's signal; this is the longest that a timer can be. Milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1;
const MAX_PROGRESS_CHARS = 500;

export interface CallDeps {
  server: string;
  sdk: McpSdk;
  connection: McpConnection;
  tool: McpTool;
  maxOutputBytes: number;
}

const request = async (
  { tool }: CallDeps,
  client: McpClient,
  args: JsonObject,
  context: ToolContext,
): Promise<McpResult> => {
  const broken = new AbortController();
  const { outputSchema: _unchecked, ...toolDefinition } = tool;
  return await client.callTool(
    {
      name: tool.name,
      arguments: args,
      _meta: { 'durable-runs/idempotency-key': context.idempotencyKey },
    },
    {
      signal: AbortSignal.any([context.signal, broken.signal]),
      timeout: MAX_TIMER_MS,
      // Without an output schema the SDK checks no output: the model reads what the server has sent.
      toolDefinition,
      onRequestStreamEnd: () => broken.abort(new Error('the answer broke off')),
      onprogress: ({ progress, total, message }) =>
        context.heartbeat({
          progress,
          ...(total === undefined ? {} : { total }),
          ...(message === undefined ? {} : { message: message.slice(0, MAX_PROGRESS_CHARS) }),
        }),
    },
  );
};

const toOutput = (deps: CallDeps, result: McpResult): unknown => {
  const text = mcpResultText(result);
  if (result.isError !== true) return text;
  // A result for the model, by the protocol: another attempt would get it again.
  const { text: shown } = limitOutput(text ?? 'The tool failed without a message.', deps.maxOutputBytes);
  return new MadeOutcome(errorOutcome('tool_failed', shown));
};

export const callMcpTool = async (
  deps: CallDeps,
  args: JsonObject,
  context: ToolContext,
): Promise<unknown> => {
  const { sdk, connection, server } = deps;
  const { signal } = context;
  let client = await connection.ready(signal);
  const failed = (error: unknown): Error => {
    if (isConnectionFailure(error, sdk)) connection.lost(client, whyNotConnected(error, sdk));
    return callFailure(server, error, sdk);
  };
  try {
    return toOutput(deps, await request(deps, client, args, context));
  } catch (error) {
    if (signal.aborted) throw error;
    const failure = failed(error);
    if (!isLostSession(error, sdk)) throw failure;
  }
  client = await connection.ready(signal);
  try {
    return toOutput(deps, await request(deps, client, args, context));
  } catch (error) {
    throw signal.aborted ? error : failed(error);
  }
};
