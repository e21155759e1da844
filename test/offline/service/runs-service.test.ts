import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createRunsService, type Workflows } from '../../../service/index.ts';
import type { Caller, RunsService } from '../../../protocol/ports/runs-service.ts';
import { ApiError, RunsError } from '../../../protocol/errors.ts';
import { FAILURES } from '../../../protocol/temporal/names.ts';
import { StoreError } from '../../../protocol/ports/store-error.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import type { ToolOutput } from '../../../protocol/wire/objects.ts';
import { deferred } from '../../support/deferred.ts';
import { approval } from '../../support/run-stubs.ts';
import { automatic, eventNames, external, memoryStore } from '../../support/store.ts';

const NOW = 1_800_000_000_000;
let store: Store;
beforeAll(async () => {
  store = await memoryStore();
}, 60_000);
afterAll(() => store.close());

type Fake = Workflows & { asked: string[] };
/** Workflows that take everything, and say what they were asked. */
const taking = (more: Partial<Workflows> = {}): Fake => {
  const asked: string[] = [];
  const note = <Args extends unknown[], T>(name: string, work: (...args: Args) => Promise<T>) => {
    return async (...args: Args): Promise<T> => {
      asked.push(name);
      return work(...args);
    };
  };
  return {
    asked,
    start: note('start', more.start ?? (async (options) => ({ runId: options.runId ?? '', started: true }))),
    cancel: note('cancel', more.cancel ?? (async () => undefined)),
    answer: note(
      'answer',
      more.answer ??
        (async (runId, { call_id }) => ({
          run_id: runId,
          call_id,
          result: 'accepted' as const,
          waiting: [],
        })),
    ),
    submitToolOutputs: note(
      'submit',
      more.submitToolOutputs ??
        (async (runId, _payload, options) => ({
          run_id: runId,
          round: options?.round ?? 0,
          result: 'accepted' as const,
        })),
    ),
    tools: more.tools ?? (async () => []),
    look: more.look ?? (async () => 'running' as const),
    trace: async () => null,
    history: async () => null,
    running: async (runIds) => new Set(runIds),
    brokenOffSince: async () => [],
    ping: more.ping ?? (async () => undefined),
    namespaceId: more.namespaceId ?? (async () => ({ id: 'ns', name: 'default' })),
  };
};

let requests = 0;
const caller = (more: Partial<Caller> = {}): Caller => ({
  tenant: 'tenant',
  requestId: `req_${(requests += 1)}`,
  isRetry: false,
  idempotencyKey: null,
  verified: (more.keyName ?? null) !== null,
  groups: [],
  ...more,
});

let workflows: Fake;
let engine: RunsService;
const engineOn = (over: Store, fake: Fake) =>
  createRunsService({ store: over, client: { workflows: fake }, now: () => NOW });
beforeEach(() => {
  workflows = taking();
  engine = engineOn(store, workflows);
});

const thread = async () => {
  const { id } = await engine.createThread(caller(), { messages: [{ role: 'user', content: 'hi' }] });
  const assistant = await engine.createAssistant(caller(), { model: 'm' });
  return { threadId: id, assistantId: assistant.id };
};

const waitingRun = async (calls = [external('call_1', 'a'), external('call_2', 'b')]) => {
  const { threadId, assistantId } = await thread();
  const { run } = await engine.createRun(caller(), threadId, { assistant_id: assistantId });
  const claim = await store.claim(run.id, NOW);
  if (claim === null) throw new Error('no row');
  const outcome = { kind: 'calls' as const, calls, expiresAt: null };
  await store.settleTurn(claim.lease, { outcome, message: null, usage: null }, NOW);
  return { threadId, runId: run.id };
};

const outputs = (one = 'x', two = 'y'): ToolOutput[] => [
  { tool_call_id: 'call_1', output: one },
  { tool_call_id: 'call_2', output: two },
];
const submit = (run: { threadId: string; runId: string }, given: ToolOutput[], who = caller(), on = engine) =>
  on.submitToolOutputs(who, run.threadId, run.runId, given);

