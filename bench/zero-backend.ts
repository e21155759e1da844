/**
 * A runs server without delay: the lower bound for all other figures. It answers from memory, at once, with one
 * `requires_action` of `k` calls for each of `r` rounds, and then `completed`. The assistant id holds the scenario
 * (`asst_k3_r1`, with `_d500` = state changes 500 ms after create or submit).
 *
 * Rule: no validation, no lock, no expiry: it is not a test double (`testing/` has one). Runs as a separate process
 * (`node --import tsx bench/zero-backend.ts`), so that its CPU is not measured.
 */
import { createServer, type ServerResponse } from 'node:http';

interface LiveRun {
  id: string;
  thread: string;
  assistant: string;
  k: number;
  r: number;
  delayMs: number;
  round: number;
  waiting: boolean;
  done: boolean;
  metadata: Record<string, string>;
  createdAt: number;
  /** When the last change of state happened: the stamp that detection lag is measured from. */
  changedAt: number;
  submittedAt: number;
  outputs: Map<string, string>;
  wake: (() => void)[];
}

const runs = new Map<string, LiveRun>();
const byThread = new Map<string, LiveRun[]>();
let serial = 0;

const callIds = (run: LiveRun): string[] =>
  Array.from({ length: run.k }, (_, index) => `call_${run.round}_${index}`);

const view = (run: LiveRun): Record<string, unknown> => ({
  id: run.id,
  object: 'thread.run',
  created_at: Math.floor(run.createdAt / 1000),
  thread_id: run.thread,
  assistant_id: run.assistant,
  status: run.done ? 'completed' : run.waiting ? 'requires_action' : 'in_progress',
  required_action: run.waiting
    ? {
        type: 'submit_tool_outputs',
        submit_tool_outputs: {
          tool_calls: callIds(run).map((id) => ({
            id,
            type: 'function',
            function: {
              name: run.assistant.includes('_wait') ? 'ask' : 'echo',
              arguments: '{"text":"hello"}',
            },
          })),
        },
      }
    : null,
  last_error: null,
  expires_at: Math.floor(run.createdAt / 1000) + 600,
  started_at: Math.floor(run.createdAt / 1000),
  cancelled_at: null,
  failed_at: null,
  completed_at: run.done ? Math.floor(run.changedAt / 1000) : null,
  incomplete_details: null,
  model: 'zero',
  instructions: null,
  tools: ['echo', 'ask'].map((name) => ({
    type: 'function',
    function: { name, parameters: { type: 'object', properties: { text: { type: 'string' } } } },
  })),
  metadata: run.metadata,
  usage: run.done ? { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } : null,
});

const advance = (run: LiveRun): void => {
  const change = (): void => {
    run.round += 1;
    run.waiting = run.round <= run.r;
    run.done = !run.waiting;
    run.changedAt = Date.now();
    for (const wake of run.wake.splice(0)) wake();
  };
  if (run.delayMs === 0) change();
  else setTimeout(change, run.delayMs);
};

const settledYet = (run: LiveRun): boolean => run.waiting || run.done;

const json = (response: ServerResponse, body: unknown): void => {
  const text = JSON.stringify(body);
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
};

const stream = (response: ServerResponse, run: LiveRun): void => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write(
    `event: thread.run.queued\ndata: ${JSON.stringify({ ...view(run), status: 'queued', required_action: null })}\n\n`,
  );
  const finish = (): void => {
    const body = view(run);
    response.end(
      `event: thread.run.${String(body['status'])}\ndata: ${JSON.stringify(body)}\n\nevent: done\ndata: [DONE]\n\n`,
    );
  };
  if (settledYet(run)) finish();
  else run.wake.push(finish);
};

const EMPTY_LIST = { object: 'list', data: [], first_id: null, last_id: null, has_more: false };

const createThread = (response: ServerResponse): void =>
  json(response, {
    id: `thread_${++serial}`,
    object: 'thread',
    created_at: Math.floor(Date.now() / 1000),
    metadata: {},
  });

const createRun = (thread: string, body: Record<string, unknown>): LiveRun => {
  const assistant = String(body['assistant_id']);
  const number = (letter: string, otherwise: number): number =>
    Number(new RegExp(`_${letter}(\\d+)`).exec(assistant)?.[1] ?? otherwise);
  const run: LiveRun = {
    id: `run_zero_${++serial}`,
    thread,
    assistant,
    k: number('k', 1),
    r: number('r', 1),
    delayMs: number('d', 0),
    round: 0,
    waiting: false,
    done: false,
    metadata: (body['metadata'] ?? {}) as Record<string, string>,
    createdAt: Date.now(),
    changedAt: Date.now(),
    submittedAt: 0,
    outputs: new Map(),
    wake: [],
  };
  runs.set(run.id, run);
  byThread.set(thread, [run, ...(byThread.get(thread) ?? [])]);
  return run;
};

const submit = (run: LiveRun, body: Record<string, unknown>): void => {
  for (const item of body['tool_outputs'] as { tool_call_id: string; output: string }[])
    run.outputs.set(item.tool_call_id, item.output);
  run.waiting = false;
  run.submittedAt = Date.now();
};

/** Advances the run and answers with it, as a stream if that was asked for. */
const proceed = (response: ServerResponse, run: LiveRun, body: Record<string, unknown>): void => {
  advance(run);
  if (body['stream'] === true) stream(response, run);
  else json(response, view(run));
};

/** Answers a request; `path` without `/v1`. False = no such route. */
const answer = (
  method: string,
  path: readonly string[],
  body: Record<string, unknown>,
  response: ServerResponse,
): boolean => {
  const run = path[2] === 'runs' && path[3] !== undefined ? runs.get(path[3]) : undefined;
  const list = path[2] === 'runs' && path.length === 3;
  if (method === 'POST' && path.length === 1 && path[0] === 'threads') createThread(response);
  else if (method === 'POST' && list) proceed(response, createRun(path[1] ?? '', body), body);
  else if (method === 'GET' && list) json(response, EMPTY_LIST);
  else if (run === undefined) return false;
  else if (method === 'POST' && path[4] === 'submit_tool_outputs') {
    submit(run, body);
    proceed(response, run, body);
  } else if (path[4] === 'stamps') json(response, { changedAt: run.changedAt, submittedAt: run.submittedAt });
  else json(response, path[4] === 'steps' ? EMPTY_LIST : view(run));
  return true;
};

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const text = Buffer.concat(chunks).toString();
    const body = (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>;
    const { pathname } = new URL(request.url ?? '/', 'http://zero');
    const path = pathname.replace(/^\/v1/, '').split('/').slice(1);
    if (answer(request.method ?? '', path, body, response)) return;
    const message = `No route ${request.method} ${pathname}`;
    response.writeHead(404, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify({ error: { message, type: 'invalid_request_error', param: null, code: null } }),
    );
  });
});

server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object' && address !== null)
    process.send?.({ ready: `http://127.0.0.1:${address.port}/v1` });
});
process.on('disconnect', () => process.exit(0));
