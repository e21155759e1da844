/**
 * A run's life in the sandbox's engine: every transition, who may make it, what it leaves behind; time by the clock.
 */
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ApiError } from '../../../protocol/errors.ts';
import { endsRun } from '../../../protocol/wire/events.ts';
import { isTerminal } from '../../../protocol/wire/objects.ts';
import type { Run } from '../../../protocol/wire/objects.ts';
import { createClock, createSandboxEngine, noQuirks, seededIds } from '../../../testing/index.ts';
import type { SandboxClock, SandboxEngine, SandboxEngineOptions } from '../../../testing/index.ts';
import { caller } from '../../support/http.ts';

let clock: SandboxClock;
let engine: SandboxEngine;
const setUp = (options: SandboxEngineOptions = {}): void => {
  clock = createClock({ kind: 'virtual' });
  engine = createSandboxEngine({ clock, ids: seededIds(), ...options });
};
beforeEach(() => setUp());
afterEach(() => engine.reset());

const me = caller();
const start = async (script: string, params: Record<string, unknown> = {}): Promise<Run> =>
  (await engine.createThreadAndRun(me, {}, { assistant_id: `asst_${script}`, ...params })).run;
const read = (run: Run): Promise<Run> => engine.getRun(me, run.thread_id, run.id);
const calls = (run: Run): string[] =>
  (run.required_action?.submit_tool_outputs.tool_calls ?? []).map((call) => call.id);
const outputs = (run: Run, text = 'x'): { tool_call_id: string; output: string }[] =>
  calls(run).map((id) => ({ tool_call_id: id, output: text }));
const submit = async (run: Run, text?: string): Promise<Run> =>
  (await engine.submitToolOutputs(me, run.thread_id, run.id, outputs(run, text))).run;
const statuses = (run: Run): string[] => engine.history(run.id).map((snapshot) => snapshot.status);
const waiting = async (script: string, params?: Record<string, unknown>): Promise<Run> => {
  const run = await start(script, params);
  clock.advance(0);
  return read(run);
};

describe('the ways through', () => {
  test('a run with calls is queued, in_progress, requires_action, and again from queued', async () => {
    const run = await waiting('rounds:2');
    await submit(run);
    clock.advance(0);
    await submit(await read(run));
    clock.advance(0);
    expect(statuses(run)).toEqual([
      // `created` shows the run queued too.
      'queued',
      'queued',
      'in_progress',
      'requires_action',
      'queued',
      'in_progress',
      'requires_action',
      'queued',
      'in_progress',
      'completed',
    ]);
  });

  test('each wait has new call ids; those of the round before are refused', async () => {
    const first = await waiting('rounds:2');
    await submit(first);
    clock.advance(0);
    const second = await read(first);
    expect(calls(second)).not.toEqual(calls(first));
    await expect(engine.submitToolOutputs(me, first.thread_id, first.id, outputs(first))).rejects.toThrow(
      `Expected tool outputs for call_ids ['${calls(second)[0]}'], got ['${calls(first)[0]}']`,
    );
  });

  test('started_at is rewritten on resume, expires_at is not, and is null once completed', async () => {
    const run = await waiting('weather');
    expect(run.expires_at).toBe(run.created_at + 600);
    clock.advance(30_000);
    await submit(run);
    clock.advance(0);
    const [, , before, , queued, after, done] = engine.history(run.id);
    expect(before?.started_at).toBe(run.created_at);
    expect(queued).toMatchObject({ started_at: run.created_at, expires_at: run.expires_at });
    expect(after).toMatchObject({ started_at: run.created_at + 30, expires_at: run.expires_at });
    expect(done).toMatchObject({ status: 'completed', expires_at: null, completed_at: run.created_at + 30 });
  });

  test('usage is null until the end, then the sum over all turns, and stands in the steps', async () => {
    const run = await waiting('weather');
    expect(run.usage).toBeNull();
    await submit(run);
    clock.advance(0);
    const done = await read(run);
    const { data: steps } = await engine.listSteps(me, run.thread_id, run.id, { limit: 10, order: 'asc' });
    const sum = steps.reduce((total, step) => total + (step.usage?.total_tokens ?? 0), 0);
    expect(sum).toBeGreaterThan(0);
    expect(done.usage?.total_tokens).toBe(sum);
  });

  test('accepted outputs stay readable in the steps', async () => {
    const run = await waiting('parallel');
    await submit(run, 'sunny');
    const { data } = await engine.listSteps(me, run.thread_id, run.id, { limit: 10, order: 'asc' });
    expect(data[0]?.step_details).toMatchObject({
      tool_calls: calls(run).map((id) => ({ id, function: { output: 'sunny' } })),
    });
  });

  test('outputs may come in any order', async () => {
    const run = await waiting('parallel');
    const started = await engine.submitToolOutputs(me, run.thread_id, run.id, outputs(run).toReversed());
    expect(started.run.status).toBe('queued');
  });

  test('only function outputs of this turn reach the script, in the order of the calls', async () => {
    setUp();
    const run = await waiting('parallel');
    const given = calls(run).map((id, at) => ({ tool_call_id: id, output: `city ${at}` }));
    await engine.submitToolOutputs(me, run.thread_id, run.id, given.toReversed());
    clock.advance(0);
    const { data } = await engine.listMessages(me, run.thread_id, { limit: 1, order: 'desc' });
    expect(data[0]?.content).toMatchObject([
      {
        text: {
          value:
            'get_current_weather said: city 0 | get_current_weather said: city 1 | get_current_weather said: city 2',
        },
      },
    ]);
  });
});