const refusal = (failure: string, details?: unknown): RunsError =>
  new RunsError('refused', 'refused', { failure, details });
const away = new RunsError('temporal_unavailable', 'away');
const unreachable = { status: 503, code: 'unavailable', headers: { 'retry-after': '2' } };

describe('starting', () => {
  test('makes the row, then the workflow with the row’s times', async () => {
    const { threadId, assistantId } = await thread();
    let started: unknown;
    engine = engineOn(
      store,
      taking({
        start: async (options) => {
          expect((await store.getRun('tenant', threadId, options.runId ?? '')).status).toBe('queued');
          started = options;
          return { runId: options.runId ?? '', started: true };
        },
      }),
    );
    const { run, eventsAfter } = await engine.createRun(caller(), threadId, {
      assistant_id: assistantId,
      expires_in: 30,
      metadata: { a: 'b' },
    });
    expect(run).toMatchObject({ status: 'queued', expires_at: NOW / 1000 + 30, metadata: { a: 'b' } });
    expect(eventsAfter).toBe(0);
    expect(started).toEqual({
      runId: run.id,
      backend: 'chat',
      assistantId,
      threadId,
      metadata: { a: 'b' },
      expiresAt: NOW + 30_000,
      createdAt: NOW,
    });
  });

  test('that fails leaves nothing, says 503, and may be repeated', async () => {
    const { threadId, assistantId } = await thread();
    let up = false;
    engine = engineOn(
      store,
      taking({
        start: async ({ runId }) => {
          if (!up) throw away;
          return { runId: runId ?? '', started: true };
        },
      }),
    );
    const params = {
      assistant_id: assistantId,
      additional_messages: [{ role: 'user' as const, content: 'more' }],
    };
    await expect(engine.createRun(caller(), threadId, params)).rejects.toMatchObject(unreachable);
    const page = { limit: 10, order: 'asc' as const };
    expect((await engine.listRuns(caller(), threadId, page)).data).toEqual([]);
    expect((await engine.listMessages(caller(), threadId, page)).data).toHaveLength(1);
    await expect(
      engine.createThreadAndRun(caller(), {}, { assistant_id: assistantId }),
    ).rejects.toMatchObject(unreachable);
    up = true;
    expect((await engine.createRun(caller(), threadId, params)).run.status).toBe('queued');
  });

  test('whose reply was lost is a success when a worker has the run', async () => {
    const { threadId, assistantId } = await thread();
    engine = engineOn(
      store,
      taking({
        start: async ({ runId }) => {
          await store.claim(runId ?? '', NOW);
          throw away;
        },
      }),
    );
    const { run } = await engine.createRun(caller(), threadId, { assistant_id: assistantId });
    expect((await store.getRun('tenant', threadId, run.id)).status).toBe('in_progress');
  });

  test('under one Idempotency-Key happens once, and is carried out if the first try did not get that far', async () => {
    const { threadId, assistantId } = await thread();
    const who = () => caller({ idempotencyKey: `key-${threadId}` });
    const params = { assistant_id: assistantId };
    const first = await engine.createRun(who(), threadId, params);
    const again = await engine.createRun(who(), threadId, params);
    expect(again.run.id).toBe(first.run.id);
    expect(workflows.asked).toEqual(['start', 'start']);
    await store.claim(first.run.id, NOW);
    await engine.createRun(who(), threadId, params);
    expect(workflows.asked).toHaveLength(2);
    await expect(
      engine.createRun(who(), threadId, { ...params, instructions: 'other' }),
    ).rejects.toMatchObject({ status: 400, code: 'idempotency_key_reused' });
  });

  test('that seems to fail does not take away what a later request under its key was told of', async () => {
    const { threadId, assistantId } = await thread();
    const who = () => caller({ idempotencyKey: `race-${threadId}` });
    const params = { assistant_id: assistantId };
    const lost = deferred<never>();
    const asked = deferred<undefined>();
    const slow = engineOn(
      store,
      taking({
        start: () => {
          asked.resolve(undefined);
          return lost.promise;
        },
      }),
    );
    const first = slow.createRun(who(), threadId, params);
    await asked.promise;
    const second = await engine.createRun(who(), threadId, params);
    lost.reject(away);
    // It was started after all, by the other one.
    expect((await first).run.id).toBe(second.run.id);
    expect((await engine.getRun(who(), threadId, second.run.id)).status).toBe('queued');
  });

  test('and was taken back is not told of by a later request under its key, which may be repeated', async () => {
    const { threadId, assistantId } = await thread();
    const who = () => caller({ idempotencyKey: `race-${threadId}` });
    const params = { assistant_id: assistantId };
    const [failed, other] = [deferred<never>(), deferred<undefined>()];
    const first = engineOn(store, taking({ start: () => failed.promise })).createRun(who(), threadId, params);
    const seen = deferred<undefined>();
    const second = engineOn(
      store,
      taking({
        start: async ({ runId }) => {
          seen.resolve(undefined);
          await other.promise;
          return { runId: runId ?? '', started: false };
        },
      }),
    ).createRun(who(), threadId, params);
    // Both have the row; the first takes it back while the second believes to have started it.
    await seen.promise;
    failed.reject(away);
    await expect(first).rejects.toMatchObject(unreachable);
    other.resolve(undefined);
    await expect(second).rejects.toMatchObject(unreachable);
    expect((await engine.createRun(who(), threadId, params)).run.status).toBe('queued');
  });

  test('on a Temporal that does not answer is given up as soon as a ping finds out', async () => {
    const { threadId, assistantId } = await thread();
    const hanging = engineOn(
      store,
      taking({ start: () => new Promise<never>(() => undefined), ping: () => Promise.reject(away) }),
    );
    await expect(hanging.createRun(caller(), threadId, { assistant_id: assistantId })).rejects.toMatchObject(
      unreachable,
    );
    expect((await engine.createRun(caller(), threadId, { assistant_id: assistantId })).run.status).toBe(
      'queued',
    );
  });

  test('remembers which worker tools the caller may use', async () => {
    const { threadId, assistantId } = await thread();
    const { run } = await engine.createRun(caller({ grantedTools: ['a'] }), threadId, {
      assistant_id: assistantId,
    });
    expect((await store.readState(run.id))?.config.granted_tools).toEqual(['a']);
    expect(run).not.toHaveProperty('granted_tools');
  });
});

