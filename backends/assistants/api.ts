/**
 * The requests of the runs API that this backend sends, each with the parser of its response.
 *
 * Rule: one function, one request. Throws `HttpFailure` (also for a response that is not a run), or the caller's abort
 * reason; callers decide what a failure means for a run. `POST /threads/runs` is missing on purpose: a repeated one
 * creates a second thread. Imports the HTTP client. The rest of this folder imports it.
 */
import type { BackendObservation, RunRef } from '../../protocol/ports/backend.ts';
import type { ToolOutput } from '../../protocol/wire/objects.ts';
import {
  asRecord,
  parseJson,
  retryAfterFrom,
  sseEvents,
  type HttpAnswer,
  type HttpClient,
  type HttpRequest,
  type JsonAnswer,
} from '../http/index.ts';
import { inTurns } from '../loop-turns.ts';
import { clockOffset, type AssessedReading } from './assess.ts';
import { idOf, parseRunsPage, readRun, readStepOutputs, type PageOf, type UpstreamRun } from './parse.ts';

/** Context of one backend call for its requests. */
export interface AssistantsCaller {
  signal: AbortSignal;
  observe: (what: BackendObservation) => void;
}

export type RunReading = AssessedReading & {
  /** Pause that the server suggests before the next poll. */
  hintMs: number | null;
};

export type RunEvent =
  | { kind: 'run'; name: string; run: UpstreamRun }
  | { kind: 'error' }
  | { kind: 'done' }
  /** Anything else: deltas, steps, messages, unknown and unreadable events. They carry no state that we need. */
  | { kind: 'other'; unreadable: boolean };

/** The response to a create or a submit. */
export type StartedStream =
  | { kind: 'run'; reading: RunReading }
  | { kind: 'events'; events: AsyncGenerator<RunEvent, void, undefined>; close(): void };

export interface RunsPage extends PageOf<UpstreamRun> {
  offsetMs: number;
}

export interface AssistantsApi {
  readonly origin: string;
  createThread(metadata: Record<string, string>, caller: AssistantsCaller): Promise<string>;
  createRun(
    threadId: string,
    body: Record<string, unknown>,
    stream: boolean,
    caller: AssistantsCaller,
  ): Promise<StartedStream>;
  submit(
    run: RunRef,
    outputs: readonly ToolOutput[],
    stream: boolean,
    caller: AssistantsCaller,
  ): Promise<StartedStream>;
  getRun(run: RunRef, caller: AssistantsCaller): Promise<RunReading>;
  /** Newest first, as far as the server heeds it. */
  listRuns(threadId: string, after: string | null, caller: AssistantsCaller): Promise<RunsPage>;
  /** Outputs that the steps of a run show, newest steps first. */
  stepOutputs(
    run: RunRef,
    after: string | null,
    caller: AssistantsCaller,
  ): Promise<PageOf<Map<string, string | null>>>;
  cancel(run: RunRef, caller: AssistantsCaller): Promise<RunReading | null>;
  listAssistants(signal: AbortSignal): Promise<JsonAnswer>;
  dispose(): Promise<void>;
}

const RUNS = '/threads/{thread}/runs';
const RUN = `${RUNS}/{run}`;

const isRunEvent = (name: string): boolean =>
  name.startsWith('thread.run.') && !name.startsWith('thread.run.step.');

