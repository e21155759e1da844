/** What the durable engine's server answers is what its OpenAPI document says, for every object in every state. */
import { afterAll, beforeAll, describe, expect, expectTypeOf, test } from 'vitest';
import type { z } from 'zod';
import { createApi, createLimiter } from '../../../api/index.ts';
import { ROUTES, type Api } from '../../../api/app.ts';
import type { WireModel } from '../../../api/models.ts';
import type { RESPONSES } from '../../../api/responses.ts';
import { createRunsService, type Workflows } from '../../../service/index.ts';
import { RunsError, type ApiErrorBody } from '../../../protocol/errors.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import type {
  Assistant,
  Message,
  Page,
  Run,
  RunStep,
  Thread,
  WireUsage,
} from '../../../protocol/wire/objects.ts';
import type { Approval, ApprovalDetails, RunDecision } from '../../../protocol/wire/decisions.ts';
import type { Overview } from '../../../protocol/wire/overview.ts';
import type { RunExport, RunTimeline } from '../../../protocol/wire/run-timeline.ts';
import type { AnswerReply } from '../../../protocol/temporal/messages.ts';
import { responseCheck, type OpenApiDocument, type ResponseCheck } from '../../support/openapi.ts';
import { approval } from '../../support/run-stubs.ts';
import { external, memoryStore } from '../../support/store.ts';

/** zod infers `a?: T | undefined` where the shapes say `a?: T`. */
type Loose<T> = T extends (infer Item)[]
  ? Loose<Item>[]
  : T extends object
    ? { [Key in keyof T]: Loose<T[Key]> | (undefined extends T[Key] ? undefined : never) }
    : T;
type Same<A, B> = [Loose<A>] extends [Loose<B>] ? ([Loose<B>] extends [Loose<A>] ? true : false) : false;
type Documented<Name extends keyof typeof RESPONSES> = z.infer<(typeof RESPONSES)[Name]>;

test('the documented shapes are those that engines return', () => {
  expectTypeOf<Same<Documented<'Model'>, WireModel>>().toEqualTypeOf<true>();
  expectTypeOf<Same<Documented<'Assistant'>, Assistant>>().toEqualTypeOf<true>();
  expectTypeOf<Same<Documented<'Thread'>, Thread>>().toEqualTypeOf<true>();
  expectTypeOf<Same<Documented<'Message'>, Message>>().toEqualTypeOf<true>();
  expectTypeOf<Same<Documented<'Run'>, Run>>().toEqualTypeOf<true>();
  expectTypeOf<Same<Documented<'RunStep'>, RunStep>>().toEqualTypeOf<true>();
  expectTypeOf<Same<Documented<'RunPage'>, Page<Run>>>().toEqualTypeOf<true>();
  expectTypeOf<Same<Documented<'Answer'>, AnswerReply>>().toEqualTypeOf<true>();
  expectTypeOf<Same<Documented<'Decision'>, RunDecision>>().toEqualTypeOf<true>();
  expectTypeOf<Same<Documented<'Approval'>, Approval>>().toEqualTypeOf<true>();
  expectTypeOf<Same<Documented<'ApprovalDetails'>, ApprovalDetails>>().toEqualTypeOf<true>();
  expectTypeOf<Same<Documented<'RunTimeline'>, RunTimeline>>().toEqualTypeOf<true>();
  expectTypeOf<Same<Documented<'RunExport'>, RunExport>>().toEqualTypeOf<true>();
  expectTypeOf<Same<Documented<'Overview'>, Overview>>().toEqualTypeOf<true>();
  expectTypeOf<Same<Documented<'Error'>, ApiErrorBody>>().toEqualTypeOf<true>();
});

const NOW = 1_800_000_000_000;
const USAGE: WireUsage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 };
const MODEL: WireModel = { id: 'meta/llama', object: 'model', created: 1, owned_by: 'meta' };
let store: Store;
let api: Api;
let check: ResponseCheck;
const problems: string[] = [];

const taking: Workflows = {
  start: async ({ runId }) => ({ runId: runId ?? '', started: true }),
  cancel: async () => undefined,
  answer: async (runId, { call_id }) => ({
    run_id: runId,
    call_id,
    result: 'accepted',
    notes: ['serialised'],
    late: true,
    waiting: ['call_2'],
  }),
  submitToolOutputs: async (runId) => ({ run_id: runId, round: 1, result: 'accepted' }),
  tools: async () => [
    { definition: { type: 'function', function: { name: 'deploy' } }, execution: 'automatic' },
  ],
  look: async () => 'running',
  trace: async () => null,
  history: async () => ({ events: [{ eventId: '1' }] }),
  running: async (runIds) => new Set(runIds),
  brokenOffSince: async () => [],
  ping: async () => undefined,
  namespaceId: async () => ({ id: 'ns', name: 'default' }),
};

