import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PlannedCall } from '../../../protocol/tool-calls.ts';
import { mintId } from '../../../protocol/wire/ids.ts';
import { StoreError } from '../../../protocol/ports/store-error.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import { automatic, eventNames, external, memoryStore, newRun, startedRun } from '../../support/store.ts';

let store: Store;
beforeAll(async () => {
  store = await memoryStore();
}, 60_000);
afterAll(() => store.close());

const T = 'tenant-a';
const NOW = 1_800_000_000_000;
const text = (value: string) => [{ type: 'text' as const, text: { value, annotations: [] } }];
const usage = { promptTokens: 10, completionTokens: 2, totalTokens: 12 };

describe('a run without calls', () => {
  test('tells its story in the order clients know', async () => {
    const { runId, threadId } = await startedRun(store, T, NOW);
    const claim = await store.claim(runId, NOW + 1000);
    expect(claim?.next).toBe('turn');
    if (claim === null) throw new Error('no row');
    const { messageId } = await store.openMessage(claim.lease, NOW + 1100);
    await store.appendDeltas(claim.lease, [
      {
        event: 'thread.message.delta',
        data: {
          id: messageId,
          object: 'thread.message.delta',
          delta: { content: [{ index: 0, type: 'text', text: { value: 'Hi' } }] },
        },
      },
    ]);
    await store.settleTurn(
      claim.lease,
      { outcome: { kind: 'completed' }, message: { id: messageId, content: text('Hi') }, usage },
      NOW + 1200,
    );
    expect(await eventNames(store, runId)).toEqual([
      'thread.run.created',
      'thread.run.queued',
      'thread.run.in_progress',
      'thread.run.step.created',
      'thread.run.step.in_progress',
      'thread.message.created',
      'thread.message.in_progress',
      'thread.message.delta',
      'thread.message.completed',
      'thread.run.step.completed',
      'thread.run.completed',
    ]);
    const run = await store.getRun(T, threadId, runId);
    expect(run).toMatchObject({
      status: 'completed',
      expires_at: null,
      usage: { prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 },
    });
    const messages = await store.listMessages(T, threadId, { limit: 10, order: 'asc' });
    expect(messages.data.map(({ role, status }) => [role, status])).toEqual([
      ['user', 'completed'],
      ['assistant', 'completed'],
    ]);
  });
});