describe('submitting', () => {
  test('asks the workflow, then shows it, and tells where the events begin', async () => {
    const run = await waitingRun();
    const before = (await eventNames(store, run.runId)).length;
    const { run: after, eventsAfter } = await submit(run, outputs());
    expect(after).toMatchObject({ status: 'queued', required_action: null });
    expect(eventsAfter).toBe(before);
    expect(workflows.asked).toEqual(['start', 'submit']);
  });

  test.each([
    [
      'one is missing',
      [{ tool_call_id: 'call_1', output: 'x' }],
      "Expected tool outputs for call_ids ['call_1', 'call_2'], got ['call_1']",
    ],
    [
      'one is unknown',
      [...outputs(), { tool_call_id: 'call_9', output: 'z' }],
      "Expected tool outputs for call_ids ['call_1', 'call_2'], got ['call_1', 'call_2', 'call_9']",
    ],
    [
      'one comes twice',
      [...outputs(), { tool_call_id: 'call_1', output: 'x' }],
      "Duplicate tool_call_id 'call_1' in tool_outputs: send each output once.",
    ],
    ['nothing', [], "Expected tool outputs for call_ids ['call_1', 'call_2'], got []"],
  ])('is refused when %s, without asking the workflow', async (_name, given, message) => {
    const run = await waitingRun();
    await expect(submit(run, given)).rejects.toMatchObject({ status: 400, message });
    expect(workflows.asked).toEqual(['start']);
  });

  test('is refused when outputs are too large, one or together', async () => {
    const run = await waitingRun();
    await expect(submit(run, outputs('x'.repeat(1_048_577)))).rejects.toMatchObject({
      code: 'string_above_max_length',
      param: 'tool_outputs[0].output',
    });
    await expect(submit(run, outputs('x'.repeat(300_000), 'y'.repeat(300_000)))).rejects.toMatchObject({
      message: expect.stringContaining('512kb'),
    });
  });

  test('again is late for another client and accepted for the client’s own retry', async () => {
    const run = await waitingRun();
    const first = await submit(run, outputs());
    await expect(submit(run, outputs())).rejects.toMatchObject({
      status: 400,
      message: 'Runs in status "queued" do not accept tool outputs.',
    });
    const retry = await submit(run, outputs(), caller({ isRetry: true }));
    expect(retry).toEqual(first);
    await expect(submit(run, outputs('other'), caller({ isRetry: true }))).rejects.toMatchObject({
      status: 400,
    });
    expect(workflows.asked).toEqual(['start', 'submit']);
  });

  test('again under the same Idempotency-Key is fine', async () => {
    const run = await waitingRun();
    const who = () => caller({ idempotencyKey: `submit-${run.runId}` });
    const first = await submit(run, outputs(), who());
    expect(await submit(run, outputs(), who())).toEqual(first);
    await expect(submit(run, outputs('other'), who())).rejects.toMatchObject({ status: 400 });
  });

  test('is accepted although the worker wrote it first, for one of two', async () => {
    const run = await waitingRun();
    const before = (await eventNames(store, run.runId)).length;
    engine = engineOn(
      store,
      taking({
        submitToolOutputs: async (runId, { tool_outputs }) => {
          await store.acceptOutputs(runId, tool_outputs, { now: NOW, by: null });
          await store.claim(runId, NOW);
          return { run_id: runId, round: 1, result: 'accepted' };
        },
      }),
    );
    const verdicts = await Promise.allSettled([submit(run, outputs()), submit(run, outputs())]);
    const accepted = verdicts.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    expect(accepted).toHaveLength(1);
    expect(accepted[0]).toMatchObject({ eventsAfter: before });
    expect(verdicts.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { status: 400, message: expect.stringContaining('do not accept tool outputs') },
    });
  });

  test('that a worker took after all, once a 503 was said, is accepted when it is sent again, once', async () => {
    const run = await waitingRun();
    engine = engineOn(
      store,
      taking({
        submitToolOutputs: async () => {
          throw new RunsError('no_worker', 'none');
        },
      }),
    );
    await expect(submit(run, outputs())).rejects.toMatchObject({ status: 503 });
    const before = (await eventNames(store, run.runId)).length;
    await store.acceptOutputs(run.runId, outputs(), { now: NOW, by: null });
    await store.claim(run.runId, NOW);
    await expect(submit(run, outputs('other'))).rejects.toMatchObject({ status: 400 });
    expect(await submit(run, outputs())).toMatchObject({
      eventsAfter: before,
      run: { status: 'in_progress' },
    });
    await expect(submit(run, outputs())).rejects.toMatchObject({ status: 400 });
  });

  test('whose reply was lost may be repeated by the client when the next round is open already', async () => {
    const run = await waitingRun();
    const first = await submit(run, outputs());
    const claim = await store.claim(run.runId, NOW);
    if (claim === null) throw new Error('no row');
    const outcome = { kind: 'calls' as const, calls: [external('call_3', 'c')], expiresAt: null };
    await store.settleTurn(claim.lease, { outcome, message: null, usage: null }, NOW);
    const retry = await submit(run, outputs(), caller({ isRetry: true }));
    expect(retry).toMatchObject({ eventsAfter: first.eventsAfter, run: { status: 'requires_action' } });
    await expect(submit(run, outputs())).rejects.toMatchObject({
      message: "Expected tool outputs for call_ids ['call_3'], got ['call_1', 'call_2']",
    });
  });

  test.each([
    [
      'other ids',
      refusal(FAILURES.refusedCallIds, { expected: ['c'], got: ['d'] }),
      "Expected tool outputs for call_ids ['c'], got ['d']",
    ],
    [
      'a run that is past it',
      refusal(FAILURES.refusedTooLate, { status: 'expired' }),
      'Runs in status "expired" do not accept tool outputs.',
    ],
    [
      'a run that does not wait',
      refusal(FAILURES.refusedNotWaiting, { status: 'expired' }),
      'Runs in status "expired" do not accept tool outputs.',
    ],
    [
      'a different earlier output',
      refusal(FAILURES.refusedConflict, { callIds: ['call_1'] }),
      "Tool outputs for call_ids ['call_1'] were submitted before with a different output; the first one stands.",
    ],
    ['something malformed', refusal(FAILURES.refusedMalformed), 'refused'],
  ])('that the workflow refuses for %s is told in the API’s words', async (_name, error, message) => {
    const run = await waitingRun();
    engine = engineOn(
      store,
      taking({
        submitToolOutputs: async () => {
          throw error;
        },
      }),
    );
    await expect(submit(run, outputs())).rejects.toMatchObject({ status: 400, message });
    expect((await store.getRun('tenant', run.threadId, run.runId)).status).toBe('requires_action');
  });

  test('before the workflow knows what the row asks for is taken as soon as it does', async () => {
    const run = await waitingRun();
    const refusals = ['queued', 'in_progress', 'in_progress'].map((status) =>
      refusal(FAILURES.refusedNotWaiting, { status }),
    );
    const slow = taking({
      submitToolOutputs: async () => {
        const error = refusals.shift();
        if (error !== undefined) throw error;
        return { run_id: run.runId, round: 1, result: 'accepted' };
      },
    });
    expect((await submit(run, outputs(), caller(), engineOn(store, slow))).run.status).toBe('queued');
    expect(slow.asked).toEqual(['submit', 'submit', 'submit', 'submit']);
  });

  test('that the workflow does not know of in time is 503, not a refusal', async () => {
    const run = await waitingRun();
    const never = taking({
      submitToolOutputs: async () => {
        throw refusal(FAILURES.refusedNotWaiting, { status: 'in_progress' });
      },
    });
    const hasty = createRunsService({ store, client: { workflows: never }, workerTimeoutMs: 1 });
    await expect(submit(run, outputs(), caller(), hasty)).rejects.toMatchObject({ status: 503 });
    expect((await store.getRun('tenant', run.threadId, run.runId)).status).toBe('requires_action');
  });

  test('without a worker is 503 and changes nothing', async () => {
    const run = await waitingRun();
    engine = engineOn(
      store,
      taking({
        submitToolOutputs: async () => {
          throw new RunsError('no_worker', 'none');
        },
      }),
    );
    await expect(submit(run, outputs())).rejects.toMatchObject({ status: 503 });
    expect((await store.getRun('tenant', run.threadId, run.runId)).status).toBe('requires_action');
  });

  test('may repeat what people answered, identically', async () => {
    const run = await waitingRun();
    await engine.answer(caller(), run.threadId, run.runId, { call_id: 'call_1', output: 'by hand' });
    expect(await engine.getRun(caller(), run.threadId, run.runId)).toMatchObject({
      required_action: { submit_tool_outputs: { tool_calls: [{ id: 'call_2' }] } },
    });
    await expect(submit(run, outputs('other'))).rejects.toMatchObject({
      message: expect.stringContaining('different output'),
    });
    expect((await submit(run, outputs('by hand'))).run.status).toBe('queued');
  });

  test('never asks for worker calls', async () => {
    const run = await waitingRun([automatic('call_w', 'w'), external('call_1', 'a')]);
    await expect(submit(run, [{ tool_call_id: 'call_w', output: 'stolen' }])).rejects.toMatchObject({
      message: "Expected tool outputs for call_ids ['call_1'], got ['call_w']",
    });
  });
});