beforeAll(async () => {
  store = await memoryStore();
  api = createApi({
    engine: createRunsService({ store, client: { workflows: taking }, now: () => NOW }),
    models: async () => [MODEL],
  });
  const document = await api.fetch(new Request('http://host/openapi.json'));
  check = responseCheck((await document.json()) as OpenApiDocument);
}, 60_000);
afterAll(() => store.close());

/** Sends, checks, and returns what came. */
const call = async <T>(method: string, path: string, body?: unknown, on: Api = api): Promise<T> => {
  const url = `http://host/v1${path}`;
  const response = await on.fetch(
    new Request(url, {
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    }),
  );
  problems.push(...(await check(method, response.clone(), url)));
  return (await response.json()) as T;
};

const TOOL = {
  type: 'function',
  function: { name: 'a', description: 'An a.', parameters: { type: 'object' }, strict: true },
};

const startRun = async (more: Record<string, unknown> = {}): Promise<Run> => {
  const { id } = await call<Assistant>('POST', '/assistants', { model: 'm', tools: [TOOL] });
  return call<Run>('POST', '/threads/runs', {
    assistant_id: id,
    thread: { messages: [{ role: 'user', content: 'hi' }] },
    ...more,
  });
};

/** Everything that can be read of a run. */
const look = async ({ id, thread_id: thread }: Run): Promise<string> => {
  const { status } = await call<Run>('GET', `/threads/${thread}/runs/${id}`);
  await call('GET', `/threads/${thread}/runs`);
  await call('GET', `/threads/${thread}/usage`);
  await call('GET', `/threads/${thread}/messages`);
  await call('GET', `/threads/${thread}/runs/${id}/decisions`);
  const { data } = await call<Page<RunStep>>('GET', `/threads/${thread}/runs/${id}/steps`);
  if (data[0] !== undefined) await call('GET', `/threads/${thread}/runs/${id}/steps/${data[0].id}`);
  return status;
};

const leaseOf = async (run: Run) => {
  const claim = await store.claim(run.id, NOW);
  if (claim === null) throw new Error('no row');
  return claim.lease;
};
const usage = { promptTokens: 1, completionTokens: 2, totalTokens: 3 };

