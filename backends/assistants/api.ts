/**
 * The requests of the runs wire that this backend makes, each with its answer read.
 *
 * Rule: one function, one request. Throws `HttpFailure` (an answer that is no run included), or the caller's abort
 * reason; what a failure means for a run is decided by the callers. `POST /threads/runs` is not here on purpose: a
 * repeated one makes a second thread.
 * Imports the HTTP client. The rest of this folder imports it.
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

/** What one call of the backend lends to its requests. */
export interface AssistantsCaller {
  signal: AbortSignal;
  observe: (what: BackendObservation) => void;
}

export type RunReading = AssessedReading & {
  /** Pause that the server suggests before the next look. */
  hintMs: number | null;
};

export type RunEvent =
  | { kind: 'run'; name: string; run: UpstreamRun }
  | { kind: 'error' }
  | { kind: 'done' }
  /** Anything else: deltas, steps, messages, unknown and unreadable events. They carry no state that we need. */
  | { kind: 'other'; unreadable: boolean };

/** What a create or a submit was answered with. */
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

export const createAssistantsApi = (client: HttpClient): AssistantsApi => {
  const reading = (request: HttpRequest, answer: JsonAnswer): RunReading => {
    const run = readRun(answer.body);
    if (run === undefined) throw client.unusable(request, answer.status, 'the answer is no run object.');
    return {
      run,
      offsetMs: clockOffset(answer.serverTime, answer.receivedAt),
      receivedAt: answer.receivedAt,
      hintMs: hintFrom(answer),
    };
  };
  const start = async (
    request: HttpRequest,
    body: Record<string, unknown>,
    stream: boolean,
  ): Promise<StartedStream> => {
    if (!stream) {
      const whole: HttpRequest = { ...request, body };
      return { kind: 'run', reading: reading(whole, await client.json(whole)) };
    }
    const streamed: HttpRequest = { ...request, body: { ...body, stream: true } };
    const answer = await client.stream(streamed);
    if (answer.kind === 'json') return { kind: 'run', reading: reading(streamed, answer) };
    return { kind: 'events', events: runEvents(answer.chunks), close: () => answer.close() };
  };
  const page = <T>(
    request: HttpRequest,
    answer: JsonAnswer,
    read: (item: unknown) => T | undefined,
  ): PageOf<T> => {
    const list = parseRunsPage(answer.body, read);
    if (list === undefined) throw client.unusable(request, answer.status, 'the answer is no list.');
    return list;
  };

  return {
    origin: client.origin,

    async createThread(metadata, caller) {
      const request: HttpRequest = {
        method: 'POST',
        path: ['threads'],
        route: '/threads',
        body: { metadata },
        ...asked(caller),
      };
      const answer = await client.json(request);
      const id = idOf(asRecord(answer.body)?.['id']);
      if (id === null) throw client.unusable(request, answer.status, 'the answer is no thread object.');
      return id;
    },

    createRun: (threadId, body, stream, caller) =>
      start(
        { method: 'POST', path: ['threads', threadId, 'runs'], route: RUNS, ...asked(caller) },
        body,
        stream,
      ),

    submit: (run, outputs, stream, caller) =>
      start(
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
      return reading(request, await client.json(request));
    },

    async listRuns(threadId, after, caller) {
      const request: HttpRequest = {
        method: 'GET',
        path: ['threads', threadId, 'runs'],
        route: RUNS,
        query: { limit: 20, order: 'desc', after: after ?? undefined },
        ...asked(caller),
      };
      const answer = await client.json(request);
      return {
        ...page(request, answer, readRun),
        offsetMs: clockOffset(answer.serverTime, answer.receivedAt),
      };
    },

    async stepOutputs(run, after, caller) {
      const request: HttpRequest = {
        method: 'GET',
        path: runPath(run, 'steps'),
        route: `${RUN}/steps`,
        query: { limit: 20, order: 'desc', after: after ?? undefined },
        ...asked(caller),
      };
      return page(request, await client.json(request), readStepOutputs);
    },

    async cancel(run, caller) {
      const request: HttpRequest = {
        method: 'POST',
        path: runPath(run, 'cancel'),
        route: `${RUN}/cancel`,
        ...asked(caller),
      };
      const answer = await client.json(request);
      // Servers answer a cancel with the run, with an acknowledgement, or with nothing: the next look tells.
      return readRun(answer.body) === undefined ? null : reading(request, answer);
    },

    listAssistants: (signal) =>
      client.json({
        method: 'GET',
        path: ['assistants'],
        route: '/assistants',
        query: { limit: 1 },
        signal,
      }),

    dispose: () => client.close(),
  };
};
