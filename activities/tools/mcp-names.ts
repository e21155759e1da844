/**
 * The names that tools of MCP servers have here. Pure.
 *
 * Rule: the prefix `server__` belongs to that server alone. No other tool may have a name that begins with it, so a name
 * tells whose tool it is even while its server is away.
 * Imported by the other files of this folder and by the worker, which connects to the servers.
 */
import { createHash } from 'node:crypto';
import { LIMITS } from '../../protocol/index.ts';

const HASH_CHARS = 8;
const SERVER_CHARS = 24;

const allowed = (text: string): string => text.replaceAll(/[^a-zA-Z0-9_-]/g, '_');

/** A long name keeps its beginning and gets a hash of the whole, so that two of them stay two. */
const shortened = (name: string, whole: string, max: number): string => {
  if (name.length <= max) return name;
  const hash = createHash('sha256').update(whole).digest('hex').slice(0, HASH_CHARS);
  return `${name.slice(0, max - HASH_CHARS - 1).replace(/_+$/, '')}_${hash}`;
};

/** `my server` → `my_server__`. A server's part holds no double underscore. undefined = no letter or digit is left. */
export const mcpPrefix = (server: string): string | undefined => {
  const name = allowed(server)
    .replaceAll(/_{2,}/g, '_')
    .replaceAll(/^_+|_+$/g, '');
  return /[a-zA-Z0-9]/.test(name) ? `${shortened(name, server, SERVER_CHARS)}__` : undefined;
};

/** The name that a run and a model use for a tool of a server. */
export const mcpToolName = (server: string, tool: string): string =>
  shortened(`${mcpPrefix(server) ?? ''}${allowed(tool)}`, tool, LIMITS.functionName);

/** The server whose prefix a name has. */
export const mcpServerOf = (servers: Iterable<string>, name: string): string | undefined => {
  for (const server of servers) {
    const prefix = mcpPrefix(server);
    if (prefix !== undefined && name.startsWith(prefix)) return server;
  }
  return undefined;
};
