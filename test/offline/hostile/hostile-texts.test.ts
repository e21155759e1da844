/**
 * Texts that PostgreSQL and protobuf do not take, in every string of every request: refused as the client's mistake where they
 * are names and ids, kept as they came where they are content. Never an error of the server.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createApi, type Api } from '../../../api/index.ts';
import { ROUTES } from '../../../api/app.ts';
import { createRunsService } from '../../../service/index.ts';
import type { Workflows } from '../../../service/run-workflows.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import type { Run } from '../../../protocol/wire/objects.ts';
import { call } from '../../support/http.ts';
import { external, memoryStore, POLICY } from '../../support/store.ts';

const NOW = 1_800_000_000_000;
const TEXTS = ['a\0b', '\ud800', 'x\udc00y'];

/** As a message of protobuf does, it refuses what is no UTF-8. */
const asProtobuf = (text: string): void => {
  if (/[\0\p{Cs}]/u.test(text)) throw new TypeError(`${JSON.stringify(text)} is no valid text`);
};
const workflows: Workflows = {
  start: async ({ runId, assistantId }) => {
    asProtobuf(assistantId ?? '');
    return { runId: runId ?? '', started: true };
  },
  cancel: async () => undefined,
  answer: async (runId, { call_id }) => {
    asProtobuf(call_id);
    return { run_id: runId, call_id, result: 'accepted', waiting: [] };
  },
  submitToolOutputs: async (runId, { tool_outputs: outputs }) => {
    for (const { tool_call_id: callId } of outputs) asProtobuf(callId);
    return { run_id: runId, round: 1, result: 'accepted' };
  },
  look: async () => 'running',
  trace: async () => null,
  history: async () => null,
  running: async (runIds) => new Set(runIds),
  brokenOffSince: async () => [],
  ping: async () => undefined,
  namespaceId: async () => ({ id: 'ns', name: 'default' }),
  tools: async () => [],
};

let store: Store;
let api: Api;
beforeAll(async () => {
  store = await memoryStore();
  api = createApi({ engine: createRunsService({ store, client: { workflows }, now: () => NOW }) });
}, 60_000);
afterAll(() => store.close());

const post = async (path: string, body: unknown): Promise<Record<string, string>> =>
  (await call(api.fetch, 'POST', path, body)).body as Record<string, string>;

const MESSAGE = { role: 'user', content: 'hi', metadata: { a: 'b' } };
const TOOL = { type: 'function', function: { name: 'f', description: 'An f.', parameters: { x: 'y' } } };

/** The id of an approval that waits. */
const waitingApproval = async (assistantId: string): Promise<string> => {
  const run = (await post('/v1/threads/runs', { assistant_id: assistantId })) as unknown as Run;
  const claim = await store.claim(run.id, NOW);
  if (claim === null) throw new Error('no row');
  const plan = {
    kind: 'approval' as const,
    wait: { onDeadline: 'fail' as const, answerWithinMs: null },
    policy: POLICY,
  };
  const calls = [{ callId: 'call_2', name: 'pay', arguments: '{"a":"b"}', plan }];
  const outcome = { kind: 'calls' as const, calls, expiresAt: null };
  await store.settleTurn(claim.lease, { outcome, message: null, usage: null }, NOW);
  const { data } = (await call(api.fetch, 'GET', '/v1/approvals')).body as { data: { id: string }[] };
  return data[0]?.id ?? '';
};

/** Each body is sent hundreds of times, and a webhook has at most five secrets, so those without strings are empty. */
const webhookBodies = async (): Promise<Record<string, { path: string; body: object }>> => {
  const url = 'https://hooks.example.com/a';
  const { id } = await post('/v1/webhooks', { url });
  const delivery = await post(`/v1/webhooks/${id}/test`, {});
  return {
    'POST /v1/webhooks': { path: '/v1/webhooks', body: { url, description: 'd', events: ['run.ended'] } },
    'POST /v1/webhooks/{webhook_id}': { path: `/v1/webhooks/${id}`, body: { url, description: 'd' } },
    'POST /v1/webhooks/{webhook_id}/rotate': { path: `/v1/webhooks/${id}/rotate`, body: {} },
    'POST /v1/webhooks/{webhook_id}/test': { path: `/v1/webhooks/${id}/test`, body: {} },
    'POST /v1/webhooks/deliveries/{delivery_id}/redeliver': {
      path: `/v1/webhooks/deliveries/${delivery['id']}/redeliver`,
      body: {},
    },
  };
};