describe('answers of people', () => {
  test('that are refused decisions are kept with their sender and the reason, outputs are not', async () => {
    const run = await waitingRun([approval('p'), external('e', 'ask')]);
    const other = engineOn(
      store,
      taking({ answer: () => Promise.reject(refusal(FAILURES.refusedConflict)) }),
    );
    const bob = caller({ keyName: 'bob', roles: ['caller', 'approver'] });
    const sent = { call_id: 'p', decision: 'deny', reason: 'no', by: 'the boss' } as const;
    for (const payload of [sent, { call_id: 'e', output: 'x' }, { ...sent, call_id: 'nowhere' }])
      await expect(other.answer(bob, run.threadId, run.runId, payload)).rejects.toMatchObject({
        status: 400,
        code: 'conflicting_answer',
      });
    const { data } = await other.listDecisions(bob, run.threadId, run.runId, { limit: 9, order: 'asc' });
    expect(data).toMatchObject([
      {
        call_id: 'p',
        tool: 'pay',
        decision: 'deny',
        by: 'bob',
        verified: true,
        door: 'http',
        note: 'the boss',
        reason: 'no',
        created_at: NOW / 1000,
        refused: { code: 'conflicting_answer', message: 'refused' },
      },
    ]);
    expect(data).toHaveLength(1);
  });

  test('that are refused are told so when the store can’t keep it', async () => {
    const run = await waitingRun([approval('p')]);
    const other = engineOn(
      { ...store, recordRefusedDecision: () => Promise.reject(new StoreError('unavailable', 'away')) },
      taking({ answer: () => Promise.reject(refusal(FAILURES.refusedTooLate)) }),
    );
    await expect(
      other.answer(caller(), run.threadId, run.runId, { call_id: 'p', decision: 'approve' }),
    ).rejects.toMatchObject({ status: 400, code: 'too_late' });
  });

  test('are the caller’s own runs’ only, and a refusal has a code', async () => {
    const run = await waitingRun();
    const stranger = caller({ tenant: 'other' });
    await expect(
      engine.answer(stranger, run.threadId, run.runId, { call_id: 'call_1', output: 'x' }),
    ).rejects.toMatchObject({ status: 404 });
    expect(workflows.asked).toEqual(['start']);
    engine = engineOn(
      store,
      taking({
        answer: async () => {
          throw refusal(FAILURES.refusedUnknownCall);
        },
      }),
    );
    await expect(
      engine.answer(caller(), run.threadId, run.runId, { call_id: 'nope', output: 'x' }),
    ).rejects.toMatchObject({ status: 400, code: 'unknown_call' });
  });

  test('wait for a workflow that has not received the call yet, and are refused at once when there is none', async () => {
    const run = await waitingRun();
    const unknown = refusal(FAILURES.refusedUnknownCall);
    let refused = 0;
    const slow = engineOn(
      store,
      taking({
        answer: async (runId, { call_id }) => {
          if (refused++ < 2 || call_id !== 'call_1') throw unknown;
          return { run_id: runId, call_id, result: 'accepted', waiting: [] };
        },
      }),
    );
    const answer = (call_id: string) =>
      slow.answer(caller(), run.threadId, run.runId, { call_id, output: 'x' });
    await expect(answer('call_none')).rejects.toMatchObject({ status: 400, code: 'unknown_call' });
    expect(refused).toBe(1);
    expect(await answer('call_1')).toMatchObject({ result: 'accepted' });
    expect(refused).toBe(3);
  });

  test('are left to the worker when they were changed on their way', async () => {
    const run = await waitingRun();
    await engine.answer(caller(), run.threadId, run.runId, { call_id: 'call_1', output: { a: 1 } });
    const { required_action: action } = await engine.getRun(caller(), run.threadId, run.runId);
    expect(action?.submit_tool_outputs.tool_calls).toHaveLength(2);
  });

  test('never take the place of a placeholder that came before them', async () => {
    const run = await waitingRun();
    const late = engineOn(
      store,
      taking({
        answer: async (runId, { call_id }) => ({
          run_id: runId,
          call_id,
          result: 'accepted',
          late: true,
          waiting: [],
        }),
      }),
    );
    await late.answer(caller(), run.threadId, run.runId, { call_id: 'call_1', output: 'too late' });
    // The worker's submit, which was under way when the answer came.
    expect(
      await store.acceptOutputs(run.runId, outputs('placeholder', 'y'), { now: NOW, by: null }),
    ).toMatchObject({ result: 'accepted', taken: true });
  });
});