describe('a round of external calls', () => {
  const calls: PlannedCall[] = [external('call_1', 'get_weather'), external('call_2', 'get_time')];

  const waiting = async () => {
    const { runId, threadId } = await startedRun(store, T, NOW);
    const claim = await store.claim(runId, NOW);
    if (claim === null) throw new Error('no row');
    await store.settleTurn(
      claim.lease,
      { outcome: { kind: 'calls', calls, expiresAt: NOW + 900_000 }, message: null, usage },
      NOW,
    );
    return { runId, threadId };
  };

  test('is asked for, accepted and continued in the order clients know', async () => {
    const { runId, threadId } = await waiting();
    const run = await store.getRun(T, threadId, runId);
    expect(run).toMatchObject({
      status: 'requires_action',
      expires_at: (NOW + 900_000) / 1000,
      required_action: {
        submit_tool_outputs: { tool_calls: [{ id: 'call_1' }, { id: 'call_2' }] },
      },
    });
    const before = await eventNames(store, runId);
    expect(before.slice(3)).toEqual([
      'thread.run.step.created',
      'thread.run.step.in_progress',
      'thread.run.step.delta',
      'thread.run.requires_action',
    ]);
    const accepted = await store.acceptOutputs(
      runId,
      [
        { tool_call_id: 'call_1', output: 'sunny' },
        { tool_call_id: 'call_2', output: 'noon' },
      ],
      { now: NOW + 5, by: 'req_1' },
    );
    expect(accepted).toMatchObject({ result: 'accepted', eventsAfter: before.length });
    expect(accepted.run).toMatchObject({ status: 'queued', required_action: null });
    expect((await eventNames(store, runId)).slice(before.length)).toEqual([
      'thread.run.step.completed',
      'thread.run.queued',
    ]);
    const next = await store.claim(runId, NOW + 10);
    expect(next?.next).toBe('turn');
    expect((await eventNames(store, runId)).at(-1)).toBe('thread.run.in_progress');
    const steps = await store.listSteps(T, threadId, runId, { limit: 10, order: 'asc' });
    expect(steps.data[0]?.step_details).toMatchObject({
      tool_calls: [{ function: { output: 'sunny' } }, { function: { output: 'noon' } }],
    });
  });

  test('shrinks as people answer, and queues the run with the last answer', async () => {
    const { runId, threadId } = await waiting();
    const one = await store.acceptOutputs(runId, [{ tool_call_id: 'call_2', output: 'noon' }], {
      now: NOW,
      by: null,
    });
    expect(one.result).toBe('recorded');
    expect(await store.getRun(T, threadId, runId)).toMatchObject({
      status: 'requires_action',
      required_action: { submit_tool_outputs: { tool_calls: [{ id: 'call_1' }] } },
    });
    const two = await store.acceptOutputs(runId, [{ tool_call_id: 'call_1', output: 'sun' }], {
      now: NOW,
      by: null,
    });
    expect(two).toMatchObject({ result: 'accepted', run: { status: 'queued' } });
  });

  test('takes the same outputs again without effect, and refuses different ones', async () => {
    const { runId } = await waiting();
    const outputs = [
      { tool_call_id: 'call_1', output: 'a' },
      { tool_call_id: 'call_2', output: 'b' },
    ];
    await store.acceptOutputs(runId, outputs, { now: NOW, by: 'req_1' });
    const length = (await eventNames(store, runId)).length;
    const again = await store.acceptOutputs(runId, outputs, { now: NOW, by: 'req_2' });
    expect(again.result).toBe('repeated');
    await expect(
      store.acceptOutputs(runId, [{ tool_call_id: 'call_1', output: 'other' }], { now: NOW, by: null }),
    ).rejects.toMatchObject({ code: 'output_conflict', details: ['call_1'] });
    expect((await eventNames(store, runId)).length).toBe(length);
  });

  test('tells the first request "accepted" although a worker wrote first, and the second "repeated"', async () => {
    const { runId } = await waiting();
    const outputs = [
      { tool_call_id: 'call_1', output: 'a' },
      { tool_call_id: 'call_2', output: 'b' },
    ];
    const before = (await eventNames(store, runId)).length;
    await store.acceptOutputs(runId, outputs, { now: NOW, by: null });
    await store.claim(runId, NOW);
    const first = await store.acceptOutputs(runId, outputs, { now: NOW, by: 'req_1' });
    expect(first).toMatchObject({ result: 'accepted', eventsAfter: before });
    const second = await store.acceptOutputs(runId, outputs, { now: NOW, by: 'req_2' });
    expect(second.result).toBe('repeated');
  });
});

