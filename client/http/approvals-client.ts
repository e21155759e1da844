/**
 * Lists, reads, decides and follows approvals over the HTTP API, with the key of an approver or an operator.
 *
 * Rule: it knows the wire and nothing of Temporal, so it loads in a web page. A response that is not a success is an
 * `ApiError` with the server's status and code. Nothing is repeated on its own but the opening of the event stream, which
 * changes nothing. Imported by programs only.
 */
import { ApiError } from '../../protocol/errors.ts';
import type { ApprovalDecision } from '../../protocol/ports/runs-service.ts';
import type { AnswerReply } from '../../protocol/temporal/messages.ts';
import type {
  Approval,
  ApprovalDetails,
  ApprovalEvent,
  ApprovalStatus,
} from '../../protocol/wire/decisions.ts';
import type { Page, Run, RunStatus } from '../../protocol/wire/objects.ts';
import type { RunTimeline } from '../../protocol/wire/run-timeline.ts';
import { readFrames } from './read-frames.ts';

/** How an `ApprovalsClient` reaches the API. */
export interface ApprovalsClientOptions {
  /** Of the API, such as `http://127.0.0.1:8787/v1`. */
  url: string;
  /** Key of an approver or an operator. Default: none, for a server without keys. */
  apiKey?: string;
  /** Default: the global one. */
  fetch?: typeof fetch;
  /** Pause before the event stream is opened again, in milliseconds. Default 1,000. */
  reopenMs?: number;
}

/** Limits of one call. When `signal` aborts, a request rejects with its reason, and `events` ends. Default: no limit. */
export interface RequestOptions {
  signal?: AbortSignal;
}

/** Which approvals `list` gives; all conditions must hold. Default: every approval that waits. */
export interface ListApprovalsParams {
  /** Default `waiting`. */
  status?: ApprovalStatus;
  tool?: string;
  assistant_id?: string;
  thread_id?: string;
  /** Only calls whose deadline is earlier, in unix seconds. */
  before_deadline?: number;
  /** From 1 to 100. Default 20. */
  limit?: number;
  /** The `last_id` of the page before. */
  after?: string;
}

/** Which runs `runs` gives; all conditions must hold. Default: every run. */
export interface ListRunsParams {
  status?: RunStatus;
  assistant_id?: string;
  thread_id?: string;
  /** Only runs that called this tool. */
  tool?: string;
  /** Unix seconds: runs created at this time or later, and before this time. */
  created_from?: number;
  created_before?: number;
  /** Of another tenant than the key's: for operators. */
  tenant?: string;
  /** From 1 to 100. Default 20. */
  limit?: number;
  /** The `last_id` of the page before. */
  after?: string;
}

const queryOf = (params: object): string => {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params) as [string, string | number | undefined][])
    if (value !== undefined) query.set(name, String(value));
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
};

/** The server's error; of a response that has none, its status. */
const errorOf = async (response: Response): Promise<ApiError> => {
  const text = await response.text();
  const unknown = new ApiError(
    response.status,
    `The server answered ${response.status} without an error of the API.`,
  );
  try {
    const { error } = JSON.parse(text) as {
      error?: { message?: unknown; type?: unknown; code?: unknown; param?: unknown };
    };
    if (typeof error?.message !== 'string') return unknown;
    const { type, code, param } = error;
    return new ApiError(response.status, error.message, {
      ...(typeof type === 'string' ? { type } : {}),
      code: typeof code === 'string' ? code : null,
      param: typeof param === 'string' ? param : null,
    });
  } catch {
    return unknown;
  }
};

const isAborted = (signal: AbortSignal | undefined): boolean => signal?.aborted === true;

const pause = (ms: number, signal: AbortSignal | undefined): Promise<void> =>
  new Promise((resolve) => {
    if (isAborted(signal)) {
      resolve();
      return;
    }
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done);
  });

/** The request was refused for what it is: opening the stream again would be refused, too. */
const isFinal = (error: unknown): boolean =>
  error instanceof ApiError && error.status < 500 && error.status !== 408 && error.status !== 429;

/**
 * Approvals and runs over the HTTP API. Times are unix seconds. A method throws `ApiError` when the server refuses the request,
 * and the error of `fetch` when no response comes; `events` opens its stream again instead when a later attempt may succeed.
 */
