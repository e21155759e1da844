/**
 * Three families of errors. An HTTP client receives `ApiError`, with the wire's texts and statuses. A caller of the
 * client, the worker or the CLI receives `RunsError`; HTTP maps it first. A backend throws `BackendError`; the worker
 * maps it first.
 *
 * Rule: branch on `status`, `code` or `type`, never on text. Lifecycle conflicts are 400, as in the official API.
 * Imports names, limits and problem functions only. Any room may import it; the workflow sandbox does not need it.
 */
import { LIMITS, NAMED_OFFENDERS } from './limits.ts';
import type { FailureType } from './temporal/names.ts';
import { shortenText } from './rules/validation.ts';

export interface ApiErrorBody {
  error: { message: string; type: string; param: string | null; code: string | null };
}

/** An API response that is not a success. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly type: string;
  readonly code: string | null;
  readonly param: string | null;
  /** Extra response headers, such as `retry-after`. */
  readonly headers: Record<string, string>;
  /** For code of this project, where the wire has no code. Never sent. */
  readonly reason: 'thread_busy' | null;

  constructor(
    status: number,
    message: string,
    more: {
      type?: string;
      code?: string | null;
      param?: string | null;
      headers?: Record<string, string>;
      reason?: 'thread_busy';
      cause?: unknown;
    } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.status = status;
    this.reason = more.reason ?? null;
    this.type = more.type ?? (status >= 500 ? 'server_error' : 'invalid_request_error');
    this.code = more.code ?? null;
    this.param = more.param ?? null;
    this.headers = more.headers ?? {};
  }

  toBody(): ApiErrorBody {
    return { error: { message: this.message, type: this.type, param: this.param, code: this.code } };
  }
}

/** At most ten: an error must not repeat a whole request. */
const list = (ids: readonly string[]): string => {
  const named = ids.slice(0, NAMED_OFFENDERS).map((id) => `'${shortenText(id)}'`);
  const more = ids.length - named.length;
  return `[${named.join(', ')}${more > 0 ? `, … and ${more} more` : ''}]`;
};

/**
 * Error texts that clients are known to match. One constructor each, so that the service and the test server cannot
 * differ.
 */
export const apiErrors = {
  notFound: (
    kind:
      | 'thread'
      | 'run'
      | 'message'
      | 'assistant'
      | 'run step'
      | 'decision'
      | 'approval'
      | 'tool call'
      | 'webhook'
      | 'delivery',
    id: string,
  ) => new ApiError(404, `No ${kind} found with id '${id}'.`),
  noRoute: (method: string, path: string) =>
    new ApiError(
      404,
      `Unknown request URL: ${method} ${shortenText(path, 1_024)}. Please check the URL for typos.`,
      {
        code: 'unknown_url',
      },
    ),
  notWaiting: (status: string) => new ApiError(400, `Runs in status "${status}" do not accept tool outputs.`),
  expectedOutputs: (expected: readonly string[], got: readonly string[]) =>
    new ApiError(400, `Expected tool outputs for call_ids ${list(expected)}, got ${list(got)}`),
  duplicateOutput: (id: string) =>
    new ApiError(400, `Duplicate tool_call_id '${shortenText(id)}' in tool_outputs: send each output once.`, {
      param: 'tool_outputs',
    }),
  outputsDiffer: (ids: readonly string[]) =>
    new ApiError(
      400,
      `Tool outputs for call_ids ${list(ids)} were submitted before with a different output; the first one stands.`,
      {
        param: 'tool_outputs',
      },
    ),
  outputTooLong: (index: number, length: number) =>
    new ApiError(
      400,
      `Invalid 'tool_outputs[${index}].output': string too long. Expected a string with maximum length ${LIMITS.outputChars}, but got a string with length ${length} instead.`,
      { code: 'string_above_max_length', param: `tool_outputs[${index}].output` },
    ),
  outputsTooLarge: () =>
    new ApiError(400, `'tool_outputs' too large: the combined tool outputs must be less than 512kb.`, {
      code: 'invalid_value',
      param: 'tool_outputs',
    }),
  activeRun: (threadId: string, runId: string) =>
    new ApiError(400, `Thread ${threadId} already has an active run ${runId}.`, { reason: 'thread_busy' }),
  messageWhileActive: (threadId: string, runId: string) =>
    new ApiError(400, `Can't add messages to ${threadId} while a run ${runId} is active.`),
  deleteWhileActive: (threadId: string, runId: string) =>
    new ApiError(400, `Can't delete ${threadId} while a run ${runId} is active. Cancel the run first.`),
  eventsPruned: (after: number) =>
    new ApiError(
      410,
      `Events after ${after} are no longer stored. Retrieve the run and its messages instead, or read the events from the start.`,
      { code: 'events_pruned' },
    ),
  cannotCancel: (status: string) => new ApiError(400, `Cannot cancel run with status '${status}'.`),
  unauthorized: (message = 'Incorrect API key provided.') =>
    new ApiError(401, message, { code: 'invalid_api_key' }),
  forbidden: (message: string) => new ApiError(403, message, { code: 'forbidden' }),
  noVote: (message: string) => new ApiError(403, message, { code: 'no_vote' }),
  rateLimited: (retryAfterSeconds: number) =>
    new ApiError(429, `Rate limit reached. Try again in ${retryAfterSeconds} s.`, {
      code: 'rate_limit_exceeded',
      headers: { 'retry-after': String(retryAfterSeconds) },
    }),
  tooManyRuns: (live: number, limit: number) =>
    new ApiError(
      429,
      `This tenant has ${live} live runs; the limit is ${limit}. Wait until some have ended, or cancel them.`,
      { code: 'rate_limit_exceeded', headers: { 'retry-after': '5' } },
    ),
  tooManyStreams: (limit: number) =>
    new ApiError(
      429,
      `This tenant has too many open event streams; the limit of this server is ${limit}. Close some, or retrieve runs instead; a run continues without a reader.`,
      { code: 'rate_limit_exceeded', headers: { 'retry-after': '5' } },
    ),
  tooMuchUnread: (limit: number) =>
    new ApiError(
      429,
      `Responses that this tenant has not read yet hold too many characters; the limit of this server is ${limit}. Read them, or request smaller pages.`,
      { code: 'rate_limit_exceeded', headers: { 'retry-after': '5' } },
    ),
  budgetSpent: (what: 'tokens' | 'cost') =>
    new ApiError(
      429,
      `You exceeded your current quota: the ${what === 'tokens' ? 'tokens' : 'money'} that your runs may use today (UTC) ${what === 'tokens' ? 'are' : 'is'} used up. Try again tomorrow, or have the budget raised.`,
      {
        type: 'insufficient_quota',
        code: 'insufficient_quota',
        // A repeated request is refused as well until the day ends.
        headers: { 'x-should-retry': 'false' },
      },
    ),
  storageFull: (stored: number, limit: number) =>
    new ApiError(
      400,
      `The objects of this tenant take ${stored} bytes; the limit is ${limit}. Delete threads that are no longer needed.`,
      { code: 'storage_limit_exceeded' },
    ),
  unavailable: (what: string, retryAfterSeconds = 2) =>
    new ApiError(
      503,
      `${what} can't be reached right now. Nothing was changed; it is safe to send the request again.`,
      {
        type: 'server_error',
        code: 'unavailable',
        headers: { 'retry-after': String(retryAfterSeconds) },
      },
    ),
  mayStillArrive: () =>
    new ApiError(
      503,
      "The workflow service can't be reached right now. This request may still take effect; it is safe to send the same request again.",
      { type: 'server_error', code: 'unavailable', headers: { 'retry-after': '2' } },
    ),
  noWorker: () =>
    new ApiError(
      503,
      'No worker processes this run right now. A worker that starts later may still process this request; it is safe to send the same request again.',
      { type: 'server_error', code: 'unavailable', headers: { 'retry-after': '5' } },
    ),
  missingBeta: () =>
    new ApiError(
      400,
      `You must provide the 'OpenAI-Beta' header to access the Assistants API. Please try again by setting the header 'OpenAI-Beta: assistants=v2'.`,
      {
        code: 'invalid_beta',
      },
    ),
  unknownModel: (name: string) =>
    new ApiError(
      400,
      `The requested model '${shortenText(name)}' does not exist here: GET /v1/models lists those that do.`,
      { param: 'model', code: 'model_not_found' },
    ),
  forbiddenModel: (name: string) =>
    new ApiError(
      403,
      `This key may not use the model '${shortenText(name)}': GET /v1/models lists those that it may use.`,
      { param: 'model', code: 'model_not_found' },
    ),
  invalid: (param: string | null, message: string, code: string | null = null) =>
    new ApiError(400, message, { param, code }),
  unsupported: (param: string, what: string, instead: string) =>
    new ApiError(400, `${what} is not supported by this server. ${instead}`, {
      param,
      code: 'unsupported_parameter',
    }),
} as const;

