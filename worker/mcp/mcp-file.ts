/**
 * The file that RUNS_MCP names: MCP servers as JSON, `{"mcpServers": {"name": {…}}}`, the form that other programs have.
 *
 * Rule: a file that can't be used stops the worker at start with the path, what is wrong and the fix. `${NAME}` and
 * `${NAME:-default}` in its strings stand for environment variables, so that no secret has to be in the file; values of
 * variables are never quoted.
 * Imported by the composition root, by `runs doctor` and by tests.
 */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { mcpProblems, type McpServers, type ToolRegistry } from '../../activities/index.ts';
import { quote, RunsError } from '../../protocol/index.ts';
import { fillVariables } from '../placeholders.ts';
import { isRecord } from '../../protocol/rules/is-record.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** The names that programs give the two kinds of transport. */
const TYPES = { stdio: 'command', http: 'url', 'streamable-http': 'url', streamableHttp: 'url' } as const;

/** Puts variables in; what is not set is collected. */
const filled = (value: unknown, env: Env, missing: Set<string>): unknown => {
  if (typeof value === 'string') return fillVariables(value, env, missing);
  if (Array.isArray(value)) return value.map((item) => filled(item, env, missing));
  return isRecord(value)
    ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, filled(item, env, missing)]))
    : value;
};

const typeProblem = (name: string, { type, ...server }: Record<string, unknown>): string | undefined => {
  if (type === undefined) return undefined;
  const at = `MCP server ${quote(name)}`;
  if (type === 'sse')
    return `${at}: type "sse" is not supported; streamable HTTP replaced it. Set type "http" and the URL of the server's streamable HTTP endpoint`;
  const field =
    typeof type === 'string' && Object.hasOwn(TYPES, type) ? TYPES[type as keyof typeof TYPES] : undefined;
  if (field === undefined) return `${at}: type must be "stdio" or "http"; got ${quote(type)}`;
  return server[field] === undefined ? `${at}: type ${quote(type)} needs ${field}` : undefined;
};

/** Servers of a file's text. Throws a plain text of problems. Pure. */
export const parseMcpServers = (text: string, env: Env): { servers: McpServers } | { problems: string[] } => {
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch {
    return { problems: ['it is not JSON'] };
  }
  const given = isRecord(file) ? file['mcpServers'] : undefined;
  if (!isRecord(given))
    return { problems: ['it must be an object with the key "mcpServers", an object of servers'] };
  const missing = new Set<string>();
  const problems: string[] = [];
  const servers: Record<string, unknown> = {};
  for (const [name, server] of Object.entries(given)) {
    if (!isRecord(server)) {
      problems.push(`MCP server ${quote(name)}: must be an object of options`);
      continue;
    }
    const wrong = typeProblem(name, server);
    if (wrong !== undefined) problems.push(wrong);
    const { type: _type, disabled, ...options } = server;
    if (disabled !== true) servers[name] = filled(options, env, missing);
  }
  problems.push(...[...missing].map((name) => `the environment variable ${name} is not set`));
  return problems.length > 0 ? { problems } : { servers: servers as McpServers };
};

const loadMcpFile = async (path: string, env: Env, cwd: string): Promise<McpServers> => {
  const file = resolve(cwd, path);
  const refuse = (what: string, cause?: unknown): RunsError =>
    new RunsError('config', `RUNS_MCP=${quote(path)} can't be used: ${what}.`, { cause });
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw refuse(`there is no readable file ${quote(file)}`, error);
  }
  const parsed = parseMcpServers(text, env);
  if ('problems' in parsed) throw refuse(parsed.problems.join('; '));
  const problems = mcpProblems(parsed.servers, []);
  if (problems.length > 0) throw refuse(problems.join('; '));
  return parsed.servers;
};

/** The MCP servers of a tools file and of the file at `path` together. Throws `RunsError('config')`. */
export const joinMcpServers = async (
  tools: ToolRegistry,
  path: string | null,
  { env = process.env, cwd = process.cwd() }: { env?: Env; cwd?: string } = {},
): Promise<McpServers> => {
  const own = tools.servers ?? {};
  if (path === null) return own;
  const more = await loadMcpFile(path, env, cwd);
  const twice = Object.keys(more).find((name) => Object.hasOwn(own, name));
  const problems =
    twice === undefined
      ? mcpProblems({ ...own, ...more }, tools.names)
      : [`MCP server ${quote(twice)} is in the tools file and in RUNS_MCP; leave one out`];
  if (problems.length > 0) throw new RunsError('config', `${problems.join('.\n')}.`, { details: problems });
  return { ...own, ...more };
};