describe('cancelling', () => {
  test('shows at once, asks the workflow, and is refused for ended runs', async () => {
    const run = await waitingRun();
    expect((await engine.cancelRun(caller(), run.threadId, run.runId)).status).toBe('cancelling');
    expect(workflows.asked).toEqual(['start', 'cancel']);
    await store.closeRun(run.runId, { kind: 'cancel' }, NOW);
    await expect(engine.cancelRun(caller(), run.threadId, run.runId)).rejects.toMatchObject({
      message: "Cannot cancel run with status 'cancelled'.",
    });
  });

  test('keeps the wish while Temporal is away', async () => {
    const run = await waitingRun();
    engine = engineOn(
      store,
      taking({
        cancel: async () => {
          throw away;
        },
      }),
    );
    expect((await engine.cancelRun(caller(), run.threadId, run.runId)).status).toBe('cancelling');
    const [live] = (await store.liveRuns({ before: NOW + 1, after: 0, limit: 1000 })).filter(
      ({ runId }) => runId === run.runId,
    );
    expect(live?.cancelAskedAt).toBe(NOW);
  });

  test.each([
    ['is gone', new RunsError('run_not_found', 'gone')],
    ['has ended', refusal('Ended')],
  ])('closes the row itself when the workflow %s', async (_name, error) => {
    const run = await waitingRun();
    engine = engineOn(
      store,
      taking({
        cancel: async () => {
          throw error;
        },
      }),
    );
    expect((await engine.cancelRun(caller(), run.threadId, run.runId)).status).toBe('cancelled');
  });
});

