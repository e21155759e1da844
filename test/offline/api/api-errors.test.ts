/**
 * The error table of the HTTP face, as data: situation → status, type, param, code and the exact message.
 * Clients match on these; a change of any cell has to be a decision.
 */
import { describe, expect, test } from 'vitest';
import { createApi } from '../../../api/index.ts';
import type { RunsService } from '../../../protocol/ports/runs-service.ts';
import { RunsError } from '../../../protocol/errors.ts';
import { createSandbox, createSandboxEngine } from '../../../testing/index.ts';
import type { Sandbox } from '../../../testing/index.ts';
import { call } from '../../support/http.ts';

interface Row {
  situation: string;
  request: (ids: Ids) => [method: string, path: string, body?: unknown, headers?: Record<string, string>];
  status: number;
  message: string | ((ids: Ids) => string);
  type?: string;
  param?: string | null;
  code?: string | null;
}

/** A thread whose run waits for two calls, one whose run has completed, and an idle one. */
interface Ids {
  sandbox: Sandbox;
  idle: string;
  busy: string;
  waiting: string;
  calls: string[];
  doneThread: string;
  done: string;
}

const json = (value: unknown): Record<string, string> => value as Record<string, string>;

const prepare = async (): Promise<Ids> => {
  const sandbox = await createSandbox({
    listen: false,
    scripts: {
      two: [
        {
          calls: [
            { name: 'a', arguments: {} },
            { name: 'b', arguments: {} },
          ],
        },
        { text: 'Done.' },
      ],
    },
  });
  const post = async (path: string, body: unknown): Promise<Record<string, string>> =>
    json((await call(sandbox.fetch, 'POST', path, body)).body);
  const thread = async (): Promise<string> => (await post('/v1/threads', {}))['id'] ?? '';
  const [idle, busy, doneThread] = [await thread(), await thread(), await thread()];
  const waiting = (await post(`/v1/threads/${busy}/runs`, { assistant_id: 'asst_two' }))['id'] ?? '';
  const done = (await post(`/v1/threads/${doneThread}/runs`, { assistant_id: 'asst_chat' }))['id'] ?? '';
  sandbox.clock.advance(1);
  const run = sandbox.engine.runs().find((item) => item.id === waiting);
  const calls = run?.required_action?.submit_tool_outputs.tool_calls.map((item) => item.id) ?? [];
  return { sandbox, idle, busy, waiting, calls, doneThread, done };
};

const runsOf = (thread: string): string => `/v1/threads/${thread}/runs`;
const submit = (thread: string, run: string): string => `${runsOf(thread)}/${run}/submit_tool_outputs`;
const output = (id: string | undefined, text = 'x'): unknown => ({ tool_call_id: id, output: text });