export class ApprovalsClient {
  readonly #url: string;
  readonly #headers: Record<string, string>;
  readonly #fetch: typeof fetch;
  readonly #reopenMs: number;

  constructor({ url, apiKey, fetch: send, reopenMs = 1_000 }: ApprovalsClientOptions) {
    this.#url = url.replace(/\/+$/, '');
    this.#headers = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
    this.#fetch = send ?? ((input, init) => globalThis.fetch(input, init));
    this.#reopenMs = reopenMs;
  }

  /** A page: waiting calls with the earliest deadline first, others with the latest change first. */
  list(params: ListApprovalsParams = {}, options?: RequestOptions): Promise<Page<Approval>> {
    return this.#json('GET', `/approvals${queryOf(params)}`, undefined, options);
  }

  get(id: string, options?: RequestOptions): Promise<ApprovalDetails> {
    return this.#json('GET', `/approvals/${encodeURIComponent(id)}`, undefined, options);
  }

  /**
   * Approves or denies the call. Throws `ApiError` with code `conflicting_answer` when another decision stands; its message
   * says whose. The same decision may be sent again.
   */
  decide(id: string, decision: ApprovalDecision, options?: RequestOptions): Promise<AnswerReply> {
    return this.#json('POST', `/approvals/${encodeURIComponent(id)}`, decision, options);
  }

  /** Sends the output of an external call (`kind: "output"`). Throws as `decide` does. */
  answer(
    id: string,
    { output, ...said }: { output: string; by?: string; note?: string },
    options?: RequestOptions,
  ): Promise<AnswerReply> {
    const body = { decision: 'answer', output, ...said };
    return this.#json('POST', `/approvals/${encodeURIComponent(id)}`, body, options);
  }

  /** A page of runs over all threads, the newest first. Needs a key of a caller or an operator. */
  runs(params: ListRunsParams = {}, options?: RequestOptions): Promise<Page<Run>> {
    return this.#json('GET', `/runs${queryOf(params)}`, undefined, options);
  }

  /** What a run did, in order of time. */
  timeline(runId: string, options?: RequestOptions): Promise<RunTimeline> {
    return this.#json('GET', `/runs/${encodeURIComponent(runId)}/timeline`, undefined, options);
  }

  /**
   * Changes of approvals, until `signal` aborts. The first event is `approvals.ready`: read the list then, and apply what
   * follows. A stream that breaks is opened again at the last event, so no change is missed.
   */
  async *events({ after, signal }: RequestOptions & { after?: string } = {}): AsyncGenerator<
    ApprovalEvent,
    void,
    undefined
  > {
    let place = after;
    let ready = false;
    while (!isAborted(signal)) {
      try {
        for await (const event of this.#stream(place, signal)) {
          place = event.id;
          if (event.event === 'approvals.ready' && ready) continue;
          ready = true;
          yield event;
        }
      } catch (error) {
        if (isAborted(signal)) return;
        if (isFinal(error)) throw error;
      }
      await pause(this.#reopenMs, signal);
    }
  }

  async *#stream(place: string | undefined, signal: AbortSignal | undefined): AsyncGenerator<ApprovalEvent> {
    const response = await this.#send('GET', '/approvals/events', {
      headers: { accept: 'text/event-stream', ...(place === undefined ? {} : { 'last-event-id': place }) },
      ...(signal === undefined ? {} : { signal }),
    });
    if (response.body === null) return;
    for await (const { event, data, id } of readFrames(response.body)) {
      // The stream says why it ends; it is opened again.
      if (event === 'error') return;
      if (id !== null) yield { id, event, data: JSON.parse(data) } as ApprovalEvent;
    }
  }

  async #json<T>(method: string, path: string, body: unknown, options: RequestOptions = {}): Promise<T> {
    const response = await this.#send(method, path, {
      ...options,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    return (await response.json()) as T;
  }

  async #send(
    method: string,
    path: string,
    { headers, ...init }: { headers?: Record<string, string>; body?: string; signal?: AbortSignal },
  ): Promise<Response> {
    const response = await this.#fetch(`${this.#url}${path}`, {
      ...init,
      method,
      headers: { ...this.#headers, ...headers },
    });
    if (!response.ok) throw await errorOf(response);
    return response;
  }
}