/** Codes of `RunsError`; each says who can act on it. */
export type RunsErrorCode =
  /** The caller's input is wrong: fix the call. */
  | 'invalid_input'
  | 'run_not_found'
  | 'already_started'
  /** An answer was refused; the message says why. */
  | 'refused'
  /** Temporal can't be reached, or has no such namespace. */
  | 'temporal_unavailable'
  /** No worker took the update in time; it is safe to repeat. */
  | 'no_worker'
  | 'backend'
  | 'config'
  | 'store_unavailable'
  /** The workflow ended without a result: terminated, timed out, failed. */
  | 'run_failed'
  | 'cancelled';

/** What the client, the worker and the commands throw. `code` says who can act; the message names the fix. */
export class RunsError extends Error {
  override readonly name = 'RunsError';
  readonly code: RunsErrorCode;
  /** With `refused`: the failure type of the workflow (see `FAILURES`). */
  readonly failure: string | null;
  readonly details: unknown;

  constructor(
    code: RunsErrorCode,
    message: string,
    more: { failure?: string; details?: unknown; cause?: unknown } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.code = code;
    this.failure = more.failure ?? null;
    this.details = more.details ?? null;
  }
}

/**
 * Why a backend could not settle a run. Backends do not know Temporal: the activity maps this error to
 * `ApplicationFailure.create({ type, message, nonRetryable: !retryable, nextRetryDelay: retryAfterMs, details })`,
 * without `nextRetryDelay` when `retryAfterMs` is null (the activity's retry policy then decides). Any other error of a
 * backend is a bug or an abort (`signal.reason`).
 *
 * `message` holds no secret and no output text; `details` is the failure's `details` array as `FAILURES` documents it.
 */
export class BackendError extends Error {
  override readonly name = 'BackendError';
  readonly type: FailureType;
  readonly retryable: boolean;
  /** Milliseconds before the next attempt, already capped; null = the retry policy decides. */
  readonly retryAfterMs: number | null;
  /** True when the failed request may have taken effect at the server. */
  readonly mayHaveHappened: boolean;
  readonly details: unknown[];

  constructor(
    type: FailureType,
    message: string,
    more: {
      retryable?: boolean;
      retryAfterMs?: number | null;
      mayHaveHappened?: boolean;
      details?: unknown[];
      cause?: unknown;
    } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.type = type;
    this.retryable = more.retryable ?? false;
    this.retryAfterMs = more.retryAfterMs ?? null;
    this.mayHaveHappened = more.mayHaveHappened ?? false;
    this.details = more.details ?? [];
  }
}
