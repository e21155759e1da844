/** Several models on the `chat` backend: who answers in the place of whom, what it costs, and what the run says of it. */
import * as fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createChatBackend } from '../../../backends/chat/index.ts';
import {
  ableSpeakers,
  decisiveFailure,
  letsAnotherSpeak,
  speakersFor,
} from '../../../backends/chat/speakers.ts';
import { createModelRouter } from '../../../backends/models/router.ts';
import { BackendError } from '../../../protocol/errors.ts';
import type { Backend } from '../../../protocol/ports/backend.ts';
import { ModelError, type Model, type ModelErrorKind } from '../../../protocol/ports/model.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import type { ContextItem } from '../../../protocol/ports/turn-store.ts';
import { parseModels } from '../../../worker/models/models-file.ts';
import { openProviders } from '../../../worker/models/open-providers.ts';
import { fakeContext } from '../../support/backend-context.ts';
import { cooldownsInMemory } from '../../support/cooldowns.ts';
import { calls, chunk, refuses, says } from '../../support/chat-server.ts';
import { json, reset, scriptedHttp, sse, type ScriptedHttp } from '../../support/scripted-http.ts';
import { createRequest, eventNames, memoryStore, startedRun } from '../../support/store.ts';

const T = 'tenant';
const NOW = 1_800_000_000_000;
const KINDS: readonly ModelErrorKind[] = [
  'too_long',
  'rate_limited',
  'refused',
  'unavailable',
  'broken_off',
  'rejected',
  'unauthorized',
];

const candidate = (provider: string, model: string, dropProviderData: boolean) => ({
  model,
  dropProviderData,
  adapter: { provider, dialect: 'd' },
});
const round = (runId: string, provider: string, model: string, data: unknown): ContextItem => ({
  kind: 'round',
  runId,
  round: 1,
  calls: [],
  outputs: {},
  providerTurn: { provider, dialect: 'd', model, ids: [], data },
});

describe('another model', () => {
  test.each(KINDS.map((kind) => [kind, kind === 'unavailable' || kind === 'rate_limited'] as const))(
    'after %s: %j',
    (kind, may) => {
      expect(letsAnotherSpeak(new ModelError(kind, 'x'))).toBe(may);
    },
  );

  test('is never asked in a run whose data may not be dropped, and always may be in any other', () => {
    const three = fc.tuple(fc.boolean(), fc.boolean(), fc.boolean());
    const rounds = fc.array(
      fc.record({
        run: fc.constantFrom('run', 'other'),
        at: fc.constantFrom(0, 1, 2, 3),
        data: fc.constantFrom(null, { signature: 'x' }),
      }),
    );
    fc.assert(
      fc.property(three, rounds, (drops, spoken) => {
        const route = drops.map((drop, at) => candidate('p', `m${at}`, drop));
        const context = spoken.map(({ run, at, data }) => round(run, 'p', `m${at}`, data));
        const found = speakersFor(route, context, 'run');
        const keepers = route.filter(
          ({ dropProviderData }, at) =>
            !dropProviderData &&
            spoken.some((one) => one.run === 'run' && one.at === at && one.data !== null),
        );
        expect(found).toEqual(keepers.length === 0 ? route : keepers.slice(0, 1));
      }),
    );
  });

  test('is never one that the operator says can not serve the turn, unless none can', () => {
    const said = fc.constantFrom(true, false, null);
    const capabilities = fc.record({ images: said, jsonSchema: said, tools: said });
    const needs = fc.record({ images: fc.boolean(), jsonSchema: fc.boolean(), tools: fc.boolean() });
    fc.assert(
      fc.property(fc.array(fc.record({ capabilities }), { minLength: 1 }), needs, (route, needed) => {
        const found = ableSpeakers(route, needed);
        const lacks = ({ capabilities: can }: (typeof route)[number]): boolean =>
          (needed.images && can.images === false) ||
          (needed.tools && can.tools === false) ||
          (needed.jsonSchema && can.jsonSchema === false && can.tools === false);
        expect(found).toEqual(route.every(lacks) ? route : route.filter((one) => !lacks(one)));
      }),
    );
  });

  test('that fails for good does not end a turn that the first may still answer', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            kind: fc.constantFrom(...KINDS),
            retryable: fc.boolean(),
            wait: fc.option(fc.nat(1_000)),
          }),
          { minLength: 1 },
        ),
        (given) => {
          const failures = given.map(
            ({ kind, retryable, wait }) => new ModelError(kind, 'x', { retryable, retryAfterMs: wait }),
          );
          const [first, ...more] = failures;
          if (first === undefined) return;
          const { error, retryAfterMs } = decisiveFailure([first, ...more]);
          expect(error.retryable).toBe(failures.some((failure) => failure.retryable));
          for (const failure of failures.filter((one) => one.retryable))
            expect(retryAfterMs ?? 0).toBeLessThanOrEqual(failure.retryAfterMs ?? retryAfterMs ?? 0);
        },
      ),
    );
  });
});