const ROWS: Row[] = [
  // Where.
  {
    situation: 'unknown path',
    request: () => ['GET', '/v1/treads/x'],
    status: 404,
    message: 'Unknown request URL: GET /v1/treads/x. Please check the URL for typos.',
    code: 'unknown_url',
  },
  {
    situation: "an endpoint of the vendor's API that is not here",
    request: () => ['POST', '/v1/vector_stores'],
    status: 404,
    message:
      'POST /v1/vector_stores is not supported here: this server has assistants, threads, messages, runs and run steps, and no /v1/vector_stores. Send the text itself in a message, or serve it through a function tool: https://github.com/durable-runs/durable-runs/blob/main/docs/how-to/migrate-a-program.md#what-there-is-not shows one.',
    code: 'unsupported_endpoint',
  },
  {
    situation: "such an endpoint below Azure's path",
    request: () => ['GET', '/openai/files?api-version=2024-05-01-preview'],
    status: 404,
    message:
      'GET /openai/files is not supported here: this server has assistants, threads, messages, runs and run steps, and no /v1/files. Send the text itself in a message, or serve it through a function tool: https://github.com/durable-runs/durable-runs/blob/main/docs/how-to/migrate-a-program.md#what-there-is-not shows one.',
    code: 'unsupported_endpoint',
  },
  {
    situation: 'path without /v1',
    request: () => ['GET', '/threads/thread_1'],
    status: 404,
    message:
      'Unknown request URL: GET /threads/thread_1. Paths begin with /v1 here: set the base URL to end in /v1.',
    code: 'unknown_url',
  },
  {
    situation: 'unknown thread',
    request: () => ['GET', '/v1/threads/thread_none'],
    status: 404,
    message: "No thread found with id 'thread_none'.",
  },
  {
    situation: 'run of another thread',
    request: ({ idle, done }) => ['GET', `${runsOf(idle)}/${done}`],
    status: 404,
    message: ({ done }) => `No run found with id '${done}'.`,
  },
  {
    situation: 'unknown assistant',
    request: ({ idle }) => ['POST', runsOf(idle), { assistant_id: 'asst_none' }],
    status: 404,
    message: "No assistant found with id 'asst_none'.",
  },
  {
    situation: 'unknown message',
    request: ({ idle }) => ['GET', `/v1/threads/${idle}/messages/msg_none`],
    status: 404,
    message: "No message found with id 'msg_none'.",
  },
  {
    situation: 'unknown step',
    request: ({ busy, waiting }) => ['GET', `${runsOf(busy)}/${waiting}/steps/step_none`],
    status: 404,
    message: "No run step found with id 'step_none'.",
  },
  {
    situation: 'an id with a slash in it',
    request: () => ['GET', '/v1/threads/..%2Fetc'],
    status: 400,
    message:
      'Invalid \'thread_id\': thread_id must be 1 to 128 letters, digits, "_", "-", "." or ":", starting with a letter, digit or "_"; got "../etc".',
    param: 'thread_id',
  },
  // Bodies.
  {
    situation: 'malformed JSON',
    request: () => ['POST', '/v1/threads', '{"metadata": '],
    status: 400,
    message: 'We could not parse the JSON body of your request: Unexpected end of JSON input.',
    code: 'invalid_json',
  },
  {
    situation: 'another content type',
    request: () => ['POST', '/v1/threads', 'a=b', { 'content-type': 'application/x-www-form-urlencoded' }],
    status: 400,
    message:
      'Unsupported Content-Type "application/x-www-form-urlencoded": send the body as JSON with the header \'Content-Type: application/json\'.',
    code: 'invalid_content_type',
  },
  {
    situation: 'a body that is no object',
    request: () => ['POST', '/v1/threads', '[1]'],
    status: 400,
    message: 'Invalid type for the request body: expected an object, but got an array instead.',
    code: 'invalid_type',
  },
  {
    situation: 'nesting without end',
    request: () => ['POST', '/v1/threads', `${'['.repeat(100)}${']'.repeat(100)}`],
    status: 400,
    message: 'The request body is nested too deeply: at most 64 levels are accepted.',
    code: 'invalid_json',
  },
  {
    situation: 'missing parameter',
    request: ({ idle }) => ['POST', runsOf(idle), {}],
    status: 400,
    message: "Missing required parameter: 'assistant_id'.",
    param: 'assistant_id',
    code: 'missing_required_parameter',
  },
  {
    situation: 'unknown parameter',
    request: ({ idle }) => ['POST', runsOf(idle), { assistant_id: 'asst_chat', max_token: 5 }],
    status: 400,
    message: "Unknown parameter: 'max_token'.",
    param: 'max_token',
    code: 'unknown_parameter',
  },
  {
    situation: 'an unknown parameter with a name without end',
    request: ({ idle }) => ['POST', runsOf(idle), { assistant_id: 'asst_chat', ['x'.repeat(50_000)]: 5 }],
    status: 400,
    message: `Unknown parameter: '${'x'.repeat(128)}…'.`,
    param: `${'x'.repeat(128)}…`,
    code: 'unknown_parameter',
  },
  {
    situation: 'wrong type',
    request: ({ idle }) => ['POST', runsOf(idle), { assistant_id: 7 }],
    status: 400,
    message: "Invalid type for 'assistant_id': expected a string, but got an integer instead.",
    param: 'assistant_id',
    code: 'invalid_type',
  },
  {
    situation: 'a number below its minimum',
    request: ({ idle }) => ['POST', runsOf(idle), { assistant_id: 'asst_chat', max_completion_tokens: 10 }],
    status: 400,
    message:
      "Invalid 'max_completion_tokens': integer below minimum value. Expected a value >= 256, but got 10 instead.",
    param: 'max_completion_tokens',
    code: 'integer_below_min_value',
  },
  {
    situation: 'a string above its maximum',
    request: () => ['POST', '/v1/assistants', { model: 'chat', description: 'x'.repeat(513) }],
    status: 400,
    message:
      "Invalid 'description': string too long. Expected a string with maximum length 512, but got a string with length 513 instead.",
    param: 'description',
    code: 'string_above_max_length',
  },
  {
    situation: 'an array above its maximum',
    request: () => [
      'POST',
      '/v1/assistants',
      {
        model: 'chat',
        tools: Array.from({ length: 129 }, (_, at) => ({ type: 'function', function: { name: `t${at}` } })),
      },
    ],
    status: 400,
    message:
      "Invalid 'tools': array too long. Expected an array with maximum length 128, but got an array with length 129 instead.",
    param: 'tools',
    code: 'array_above_max_length',
  },
  {
    situation: 'an empty array',
    request: ({ idle }) => ['POST', `/v1/threads/${idle}/messages`, { role: 'user', content: [] }],
    status: 400,
    message:
      "Invalid 'content': array too short. Expected an array with minimum length 1, but got an array with length 0 instead.",
    param: 'content',
    code: 'array_below_min_length',
  },
  {
    situation: 'a value outside its list',
    request: ({ idle }) => ['POST', `/v1/threads/${idle}/messages`, { role: 'system', content: 'x' }],
    status: 400,
    message: "Invalid value: \"system\" for 'role'. Supported values are: 'user', 'assistant'.",
    param: 'role',
    code: 'invalid_value',
  },
  {
    situation: 'metadata beyond its limits',
    request: () => ['POST', '/v1/threads', { metadata: { key: 'x'.repeat(513) } }],
    status: 400,
    message: 'Invalid \'metadata\': metadata values may have at most 512 characters; "key" has 513.',
    param: 'metadata',
    code: 'invalid_value',
  },
  {
    situation: 'limit out of range',
    request: ({ idle }) => ['GET', `${runsOf(idle)}?limit=101`],
    status: 400,
    message: 'Invalid \'limit\': expected a whole number from 1 to 100, but got "101" instead.',
    param: 'limit',
    code: 'invalid_value',
  },
  {
    situation: 'unknown order',
    request: ({ idle }) => ['GET', `${runsOf(idle)}?order=up`],
    status: 400,
    message: "Invalid value: \"up\" for 'order'. Supported values are: 'asc', 'desc'.",
    param: 'order',
    code: 'invalid_value',
  },
  {
    situation: 'unknown query parameter',
    request: ({ idle }) => ['GET', `${runsOf(idle)}?page=2`],
    status: 400,
    message: "Unknown query parameter: 'page'.",
    param: 'page',
    code: 'unknown_parameter',
  },
  {
    situation: 'a cursor that is not in the list',
    request: ({ idle }) => ['GET', `${runsOf(idle)}?after=run_none`],
    status: 400,
    message: "Invalid 'after': the list has no item 'run_none'.",
    param: 'after',
  },
  // Features of the original that are not served: said, never ignored.
  {
    situation: 'code interpreter',
    request: () => ['POST', '/v1/assistants', { model: 'chat', tools: [{ type: 'code_interpreter' }] }],
    status: 400,
    message:
      "The code_interpreter tool is not supported by this server. Use a tool of type 'function', which your program or the worker answers: https://github.com/durable-runs/durable-runs/blob/main/docs/how-to/migrate-a-program.md#what-there-is-not shows one.",
    param: 'tools[0].type',
    code: 'unsupported_parameter',
  },
  {
    situation: 'file search',
    request: ({ idle }) => [
      'POST',
      runsOf(idle),
      { assistant_id: 'asst_chat', tools: [{ type: 'file_search' }] },
    ],
    status: 400,
    message:
      "The file_search tool is not supported by this server. Use a tool of type 'function', which your program or the worker answers: https://github.com/durable-runs/durable-runs/blob/main/docs/how-to/migrate-a-program.md#what-there-is-not shows one.",
    param: 'tools[0].type',
    code: 'unsupported_parameter',
  },
  {
    situation: 'tool resources',
    request: () => [
      'POST',
      '/v1/threads',
      { tool_resources: { file_search: { vector_store_ids: ['vs_1'] } } },
    ],
    status: 400,
    message:
      "'tool_resources' is not supported by this server. Send the text itself in a message, or serve it through a function tool: https://github.com/durable-runs/durable-runs/blob/main/docs/how-to/migrate-a-program.md#what-there-is-not shows one.",
    param: 'tool_resources',
    code: 'unsupported_parameter',
  },
  {
    situation: 'attachments',
    request: ({ idle }) => [
      'POST',
      runsOf(idle),
      {
        assistant_id: 'asst_chat',
        additional_messages: [
          { role: 'user', content: 'x', attachments: [{ file_id: 'file_1', tools: [] }] },
        ],
      },
    ],
    status: 400,
    message:
      "'attachments' is not supported by this server. Send the text itself in a message, or serve it through a function tool: https://github.com/durable-runs/durable-runs/blob/main/docs/how-to/migrate-a-program.md#what-there-is-not shows one.",
    param: 'additional_messages[0].attachments',
    code: 'unsupported_parameter',
  },
  {
    situation: 'image files',
    request: () => [
      'POST',
      '/v1/threads/runs',
      {
        assistant_id: 'asst_chat',
        thread: {
          messages: [{ role: 'user', content: [{ type: 'image_file', image_file: { file_id: 'file_1' } }] }],
        },
      },
    ],
    status: 400,
    message: "Content of type 'image_file' is not supported by this server. Use 'image_url'.",
    param: 'thread.messages[0].content[0].type',
    code: 'unsupported_parameter',
  },
  {
    situation: 'an image that is neither an address nor data',
    request: () => [
      'POST',
      '/v1/threads/runs',
      {
        assistant_id: 'asst_chat',
        thread: {
          messages: [
            { role: 'user', content: [{ type: 'image_url', image_url: { url: 'file:///etc/passwd' } }] },
          ],
        },
      },
    ],
    status: 400,
    message:
      "Invalid 'thread.messages[0].content[0].image_url.url': expected an http or https URL, or a data URL of an image in base64.",
    param: 'thread.messages[0].content[0].image_url.url',
    code: 'invalid_value',
  },
  {
    situation: 'something unknown included',
    request: ({ busy, waiting }) => ['GET', `${runsOf(busy)}/${waiting}/steps?include[]=x`],
    status: 400,
    message:
      "Invalid value: \"x\" for 'include'. Supported values are: 'step_details.tool_calls[*].file_search.results[*].content'.",
    param: 'include',
    code: 'invalid_value',
  },
  // The life of a run.
  {
    situation: 'a second run on a busy thread',
    request: ({ busy }) => ['POST', runsOf(busy), { assistant_id: 'asst_chat' }],
    status: 400,
    message: ({ busy, waiting }) => `Thread ${busy} already has an active run ${waiting}.`,
  },
  {
    situation: 'a message on a busy thread',
    request: ({ busy }) => ['POST', `/v1/threads/${busy}/messages`, { role: 'user', content: 'x' }],
    status: 400,
    message: ({ busy, waiting }) => `Can't add messages to ${busy} while a run ${waiting} is active.`,
  },
  {
    situation: 'deleting a busy thread',
    request: ({ busy }) => ['DELETE', `/v1/threads/${busy}`],
    status: 400,
    message: ({ busy, waiting }) =>
      `Can't delete ${busy} while a run ${waiting} is active. Cancel the run first.`,
  },
  {
    situation: 'some outputs missing',
    request: ({ busy, waiting, calls }) => [
      'POST',
      submit(busy, waiting),
      { tool_outputs: [output(calls[0])] },
    ],
    status: 400,
    message: ({ calls }) =>
      `Expected tool outputs for call_ids ['${calls[0]}', '${calls[1]}'], got ['${calls[0]}']`,
  },
  {
    situation: 'no outputs at all',
    request: ({ busy, waiting }) => ['POST', submit(busy, waiting), { tool_outputs: [] }],
    status: 400,
    message: ({ calls }) => `Expected tool outputs for call_ids ['${calls[0]}', '${calls[1]}'], got []`,
  },
  {
    situation: 'an unknown call beside the right ones',
    request: ({ busy, waiting, calls }) => [
      'POST',
      submit(busy, waiting),
      { tool_outputs: [output(calls[0]), output(calls[1]), output('call_none')] },
    ],
    status: 400,
    message: ({ calls }) =>
      `Expected tool outputs for call_ids ['${calls[0]}', '${calls[1]}'], got ['${calls[0]}', '${calls[1]}', 'call_none']`,
  },
  {
    situation: 'one call twice',
    request: ({ busy, waiting, calls }) => [
      'POST',
      submit(busy, waiting),
      { tool_outputs: [output(calls[0]), output(calls[0])] },
    ],
    status: 400,
    message: ({ calls }) => `Duplicate tool_call_id '${calls[0]}' in tool_outputs: send each output once.`,
    param: 'tool_outputs',
  },
  {
    situation: 'an output without its call',
    request: ({ busy, waiting }) => ['POST', submit(busy, waiting), { tool_outputs: [{ output: 'x' }] }],
    status: 400,
    message: "Missing required parameter: 'tool_outputs[0].tool_call_id'.",
    param: 'tool_outputs[0].tool_call_id',
    code: 'missing_required_parameter',
  },
  {
    situation: 'an output that is no string',
    request: ({ busy, waiting, calls }) => [
      'POST',
      submit(busy, waiting),
      { tool_outputs: [{ tool_call_id: calls[0], output: { degrees: 70 } }] },
    ],
    status: 400,
    message: "Invalid type for 'tool_outputs[0].output': expected a string, but got an object instead.",
    param: 'tool_outputs[0].output',
    code: 'invalid_type',
  },
  {
    situation: 'one output too long',
    request: ({ busy, waiting, calls }) => [
      'POST',
      submit(busy, waiting),
      { tool_outputs: [output(calls[0]), output(calls[1], 'x'.repeat(1_048_577))] },
    ],
    status: 400,
    message:
      "Invalid 'tool_outputs[1].output': string too long. Expected a string with maximum length 1048576, but got a string with length 1048577 instead.",
    param: 'tool_outputs[1].output',
    code: 'string_above_max_length',
  },
  {
    situation: 'all outputs together too large, counted in bytes',
    request: ({ busy, waiting, calls }) => [
      'POST',
      submit(busy, waiting),
      { tool_outputs: [output(calls[0], 'é'.repeat(128_000)), output(calls[1], 'é'.repeat(128_000))] },
    ],
    status: 400,
    message: "'tool_outputs' too large: the combined tool outputs must be less than 512kb.",
    param: 'tool_outputs',
    code: 'invalid_value',
  },
  {
    situation: 'outputs for a run that has ended',
    request: ({ doneThread, done }) => [
      'POST',
      submit(doneThread, done),
      { tool_outputs: [output('call_1')] },
    ],
    status: 400,
    message: 'Runs in status "completed" do not accept tool outputs.',
  },
  {
    situation: 'cancelling a run that has ended',
    request: ({ doneThread, done }) => ['POST', `${runsOf(doneThread)}/${done}/cancel`],
    status: 400,
    message: "Cannot cancel run with status 'completed'.",
  },
  // People's answers.
  {
    situation: 'an answer that is neither output nor decision',
    request: ({ busy, waiting, calls }) => [
      'POST',
      `${runsOf(busy)}/${waiting}/answers`,
      { call_id: calls[0] },
    ],
    status: 400,
    message:
      "Send exactly one of 'output' (for a call that awaits an output) and 'decision' (for a call that awaits approval).",
    param: 'output',
    code: 'invalid_value',
  },
  {
    situation: 'an answer for an unknown call',
    request: ({ busy, waiting }) => [
      'POST',
      `${runsOf(busy)}/${waiting}/answers`,
      { call_id: 'call_none', output: 'x' },
    ],
    status: 400,
    message: ({ calls }) =>
      `Expected tool outputs for call_ids ['${calls[0]}', '${calls[1]}'], got ['call_none']`,
  },
  {
    situation: 'an answer that names another run',
    request: ({ busy, waiting, calls }) => [
      'POST',
      `${runsOf(busy)}/${waiting}/answers`,
      { call_id: calls[0], output: 'x', run_id: 'run_other' },
    ],
    status: 400,
    message: ({ waiting }) => `This answer names run 'run_other', but was sent to run '${waiting}'.`,
    param: 'run_id',
  },
  {
    situation: 'a place in the events that is no number',
    request: ({ busy, waiting }) => [
      'GET',
      `${runsOf(busy)}/${waiting}/events`,
      undefined,
      { 'last-event-id': 'soon' },
    ],
    status: 400,
    message: 'Invalid \'Last-Event-ID\': expected the number of an event, but got "soon" instead.',
    param: 'Last-Event-ID',
    code: 'invalid_value',
  },
];