const names = async (from: AsyncIterable<{ event: string; seq: number }>): Promise<string[]> => {
  const all: string[] = [];
  for await (const { event, seq } of from) all.push(`${seq} ${event}`);
  return all;
};

/** A run that was started just now, by an engine whose looks are counted. */
const begun = async () => {
  const { threadId, assistantId } = await thread();
  const looks: number[] = [];
  let asked = 0;
  const watched = createRunsService({
    store: {
      ...store,
      getRun: (...args) => {
        asked += 1;
        return store.getRun(...args);
      },
      readEvents: (runId, options) => {
        looks.push(options.after);
        return store.readEvents(runId, options);
      },
    },
    client: { workflows },
    now: () => NOW,
    tail: { newsMs: 1 },
  });
  const {
    run,
    eventsAfter: after,
    initialEvents,
  } = await watched.createRun(caller(), threadId, {
    assistant_id: assistantId,
  });
  if (initialEvents === undefined) throw new Error('no news');
  const { signal } = new AbortController();
  const read = () => names(watched.events(caller(), run.thread_id, run.id, { after, signal, initialEvents }));
  return { run, read, looks, asked: () => asked };
};

describe('events', () => {
  test('are the log and then its tail, to the end, from any place, for many readers', async () => {
    const run = await waitingRun();
    const { signal } = new AbortController();
    const readers = [0, 3, 0].map((after) =>
      names(engine.events(caller(), run.threadId, run.runId, { after, signal })),
    );
    await submit(run, outputs());
    await store.closeRun(run.runId, { kind: 'expire' }, NOW);
    const [first, second, third] = await Promise.all(readers);
    expect(first?.at(-1)).toMatch(/thread\.run\.expired$/);
    expect(first?.map((line) => Number(line.split(' ')[0]))).toEqual(first?.map((_, index) => index + 1));
    expect(second).toEqual(first?.slice(3));
    expect(third).toEqual(first);
  });

  describe('of a run that its reader has just started', () => {
    test('begin with those that came with the start, which are not read again', async () => {
      const { run, read, looks, asked } = await begun();
      const reading = read();
      await store.closeRun(run.id, { kind: 'expire' }, NOW);
      expect(await reading).toEqual(['1 thread.run.created', '2 thread.run.queued', '3 thread.run.expired']);
      expect(looks[0]).toBe(2);
      expect(asked()).toBe(0);
    });

    test('are found by a read when they came before the first listener', async () => {
      const { run, read, looks } = await begun();
      await store.closeRun(run.id, { kind: 'expire' }, NOW);
      expect((await read()).at(-1)).toBe('3 thread.run.expired');
      expect(looks).toEqual([2]);
    });
  });

  test('end with their reader’s signal and never touch the run', async () => {
    const run = await waitingRun();
    const stop = new AbortController();
    const reader = names(engine.events(caller(), run.threadId, run.runId, { after: 0, signal: stop.signal }));
    stop.abort();
    await reader;
    expect((await engine.getRun(caller(), run.threadId, run.runId)).status).toBe('requires_action');
  });

  test('of another tenant’s run are not found', async () => {
    const run = await waitingRun();
    const { signal } = new AbortController();
    await expect(
      names(engine.events(caller({ tenant: 'other' }), run.threadId, run.runId, { after: 0, signal })),
    ).rejects.toMatchObject({ status: 404 });
  });

  test('wait for a database that is away', async () => {
    const run = await waitingRun();
    await store.closeRun(run.runId, { kind: 'expire' }, NOW);
    let failures = 2;
    const flaky: Store = {
      ...store,
      readEvents: async (...args) => {
        failures -= 1;
        if (failures >= 0) throw new StoreError('unavailable', 'away');
        return store.readEvents(...args);
      },
    };
    const patient = createRunsService({
      store: flaky,
      client: { workflows },
      now: () => NOW,
      tail: { pollMs: 1 },
    });
    const { signal } = new AbortController();
    const all = await names(patient.events(caller(), run.threadId, run.runId, { after: 0, signal }));
    expect(all.at(-1)).toMatch(/expired$/);
    expect(failures).toBe(-1);
  });
});