let store: Store;
let near: ScriptedHttp;
let far: ScriptedHttp;
let backend: Backend & { dispose(): Promise<void> };

const providerAt = (http: ScriptedHttp) => ({ kind: 'openai-compatible', base_url: `${http.url}/v1` });

/** `near` is asked first and `far` in its place; `near/keeper` keeps its data. */
const open = async (more: { near?: Model } = {}) => {
  const parsed = await parseModels(
    JSON.stringify({
      providers: { near: providerAt(near), far: providerAt(far) },
      models: {
        fast: { provider: 'near', model: 'org/small', fallbacks: ['smart'] },
        smart: { provider: 'far', model: 'large' },
        keeper: { provider: 'near', model: 'keeper', fallbacks: ['smart'], drop_provider_data: false },
        stream_options: { provider: 'near', model: 'stream_options', fallbacks: ['smart'] },
        simple: {
          provider: 'near',
          model: 'simple',
          fallbacks: ['smart'],
          capabilities: { tools: false, json_schema: false },
        },
      },
    }),
  );
  if ('problems' in parsed) throw new Error(parsed.problems.join('\n'));
  const models = createModelRouter({
    config: parsed.config,
    adapters: new Map([
      ...(await openProviders(parsed.config, {})),
      ...(more.near === undefined ? [] : [['near', more.near] as const]),
    ]),
    limitStore: { ...store, ...cooldownsInMemory() },
  });
  return createChatBackend({ store, models, flushMs: 1, modelAttempts: 3 });
};

beforeAll(async () => {
  store = await memoryStore();
}, 60_000);
afterAll(() => store.close());
beforeEach(async () => {
  near = await scriptedHttp();
  far = await scriptedHttp();
  backend = await open();
});
afterEach(async () => {
  await backend.dispose();
  await near.close();
  await far.close();
  const overrun = near.overrun + far.overrun;
  if (overrun > 0) throw new Error(`${overrun} requests beyond the script`);
});

const context = () => fakeContext({ now: () => NOW + 1000 });
const start = async (model: string, tools: string[] = []) => {
  const run = await startedRun(store, T, NOW, {
    assistant: { model, tools: tools.map((name) => ({ type: 'function', function: { name } })) },
  });
  return { ...run, request: createRequest(run, NOW) };
};
const modelsOf = (http: ScriptedHttp): unknown[] =>
  http.requests.map(({ body }) => (JSON.parse(body) as { model: unknown }).model);
/** What the run and its steps say of who spoke. */
const told = async ({ runId, threadId }: { runId: string; threadId: string }) => {
  const { models_used } = await store.getRun(T, threadId, runId);
  const steps = await store.listSteps(T, threadId, runId, { limit: 100, order: 'asc' });
  return { models_used, steps: steps.data.map(({ status, model }) => [status, model]) };
};