describe('a mixed round', () => {
  test('shows all calls in one step, asks for the external ones, and waits for all before the next turn', async () => {
    const { runId, threadId } = await startedRun(store, T, NOW);
    const claim = await store.claim(runId, NOW);
    if (claim === null) throw new Error('no row');
    await store.settleTurn(
      claim.lease,
      {
        outcome: {
          kind: 'calls',
          calls: [automatic('call_w', 'lookup'), external('call_x', 'ask')],
          expiresAt: null,
        },
        message: null,
        usage: null,
      },
      NOW,
    );
    const run = await store.getRun(T, threadId, runId);
    expect(run.required_action?.submit_tool_outputs.tool_calls.map(({ id }) => id)).toEqual(['call_x']);
    const before = (await eventNames(store, runId)).length;
    await store.acceptOutputs(runId, [{ tool_call_id: 'call_x', output: 'x' }], { now: NOW, by: 'r' });
    expect((await store.claim(runId, NOW))?.next).toBe('wait');
    await store.acceptOutputs(
      runId,
      [
        { tool_call_id: 'call_w', output: 'w' },
        { tool_call_id: 'call_x', output: 'x' },
      ],
      { now: NOW, by: null },
    );
    expect((await store.claim(runId, NOW))?.next).toBe('turn');
    const steps = await store.listSteps(T, threadId, runId, { limit: 10, order: 'asc' });
    expect(steps.data).toMatchObject([
      {
        type: 'tool_calls',
        status: 'completed',
        step_details: { tool_calls: [{ function: { output: 'w' } }, { function: { output: 'x' } }] },
      },
    ]);
    expect((await eventNames(store, runId)).slice(before)).toEqual([
      'thread.run.queued',
      'thread.run.step.completed',
      'thread.run.in_progress',
    ]);
    const context = await store.readContext(threadId, 100);
    const round = context.find(({ kind }) => kind === 'round');
    expect(round).toMatchObject({ calls: [{ id: 'call_w' }, { id: 'call_x' }] });
  });

  test('stays in progress without external calls', async () => {
    const { runId, threadId } = await startedRun(store, T, NOW);
    const claim = await store.claim(runId, NOW);
    if (claim === null) throw new Error('no row');
    await store.settleTurn(
      claim.lease,
      {
        outcome: { kind: 'calls', calls: [automatic('call_w', 'lookup')], expiresAt: null },
        message: null,
        usage: null,
      },
      NOW,
    );
    expect(await store.getRun(T, threadId, runId)).toMatchObject({
      status: 'in_progress',
      required_action: null,
    });
    const before = (await eventNames(store, runId)).length;
    await store.acceptOutputs(runId, [{ tool_call_id: 'call_w', output: 'w' }], { now: NOW, by: null });
    await store.claim(runId, NOW);
    expect((await eventNames(store, runId)).slice(before)).toEqual(['thread.run.step.completed']);
  });
});

describe('fencing', () => {
  test('a claim takes the lease away from every earlier attempt', async () => {
    const { runId } = await startedRun(store, T, NOW);
    const old = await store.claim(runId, NOW);
    const fresh = await store.claim(runId, NOW);
    if (old === null || fresh === null) throw new Error('no row');
    const lost = { code: 'lease_lost' };
    await expect(store.openMessage(old.lease, NOW)).rejects.toMatchObject(lost);
    await expect(store.openCalls(old.lease, null, NOW)).rejects.toMatchObject(lost);
    await expect(
      store.settleTurn(old.lease, { outcome: { kind: 'completed' }, message: null, usage: null }, NOW),
    ).rejects.toMatchObject(lost);
    await expect(
      store.appendDeltas(old.lease, [
        {
          event: 'thread.message.delta',
          data: { id: 'msg', object: 'thread.message.delta', delta: { content: [] } },
        },
      ]),
    ).rejects.toMatchObject(lost);
    await store.openMessage(fresh.lease, NOW);
  });

  test('an ended run accepts no write, from any holder of the lease', async () => {
    const { runId } = await startedRun(store, T, NOW);
    const claim = await store.claim(runId, NOW);
    if (claim === null) throw new Error('no row');
    await store.settleTurn(claim.lease, { outcome: { kind: 'completed' }, message: null, usage: null }, NOW);
    await expect(store.openMessage(claim.lease, NOW)).rejects.toBeInstanceOf(StoreError);
    const closed = await store.closeRun(runId, { kind: 'expire' }, NOW);
    expect(closed?.status).toBe('completed');
  });

  test('an abandoned attempt is closed before the next one opens anything, and stays out of the context', async () => {
    const { runId, threadId } = await startedRun(store, T, NOW);
    const old = await store.claim(runId, NOW);
    if (old === null) throw new Error('no row');
    const { messageId } = await store.openMessage(old.lease, NOW);
    await store.openCalls(old.lease, null, NOW);
    await store.appendDeltas(old.lease, [
      {
        event: 'thread.message.delta',
        data: {
          id: messageId,
          object: 'thread.message.delta',
          delta: { content: [{ index: 0, type: 'text', text: { value: 'half a' } }] },
        },
      },
    ]);
    const before = (await eventNames(store, runId)).length;
    await store.claim(runId, NOW + 1);
    expect((await eventNames(store, runId)).slice(before)).toEqual([
      'thread.message.incomplete',
      'thread.run.step.failed',
      'thread.run.step.failed',
    ]);
    expect(await store.getMessage(T, threadId, messageId)).toMatchObject({
      status: 'incomplete',
      content: text('half a'),
      incomplete_details: { reason: 'run_failed' },
    });
    const context = await store.readContext(threadId, 100);
    expect(context.filter((item) => item.kind === 'message' && item.role === 'assistant')).toEqual([]);
  });

  test('a row that is not there can not be claimed', async () => {
    expect(await store.claim(mintId('run'), NOW)).toBeNull();
    expect(await store.closeRun(mintId('run'), { kind: 'cancel' }, NOW)).toBeNull();
  });
});