describe('endings', () => {
  test.each([
    [
      'failing',
      {
        status: 'failed',
        last_error: { code: 'server_error', message: 'The script failed on purpose (server_error).' },
      },
    ],
    ['failing:rate_limit_exceeded', { status: 'failed', last_error: { code: 'rate_limit_exceeded' } }],
    ['incomplete', { status: 'incomplete', incomplete_details: { reason: 'max_completion_tokens' } }],
    ['incomplete:content_filter', { status: 'incomplete', incomplete_details: { reason: 'content_filter' } }],
  ])('%s', async (script, expected) => {
    const run = await start(script);
    clock.advance(0);
    expect(await read(run)).toMatchObject(expected);
  });

  test('an unfinished message is incomplete, with the reason, and stays out of the next turn', async () => {
    const run = await start('incomplete');
    clock.advance(0);
    const { data } = await engine.listMessages(me, run.thread_id, { limit: 5, order: 'desc' });
    expect(data[0]).toMatchObject({ status: 'incomplete', incomplete_details: { reason: 'max_tokens' } });
    const next = await engine.createRun(me, run.thread_id, {
      assistant_id: 'asst_chat',
      additional_messages: [{ role: 'user', content: 'go on' }],
    });
    clock.advance(0);
    expect((await read(next.run)).status).toBe('completed');
  });

  test('a budget of completion tokens ends the run incomplete', async () => {
    const run = await start('words:500', { max_completion_tokens: 256 });
    clock.advance(0);
    const done = await read(run);
    expect(done).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_completion_tokens' },
    });
    expect(done.usage?.completion_tokens).toBe(256);
  });

  test('a script that runs out, or throws, is a failed run that says so', async () => {
    const { scriptCatalogue } = await import('../../../testing/index.ts');
    setUp({
      scripts: scriptCatalogue({
        short: [{ calls: [{ name: 'a', arguments: {} }] }],
        broken: () => {
          throw new Error('my own bug');
        },
      }),
    });
    const run = await waiting('short');
    await submit(run);
    clock.advance(0);
    expect((await read(run)).last_error).toEqual({
      code: 'server_error',
      message: 'Script "short" has 1 turns; turn 2 does not exist.',
    });
    const broken = await start('broken');
    clock.advance(0);
    expect((await read(broken)).last_error?.message).toBe('Script "broken" threw: my own bug');
  });

  test.each([
    ['queued', async () => start('weather')],
    ['in_progress', async () => waiting('hang')],
    ['requires_action', async () => waiting('weather')],
  ])('cancel from %s: cancelling, then cancelled; what was open ends with it', async (status, make) => {
    const run = await make();
    expect(run.status).toBe(status);
    expect((await engine.cancelRun(me, run.thread_id, run.id)).status).toBe('cancelling');
    // A second cancel changes nothing.
    expect((await engine.cancelRun(me, run.thread_id, run.id)).status).toBe('cancelling');
    await expect(submit(run)).rejects.toThrow('Runs in status "cancelling" do not accept tool outputs.');
    clock.advance(0);
    expect(await read(run)).toMatchObject({ status: 'cancelled', required_action: null });
    const { data } = await engine.listSteps(me, run.thread_id, run.id, { limit: 10, order: 'asc' });
    for (const step of data) expect(step.status).toBe('cancelled');
    await expect(engine.cancelRun(me, run.thread_id, run.id)).rejects.toThrow(
      "Cannot cancel run with status 'cancelled'.",
    );
  });
});

