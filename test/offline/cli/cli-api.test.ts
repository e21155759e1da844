/** The CLI as a client of our HTTP API: starting, following a broken stream, and what each refusal becomes. */
import { afterEach, describe, expect, test } from 'vitest';
import { ApiClient } from '../../../cli/api-client.ts';
import { toCliFailure } from '../../../app/exit.ts';
import { eventLines, followRun } from '../../../cli/output/follow.ts';
import type { StreamEvent } from '../../../protocol/wire/events.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';
import { cli } from '../../support/cli.ts';
import { json, reply, scriptedHttp, sse, type ScriptedHttp, type Step } from '../../support/scripted-http.ts';

guardAgainstLeaks({
  // Node's own fetch keeps idle connections for some seconds.
  ignore: ['TCPSocketWrap', 'Timeout'],
});

let server: ScriptedHttp | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

const client = async (steps: Step[], apiKey?: string): Promise<ApiClient> => {
  server = await scriptedHttp(steps);
  return new ApiClient({ apiUrl: server.url, apiKey }, new AbortController().signal);
};

const refusal = async (step: Step): Promise<ReturnType<typeof toCliFailure>> => {
  const api = await client([step], 'sk-canary-1');
  const error = await api.getRun('thread_1', 'run_1').catch((thrown: unknown) => thrown);
  return toCliFailure(error);
};

const body = (message: string, code: string | null = null) => ({
  error: { message, type: 'invalid_request_error', param: null, code },
});

const event = (seq: number, name: string, data: object): string =>
  `id: ${seq}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`;

const createAssistant = async (args: string[], steps: Step[], env: Record<string, string> = {}) => {
  server = await scriptedHttp(steps);
  return cli(['assistants', 'create', ...args], { RUNS_URL: server.url, ...env });
};
const sent = (): unknown => JSON.parse(server?.requests[0]?.body ?? 'null');

describe('an assistant', () => {
  const ASSISTANT = { id: 'asst_1', object: 'assistant', model: 'm', name: null, tools: [] };
  test('is created by model, name, instructions and names of tools, and its id printed', async () => {
    const made = await createAssistant(
      [
        '--model',
        'qwen3',
        '--name',
        'Refunds',
        '--instructions',
        'Be brief.',
        '--tool',
        'refund',
        '--tool',
        'x',
      ],
      [json(ASSISTANT), json({ object: 'list', data: [{ type: 'function', function: { name: 'refund' } }] })],
    );
    expect([made.code, made.stdout]).toEqual([0, 'asst_1\n']);
    expect(sent()).toEqual({
      model: 'qwen3',
      name: 'Refunds',
      instructions: 'Be brief.',
      tools: [
        { type: 'function', function: { name: 'refund' } },
        { type: 'function', function: { name: 'x' } },
      ],
    });
    expect(made.stderr).toBe(
      'note: the worker has no tool "x", so its calls wait for the caller. It has: refund.\n',
    );
  });

  test.each([
    [{}, 'scripted:auto'],
    [{ RUNS_MODEL: 'llama' }, 'llama'],
  ])('without --model and with %j asks %j', async (env: Record<string, string>, model) => {
    await createAssistant([], [json(ASSISTANT)], env);
    expect(sent()).toEqual({ model });
  });

  test.each([
    [{ RUNS_BACKEND: 'chat' }, 'needs --model NAME'],
    [{ RUNS_BACKEND: 'assistants' }, 'Create them there'],
  ])('with %j is refused before a server is asked', async (env: Record<string, string>, words) => {
    const refused = await createAssistant([], [], env);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain(words);
    expect(server?.requests).toEqual([]);
  });

  test('is listed with its model and its tools', async () => {
    server = await scriptedHttp([
      json({
        object: 'list',
        data: [{ ...ASSISTANT, name: 'R', tools: [{ type: 'function', function: { name: 'refund' } }] }],
      }),
    ]);
    const listed = await cli(['assistants', 'list', '--limit', '5'], { RUNS_URL: server.url });
    expect(server.requests[0]?.target).toBe('/v1/assistants?limit=5');
    expect(listed.stdout).toMatch(/^asst_1 +m +R +refund$/m);
  });
});

describe('a start', () => {
  test('sends key, idempotency key and the beta header, and creates a thread where none is given', async () => {
    const api = await client([json({ id: 'run_1', thread_id: 'thread_1', status: 'queued' })], 'sk-1');
    const run = await api.startRun(null, { assistant_id: 'asst_1', thread: { messages: [] } }, 'once');
    expect(run.id).toBe('run_1');
    const [request] = server?.requests ?? [];
    expect(request?.target).toBe('/v1/threads/runs');
    expect(request?.headers).toMatchObject({
      authorization: 'Bearer sk-1',
      'idempotency-key': 'once',
      'openai-beta': 'assistants=v2',
    });
    expect(JSON.parse(request?.body ?? '')).toEqual({ assistant_id: 'asst_1', thread: { messages: [] } });
  });

  test('escapes what it puts into a path', async () => {
    const api = await client([json({})]);
    await api.getRun('../x', 'a b');
    expect(server?.requests[0]?.target).toBe('/v1/threads/..%2Fx/runs/a%20b');
  });
});