describe('answers are as documented', () => {
  test('of assistants, threads and messages', async () => {
    const { id } = await call<Assistant>('POST', '/assistants', {
      model: 'm',
      name: 'One',
      reasoning_effort: 'low',
      response_format: { type: 'json_schema', json_schema: { name: 'x', schema: {} } },
      metadata: { a: 'b' },
    });
    await call('GET', `/assistants/${id}`);
    const bare = await call<Assistant>('POST', '/assistants', {
      model: 'm',
      tools: [{ type: 'function', function: { name: 'a' } }],
    });
    // Clients with strict types refuse a tool without parameters, and null where the schema says object or string.
    const shown = {
      tools: [{ type: 'function', function: { name: 'a', parameters: {} } }],
      tool_resources: {},
    };
    expect(bare).toMatchObject(shown);
    const { instructions, ...run } = await call<Run>('POST', '/threads/runs', { assistant_id: bare.id });
    expect(run).toMatchObject(shown);
    expect(instructions).toBe('');
    await call('POST', `/assistants/${id}`, { temperature: 0.5 });
    await call('GET', '/assistants?limit=1');
    expect(await call('GET', '/tools')).toMatchObject({ data: [{ function: { name: 'deploy' } }] });
    expect(await call('GET', '/models')).toEqual({ object: 'list', data: [MODEL] });
    expect(await call('GET', '/models/meta%2Fllama')).toEqual(MODEL);
    expect(await call('GET', '/models/gpt-4o')).toMatchObject({ error: { code: 'model_not_found' } });
    const thread = await call<Thread>('POST', '/threads', {
      messages: [
        { role: 'user', content: 'hi', metadata: { a: 'b' } },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'look' },
            { type: 'image_url', image_url: { url: 'https://example.com/a.png', detail: 'low' } },
          ],
        },
      ],
    });
    expect(await call('GET', '/threads?limit=1')).toMatchObject({ data: [{ id: thread.id }] });
    await call('GET', `/threads/${thread.id}`);
    await call('POST', `/threads/${thread.id}`, { metadata: { c: 'd' } });
    const message = await call<Message>('POST', `/threads/${thread.id}/messages`, {
      role: 'assistant',
      content: 'So it is.',
    });
    await call('GET', `/threads/${thread.id}/messages/${message.id}`);
    await call('POST', `/threads/${thread.id}/messages/${message.id}`, { metadata: { e: 'f' } });
    await call('GET', `/threads/${thread.id}/messages`);
    await call('DELETE', `/threads/${thread.id}/messages/${message.id}`);
    await call('DELETE', `/threads/${thread.id}`);
    expect(await call('DELETE', `/assistants/${id}`)).toMatchObject({ deleted: true });
    expect(problems).toEqual([]);
  });

  test('of runs, with every outcome', async () => {
    const completed = await startRun({ tool_choice: { type: 'function', function: { name: 'a' } } });
    expect(await look(completed)).toBe('queued');
    const lease = await leaseOf(completed);
    const { messageId } = await store.openMessage(lease, NOW);
    expect(await look(completed)).toBe('in_progress');
    const content = [
      { type: 'text' as const, text: { value: 'Done.', annotations: [] } },
      { type: 'refusal' as const, refusal: 'Not that.' },
    ];
    const message = { id: messageId, content };
    const details = { cachedTokens: 1, reasoningTokens: 1, cost: { USD: '0.1' }, model: 'm' };
    const counted = { ...usage, ...details };
    await store.settleTurn(lease, { outcome: { kind: 'completed' }, message, usage: counted }, NOW);
    expect(await look(completed)).toBe('completed');
    expect(await call('GET', '/usage')).toMatchObject({ data: [{ tenant: 'default', turns: 1 }] });
    await call('POST', `/threads/${completed.thread_id}/runs`, { assistant_id: completed.assistant_id });
    expect((await store.getRun('default', completed.thread_id, completed.id)).usage).toEqual({
      ...USAGE,
      prompt_token_details: { cached_tokens: 1 },
      completion_tokens_details: { reasoning_tokens: 1 },
      cost: { USD: '0.1' },
    });

    const incomplete = await startRun({
      max_completion_tokens: 256,
      max_cost: { USD: '1' },
      metadata: { a: 'b' },
    });
    const outcome = { kind: 'incomplete' as const, reason: 'max_completion_tokens' as const };
    await store.settleTurn(await leaseOf(incomplete), { outcome, message: null, usage }, NOW);
    expect(await look(incomplete)).toBe('incomplete');

    for (const [how, status] of [
      [{ kind: 'expire' }, 'expired'],
      [{ kind: 'cancel' }, 'cancelled'],
      [{ kind: 'fail', error: { code: 'server_error', message: 'It broke.' } }, 'failed'],
    ] as const) {
      const run = await startRun({ reasoning_effort: 'high', truncation_strategy: { type: 'auto' } });
      await store.openMessage(await leaseOf(run), NOW);
      await store.closeRun(run.id, how, NOW);
      expect(await look(run)).toBe(status);
    }
    const asked = await startRun();
    expect(await call('POST', `/threads/${asked.thread_id}/runs/${asked.id}/cancel`)).toMatchObject({
      status: 'cancelling',
    });
    await call('POST', `/threads/${asked.thread_id}/runs/${asked.id}`, { metadata: { x: 'y' } });
  });

  test('of runs that wait, are answered and go on', async () => {
    const run = await startRun();
    const at = `/threads/${run.thread_id}/runs/${run.id}`;
    const calls = [external('call_1', 'a'), external('call_2', 'a')];
    const gated = await startRun();
    const waits = { kind: 'calls' as const, calls: [approval('call_3')], expiresAt: null };
    await store.settleTurn(await leaseOf(gated), { outcome: waits, message: null, usage: null }, NOW);
    const { data } = await call<Page<Approval>>('GET', '/approvals?limit=1');
    expect(data).toMatchObject([{ call_id: 'call_3' }]);
    const at3 = `/approvals/${data[0]?.id}`;
    await call('GET', at3);
    expect(await call('POST', at3, { decision: 'deny', reason: 'no' })).toMatchObject({ call_id: 'call_3' });
    await call('POST', at3, { decision: 'perhaps' });
    await call('POST', `${at3}/comments`, { text: 'Why so much?' });
    await call('GET', '/approvals/appr_none');
    await call('GET', '/approvals?status=maybe');
    await call(
      'GET',
      `/runs?status=in_progress&thread_id=${gated.thread_id}&tool=pay&assistant_id=${gated.assistant_id}`,
    );
    await call('GET', `/threads/${gated.thread_id}/runs/${gated.id}/steps`);
    const outcome = { kind: 'calls' as const, calls, expiresAt: null };
    await store.settleTurn(await leaseOf(run), { outcome, message: null, usage: null }, NOW);
    await store.recordDecisions(run.id, [
      {
        callId: 'call_2',
        name: 'a',
        round: 1,
        decision: 'approve',
        at: NOW,
        door: 'cli',
        arguments: null,
        editedArguments: '{}',
      },
    ]);
    expect(await look(run)).toBe('requires_action');
    await call('POST', `${at}/answers`, { call_id: 'call_1', decision: 'approve' });
    expect(await call('GET', `${at}/calls/call_2`)).toMatchObject({ id: 'call_2', name: 'a', output: null });
    await call('GET', `${at}/calls/call_none`);
    const tool_outputs = calls.map(({ callId }) => ({ tool_call_id: callId, output: 'x' }));
    await call('POST', `${at}/submit_tool_outputs`, { tool_outputs });
    expect(await look(run)).toBe('queued');
    // Nobody has settled it: it holds its thread, and more is refused.
    await call('POST', `/threads/${run.thread_id}/runs`, { assistant_id: run.assistant_id });
    await call('DELETE', `/threads/${run.thread_id}`);
  });

  test('of refusals of every kind', async () => {
    await call('GET', '/threads/thread_none');
    await call('POST', '/threads', { messages: 1 });
    await call('GET', '/assistants?limit=0');
    const limited = createApi({
      engine: createRunsService({ store, client: { workflows: taking } }),
      limiter: createLimiter({ read: 1 }),
    });
    for (let times = 0; times < 2; times += 1) await call('GET', '/assistants', undefined, limited);
    const down = createApi({
      engine: createRunsService({
        store,
        client: {
          workflows: {
            ...taking,
            start: () => Promise.reject(new RunsError('temporal_unavailable', 'away')),
          },
        },
      }),
    });
    const { id } = await call<Assistant>('POST', '/assistants', { model: 'm' });
    await call('POST', '/threads/runs', { assistant_id: id }, down);
    const broken = createApi({
      engine: {
        ...createRunsService({ store, client: { workflows: taking } }),
        getAssistant: () => Promise.reject(new Error('a bug')),
      },
    });
    await call('GET', '/assistants/asst_1', undefined, broken);
    expect([...check.seen].map((name) => name.slice(-3)).filter((code) => code !== '200')).toEqual(
      expect.arrayContaining(['400', '404', '429', '500', '503']),
    );
  });

  test('and other responses would be reported', async () => {
    const [thread, run] = ['http://host/v1/threads/t', 'http://host/v1/threads/t/runs/r'];
    const good = { id: 't', object: 'thread', created_at: 1, metadata: {}, tool_resources: {} };
    expect(await check('GET', Response.json(good), thread)).toEqual([]);
    expect(await check('GET', Response.json({ ...good, created_at: '1' }), thread)).toHaveLength(1);
    expect(await check('GET', Response.json({ ...good, more: 1 }), thread)).toHaveLength(1);
    expect(await check('GET', Response.json({ id: 'r', status: 'queued' }), run)).not.toEqual([]);
    expect(await check('GET', Response.json(good, { status: 418 }), thread)).toHaveLength(1);
  });

  test('of webhooks and their deliveries', async () => {
    const { id } = await call<{ id: string }>('POST', '/webhooks', { url: 'https://hooks.example.com/a' });
    const at = `/webhooks/${id}`;
    const delivery = await call<{ id: string }>('POST', `${at}/test`, {});
    await call('GET', '/webhooks');
    await call('GET', at);
    await call('POST', at, { description: 'of the shop' });
    await call('POST', `${at}/rotate`, {});
    await call('GET', '/webhooks/deliveries');
    await call('GET', `/webhooks/deliveries/${delivery.id}`);
    await call('POST', `/webhooks/deliveries/${delivery.id}/redeliver`, {});
    await call('DELETE', at);
    expect(problems).toEqual([]);
  });

  test('of what a run did, and of the overview', async () => {
    const run = await startRun();
    await store.settleTurn(
      await leaseOf(run),
      {
        outcome: { kind: 'calls', calls: [approval('call_1'), external('call_2', 'a')], expiresAt: null },
        message: null,
        usage,
        model: 'm',
      },
      NOW,
    );
    for (const part of ['', '/timeline', '/export', '/history'])
      expect(await call('GET', `/runs/${run.id}${part}`)).not.toHaveProperty('error');
    expect(await call<Overview>('GET', '/overview')).toMatchObject({ object: 'overview' });
    expect(problems).toEqual([]);
  });

  test('and all of them were looked at', () => {
    expect(problems).toEqual([]);
    const untested = ROUTES.filter(({ returns }) => !['Event', 'ApprovalEvent'].includes(returns.object))
      .map(({ method, path }) => `${method} ${path} 200`)
      .filter((name) => !check.seen.has(name));
    expect(untested).toEqual([]);
  });
});