describe('the ten minutes', () => {
  test('a wait of one millisecond less is in time, the moment itself is too late', async () => {
    const run = await waiting('weather');
    clock.advance(599_999);
    expect((await read(run)).status).toBe('requires_action');
    const late = await waiting('weather');
    clock.advance(1);
    expect(await read(run)).toMatchObject({ status: 'expired', required_action: null });
    await expect(submit(run)).rejects.toThrow('Runs in status "expired" do not accept tool outputs.');
    expect((await submit(late)).status).toBe('queued');
  });

  test('all rounds share them; a run in progress expires too, and its thread is free again', async () => {
    const run = await waiting('rounds:3');
    clock.advance(400_000);
    await submit(run);
    clock.advance(0);
    clock.advance(200_000);
    expect((await read(run)).status).toBe('expired');
    const { data } = await engine.listSteps(me, run.thread_id, run.id, { limit: 10, order: 'asc' });
    expect(data.map((step) => step.status)).toEqual(['completed', 'expired']);
    const hanging = await start('hang');
    clock.advance(600_000);
    expect((await read(hanging)).status).toBe('expired');
    await engine.createRun(me, hanging.thread_id, { assistant_id: 'asst_chat' });
  });

  test('expires_in on the run, and expiresInSeconds on the sandbox, move them', async () => {
    setUp({ expiresInSeconds: 5 });
    const short = await waiting('weather');
    const long = await waiting('weather', { expires_in: 86_400 });
    clock.advance(5000);
    expect((await read(short)).status).toBe('expired');
    clock.advance(86_394_999);
    expect((await read(long)).status).toBe('requires_action');
    clock.advance(1);
    expect((await read(long)).status).toBe('expired');
  });
});

describe("people's answers, one call at a time", () => {
  test('the last one resumes the run; the rest of the round is shown as waiting until then', async () => {
    const run = await waiting('parallel');
    const [one, two, three] = calls(run) as [string, string, string];
    const answer = (callId: string, output: unknown) =>
      engine.answer(me, run.thread_id, run.id, { call_id: callId, output });
    expect(await answer(one, 'sunny')).toEqual({
      run_id: run.id,
      call_id: one,
      result: 'accepted',
      waiting: [two, three],
    });
    expect(calls(await read(run))).toEqual([two, three]);
    expect(await answer(one, 'sunny')).toMatchObject({ result: 'repeated' });
    await expect(answer(one, 'rainy')).rejects.toThrow('the first one stands');
    expect(await answer(two, { degrees: 70 })).toMatchObject({ notes: ['serialised'], waiting: [three] });
    const rest = [{ tool_call_id: three, output: 'windy' }];
    expect((await engine.submitToolOutputs(me, run.thread_id, run.id, rest)).run.status).toBe('queued');
    expect(await answer(two, { degrees: 70 })).toMatchObject({ result: 'repeated' });
    clock.advance(0);
    expect((await read(run)).status).toBe('completed');
  });
});

describe('lists', () => {
  test('page through in both orders without loss or repeat, for any page size', async () => {
    const { thread } = await engine.createThreadAndRun(me, {}, { assistant_id: 'asst_chat' });
    clock.advance(0);
    for (let count = 0; count < 12; count += 1)
      await engine.createMessage(me, thread.id, { role: 'user', content: `${count}` });
    const all = (await engine.listMessages(me, thread.id, { limit: 100, order: 'asc' })).data.map(
      ({ id }) => id,
    );
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 15 }),
        fc.constantFrom('asc', 'desc'),
        async (limit, order) => {
          const seen: string[] = [];
          for (let after: string | undefined; ;) {
            const page = await engine.listMessages(me, thread.id, {
              limit,
              order,
              ...(after === undefined ? {} : { after }),
            });
            expect(page.first_id).toBe(page.data[0]?.id ?? null);
            expect(page.last_id).toBe(page.data.at(-1)?.id ?? null);
            seen.push(...page.data.map(({ id }) => id));
            if (!page.has_more) break;
            after = page.last_id ?? undefined;
          }
          expect(seen).toEqual(order === 'asc' ? all : all.toReversed());
        },
      ),
    );
  });

  test('before is the page that ends at the cursor', async () => {
    const thread = await engine.createThread(me, {
      messages: ['a', 'b', 'c', 'd'].map((content) => ({ role: 'user', content })),
    });
    const all = (await engine.listMessages(me, thread.id, { limit: 10, order: 'asc' })).data.map(
      ({ id }) => id,
    );
    const page = await engine.listMessages(me, thread.id, { limit: 2, order: 'asc', before: all[3] ?? '' });
    expect([page.data.map(({ id }) => id), page.has_more]).toEqual([all.slice(1, 3), true]);
  });

  test('an empty list has null cursors', async () => {
    const { id } = await engine.createThread(me, {});
    expect(await engine.listRuns(me, id, { limit: 20, order: 'desc' })).toEqual({
      object: 'list',
      data: [],
      first_id: null,
      last_id: null,
      has_more: false,
    });
  });
});

