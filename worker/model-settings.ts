/**
 * The `RUNS_MODEL_…` variables that say how the model server answers, in the place of what would be learned of it.
 *
 * Rule: no effects; a value that can't be read is a problem, never a guess, and no problem shows a header's value or the body.
 * Imported by `config.ts` and by the schema of the file of models.
 */
import { quote } from '../protocol/index.ts';
import { isRecord } from '../protocol/rules/is-record.ts';

export interface ModelSettings {
  /** null = learned. */
  maxTokensField: 'max_completion_tokens' | 'max_tokens' | null;
  /** null = learned. */
  rolesAlternate: boolean | null;
  /** null = learned. */
  stream: 'always' | 'without_tools' | 'never' | null;
  /** Whether the server knows `response_format`; null = learned. */
  jsonSchema: boolean | null;
  /** Whether the models can see images; null = the server says so when it gets one. */
  images: boolean | null;
  /** The model's window in tokens; null = the server says when it is exceeded. */
  contextTokens: number | null;
  /** Sent with every request, by lower-case name. */
  headers: Readonly<Record<string, string>>;
  /** Added to the body of every request. */
  body: Readonly<Record<string, unknown>>;
}

export const TOKENS_FIELDS = ['max_completion_tokens', 'max_tokens'] as const;
export const MODEL_STREAMS = ['always', 'without_tools', 'never'] as const;
const YES_NO = ['true', 'false'] as const;
export const MAX_CONTEXT_TOKENS = 100_000_000;
const MAX_CHARS = 65_536;

/** Headers of the connection, which the HTTP client sets. */
const CONNECTION: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'content-type',
  'expect',
  'host',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
]);
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const HEADER_VALUE = /^[\t\u0020-\u007e]*$/;

/** What a turn is made of, with the fix; `at` is the setting that names such a field. */
const turnFieldFix = (at: string, name: string): string | undefined => {
  const variable = at.startsWith('RUNS_');
  switch (name) {
    case 'model':
      return variable ? 'set RUNS_MODEL' : 'list the model under models';
    case 'stream':
      return variable ? 'set RUNS_MODEL_STREAM' : 'set stream of the provider';
    case 'messages':
    case 'tools':
      return 'leave it out';
    default:
      return undefined;
  }
};

type Read = (name: string) => string | null;

const choice = <T extends string>(
  read: Read,
  name: string,
  allowed: readonly T[],
  problems: string[],
): T | null => {
  const value = read(name);
  const found = allowed.find((item) => item === value);
  if (value !== null && found === undefined)
    problems.push(`${name} must be ${allowed.map((item) => `"${item}"`).join(' or ')}; got ${quote(value)}`);
  return found ?? null;
};

const parseObject = (
  read: Read,
  name: string,
  example: string,
  problems: string[],
): Record<string, unknown> => {
  const value = read(name);
  if (value === null) return {};
  const wrong = (what: string): Record<string, unknown> => {
    problems.push(`${name} must be a JSON object, such as ${example}; ${what}`);
    return {};
  };
  if (value.length > MAX_CHARS) return wrong(`it has ${value.length} characters, ${MAX_CHARS} are allowed`);
  try {
    const parsed: unknown = JSON.parse(value);
    return isRecord(parsed) ? parsed : wrong('the value is JSON, but not an object');
  } catch {
    return wrong('the value is not JSON');
  }
};

/** Why a header can't be set for a model server. `at`: the setting that names it. */
export const headerProblem = (at: string, name: string, value: unknown): string | undefined => {
  if (!HEADER_NAME.test(name))
    return `${at}: ${quote(name)} is not a valid header name. Use letters, digits and "-"`;
  if (CONNECTION.has(name.toLowerCase()))
    return `${at} must not set ${quote(name)}, which belongs to the connection. Leave it out`;
  return typeof value === 'string' && HEADER_VALUE.test(value)
    ? undefined
    : `${at}: the value of ${quote(name)} must be a text of visible ASCII characters`;
};