describe('trouble', () => {
  test('a database that is away is 503 on every method', async () => {
    const broken = new Proxy(store, {
      get: () => async () => {
        throw new StoreError('unavailable', 'away');
      },
    });
    engine = engineOn(broken, workflows);
    const page = { limit: 1, order: 'asc' as const };
    const who = caller();
    const tries = [
      engine.createAssistant(who, { model: 'm' }),
      engine.listAssistants(who, page),
      engine.listThreads(who, page),
      engine.getThread(who, 't'),
      engine.deleteThread(who, 't'),
      engine.createMessage(who, 't', { role: 'user', content: 'x' }),
      engine.listMessages(who, 't', page),
      engine.createRun(who, 't', { assistant_id: 'a' }),
      engine.createThreadAndRun(who, {}, { assistant_id: 'a' }),
      engine.getRun(who, 't', 'r'),
      engine.cancelRun(who, 't', 'r'),
      engine.submitToolOutputs(who, 't', 'r', []),
      engine.answer(who, 't', 'r', { call_id: 'c', output: 'x' }),
      engine.listSteps(who, 't', 'r', page),
    ];
    for (const verdict of await Promise.allSettled(tries))
      expect(verdict).toMatchObject({ status: 'rejected', reason: unreachable });
    expect(await engine.readiness()).toEqual(["The database can't be reached."]);
  });

  test('readiness names the server that is down', async () => {
    expect(await engine.readiness()).toEqual([]);
    engine = engineOn(
      store,
      taking({
        ping: async () => {
          throw away;
        },
      }),
    );
    expect(await engine.readiness()).toEqual(["Temporal can't be reached."]);
  });

  test('errors of ours are passed on as they are', async () => {
    const bug = new TypeError('bug');
    engine = engineOn({ ...store, getRun: () => Promise.reject(bug) }, workflows);
    await expect(engine.getRun(caller(), 't', 'r')).rejects.toBe(bug);
    await expect(engine.getRun(caller(), 't', 'r')).rejects.not.toBeInstanceOf(ApiError);
  });
});