describe('every refusal has exactly this status, type, param, code and message', () => {
  test.each(ROWS)('$situation', async (row) => {
    const ids = await prepare();
    const before = ids.sandbox.engine.runs();
    const answer = await call(ids.sandbox.fetch, ...row.request(ids));
    expect(answer.body).toEqual({
      error: {
        message: typeof row.message === 'string' ? row.message : row.message(ids),
        type: row.type ?? 'invalid_request_error',
        param: row.param ?? null,
        code: row.code ?? null,
      },
    });
    expect(answer.status).toBe(row.status);
    expect(answer.headers.get('x-request-id')).toMatch(/^req_/);
    expect(answer.headers.get('content-type')).toBe('application/json');
    // A refused request changed nothing.
    expect(ids.sandbox.engine.runs()).toEqual(before);
    await ids.sandbox.close();
  });
});

describe('what official clients send along without meaning it', () => {
  test('empty forms of unsupported features and an empty body pass', async () => {
    const { fetch } = await createSandbox({ listen: false });
    const thread = await call(fetch, 'POST', '/v1/threads', {
      tool_resources: null,
      messages: [{ role: 'user', content: 'hi', attachments: [] }],
    });
    expect(thread.status).toBe(200);
    expect((await call(fetch, 'POST', '/v1/threads', '')).status).toBe(200);
    expect((await call(fetch, 'POST', '/v1/threads', { tool_resources: {} })).status).toBe(200);
  });

  test('a __proto__ key reaches no object', async () => {
    const { fetch } = await createSandbox({ listen: false });
    const body = '{"metadata":{"a":"b","__proto__":"polluted","\\u005f_proto__":"twice"}}';
    const thread = await call(fetch, 'POST', '/v1/threads', body);
    expect(thread.body).toMatchObject({ metadata: { a: 'b' } });
    expect(Object.keys((thread.body as { metadata: object }).metadata)).toEqual(['a']);
  });

  test('a body above the limit is refused, whether its length was said or not', async () => {
    const { engine } = await createSandbox({ listen: false });
    const api = createApi({ engine, body: { maxBytes: 1000 } });
    const big = JSON.stringify({ metadata: { a: 'x'.repeat(1000) } });
    const expected = {
      message: 'The request body is too large: at most 1000 bytes are accepted.',
      code: 'request_too_large',
    };
    const said = await call(api.fetch, 'POST', '/v1/threads', big, { 'content-length': String(big.length) });
    expect(said.status).toBe(400);
    expect(said.body).toMatchObject({ error: expected });
    const unsaid = await call(api.fetch, 'POST', '/v1/threads', big);
    expect(unsaid.status).toBe(400);
    expect(unsaid.body).toMatchObject({ error: expected });
  });
});