describe('closing', () => {
  test.each([
    ['cancel', { kind: 'cancel' }, 'cancelled', ['cancelling', 'cancelled'], 'cancelled', 'run_cancelled'],
    ['expire', { kind: 'expire' }, 'expired', ['expired'], 'expired', 'run_expired'],
    [
      'fail',
      { kind: 'fail', error: { code: 'server_error', message: 'No model.' } },
      'failed',
      ['failed'],
      'failed',
      'run_failed',
    ],
  ] as const)(
    '%s closes the run with everything open, once',
    async (_name, how, status, runEvents, step, reason) => {
      const { runId, threadId } = await startedRun(store, T, NOW);
      const claim = await store.claim(runId, NOW);
      if (claim === null) throw new Error('no row');
      const { messageId, stepId } = await store.openMessage(claim.lease, NOW);
      const before = (await eventNames(store, runId)).length;
      expect((await store.closeRun(runId, how, NOW + 1))?.status).toBe(status);
      const after = (await eventNames(store, runId)).slice(before);
      expect(after.filter((name) => name.startsWith('thread.run.') && !name.includes('step'))).toEqual(
        runEvents.map((name) => `thread.run.${name}`),
      );
      expect(await store.getStep(T, threadId, runId, stepId)).toMatchObject({ status: step });
      expect(await store.getMessage(T, threadId, messageId)).toMatchObject({
        status: 'incomplete',
        incomplete_details: { reason },
      });
      expect((await store.closeRun(runId, { kind: 'cancel' }, NOW + 2))?.status).toBe(status);
      expect((await eventNames(store, runId)).length).toBe(before + after.length);
    },
  );

  test.each([
    ['rate_limit_exceeded', 'rate_limit_exceeded', 'No.'],
    // As an older version wrote it, with the model server's own words.
    ['backend_rejected', 'server_error', 'The run could not be finished.'],
  ])('a failure of code %s is shown as %s', async (code, shown, message) => {
    const { runId, threadId } = await startedRun(store, T, NOW);
    const claim = await store.claim(runId, NOW);
    if (claim === null) throw new Error('no row');
    const { stepId } = await store.openMessage(claim.lease, NOW);
    const state = await store.closeRun(runId, { kind: 'fail', error: { code, message: 'No.' } }, NOW);
    expect(state?.lastError).toEqual({ code, message: 'No.' });
    const last_error = { code: shown, message };
    expect(await store.getRun(T, threadId, runId)).toMatchObject({ last_error });
    expect(await store.getStep(T, threadId, runId, stepId)).toMatchObject({ last_error });
  });

  test('an expired run tells how the last attempt failed, when one did', async () => {
    const error = { code: 'server_error', message: 'No.' };
    for (const how of [{ kind: 'expire' as const }, { kind: 'expire' as const, error }]) {
      const { runId, threadId } = await startedRun(store, T, NOW);
      await store.closeRun(runId, how, NOW);
      const run = await store.getRun(T, threadId, runId);
      expect(run).toMatchObject({ status: 'expired', last_error: how.error ?? null });
    }
  });

  test('asking to cancel shows at once and is said once', async () => {
    const { runId, threadId } = await startedRun(store, T, NOW);
    expect((await store.markCancelling(T, threadId, runId, NOW)).status).toBe('cancelling');
    await store.markCancelling(T, threadId, runId, NOW);
    expect((await store.claim(runId, NOW))?.next).toBe('cancel');
    await store.closeRun(runId, { kind: 'cancel' }, NOW);
    expect(await eventNames(store, runId)).toEqual([
      'thread.run.created',
      'thread.run.queued',
      'thread.run.cancelling',
      'thread.run.cancelled',
    ]);
    await expect(store.markCancelling(T, threadId, runId, NOW)).rejects.toMatchObject({
      status: 400,
      message: "Cannot cancel run with status 'cancelled'.",
    });
  });
});