describe('a refusal', () => {
  test.each([
    ['400', json(body('Thread thread_1 already has an active run run_2.'), 400), 4],
    ['401', json(body('Incorrect API key provided.', 'invalid_api_key'), 401), 2],
    ['403', json(body('no'), 403), 2],
    ['404', json(body("No run found with id 'run_1'."), 404), 3],
    ['429', json(body('Rate limit reached.', 'rate_limit_exceeded'), 429), 5],
    ['503', json(body("Temporal can't be reached right now."), 503), 5],
    ['502 of a proxy', reply(502, '<html>bad gateway</html>'), 5],
  ])('with %s has its own exit code', async (_what, step, exitCode) => {
    const failure = await refusal(step);
    expect(failure.exitCode).toBe(exitCode);
    expect(JSON.stringify(failure)).not.toContain('canary');
  });

  test('keeps the server’s words and code', async () => {
    const failure = await refusal(json(body('Not now.', 'busy'), 400));
    expect(failure.text).toBe('runs: Not now.');
    expect(failure.document.error).toMatchObject({ code: 'busy', message: 'Not now.', exitCode: 4 });
  });

  test('for an unknown id names the server that was asked, and the variable that chose it', async () => {
    const failure = await refusal(json(body("No run found with id 'run_1'."), 404));
    expect(failure.text).toMatch(
      /^runs: No run found with id 'run_1'\. The request went to the API at "http:.*RUNS_URL\.$/,
    );
  });

  test('for a missing key names the variable to set', async () => {
    const failure = await refusal(json(body('Incorrect API key provided.', 'invalid_api_key'), 401));
    expect(failure.text).toContain('RUNS_API_KEY');
  });

  test('of a server that is no runs API says which address was asked', async () => {
    const failure = await refusal(reply(200, 'hello'));
    expect(failure.exitCode).toBe(5);
    expect(failure.text).toContain('does not speak the runs API');
    expect(failure.text).toContain('RUNS_URL');
  });

  test('without any server names the command that starts one', async () => {
    const api = new ApiClient(
      { apiUrl: 'http://127.0.0.1:9', apiKey: undefined },
      new AbortController().signal,
    );
    const failure = toCliFailure(await api.getRun('t', 'r').catch((thrown: unknown) => thrown));
    expect(failure.exitCode).toBe(5);
    expect(failure.text).toMatch(/can't be reached .* Start it/);
  });
});

const at = (status: string) => ({ id: 'run_1', thread_id: 'thread_1', status });

describe('following a run', () => {
  const io = { env: {}, signal: new AbortController().signal } as Parameters<typeof followRun>[2]['io'];
  const started = { id: 'run_1', thread_id: 'thread_1' };

  test('goes on after a cut with what was not read yet, and ends with the run', async () => {
    const api = await client([
      sse(
        [event(1, 'thread.run.queued', at('queued')), event(2, 'thread.run.in_progress', at('in_progress'))],
        'cut',
      ),
      sse([event(3, 'thread.run.completed', at('completed')), 'event: done\ndata: [DONE]\n\n']),
      json(at('completed')),
    ]);
    const said: string[] = [];
    const run = await followRun(api, started, { io, say: (line) => said.push(line) });
    expect(run.status).toBe('completed');
    expect(server?.requests[1]?.headers['last-event-id']).toBe('2');
    expect(said.filter((line) => line.startsWith('run_1'))).toEqual([
      'run_1  queued',
      'run_1  in_progress',
      'run_1  completed',
    ]);
    expect(said.filter((line) => line.startsWith('connection lost'))).toHaveLength(1);
  });

  test('does not take the end of a stream for the end of the run', async () => {
    const api = await client([
      sse([event(1, 'thread.run.queued', at('queued'))]),
      json(at('in_progress')),
      sse([event(2, 'thread.run.failed', at('failed'))]),
      json(at('failed')),
    ]);
    const run = await followRun(api, started, { io, say: () => undefined });
    expect(run.status).toBe('failed');
    expect(server?.requests).toHaveLength(4);
  });

  test('gives up at once on what will not get better', async () => {
    const api = await client([json(body('No run found.'), 404)]);
    const error = await followRun(api, started, { io, say: () => undefined }).catch(
      (thrown: unknown) => thrown,
    );
    expect(toCliFailure(error).exitCode).toBe(3);
  });
});

test('a stream’s events become few lines, each of which tells something', () => {
  const asked = {
    event: 'thread.run.requires_action',
    data: {
      id: 'run_1',
      required_action: {
        submit_tool_outputs: {
          tool_calls: [{ id: 'call_1', function: { name: 'ask', arguments: '{"q":1}' } }],
        },
      },
    },
  } as unknown as StreamEvent;
  expect(eventLines(asked)).toEqual([
    'run_1  requires_action',
    '  ? ask  call_1  waits for an answer',
    '      arguments, written by the model:',
    '      │ {',
    '      │   "q": 1',
    '      │ }',
    `      runs answer run_1 call_1 --output 'your answer'`,
  ]);
  const delta = { event: 'thread.message.delta', data: {} } as unknown as StreamEvent;
  expect(eventLines(delta)).toEqual([]);
});
