/**
 * The MCP servers of a worker: connected during its start, their tools joined with the worker's own.
 *
 * Rule: the worker waits a bounded time for the first responses and starts without late servers. The list of a server
 * is kept while the server is down, so calls of known tools fail by their own policy and do not wait. Imported by the
 * composition root and by `runs doctor`.
 */
import {
  mcpPrefix,
  toFunctionTool,
  type McpServerOptions,
  type McpServers,
  type ToolDefinition,
  type ToolRegistry,
} from '../../activities/index.ts';
import { quote, type FunctionTool, type Logger, type WorkerToolServer } from '../../protocol/index.ts';
import { callMcpTool } from './call-tool.ts';
import { McpConnection, settledWithin } from './connection.ts';
import { loadMcpSdk, type McpSdk, type McpTool } from './load-sdk.ts';
import { secretsOf } from './secrets.ts';
import { serverTools, type ServerTools } from './server-tools.ts';

/** How long the worker's start waits for servers. Milliseconds. */
const START_MS = 10_000;

interface McpServer {
  readonly name: string;
  readonly prefix: string;
  readonly connection: McpConnection;
  /** null = the server has not been reached since the worker's start. */
  readonly list: () => ServerTools | null;
}

interface ServerDeps {
  sdk: McpSdk;
  log: Logger;
  onChange(): void;
}

const mcpServer = (name: string, options: McpServerOptions, deps: ServerDeps): McpServer => {
  const { sdk, log } = deps;
  let listed: string | null = null;
  let list: ServerTools | null = null;
  const onTools = (tools: readonly McpTool[]): void => {
    const now = JSON.stringify(tools);
    if (now === listed) return;
    listed = now;
    list = serverTools(name, tools, options, (tool, maxOutputBytes) => (args, context) => {
      return callMcpTool({ server: name, sdk, connection, tool, maxOutputBytes }, args, context);
    });
    log.info({ server: name, tools: list.tools.size }, 'MCP server listed its tools');
    for (const reason of list.notes)
      log.warn({ server: name, reason }, 'MCP server has tools that can not be used as configured');
    deps.onChange();
  };
  const connection = new McpConnection({ name, options, sdk, log, secrets: secretsOf(options), onTools });
  return { name, prefix: mcpPrefix(name) ?? '', connection, list: () => list };
};

const statusOf = ({ name, connection, list }: McpServer): WorkerToolServer => {
  const listed = list();
  return {
    name,
    problem: connection.problem(),
    tools: listed?.tools.size ?? 0,
    notes: [...(listed?.notes ?? [])],
  };
};

/** Why a name of one of the servers stands for no tool. */
const unavailable = (servers: readonly McpServer[], name: string): string | undefined => {
  const server = servers.find(({ prefix }) => name.startsWith(prefix));
  if (server === undefined || server.list()?.tools.has(name) === true) return undefined;
  return server.list() === null
    ? `MCP server ${quote(server.name)} is not connected (${server.connection.problem() ?? 'it has just connected'}), so ${quote(name)} can't be called now. Go on without it, or call it again later.`
    : `MCP server ${quote(server.name)} has no tool ${quote(name)} now.`;
};

/** The worker's own tools and those of the servers, as they are at each look. */
const joinTools = (own: ToolRegistry, servers: readonly McpServer[]) => {
  let joined: { byName: Map<string, ToolDefinition>; definitions: FunctionTool[] } | null = null;
  const join = () => {
    const byName = new Map(servers.flatMap(({ list }) => [...(list()?.tools ?? [])]));
    return { byName, definitions: [...own.definitions(), ...[...byName.values()].map(toFunctionTool)] };
  };
  // Every turn of a model reads them.
  const current = () => (joined ??= join());
  const registry: ToolRegistry = {
    get names() {
      return [...own.names, ...current().byName.keys()];
    },
    get: (name) => own.get(name) ?? current().byName.get(name),
    definitions: () => current().definitions,
    servers: own.servers ?? {},
    unavailable: (name) => unavailable(servers, name),
  };
  return {
    registry,
    changed: (): void => {
      joined = null;
    },
  };
};

export interface McpServersHandle {
  /** The tools of both. */
  tools: ToolRegistry;
  status(): WorkerToolServer[];
  /** Ends children and sessions. */
  close(): Promise<void>;
}

/** Throws `RunsError('config')` when the SDK is not installed. A server that can't be reached is logged. */
export const startMcpServers = async (
  own: ToolRegistry,
  options: McpServers,
  { log, waitMs = START_MS }: { log: Logger; waitMs?: number },
): Promise<McpServersHandle> => {
  const sdk = await loadMcpSdk(Object.keys(options));
  const servers = Object.entries(options).map(([name, server]) =>
    mcpServer(name, server, { sdk, log, onChange: () => joined.changed() }),
  );
  const joined = joinTools(own, servers);
  const first = Promise.allSettled(servers.map(({ connection }) => connection.ready()));
  await settledWithin(first, waitMs);
  return {
    tools: joined.registry,
    status: () => servers.map(statusOf),
    close: async () => {
      await Promise.all(servers.map(({ connection }) => connection.close()));
    },
  };
};
