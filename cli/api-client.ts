/**
 * The part of the HTTP API that the CLI uses: assistants, start a run, read it, follow its events, read its messages, list and
 * decide what waits for an approval.
 *
 * Rule: every response that is not a success becomes a `CliError` whose exit code says who can act. The key is sent in
 * the header only and is in no message. Imported by the commands and the demo.
 */
import { createSseParser } from '../backends/http/sse.ts';
import { quote } from '../protocol/rules/validation.ts';
import type { SequencedEvent } from '../protocol/wire/events.ts';
import type { AssistantParams } from '../protocol/ports/runs-service.ts';
import type {
  Assistant,
  FunctionTool,
  Message,
  Page,
  Run,
  RunStep,
  WireUsage,
} from '../protocol/wire/objects.ts';
import type { DayUsage, ThreadUsage } from '../protocol/wire/usage.ts';
import type { AnswerPayload, AnswerReply } from '../protocol/temporal/messages.ts';
import type { Approval, RunDecision } from '../protocol/wire/decisions.ts';
import { CliError, EXIT, type ExitCode } from '../app/exit.ts';
import type { ApiPlace } from './connections.ts';
import type { RunMessage } from './output/rounds.ts';

export interface StartBody {
  assistant_id: string;
  instructions?: string;
  metadata?: Record<string, string>;
  additional_messages?: { role: 'user'; content: string }[];
  thread?: { messages: { role: 'user'; content: string }[] };
}

/** Which of the waiting calls are asked for. */
export interface WantedApprovals {
  threadId?: string;
  /** As many at most. */
  most?: number;
}

export class ApiClient {
  readonly #base: string;
  readonly #key: string | undefined;
  readonly #signal: AbortSignal;

  constructor(place: ApiPlace, signal: AbortSignal) {
    this.#base = place.apiUrl;
    this.#key = place.apiKey;
    this.#signal = signal;
  }

  /** On `threadId`, or on a new thread when it is null. A repeated `idempotencyKey` starts nothing new. */
  async startRun(threadId: string | null, body: StartBody, idempotencyKey: string | undefined): Promise<Run> {
    const path = threadId === null ? '/v1/threads/runs' : `/v1/threads/${encodeURIComponent(threadId)}/runs`;
    return this.#json<Run>('POST', path, body, idempotencyKey);
  }

  createAssistant(params: AssistantParams): Promise<Assistant> {
    return this.#json<Assistant>('POST', '/v1/assistants', params);
  }