describe('starting', () => {
  test('a second live run on the thread is refused by name, and leaves no message', async () => {
    const { runId, threadId } = await startedRun(store, T, NOW);
    const assistant = await store.createAssistant(T, { model: 'm' }, NOW);
    await expect(
      store.createRun(
        T,
        newRun({
          thread: { id: threadId },
          params: {
            assistant_id: assistant.id,
            additional_messages: [{ role: 'user', content: 'more' }],
          },
          now: NOW,
        }),
      ),
    ).rejects.toMatchObject({
      status: 400,
      message: `Thread ${threadId} already has an active run ${runId}.`,
    });
    expect((await store.listMessages(T, threadId, { limit: 10, order: 'asc' })).data).toHaveLength(1);
    await store.closeRun(runId, { kind: 'cancel' }, NOW);
    await store.createRun(
      T,
      newRun({ thread: { id: threadId }, params: { assistant_id: assistant.id }, now: NOW }),
    );
  });

  test('what was never claimed can be taken back without a trace; what was claimed stays', async () => {
    const assistant = await store.createAssistant(T, { model: 'm' }, NOW);
    const { thread, run } = await store.createRun(
      T,
      newRun({
        thread: { create: { messages: [{ role: 'user', content: 'hi' }] } },
        params: { assistant_id: assistant.id },
        now: NOW,
      }),
    );
    expect(await store.removeUnclaimed(run.id)).toBe(true);
    await expect(store.getThread(T, thread.id)).rejects.toMatchObject({ status: 404 });
    const other = await startedRun(store, T, NOW);
    await store.claim(other.runId, NOW);
    expect(await store.removeUnclaimed(other.runId)).toBe(false);
    await store.getRun(T, other.threadId, other.runId);
  });

  test('the same Idempotency-Key gives the same run; another request under it is refused', async () => {
    const assistant = await store.createAssistant(T, { model: 'm' }, NOW);
    const thread = await store.createThread(T, {}, NOW);
    const run = (request: string) =>
      newRun({
        thread: { id: thread.id },
        params: { assistant_id: assistant.id },
        idempotency: { key: 'k1', request },
        now: NOW,
      });
    const first = await store.createRun(T, run('a'));
    const again = await store.createRun(T, run('a'));
    expect(again.run.id).toBe(first.run.id);
    expect(again.existing).toEqual({ claimed: false });
    await expect(store.createRun(T, run('b'))).rejects.toMatchObject({ code: 'idempotency_key_reused' });
  });

  test('a run of one tenant is not there for another', async () => {
    const { runId, threadId } = await startedRun(store, T, NOW);
    const gone = { status: 404 };
    await expect(store.getRun('b', threadId, runId)).rejects.toMatchObject(gone);
    await expect(store.getThread('b', threadId)).rejects.toMatchObject(gone);
    await expect(store.listMessages('b', threadId, { limit: 1, order: 'asc' })).rejects.toMatchObject(gone);
    await expect(store.listRuns('b', threadId, { limit: 1, order: 'asc' })).rejects.toMatchObject(gone);
    await expect(store.listSteps('b', threadId, runId, { limit: 1, order: 'asc' })).rejects.toMatchObject(
      gone,
    );
    await expect(store.markCancelling('b', threadId, runId, NOW)).rejects.toMatchObject(gone);
    await expect(store.deleteThread('b', threadId)).rejects.toMatchObject(gone);
  });
});
