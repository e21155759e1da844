/**
 * Turns any error into the wire's error body. Unknown exceptions reveal nothing internal.
 *
 * Rule: a validation failure names the parameter, the rule and the value, and has the code that the official API uses;
 * `code` and `param` are for programs, `message` for people. Imports protocol and zod's types only.
 */
import type { z } from 'zod';
import { ApiError, apiErrors, RunsError } from '../protocol/errors.ts';
import type { RunsErrorCode } from '../protocol/errors.ts';
import { shortenText, quote } from '../protocol/rules/validation.ts';

type Issue = z.core.$ZodIssue;

const pathText = (path: readonly PropertyKey[]): string =>
  path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    const name = shortenText(String(part));
    return text === '' ? name : `${text}.${name}`;
  }, '');

const at = (value: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>(
    (current, part) =>
      typeof current === 'object' && current !== null ? Reflect.get(current, part) : undefined,
    value,
  );

const kindOf = (value: unknown): string => {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'an integer' : 'a decimal number';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
};

const article = (kind: string): string => (/^[aeiou]/.test(kind) ? `an ${kind}` : `a ${kind}`);
const expectedKind = (kind: string): string =>
  kind === 'int' ? 'an integer' : kind === 'record' ? 'an object' : article(kind);

const bounds = (issue: Issue, param: string, value: unknown): ApiError | undefined => {
  if (issue.code !== 'too_big' && issue.code !== 'too_small') return undefined;
  const big = issue.code === 'too_big';
  const limit = String(big ? issue.maximum : issue.minimum);
  const side = big ? 'maximum' : 'minimum';
  const over = big ? 'above_max' : 'below_min';
  if (issue.origin === 'string')
    return new ApiError(
      400,
      `Invalid '${param}': string too ${big ? 'long' : 'short'}. Expected a string with ${side} length ${limit}, but got a string with length ${String(value).length} instead.`,
      { param, code: `string_${over}_length` },
    );
  if (issue.origin === 'array')
    return new ApiError(
      400,
      `Invalid '${param}': array too ${big ? 'long' : 'short'}. Expected an array with ${side} length ${limit}, but got an array with length ${Array.isArray(value) ? value.length : 0} instead.`,
      { param, code: `array_${over}_length` },
    );
  return new ApiError(
    400,
    `Invalid '${param}': ${big ? 'integer above maximum' : 'integer below minimum'} value. Expected a value ${big ? '<=' : '>='} ${limit}, but got ${quote(value)} instead.`,
    { param, code: `integer_${over}_value` },
  );
};

/** The issue that lies deepest among a union's branches: that branch was most likely meant. */
const deepest = (branches: readonly (readonly Issue[])[]): readonly Issue[] | undefined => {
  const depth = (issues: readonly Issue[]): number =>
    issues.reduce((most, issue) => Math.max(most, issue.path.length), 0);
  const meant = branches.toSorted((a, b) => depth(b) - depth(a))[0];
  return meant !== undefined && depth(meant) > 0 ? meant : undefined;
};

/** The first issue of a schema as an API error. `body` is the checked value. */
export const invalidBody = (issues: readonly Issue[], body: unknown): ApiError => {
  // An unknown key comes first: it usually explains the others (a misspelt required parameter).
  const issue = issues.find((item) => item.code === 'unrecognized_keys') ?? issues[0];
  if (issue === undefined) return new ApiError(400, 'The request body is not valid.');
  const param = pathText(issue.path);
  const value = at(body, issue.path);
  if (issue.code === 'unrecognized_keys') {
    const name = pathText([...issue.path, issue.keys[0] ?? '']);
    return new ApiError(400, `Unknown parameter: '${name}'.`, { param: name, code: 'unknown_parameter' });
  }
  if (issue.code === 'invalid_union') {
    const meant = deepest(issue.errors);
    if (meant !== undefined) {
      const nested = meant.map((item) => ({ ...item, path: [...issue.path, ...item.path] }));
      return invalidBody(nested, body);
    }
  }
  if (value === undefined && issue.path.length > 0)
    return new ApiError(400, `Missing required parameter: '${param}'.`, {
      param,
      code: 'missing_required_parameter',
    });
  const bound = bounds(issue, param, value);
  if (bound !== undefined) return bound;
  if (issue.code === 'invalid_type') {
    const subject = param === '' ? 'the request body' : `'${param}'`;
    return new ApiError(
      400,
      `Invalid type for ${subject}: expected ${expectedKind(issue.expected)}, but got ${kindOf(value)} instead.`,
      { param: param === '' ? null : param, code: 'invalid_type' },
    );
  }
  if (issue.code === 'invalid_value')
    return new ApiError(
      400,
      `Invalid value: ${quote(value)} for '${param}'. Supported values are: ${issue.values.map((item) => `'${String(item)}'`).join(', ')}.`,
      { param, code: 'invalid_value' },
    );
  if (issue.code === 'custom') {
    const named: unknown = issue.params?.['code'];
    return new ApiError(400, `Invalid '${param}': ${issue.message}.`, {
      param,
      code: typeof named === 'string' ? named : 'invalid_value',
    });
  }
  return new ApiError(400, `Invalid '${param}': ${quote(value)} is not accepted here (${issue.message}).`, {
    param,
    code: 'invalid_value',
  });
};

/** Errors of this side that pass: the client may send the request again. */
const UNAVAILABLE_DEPENDENCY: Partial<Record<RunsErrorCode, string>> = {
  temporal_unavailable: 'The workflow service',
  no_worker: 'A worker',
  store_unavailable: 'The database',
};

/** The response for any exception. */
export const toApiError = (error: unknown, requestId: string): ApiError => {
  if (error instanceof ApiError) return error;
  const missing = error instanceof RunsError ? UNAVAILABLE_DEPENDENCY[error.code] : undefined;
  if (missing !== undefined) return apiErrors.unavailable(missing);
  return new ApiError(
    500,
    `The server had an error while processing your request. Please name request id ${requestId} when you report it.`,
    { type: 'server_error', code: 'internal_error', cause: error },
  );
};

export const errorResponse = (error: ApiError, requestId: string): Response =>
  new Response(JSON.stringify(error.toBody()), {
    status: error.status,
    headers: { 'content-type': 'application/json', ...error.headers, 'x-request-id': requestId },
  });