describe('scripts are chosen', () => {
  test('by metadata of the run, then of the assistant, then by the model; other models play the default', async () => {
    const assistant = await engine.createAssistant(me, { model: 'chat', metadata: { script: 'failing' } });
    const end = async (params: Record<string, unknown>): Promise<string> => {
      const { run } = await engine.createThreadAndRun(me, {}, { assistant_id: assistant.id, ...params });
      clock.advance(0);
      return (await read(run)).status;
    };
    expect(await end({ metadata: { script: 'incomplete' } })).toBe('incomplete');
    expect(await end({})).toBe('failed');
    const plain = await engine.createAssistant(me, { model: 'hang' });
    expect(await end({ assistant_id: plain.id })).toBe('in_progress');
    expect(await end({ assistant_id: plain.id, model: 'gpt-4o' })).toBe('completed');
    expect(
      await end({
        assistant_id: plain.id,
        model: 'gpt-4o',
        tools: [{ type: 'function', function: { name: 'now' } }],
      }),
    ).toBe('requires_action');
  });

  test('the default script makes arguments from the schema of the first tool', async () => {
    const run = await waiting('auto', {
      tools: [
        {
          type: 'function',
          function: {
            name: 'book',
            parameters: {
              type: 'object',
              properties: {
                city: { type: 'string' },
                nights: { type: 'integer' },
                kind: { enum: ['room', 'suite'] },
                guests: {
                  type: 'array',
                  items: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
                },
                note: { type: 'string' },
                late: { type: 'boolean' },
              },
              required: ['city', 'nights', 'kind', 'guests', 'late'],
            },
          },
        },
      ],
    });
    const call = run.required_action?.submit_tool_outputs.tool_calls[0];
    expect(JSON.parse(call?.function.arguments ?? '')).toEqual({
      city: 'example',
      nights: 1,
      kind: 'room',
      guests: [{ name: 'example' }],
      late: true,
    });
  });

  test('an unknown script is refused with the list of those there are', async () => {
    await expect(start('chat', { metadata: { script: 'wether' } })).rejects.toThrow(
      /^No script is named "wether"\. Scripts here: auto, .*weather/,
    );
    await expect(start('chat', { model: 'scripted:wether' })).resolves.toBeDefined();
    const plain = await engine.createAssistant(me, { model: 'scripted:wether' });
    await expect(engine.createThreadAndRun(me, {}, { assistant_id: plain.id })).rejects.toMatchObject({
      param: 'model',
      code: 'unknown_script',
    });
  });

  test('tool_choice none and parallel_tool_calls false overrule the script', async () => {
    const mute = await start('weather', { tool_choice: 'none' });
    const single = await start('parallel', { parallel_tool_calls: false });
    clock.advance(0);
    expect((await read(mute)).status).toBe('completed');
    expect(calls(await read(single))).toHaveLength(1);
  });
});

const quirky = (quirks: Partial<ReturnType<typeof noQuirks>>): void =>
  setUp({ quirks: { ...noQuirks(), ...quirks } });