describe('a turn', () => {
  test('goes to the model that its run names, and run and step say so', async () => {
    near.script.push(says(['Hi']));
    const run = await start('fast');
    expect(await backend.create(run.request, context())).toMatchObject({ status: 'completed' });
    expect([modelsOf(near), modelsOf(far)]).toEqual([['org/small'], []]);
    expect(await told(run)).toEqual({
      models_used: ['near/org/small'],
      steps: [['completed', 'near/org/small']],
    });
  });

  test.each([
    ['can not be reached', reset],
    ['is overloaded', refuses(503, 'overloaded')],
    ['is at its rate limit', json({ error: { message: 'slow down' } }, 429, { 'retry-after': '60' })],
  ])('is answered by the next model when the first %s, in the same attempt', async (_what, step) => {
    near.script.push(step);
    far.script.push(says(['Hi']));
    const run = await start('fast');
    const ctx = context();
    expect(await backend.create(run.request, ctx)).toMatchObject({ status: 'completed' });
    expect([modelsOf(near), modelsOf(far)]).toEqual([['org/small'], ['large']]);
    expect(await told(run)).toEqual({ models_used: ['far/large'], steps: [['completed', 'far/large']] });
    expect(ctx.logs.map(({ message, fields }) => [message, fields['model']])).toEqual([
      ['model did not answer: another one is asked', 'near/org/small'],
      ['another model has answered the turn', 'far/large'],
    ]);
  });

  test('that broke off, or was refused, is not asked of another', async () => {
    near.script.push(sse([chunk({ content: 'half' })], 'cut'));
    const run = await start('fast');
    await expect(backend.create(run.request, context())).rejects.toMatchObject({ retryable: true });
    near.script.push(refuses(400, 'no such thing'));
    await expect(backend.create(run.request, context())).rejects.toMatchObject({ retryable: false });
    expect(far.requests).toEqual([]);
  });

  test('that no model answers is repeated, and counts what may have been paid for', async () => {
    const run = await start('fast');
    let ctx = context();
    near.script.push(reset);
    far.script.push(refuses(401, 'wrong key'));
    const error: unknown = await backend.create(run.request, ctx).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(BackendError);
    expect(error).toMatchObject({ retryable: true, details: [{ reason: 'unavailable' }] });
    const asked = ctx.heartbeats.at(-1)?.asked ?? 0;
    ctx = ctx.next();
    near.script.push(refuses(503, 'later'));
    far.script.push(says(['Hi']));
    expect(await backend.create(run.request, ctx)).toMatchObject({ status: 'completed' });
    expect(asked).toBeLessThanOrEqual(1);
  });

  test('that readers have seen a part of is closed before another model speaks', async () => {
    const failing: Model = {
      provider: 'near',
      dialect: 'd',
      supports: { images: null },
      async *turn() {
        yield await Promise.resolve([{ kind: 'text', text: 'half' } as const]);
        throw new ModelError('unavailable', 'overloaded', { cost: 'turn' });
      },
      probe: () => Promise.resolve({ detail: '' }),
      learned: () => [],
      dispose: () => Promise.resolve(),
    };
    const own = await open({ near: failing });
    far.script.push(says(['whole']));
    const run = await start('fast');
    const ctx = context();
    expect(await own.create(run.request, ctx)).toMatchObject({ status: 'completed' });
    await own.dispose();
    const { data } = await store.listMessages(T, run.threadId, { limit: 10, order: 'asc' });
    const spoken = data.filter(({ role }) => role === 'assistant');
    expect(spoken.map(({ status, content }) => [status, JSON.stringify(content).includes('whole')])).toEqual([
      ['incomplete', false],
      ['completed', true],
    ]);
    expect(await eventNames(store, run.runId)).toContain('thread.message.incomplete');
    expect(await told(run)).toEqual({
      models_used: ['far/large'],
      steps: [
        ['failed', 'near/org/small'],
        ['completed', 'far/large'],
      ],
    });
    // The first answer and the one under way count: a dead worker would have paid for both.
    expect(ctx.heartbeats.at(-1)?.asked).toBe(2);
  });
});

