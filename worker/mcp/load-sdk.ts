/**
 * The official MCP client, an optional package: loaded when MCP servers are configured, and only then.
 *
 * Rule: its absence is said at start, with the command that installs it. Imported within `worker/mcp/`.
 */
import { quote, RunsError } from '../../protocol/index.ts';

const INSTALL = 'npm install @modelcontextprotocol/client@2';

const load = async () => {
  const [client, stdio] = await Promise.all([
    import('@modelcontextprotocol/client'),
    import('@modelcontextprotocol/client/stdio'),
  ]);
  return { ...client, StdioClientTransport: stdio.StdioClientTransport };
};

export type McpSdk = Awaited<ReturnType<typeof load>>;
export type McpClient = InstanceType<McpSdk['Client']>;
export type McpTransport = Parameters<McpClient['connect']>[0];
export type McpTool = Awaited<ReturnType<McpClient['listTools']>>['tools'][number];
export type McpResult = Awaited<ReturnType<McpClient['callTool']>>;

export const loadMcpSdk = async (servers: readonly string[]): Promise<McpSdk> => {
  try {
    return await load();
  } catch (error) {
    if (!(error instanceof Error) || Reflect.get(error, 'code') !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new RunsError(
      'config',
      `MCP servers are configured (${quote(servers, 200)}), and the package @modelcontextprotocol/client is not installed. Run "${INSTALL}".`,
      { cause: error },
    );
  }
};