/** Why a field can't be set for every request. `at`: the setting that names it. */
export const requestFieldProblem = (at: string, name: string): string | undefined => {
  const fix = turnFieldFix(at, name);
  return fix === undefined
    ? undefined
    : `${at} must not set ${quote(name)}, which each turn sets. To fix it, ${fix}`;
};

const headersIn = (given: Record<string, unknown>, problems: string[]): Record<string, string> => {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(given)) {
    const problem = headerProblem('RUNS_MODEL_HEADERS', name, value);
    if (problem !== undefined) problems.push(problem);
    else if (typeof value === 'string') headers[name.toLowerCase()] = value;
  }
  return headers;
};

const bodyIn = (given: Record<string, unknown>, problems: string[]): Record<string, unknown> => {
  problems.push(
    ...Object.keys(given)
      .map((name) => requestFieldProblem('RUNS_MODEL_BODY', name))
      .filter((problem) => problem !== undefined),
  );
  return given;
};

const yesOrNo = (read: Read, name: string, problems: string[]): boolean | null => {
  const value = choice(read, name, YES_NO, problems);
  return value === null ? null : value === 'true';
};

/** Pushes what can't be read to `problems`. */
export const readModelSettings = (read: Read, problems: string[]): ModelSettings => {
  const tokens = read('RUNS_MODEL_CONTEXT_TOKENS');
  const contextTokens = tokens === null ? null : /^\d+$/.test(tokens) ? Number(tokens) : NaN;
  const fits = contextTokens === null || (contextTokens >= 1 && contextTokens <= MAX_CONTEXT_TOKENS);
  if (!fits)
    problems.push(
      `RUNS_MODEL_CONTEXT_TOKENS must be a whole number from 1 to ${MAX_CONTEXT_TOKENS}; got ${quote(tokens)}`,
    );
  return {
    maxTokensField: choice(read, 'RUNS_MODEL_MAX_TOKENS_FIELD', TOKENS_FIELDS, problems),
    rolesAlternate: yesOrNo(read, 'RUNS_MODEL_ROLES_ALTERNATE', problems),
    stream: choice(read, 'RUNS_MODEL_STREAM', MODEL_STREAMS, problems),
    jsonSchema: yesOrNo(read, 'RUNS_MODEL_JSON_SCHEMA', problems),
    images: yesOrNo(read, 'RUNS_MODEL_IMAGES', problems),
    contextTokens: fits ? contextTokens : null,
    headers: headersIn(parseObject(read, 'RUNS_MODEL_HEADERS', '{"x-team":"shop"}', problems), problems),
    body: bodyIn(parseObject(read, 'RUNS_MODEL_BODY', '{"top_k":20}', problems), problems),
  };
};

/** Nothing is set: everything is learned. */
export const NO_MODEL_SETTINGS: ModelSettings = {
  maxTokensField: null,
  rolesAlternate: null,
  stream: null,
  jsonSchema: null,
  images: null,
  contextTokens: null,
  headers: {},
  body: {},
};

/** For people and logs: names of headers and fields, not their values. */
export const describeModelSettings = (settings: ModelSettings): string => {
  const { maxTokensField, rolesAlternate, stream, jsonSchema, images, contextTokens, headers, body } =
    settings;
  const parts = [
    maxTokensField,
    rolesAlternate === null ? null : rolesAlternate ? 'roles alternate' : 'roles need not alternate',
    stream === null ? null : `streams ${stream}`,
    jsonSchema === null ? null : jsonSchema ? 'response_format' : 'no response_format',
    images === null ? null : images ? 'images' : 'no images',
    contextTokens === null ? null : `${contextTokens} tokens`,
    Object.keys(headers).length === 0 ? null : `headers ${Object.keys(headers).join(', ')}`,
    Object.keys(body).length === 0 ? null : `body ${Object.keys(body).join(', ')}`,
  ].filter((part) => part !== null);
  return parts.length === 0 ? 'learned' : parts.join('; ');
};