const submit = async (run: Awaited<ReturnType<typeof start>>, ctx = context()) => {
  const settled = await backend.create(run.request, context());
  if (settled.status !== 'requires_action') throw new Error(settled.status);
  const outputs = settled.calls.map(({ callId }) => ({ tool_call_id: callId, output: 'sunny' }));
  return await backend.submit(settled.run, 1, outputs, ctx);
};

describe('a run that has called tools', () => {
  test('goes on with another model by plain text and calls, without fields of the first', async () => {
    const signed = sse([
      chunk({
        role: 'assistant',
        reasoning_content: 'secret thought',
        tool_calls: [
          { index: 0, id: 'their_0', type: 'function', function: { name: 'weather', arguments: '{}' } },
        ],
      }),
      chunk({}, 'tool_calls'),
      'data: [DONE]\n\n',
    ]);
    near.script.push(signed, refuses(503, 'away'));
    far.script.push(says(['It is sunny.']));
    const run = await start('fast', ['weather']);
    expect(await submit(run)).toMatchObject({ status: 'completed' });
    expect(far.requests[0]?.body).toContain('"weather"');
    expect(far.requests[0]?.body).toContain('sunny');
    expect(far.requests[0]?.body).not.toContain('secret thought');
    expect(near.requests[1]?.body).toContain('secret thought');
    expect(await told(run)).toEqual({
      models_used: ['near/org/small', 'far/large'],
      steps: [
        ['completed', 'near/org/small'],
        ['completed', 'far/large'],
      ],
    });
  });

  test('stays with a model whose data may not be dropped', async () => {
    near.script.push(
      sse([
        chunk({
          reasoning_content: 'signed',
          tool_calls: [
            { index: 0, id: 'their_0', type: 'function', function: { name: 'weather', arguments: '{}' } },
          ],
        }),
        chunk({}, 'tool_calls'),
        'data: [DONE]\n\n',
      ]),
      refuses(503, 'away'),
    );
    const run = await start('keeper', ['weather']);
    await expect(submit(run)).rejects.toMatchObject({ retryable: true });
    expect(far.requests).toEqual([]);
  });
});

describe('a model that has refused with a time', () => {
  test('is passed over by the turns until then, which says so, and costs it nothing', async () => {
    near.script.push(json({ error: { message: 'slow down' } }, 429, { 'retry-after': '60' }));
    far.script.push(says(['One']), says(['Two']));
    const [one, two] = [await start('fast'), await start('fast')];
    const ctx = context();
    expect(await backend.create(one.request, ctx)).toMatchObject({ status: 'completed' });
    const later = context();
    expect(await backend.create(two.request, later)).toMatchObject({ status: 'completed' });
    expect([modelsOf(near), modelsOf(far)]).toEqual([['org/small'], ['large', 'large']]);
    const changes = (of: typeof ctx) =>
      of.observed.flatMap((what) => (what.kind === 'model_cooldown' ? [what.change] : []));
    expect([changes(ctx), changes(later)]).toEqual([['began'], ['passed_over']]);
    expect(later.logs[0]?.fields).toMatchObject({ reason: 'rate_limited', code: 'cooling_down' });
    expect(backend.learned?.()[0]).toMatchObject({
      server: 'near',
      cooldowns: [{ model: 'org/small', reason: 'rate_limited', times: 1 }],
    });
  });

  test('leaves a run without a fallback to be repeated at that time', async () => {
    near.script.push(json({ error: { message: 'slow down' } }, 429, { 'retry-after': '60' }));
    const [one, two] = [await start('near/alone'), await start('near/alone')];
    await expect(backend.create(one.request, context())).rejects.toMatchObject({ retryAfterMs: 60_000 });
    const ctx = context();
    const error: unknown = await backend.create(two.request, ctx).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ retryable: true, mayHaveHappened: false });
    const wait = error instanceof BackendError ? (error.retryAfterMs ?? 0) : 0;
    expect(wait).toBeGreaterThan(50_000);
    expect(wait).toBeLessThanOrEqual(60_000);
    expect(ctx.heartbeats.at(-1)?.asked ?? 0).toBe(0);
    expect(near.requests).toHaveLength(1);
  });
});