/** A body for each route that uses all of its strings, and the path it goes to. */
const prepare = async (): Promise<Record<string, { path: string; body: object }>> => {
  const assistant = await post('/v1/assistants', { model: 'm' });
  const idle = await post('/v1/threads', {});
  const message = await post(`/v1/threads/${idle['id']}/messages`, MESSAGE);
  const run = (await post('/v1/threads/runs', { assistant_id: assistant['id'] })) as unknown as Run;
  const claim = await store.claim(run.id, NOW);
  if (claim === null) throw new Error('no row');
  const outcome = { kind: 'calls' as const, calls: [external('call_1', 'f')], expiresAt: null };
  await store.settleTurn(claim.lease, { outcome, message: null, usage: null }, NOW);
  const of = {
    model: 'm',
    instructions: 'i',
    tools: [TOOL],
    metadata: { a: 'b' },
    response_format: { type: 'json_schema', json_schema: { name: 'n' } },
    reasoning_effort: 'low',
  };
  const newRun = {
    ...of,
    assistant_id: assistant['id'],
    tool_choice: { type: 'function', function: { name: 'f' } },
  };
  const at = `/v1/threads/${run.thread_id}/runs/${run.id}`;
  const fresh = await post('/v1/threads', {});
  return {
    'POST /v1/approvals/{approval_id}/comments': {
      path: `/v1/approvals/${await waitingApproval(assistant['id'] ?? '')}/comments`,
      body: { text: 'x' },
    },
    'POST /v1/approvals/{approval_id}': {
      path: `/v1/approvals/${await waitingApproval(assistant['id'] ?? '')}`,
      body: { decision: 'approve', arguments: { a: 'c' }, by: 'b', reason: 'r', note: 'n' },
    },
    'POST /v1/assistants': { path: '/v1/assistants', body: { ...of, name: 'n', description: 'd' } },
    'POST /v1/assistants/{assistant_id}': { path: `/v1/assistants/${assistant['id']}`, body: of },
    'POST /v1/threads': { path: '/v1/threads', body: { messages: [MESSAGE], metadata: { a: 'b' } } },
    'POST /v1/threads/{thread_id}': {
      path: `/v1/threads/${idle['id']}`,
      body: { metadata: { a: 'b' } },
    },
    'POST /v1/threads/{thread_id}/messages': { path: `/v1/threads/${idle['id']}/messages`, body: MESSAGE },
    'POST /v1/threads/{thread_id}/messages/{message_id}': {
      path: `/v1/threads/${idle['id']}/messages/${message['id']}`,
      body: { metadata: { a: 'b' } },
    },
    'POST /v1/threads/runs': {
      path: '/v1/threads/runs',
      body: { ...newRun, thread: { messages: [MESSAGE] } },
    },
    'POST /v1/threads/{thread_id}/runs': {
      path: `/v1/threads/${fresh['id']}/runs`,
      body: { ...newRun, additional_instructions: 'i', additional_messages: [MESSAGE] },
    },
    'POST /v1/threads/{thread_id}/runs/{run_id}': { path: at, body: { metadata: { a: 'b' } } },
    'POST /v1/threads/{thread_id}/runs/{run_id}/answers': {
      path: `${at}/answers`,
      body: { call_id: 'call_1', output: 'o', by: 'b', run_id: run.id, reason: 'r' },
    },
    'POST /v1/threads/{thread_id}/runs/{run_id}/submit_tool_outputs': {
      path: `${at}/submit_tool_outputs`,
      body: { tool_outputs: [{ tool_call_id: 'call_1', output: 'o' }] },
    },
    ...(await webhookBodies()),
  };
};

/** The value with one string replaced, for each string in it: keys of maps and values alike. */
const replaced = function* (value: unknown, text: string): Generator {
  if (typeof value === 'string') yield text;
  else if (Array.isArray(value))
    for (const [index, item] of value.entries())
      for (const other of replaced(item, text)) yield value.with(index, other);
  else if (typeof value === 'object' && value !== null)
    for (const [key, item] of Object.entries(value)) {
      yield { ...value, [text]: item };
      for (const other of replaced(item, text)) yield { ...value, [key]: other };
    }
};

test('no string of a body makes an error of the server', { timeout: 120_000 }, async () => {
  const bodies = await prepare();
  const withBody = ROUTES.filter(({ body }) => body !== null).map(({ method, path }) => `${method} ${path}`);
  expect(withBody.filter((name) => bodies[name] === undefined)).toEqual([]);
  const wrong: unknown[] = [];
  let sent = 0;
  for (const { path, body } of Object.values(bodies))
    for (const text of TEXTS)
      for (const other of replaced(body, text)) {
        const { status } = await call(api.fetch, 'POST', path, other);
        sent += 1;
        if (![200, 400, 404].includes(status)) wrong.push({ status, path, body: JSON.stringify(other) });
      }
  expect(wrong).toEqual([]);
  expect(sent).toBeGreaterThan(200);
});

test.each([
  ['assistant_id', '/v1/threads/runs', { assistant_id: 'a\0b' }],
  ['call_id', '/v1/threads/t/runs/r/answers', { call_id: 'a\ud800b', output: 'x' }],
  [
    'tool_outputs[0].tool_call_id',
    '/v1/threads/t/runs/r/submit_tool_outputs',
    { tool_outputs: [{ tool_call_id: '\udfff', output: 'x' }] },
  ],
])('%s is refused by name', async (param, path, body) => {
  const answer = await call(api.fetch, 'POST', path, body);
  expect([answer.status, answer.body]).toMatchObject([
    400,
    {
      error: {
        param,
        message: expect.stringContaining('it must not hold U+0000 or half of a surrogate pair') as string,
      },
    },
  ]);
});

test('a query and a path refuse such characters too', async () => {
  for (const path of [
    '/v1/assistants?after=a%00b',
    '/v1/threads/t/messages?run_id=%00',
    '/v1/threads/a%00b',
    '/v1/threads/t/runs/%00',
  ])
    expect((await call(api.fetch, 'GET', path)).status).toBe(400);
});

test('content keeps them', async () => {
  const thread = await post('/v1/threads', {});
  const content = 'a\0b \ud800';
  const { id } = (await post(`/v1/threads/${thread['id']}/messages`, { role: 'user', content })) as {
    id: string;
  };
  const answer = await call(api.fetch, 'GET', `/v1/threads/${thread['id']}/messages/${id}`);
  expect(answer.body).toMatchObject({ content: [{ text: { value: content } }] });
});