describe('quirks of other servers', () => {
  test('partialSubmits keeps some outputs, and the run waits for the rest', async () => {
    quirky({ partialSubmits: true });
    const run = await waiting('parallel');
    const [one, ...rest] = outputs(run);
    const { run: still } = await engine.submitToolOutputs(
      me,
      run.thread_id,
      run.id,
      one === undefined ? [] : [one],
    );
    expect([still.status, calls(still)]).toEqual(['requires_action', rest.map((item) => item.tool_call_id)]);
    expect((await engine.submitToolOutputs(me, run.thread_id, run.id, rest)).run.status).toBe('queued');
  });

  test('uncheckedSubmits answers any ids in a wait, at any time, with 200', async () => {
    quirky({ uncheckedSubmits: true });
    const run = await waiting('weather');
    const any = [{ tool_call_id: 'call_of_nobody', output: 'x' }];
    expect((await engine.submitToolOutputs(me, run.thread_id, run.id, any)).run.status).toBe('queued');
    clock.advance(0);
    expect((await engine.submitToolOutputs(me, run.thread_id, run.id, any)).run.status).toBe('completed');
  });

  test('noThreadLock, noExpiry, noMetadata, expiryPerWait, cancelInProgressOnly, noQueuedAfterSubmit and noSteps do what they name', async () => {
    quirky({ noThreadLock: true, noExpiry: true, noMetadata: true });
    const run = await waiting('weather', { metadata: { token: 't' } });
    expect(run).toMatchObject({ expires_at: null, metadata: {} });
    await engine.createRun(me, run.thread_id, { assistant_id: 'asst_chat' });
    await engine.createMessage(me, run.thread_id, { role: 'user', content: 'x' });
    clock.advance(86_400_000);
    expect((await read(run)).status).toBe('requires_action');

    quirky({ expiryPerWait: true, cancelInProgressOnly: true, noQueuedAfterSubmit: true, noSteps: true });
    const again = await waiting('rounds:2');
    await expect(engine.cancelRun(me, again.thread_id, again.id)).rejects.toMatchObject({ status: 400 });
    await expect(
      engine.listSteps(me, again.thread_id, again.id, { limit: 1, order: 'asc' }),
    ).rejects.toMatchObject({ status: 404 });
    clock.advance(500_000);
    const second = await submit(again);
    expect(second).toMatchObject({ status: 'requires_action', expires_at: again.created_at + 500 + 600 });
    clock.advance(599_999);
    expect((await read(again)).status).toBe('requires_action');
    clock.advance(1);
    expect((await read(again)).status).toBe('expired');
  });
});

const play = async (): Promise<string> => {
  setUp({ ids: seededIds(7) });
  const run = await waiting('rounds:2');
  clock.advance(1234);
  await submit(run);
  clock.advance(60_000);
  return JSON.stringify(engine.history(run.id));
};

describe('whatever happens in whatever order', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('advance' as const), ms: fc.integer({ min: 0, max: 250_000 }) }),
    fc.record({
      kind: fc.constantFrom('submit' as const, 'cancel' as const, 'stale' as const, 'answer' as const),
    }),
  );
  const scripts = fc.constantFrom(
    'rounds:3',
    'parallel',
    'slow:90000',
    'slow:700000',
    'words:5x30000',
    'hang',
    'failing',
    'incomplete',
  );

  test('a run ends once, its thread is free exactly then, its log has no gap, and nothing stays scheduled', async () => {
    await fc.assert(
      fc.asyncProperty(scripts, fc.array(step, { maxLength: 25 }), async (script, plan) => {
        setUp();
        const run = await start(script);
        let first: Run | null = null;
        for (const action of plan) {
          const now = await read(run);
          if (now.status === 'requires_action') first ??= now;
          const attempt = async (): Promise<unknown> => {
            if (action.kind === 'advance') return clock.advance(action.ms);
            if (action.kind === 'submit') return submit(now);
            if (action.kind === 'stale') return submit(first ?? now, 'late');
            if (action.kind === 'cancel') return engine.cancelRun(me, run.thread_id, run.id);
            return engine.answer(me, run.thread_id, run.id, {
              call_id: calls(now)[0] ?? 'call_none',
              output: 'x',
            });
          };
          const status = await attempt().then(
            () => 200,
            (error: unknown) => (error as ApiError).status,
          );
          expect([200, 400]).toContain(status);
        }
        while (!isTerminal((await read(run)).status)) expect(clock.step()).toBe(true);
        expect(clock.pending).toBe(0);
        clock.advance(3_600_000);
        const log = [];
        for await (const event of engine.events(me, run.thread_id, run.id, {
          after: 0,
          signal: new AbortController().signal,
        }))
          log.push(event);
        expect(log.map(({ seq }) => seq)).toEqual(log.map((_, at) => at + 1));
        expect(log.filter(({ event }) => endsRun(event))).toHaveLength(1);
        expect(endsRun(log.at(-1)?.event ?? '')).toBe(true);
        for (const item of (await engine.listSteps(me, run.thread_id, run.id, { limit: 100, order: 'asc' }))
          .data)
          expect(item.status).not.toBe('in_progress');
        for (const item of (await engine.listMessages(me, run.thread_id, { limit: 100, order: 'asc' })).data)
          expect(item.status).not.toBe('in_progress');
        await engine.createRun(me, run.thread_id, { assistant_id: 'asst_chat' });
      }),
      { numRuns: 300 },
    );
  });

  test('the same seed and the same steps give the same log, byte for byte', async () => {
    expect(await play()).toBe(await play());
  });
});
