/**
 * What is wrong with the options of MCP servers. Pure.
 *
 * Rule: every problem is a sentence that names server, option, value and fix. Values of `env` and `headers` may be secrets
 * and are never quoted.
 * Imported by `define.ts` and by the worker, which joins the servers of a tools file and of RUNS_MCP.
 */
import { z } from 'zod';
import { quote } from '../../protocol/index.ts';
import { mcpPrefix, mcpServerOf } from './mcp-names.ts';
import { optionProblems } from './validate-options.ts';
import type { McpServerOptions, ToolOptions } from './types.ts';
import { isRecord } from '../../protocol/rules/is-record.ts';

const SERVER_OPTIONS = new Set([
  'command',
  'args',
  'env',
  'cwd',
  'url',
  'headers',
  'include',
  'exclude',
  'toolDefaults',
  'tools',
]);
const TOOL_OPTIONS = new Set([
  'needsApproval',
  'atMostOnce',
  'retry',
  'timeout',
  'heartbeat',
  'answerWithin',
  'onDeadline',
  'maxOutputBytes',
]);

type Check = string | undefined | false;

const isTexts = (value: unknown): boolean =>
  Array.isArray(value) && value.every((item) => typeof item === 'string');

const texts = (option: string, value: unknown): Check =>
  value !== undefined && !isTexts(value) && `${option} must be a list of strings; got ${quote(value)}`;

/** Text of a template whose variable is not set. */
const UNSET = /(?:^|\s)undefined$/;

/** Values stay unsaid: they are tokens. */
const pairs = (option: string, value: unknown): Check => {
  if (value === undefined) return undefined;
  if (!isRecord(value)) return `${option} must be an object of strings`;
  const wrong = Object.entries(value).find(([, item]) => typeof item !== 'string' || UNSET.test(item));
  if (wrong === undefined) return undefined;
  const [name, item] = wrong;
  const is = typeof item === 'string' ? 'ends in "undefined"' : `is of type ${typeof item}`;
  return `${option}.${name} must be a string and ${is}; if it comes from an environment variable, set that variable`;
};

const transportProblems = (options: McpServerOptions): Check[] => {
  const { command, args, env, cwd, url, headers } = options;
  if ((command === undefined) === (url === undefined))
    return ['it needs either command (a stdio server) or url (a streamable HTTP server)'];
  if (command !== undefined)
    return [
      (typeof command !== 'string' || command.trim() === '') &&
        `command must be the name or path of a program; got ${quote(command)}`,
      texts('args', args),
      pairs('env', env),
      cwd !== undefined && typeof cwd !== 'string' && `cwd must be the path of a folder; got ${quote(cwd)}`,
      headers !== undefined && 'headers are for servers with a url; use env',
    ];
  return [
    urlProblem(url),
    (args !== undefined || env !== undefined || cwd !== undefined) &&
      'args, env and cwd are for servers with a command; leave them out',
    typeof headers === 'function' ? undefined : pairs('headers', headers),
  ];
};

const urlProblem = (url: unknown): Check => {
  // The URL itself stays unsaid: it may hold a token.
  if (typeof url !== 'string' || !URL.canParse(url))
    return 'url must be a URL such as "https://host/mcp"; this one can not be parsed';
  const { protocol, username, password } = new URL(url);
  if (protocol !== 'https:' && protocol !== 'http:')
    return `url must begin with "https://" or "http://"; got ${quote(protocol)}`;
  return username + password !== '' && 'url must not hold a user or password; use headers';
};

/** The rules of a tool's options hold for those that MCP tools have. */
const toolOptionProblems = (at: string, value: unknown): string[] => {
  if (!isRecord(value)) return [`${at} must be an object of options; got ${quote(value)}`];
  const strange = Object.keys(value).filter((key) => !TOOL_OPTIONS.has(key));
  const known = Object.fromEntries(Object.entries(value).filter(([key]) => TOOL_OPTIONS.has(key)));
  const whole = {
    description: 'a tool',
    parameters: z.object({}),
    execute: () => '',
    // A tool may need approval by its annotations, which are read later.
    ...(known['answerWithin'] === undefined && known['onDeadline'] === undefined
      ? {}
      : { needsApproval: true }),
    ...known,
  } as ToolOptions;
  return [
    ...strange.map((key) => `${at}.${key} is not an option; use one of ${[...TOOL_OPTIONS].join(', ')}`),
    ...optionProblems('tool', whole).map((problem) => `${at}: ${problem}`),
  ];
};

const serverProblems = (options: unknown): string[] => {
  if (!isRecord(options)) return [`must be an object of options; got ${quote(options)}`];
  const server: McpServerOptions = options;
  const { include, exclude, toolDefaults, tools } = server;
  const checks: Check[] = [
    ...Object.keys(options)
      .filter((key) => !SERVER_OPTIONS.has(key))
      .map((key) => `${key} is not an option; use one of ${[...SERVER_OPTIONS].join(', ')}`),
    ...transportProblems(server),
    texts('include', include),
    texts('exclude', exclude),
    ...(toolDefaults === undefined ? [] : toolOptionProblems('toolDefaults', toolDefaults)),
    tools !== undefined && !isRecord(tools) && `tools must be an object; got ${quote(tools)}`,
    ...(isRecord(tools)
      ? Object.entries(tools).flatMap(([name, value]) => toolOptionProblems(`tools.${name}`, value))
      : []),
  ];
  return checks.filter((check) => typeof check === 'string');
};

const nameProblems = (names: readonly string[], ownTools: readonly string[]): string[] => {
  const holders = new Map<string, string>();
  const problems = names.flatMap((name) => {
    const prefix = mcpPrefix(name);
    if (prefix === undefined)
      return [`MCP server ${quote(name)}: its name must hold a letter or a digit of ASCII`];
    const other = holders.get(prefix);
    holders.set(prefix, name);
    return other === undefined
      ? []
      : [
          `MCP servers ${quote(other)} and ${quote(name)}: the names of their tools would both begin with ${quote(prefix)}; rename one of them`,
        ];
  });
  const taken = ownTools.flatMap((tool) => {
    const server = mcpServerOf(names, tool);
    return server === undefined
      ? []
      : [
          `Tool ${quote(tool)}: names that begin with ${quote(mcpPrefix(server))} belong to the tools of MCP server ${quote(server)}; rename one of them`,
        ];
  });
  return [...problems, ...taken];
};

/** Every problem of the servers, and of their names beside those of the worker's own tools; empty = they are fine. */
export const mcpProblems = (servers: unknown, ownTools: readonly string[]): string[] => {
  if (!isRecord(servers)) return [`mcp must be an object of servers; got ${quote(servers)}`];
  return [
    ...nameProblems(Object.keys(servers), ownTools),
    ...Object.entries(servers).flatMap(([name, options]) =>
      serverProblems(options).map((problem) => `MCP server ${quote(name)}: ${problem}`),
    ),
  ];
};