describe('what the operator says of a model', () => {
  test('sends a turn with tools to a fallback that can call them', async () => {
    far.script.push(says(['Hi']));
    const run = await start('simple', ['weather']);
    expect(await backend.create(run.request, context())).toMatchObject({ status: 'completed' });
    expect([modelsOf(near), modelsOf(far)]).toEqual([[], ['large']]);
  });

  test('leaves out tools that the run was only offered', async () => {
    near.script.push(says(['Hi']));
    const run = await startedRun(store, T, NOW, { assistant: { model: 'simple' }, offerTools: true });
    const weather = { type: 'function' as const, function: { name: 'weather' } };
    const ctx = fakeContext({ now: () => NOW + 1000, workerTools: [weather] });
    expect(await backend.create(createRequest(run, NOW), ctx)).toMatchObject({ status: 'completed' });
    expect(JSON.parse(near.requests[0]?.body ?? '{}')).not.toHaveProperty('tools');
  });
});

describe('a caller that tries to steer', () => {
  test('by names of fields and tools changes nothing for others', async () => {
    near.script.push(refuses(400, "unknown field 'stream_options' stream tools"), says(['Hi']));
    const run = await start('stream_options', ['stream', 'stream_options']);
    await backend.create(run.request, context()).catch(() => undefined);
    near.script.length = 0;
    near.script.push(says(['Hi']));
    const other = await start('fast');
    expect(await backend.create(other.request, context())).toMatchObject({ status: 'completed' });
    expect(JSON.parse(near.requests.at(-1)?.body ?? '{}')).toMatchObject({
      model: 'org/small',
      stream: true,
      stream_options: { include_usage: true },
    });
    expect(far.requests).toEqual([]);
  });

  test.each([
    ['near/', null],
    ['far//x', '/x'],
    ['../near/org', null],
    ['near/ö/ü/日本', 'ö/ü/日本'],
    ['unknown/model', null],
    ['x'.repeat(256), null],
  ])('by the name %j gets that name at its provider, or an end', async (name, asked) => {
    near.script.push(says(['Hi']));
    far.script.push(says(['Hi']));
    const run = await start(name);
    const settled: unknown = await backend.create(run.request, context()).catch((error: unknown) => error);
    expect(settled).toMatchObject(asked === null ? { retryable: false } : { status: 'completed' });
    expect([...modelsOf(near), ...modelsOf(far)]).toEqual(asked === null ? [] : [asked]);
  });
});

test('what was learned is told by provider, and every provider is probed', async () => {
  near.script.push(json({ data: [{ id: 'a' }] }));
  far.script.push(json({ data: [{ id: 'b' }] }));
  const { detail } = await backend.probe(AbortSignal.timeout(5_000));
  expect(detail).toMatch(/^near: .* has a; far: .* has b$/);
  expect(backend.learned?.()).toEqual([
    { server: 'near', capabilities: [] },
    { server: 'far', capabilities: [] },
  ]);
  near.script.push(json({ error: { message: 'no' } }, 401));
  far.script.push(json({ data: [] }));
  await expect(backend.probe(AbortSignal.timeout(5_000))).rejects.toThrow(/^Provider "near": /);
});

test('the step of open calls says who asked for them', async () => {
  near.script.push(calls([{ name: 'weather', arguments: '{}' }]));
  const run = await start('fast', ['weather']);
  expect(await backend.create(run.request, context())).toMatchObject({ status: 'requires_action' });
  expect(await told(run)).toMatchObject({ steps: [['in_progress', 'near/org/small']] });
});