/** An engine whose every method rejects with this. */
const broken = (error: unknown): RunsService =>
  new Proxy({} as RunsService, {
    get: () => () => {
      throw error;
    },
  });

describe('exceptions of an engine', () => {
  test.each([
    ['temporal_unavailable', 'The workflow service'],
    ['no_worker', 'A worker'],
    ['store_unavailable', 'The database'],
  ] as const)('that pass by themselves are a 503 with Retry-After: %s', async (code, what) => {
    const api = createApi({ engine: broken(new RunsError(code, 'connect ECONNREFUSED 10.0.0.7:7233')) });
    const answer = await call(api.fetch, 'GET', '/v1/threads/thread_1');
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '2']);
    expect(answer.body).toEqual({
      error: {
        message: `${what} can't be reached right now. Nothing was changed; it is safe to send the request again.`,
        type: 'server_error',
        param: null,
        code: 'unavailable',
      },
    });
  });

  test('in the readiness check are named by the probe, which answers 503', async () => {
    const api = createApi({
      engine: { ...createSandboxEngine(), readiness: () => Promise.reject(new Error('no route to host')) },
    });
    const ready = await call(api.fetch, 'GET', '/readyz');
    expect([ready.status, ready.body]).toEqual([
      503,
      { status: 'not ready', problems: ['readiness could not be checked: no route to host'] },
    ]);
  });

  test('say nothing of the inside, but name the request; the log gets the cause', async () => {
    const cause = new Error('password=hunter2 at /srv/secret.ts:3');
    const seen: unknown[] = [];
    const api = createApi({
      engine: broken(cause),
      onRequest: ({ error, status }) => seen.push([error, status]),
    });
    const answer = await call(api.fetch, 'GET', '/v1/threads/thread_1');
    const requestId = answer.headers.get('x-request-id') ?? '';
    expect(answer.status).toBe(500);
    expect(answer.body).toEqual({
      error: {
        message: `The server had an error while processing your request. Please name request id ${requestId} when you report it.`,
        type: 'server_error',
        param: null,
        code: 'internal_error',
      },
    });
    expect(seen).toEqual([[cause, 500]]);
  });
});