  /** Newest first. The server checks `limit`: a number from 1 to 100. */
  async assistants(limit: string): Promise<Assistant[]> {
    const query = `?limit=${encodeURIComponent(limit)}`;
    return (await this.#json<Page<Assistant>>('GET', `/v1/assistants${query}`)).data;
  }

  /** Names of the worker's tools that the key may use. */
  async toolNames(): Promise<string[]> {
    const page = await this.#json<{ data: FunctionTool[] }>('GET', '/v1/tools');
    return page.data.map((tool) => tool.function.name);
  }

  getRun(threadId: string, runId: string): Promise<Run> {
    return this.#json<Run>('GET', runPath(threadId, runId));
  }

  /** The assistant's messages of this run, oldest first. */
  async messages(threadId: string, runId: string): Promise<string[]> {
    return (await this.#messages(threadId, runId)).map(textOf);
  }

  /** Decisions about calls of this run, oldest first. */
  decisions(threadId: string, runId: string): Promise<RunDecision[]> {
    return this.#all<RunDecision>(`${runPath(threadId, runId)}/decisions?order=asc&limit=100`);
  }

  /** Calls that wait for an approval, of the key's tenant and tools, the earliest deadline first. Default: all. */
  approvals({ threadId, most }: WantedApprovals = {}): Promise<Approval[]> {
    const thread = threadId === undefined ? '' : `&thread_id=${encodeURIComponent(threadId)}`;
    return this.#all<Approval>(`/v1/approvals?limit=100${thread}`, most);
  }

  answer(threadId: string, runId: string, payload: AnswerPayload): Promise<AnswerReply> {
    return this.#json<AnswerReply>('POST', `${runPath(threadId, runId)}/answers`, payload);
  }

  /** What models used, by day, tenant and model. */
  usage(query: Record<'tenant' | 'from' | 'to', string | undefined>): Promise<Page<DayUsage>> {
    const named = Object.entries(query).flatMap(([name, value]) =>
      value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`],
    );
    return this.#json<Page<DayUsage>>('GET', `/v1/usage${named.length === 0 ? '' : `?${named.join('&')}`}`);
  }

  threadUsage(threadId: string): Promise<ThreadUsage> {
    return this.#json<ThreadUsage>('GET', `/v1/threads/${encodeURIComponent(threadId)}/usage`);
  }

  /** For commands whose paths no other command uses. */
  call<T>(method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<T> {
    return this.#json<T>(method, path, body);
  }

  /** The messages with the number of rounds before each, and usage and model of each turn, from the run's steps. */
  async story(
    threadId: string,
    runId: string,
  ): Promise<{ messages: RunMessage[]; turns: WireUsage[]; models: string[] }> {
    const [steps, page] = await Promise.all([
      this.#json<Page<RunStep>>('GET', `${runPath(threadId, runId)}/steps?order=asc&limit=100`),
      this.#messages(threadId, runId),
    ]);
    let rounds = 0;
    const before = new Map<string, number>();
    for (const { step_details: details } of steps.data)
      if (details.type === 'tool_calls') rounds += 1;
      else before.set(details.message_creation.message_id, rounds);
    const spoke = steps.data.flatMap(({ status, model }) =>
      status === 'failed' || model === undefined ? [] : [model],
    );
    return {
      messages: page.map((message) => ({
        afterRound: before.get(message.id) ?? rounds,
        text: textOf(message),
      })),
      // Servers of others may leave it out.
      turns: steps.data.map(({ usage }) => usage ?? null).filter((usage) => usage !== null),
      models: [...new Set(spoke)],
    };
  }

  /** The run's events after `after`, until the run has ended or the connection breaks. */
  async *events(threadId: string, runId: string, after: number): AsyncGenerator<SequencedEvent> {
    const response = await this.#send('GET', `${runPath(threadId, runId)}/events`, undefined, {
      accept: 'text/event-stream',
      ...(after > 0 ? { 'last-event-id': String(after) } : {}),
    });
    if (response.body === null) return;
    const parser = createSseParser();
    for await (const chunk of response.body) {
      for (const event of parser.push(chunk)) {
        if (event.data === '[DONE]') return;
        const seq = Number(event.id);
        if (Number.isSafeInteger(seq) && event.id !== null)
          yield { event: event.event, data: JSON.parse(event.data), seq } as SequencedEvent;
      }
    }
  }

  /** Every page of a list; `path` has a query. */
  /** No page is read beyond the first `most`. */
  async #all<Item>(path: string, most = Infinity): Promise<Item[]> {
    const found: Item[] = [];
    for (let after = ''; ;) {
      const page = await this.#json<Page<Item>>('GET', `${path}${after}`);
      found.push(...page.data);
      if (!page.has_more || page.last_id === null || found.length >= most) return found.slice(0, most);
      after = `&after=${encodeURIComponent(page.last_id)}`;
    }
  }

  async #messages(threadId: string, runId: string): Promise<Message[]> {
    const query = `?run_id=${encodeURIComponent(runId)}&order=asc&limit=100`;
    const path = `/v1/threads/${encodeURIComponent(threadId)}/messages${query}`;
    const page = await this.#json<Page<Message>>('GET', path);
    return page.data.filter((message) => message.role === 'assistant');
  }

  async #json<T>(method: string, path: string, body?: unknown, idempotencyKey?: string): Promise<T> {
    const response = await this.#send(
      method,
      path,
      body,
      idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey },
    );
    const text = await response.text();
    try {
      return JSON.parse(text) as T;
    } catch {
      throw this.#notOurs(`it answered ${quote(text, 60)}`);
    }
  }

  async #send(
    method: string,
    path: string,
    body: unknown,
    headers: Record<string, string>,
  ): Promise<Response> {
    const target = `${this.#base}${path}`;
    let response: Response;
    try {
      response = await fetch(target, {
        method,
        headers: {
          'openai-beta': 'assistants=v2',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(this.#key === undefined ? {} : { authorization: `Bearer ${this.#key}` }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: this.#signal,
      });
    } catch (error) {
      if (this.#signal.aborted) throw new CliError(EXIT.interrupted, 'interrupted', 'interrupted');
      const cause =
        error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
      throw new CliError(
        EXIT.unavailable,
        'api_unavailable',
        `the API at ${JSON.stringify(this.#base)} can't be reached (${cause}). Start it ("runs dev" or "runs serve") or set RUNS_URL. With RUNS_BACKEND=assistants no API is needed.`,
        { cause: error },
      );
    }
    if (response.ok) return response;
    throw await this.#refusal(response, method, path);
  }

  async #refusal(response: Response, method: string, path: string): Promise<CliError> {
    const text = await response.text();
    const error = errorOf(text);
    if (error === undefined && response.status !== 401 && response.status !== 503)
      return this.#notOurs(`${method} ${path} answered ${response.status} ${quote(text, 60)}`);
    const message = error?.message ?? `status ${response.status}`;
    const hint =
      response.status === 401
        ? ' Set RUNS_API_KEY to a key of this server.'
        : response.status === 404
          ? ` The request went to the API at ${JSON.stringify(this.#base)}: check the id and RUNS_URL.`
          : '';
    return new CliError(
      exitOf(response.status),
      error?.code ?? `http_${response.status}`,
      `${message}${hint}`,
      {
        details: { status: response.status, error: error ?? null },
      },
    );
  }

  #notOurs(what: string): CliError {
    return new CliError(
      EXIT.unavailable,
      'not_the_api',
      `the server at ${JSON.stringify(this.#base)} does not speak the runs API: ${what}. Check RUNS_URL.`,
    );
  }
}

const runPath = (threadId: string, runId: string): string =>
  `/v1/threads/${encodeURIComponent(threadId)}/runs/${encodeURIComponent(runId)}`;

const exitOf = (status: number): ExitCode => {
  if (status === 404) return EXIT.notFound;
  if (status === 401 || status === 403) return EXIT.usage;
  if (status === 429 || status >= 500) return EXIT.unavailable;
  return EXIT.refused;
};

const errorOf = (text: string): { message: string; code: string | null } | undefined => {
  try {
    const read: unknown = JSON.parse(text);
    if (typeof read !== 'object' || read === null || !('error' in read)) return undefined;
    const { error } = read;
    if (typeof error !== 'object' || error === null || !('message' in error)) return undefined;
    const code = 'code' in error && typeof error.code === 'string' ? error.code : null;
    return { message: String(error.message), code };
  } catch {
    return undefined;
  }
};

export const textOf = (message: Pick<Message, 'content'>): string =>
  message.content.map((part) => (part.type === 'text' ? part.text.value : `[${part.type}]`)).join('');