async function* runEvents(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<RunEvent, void, undefined> {
  for await (const { event, data } of sseEvents(inTurns(chunks))) {
    if (event === 'done' || data.trim() === '[DONE]') yield { kind: 'done' };
    else if (event === 'error') yield { kind: 'error' };
    else if (!isRunEvent(event)) yield { kind: 'other', unreadable: false };
    else {
      let run: UpstreamRun | undefined;
      try {
        run = readRun(parseJson(data));
      } catch {
        run = undefined;
      }
      yield run === undefined ? { kind: 'other', unreadable: true } : { kind: 'run', name: event, run };
    }
  }
}

const hintFrom = (answer: HttpAnswer): number | null => {
  const hint = answer.headers['openai-poll-after-ms']?.trim();
  if (hint !== undefined && /^\d+(\.\d+)?$/.test(hint)) return Number(hint);
  return retryAfterFrom(answer.headers, answer.receivedAt, answer.serverTime);
};

const asked = (caller: AssistantsCaller): Pick<HttpRequest, 'signal' | 'observe'> => ({
  signal: caller.signal,
  observe: (what) => caller.observe({ kind: 'request', ...what }),
});
const runPath = (run: RunRef, ...more: string[]): string[] => [
  'threads',
  run.threadId,
  'runs',
  run.backendRunId,
  ...more,
];

/** Builds and reads the requests that several operations share. */
class RunRequests {
  readonly #client: HttpClient;

  constructor(client: HttpClient) {
    this.#client = client;
  }

  /** Parses the run of a response; throws when there is none. */
  read(request: HttpRequest, answer: JsonAnswer): RunReading {
    const run = readRun(answer.body);
    if (run === undefined)
      throw this.#client.unusable(request, answer.status, 'the response is not a run object.');
    return {
      run,
      offsetMs: clockOffset(answer.serverTime, answer.receivedAt),
      receivedAt: answer.receivedAt,
      hintMs: hintFrom(answer),
    };
  }

  /** Sends a create or a submit, as a stream if wanted. */
  async start(request: HttpRequest, body: Record<string, unknown>, stream: boolean): Promise<StartedStream> {
    if (!stream) {
      const whole: HttpRequest = { ...request, body };
      return { kind: 'run', reading: this.read(whole, await this.#client.json(whole)) };
    }
    const streamed: HttpRequest = { ...request, body: { ...body, stream: true } };
    const answer = await this.#client.stream(streamed);
    if (answer.kind === 'json') return { kind: 'run', reading: this.read(streamed, answer) };
    return { kind: 'events', events: runEvents(answer.chunks), close: () => answer.close() };
  }

  /** Reads one page of a list, newest items first. */
  async page<T>(
    target: Pick<HttpRequest, 'path' | 'route'>,
    after: string | null,
    caller: AssistantsCaller,
    read: (item: unknown) => T | undefined,
  ): Promise<PageOf<T> & { answer: JsonAnswer }> {
    const request: HttpRequest = {
      method: 'GET',
      ...target,
      query: { limit: 20, order: 'desc', after: after ?? undefined },
      ...asked(caller),
    };
    const answer = await this.#client.json(request);
    const list = parseRunsPage(answer.body, read);
    if (list === undefined)
      throw this.#client.unusable(request, answer.status, 'the response is not a list.');
    return { ...list, answer };
  }

  async createThread(metadata: Record<string, string>, caller: AssistantsCaller): Promise<string> {
    const request: HttpRequest = {
      method: 'POST',
      path: ['threads'],
      route: '/threads',
      body: { metadata },
      ...asked(caller),
    };
    const answer = await this.#client.json(request);
    const id = idOf(asRecord(answer.body)?.['id']);
    if (id === null)
      throw this.#client.unusable(request, answer.status, 'the response is not a thread object.');
    return id;
  }

  async cancel(run: RunRef, caller: AssistantsCaller): Promise<RunReading | null> {
    const request: HttpRequest = {
      method: 'POST',
      path: runPath(run, 'cancel'),
      route: `${RUN}/cancel`,
      ...asked(caller),
    };
    const answer = await this.#client.json(request);
    // Servers answer a cancel with the run, with an acknowledgement, or with nothing: the next poll reads the state.
    return readRun(answer.body) === undefined ? null : this.read(request, answer);
  }
}

export const createAssistantsApi = (client: HttpClient): AssistantsApi => {
  const requests = new RunRequests(client);
  return {
    origin: client.origin,
    createThread: (metadata, caller) => requests.createThread(metadata, caller),
    createRun: (threadId, body, stream, caller) =>
      requests.start(
        { method: 'POST', path: ['threads', threadId, 'runs'], route: RUNS, ...asked(caller) },
        body,
        stream,
      ),
    submit: (run, outputs, stream, caller) =>
      requests.start(
        {
          method: 'POST',
          path: runPath(run, 'submit_tool_outputs'),
          route: `${RUN}/submit_tool_outputs`,
          ...asked(caller),
        },
        { tool_outputs: outputs },
        stream,
      ),
    async getRun(run, caller) {
      const request: HttpRequest = { method: 'GET', path: runPath(run), route: RUN, ...asked(caller) };
      return requests.read(request, await client.json(request));
    },
    async listRuns(threadId, after, caller) {
      const target = { path: ['threads', threadId, 'runs'], route: RUNS };
      const { answer, ...page } = await requests.page(target, after, caller, readRun);
      return { ...page, offsetMs: clockOffset(answer.serverTime, answer.receivedAt) };
    },
    async stepOutputs(run, after, caller) {
      const target = { path: runPath(run, 'steps'), route: `${RUN}/steps` };
      const { answer: _, ...page } = await requests.page(target, after, caller, readStepOutputs);
      return page;
    },
    cancel: (run, caller) => requests.cancel(run, caller),
    listAssistants: (signal) =>
      client.json({ method: 'GET', path: ['assistants'], route: '/assistants', query: { limit: 1 }, signal }),
    dispose: () => client.close(),
  };
};
