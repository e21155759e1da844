/** Worker and client on a real Temporal server, with tools of every kind, against the sandbox's runs API on a socket. */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { z } from 'zod';
import { defineTools } from '../../../activities/index.ts';
import { TOOL_ACTIVITY_PREFIX } from '../../../protocol/index.ts';
import {
  oneRound,
  openAssistants,
  waitingCall,
  type AssistantsStack,
} from '../../support/assistants-stack.ts';
import { deferred } from '../../support/deferred.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';

guardAgainstLeaks();

let stack: AssistantsStack;
const attempts: { attempt: number; key: string }[] = [];
const paid: unknown[] = [];
const stopped = deferred<string>();
const hooked: string[] = [];

const tools = defineTools({
  flaky: {
    description: 'Fails twice.',
    parameters: z.object({ n: z.number() }),
    retry: { initialInterval: '10ms', backoffCoefficient: 1 },
    execute: ({ n }, { attempt, idempotencyKey }) => {
      attempts.push({ attempt, key: idempotencyKey });
      if (attempt < 3) throw new Error('not yet');
      return { n };
    },
  },
  broken: {
    description: 'Never works.',
    parameters: z.object({}),
    retry: { maximumAttempts: 2, initialInterval: '10ms' },
    execute: () => {
      throw new Error('the disk is full');
    },
  },
  pay: {
    description: 'Pays, when somebody says so.',
    parameters: z.object({ amount: z.number() }),
    approval: true,
    execute: (args) => {
      paid.push(args);
      return `paid ${args.amount}`;
    },
  },
  ask: { description: 'Asks somebody.', parameters: z.object({}), external: true },
  slow: {
    description: 'Works until it is told to stop.',
    parameters: z.object({}),
    execute: (_args, { signal }) =>
      new Promise((_resolve, reject) => {
        hooked.push('slow began');
        signal.addEventListener(
          'abort',
          () => {
            stopped.resolve('told');
            reject(new Error('stopped'));
          },
          { once: true },
        );
      }),
  },
});

beforeAll(async () => {
  stack = await openAssistants({
    address: inject('temporalAddress'),
    tools,
    scripts: {
      flaky: oneRound({ id: 'call_1', name: 'flaky', arguments: { n: 7 } }),
      broken: oneRound({ id: 'call_1', name: 'broken' }),
      pay: oneRound({ id: 'call_pay', name: 'pay', arguments: { amount: 1_000 } }),
      ask: oneRound({ id: 'call_a', name: 'ask' }, { id: 'call_b', name: 'ask' }),
      wild: oneRound(
        { id: 'call_1', name: 'teleport', arguments: { to: 'Mars' } },
        { id: 'call_2', name: 'flaky', arguments: { n: 'many' } },
        { id: 'call_3', name: 'flaky', arguments: '{"n":' },
      ),
      slow: oneRound({ id: 'call_1', name: 'slow' }),
    },
    hooks: {
      onWaiting: ({ calls }) => {
        hooked.push(`waiting for ${calls.map(({ name }) => name).join()}`);
      },
      onEnd: ({ status }) => {
        hooked.push(`ended ${status}`);
      },
    },
  });
});
afterAll(async () => {
  await stack.close();
});

const last = (): Record<string, string> => stack.submitted().at(-1) ?? {};

describe('a run on a real worker', () => {
  test('a tool that fails twice is tried again under one key, and the run completes', async () => {
    const runId = await stack.start('flaky');
    const result = await stack.client.result(runId);
    expect(result).toMatchObject({
      status: 'completed',
      rounds: 1,
      calls: [{ callId: 'call_1', name: 'flaky', kind: 'automatic', ok: true, notes: ['serialised'] }],
    });
    expect(attempts.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    expect(new Set(attempts.map(({ key }) => key))).toEqual(new Set([`${runId}:call_1`]));
    expect(last()).toEqual({ call_1: '{"n":7}' });
  });

  test('the tool is told apart by its activity type and summary', async () => {
    const runId = await stack.start('flaky');
    await stack.client.result(runId);
    const { events } = await stack.client.temporal.workflow.getHandle(runId).fetchHistory();
    const types = (events ?? []).map(({ activityTaskScheduledEventAttributes: a }) => a?.activityType?.name);
    expect(types).toContain(`${TOOL_ACTIVITY_PREFIX}flaky`);
  });

  test('a tool that never works becomes an error output, not a failed run', async () => {
    const result = await stack.client.result(await stack.start('broken'));
    expect(result).toMatchObject({ status: 'completed', calls: [{ ok: false, notes: ['tool_failed'] }] });
    expect(last()['call_1']).toContain('the disk is full');
  });

  test('unknown tools and bad arguments are told to the model, and nothing runs', async () => {
    const before = attempts.length;
    const result = await stack.client.result(await stack.start('wild'));
    expect(result).toMatchObject({
      status: 'completed',
      calls: [
        { kind: 'refused', ok: false, notes: ['unknown_tool'] },
        { kind: 'refused', ok: false, notes: ['invalid_arguments'] },
        { kind: 'refused', ok: false, notes: ['invalid_arguments'] },
      ],
    });
    expect(last()['call_1']).toMatch(/no tool \\"teleport\\".*\\"flaky\\"/);
    expect(last()['call_2']).toMatch(/n: .*expected number/);
    expect(last()['call_3']).toMatch(/not valid JSON/);
    expect(attempts).toHaveLength(before);
  });

  test('a person approves with other arguments, and those are the ones that run', async () => {
    const runId = await stack.start('pay', { hooks: { onWaiting: true, onEnd: true } });
    const waiting = await stack.until(runId, waitingCall('call_pay'));
    expect(waiting.calls).toMatchObject([{ kind: 'approval', arguments: '{"amount":1000}' }]);
    expect(paid).toEqual([]);
    const reply = await stack.client.answer(runId, {
      call_id: 'call_pay',
      decision: 'approve',
      arguments: { amount: 10 },
      by: 'ann',
    });
    expect(reply).toMatchObject({ run_id: runId, call_id: 'call_pay', result: 'accepted', waiting: [] });
    const result = await stack.client.result(runId);
    expect(result.calls).toMatchObject([{ ok: true, by: 'ann' }]);
    expect(paid).toEqual([{ amount: 10 }]);
    expect(last()).toEqual({ call_pay: 'paid 10' });
    expect(hooked).toEqual(['waiting for pay', 'ended completed']);
  });

  test('what a person denies does not run, and the model is told', async () => {
    const before = paid.length;
    const runId = await stack.start('pay');
    await stack.until(runId, waitingCall('call_pay'));
    await stack.client.answer(runId, { call_id: 'call_pay', decision: 'deny', reason: 'too much' });
    expect((await stack.client.result(runId)).calls).toMatchObject([{ ok: false, notes: ['denied'] }]);
    expect(last()['call_pay']).toContain('too much');
    expect(paid).toHaveLength(before);
  });

  test("outputs come by update and by signal, and leave together in the model's order", async () => {
    const runId = await stack.start('ask');
    await stack.until(runId, waitingCall('call_b'));
    const reply = await stack.client.answer(runId, { call_id: 'call_b', output: { b: 1 } });
    expect(reply).toMatchObject({ waiting: ['call_a'], notes: ['serialised'] });
    await stack.client.signalAnswer(runId, { call_id: 'call_a', output: 'A' });
    const result = await stack.client.result(runId);
    expect(result.status).toBe('completed');
    expect(Object.entries(last())).toEqual([
      ['call_a', 'A'],
      ['call_b', '{"b":1}'],
    ]);
  });

  test('all outputs of a round come at once by submit; the same again is acknowledged', async () => {
    const runId = await stack.start('ask');
    const { round } = await stack.until(runId, waitingCall('call_b'));
    const tool_outputs = ['call_a', 'call_b'].map((id) => ({ tool_call_id: id, output: id }));
    const reply = await stack.client.submitToolOutputs(runId, { run_id: runId, tool_outputs }, { round });
    expect(reply).toEqual({ run_id: runId, round, result: 'accepted' });
    const again = await stack.client.submitToolOutputs(runId, { run_id: runId, tool_outputs }, { round });
    expect(again.run_id).toBe(runId);
    expect((await stack.client.result(runId)).status).toBe('completed');
    expect(stack.submitted().filter((outputs) => outputs['call_a'] === 'call_a')).toHaveLength(1);
  });

  test('a cancelled run tells its tool, leaves its result, and submits nothing', async () => {
    const before = stack.submitted().length;
    const runId = await stack.start('slow');
    await stack.until(runId, ({ calls }) => calls.some(({ state }) => state === 'running'));
    await stack.client.cancel(runId);
    const result = await stack.client.result(runId);
    expect(result).toMatchObject({ status: 'cancelled', runId });
    expect(await stopped.promise).toBe('told');
    expect(stack.submitted()).toHaveLength(before);
    expect(await stack.client.get(runId)).toMatchObject({ phase: 'ended', status: 'cancelled' });
    await expect(stack.client.cancel(runId)).resolves.toBeUndefined();
  });

  test('logs hold neither arguments nor outputs', () => {
    const text = stack.logged();
    expect(text).toContain('run settled');
    expect(text).toContain('Activity failed');
    expect(text).not.toMatch(/Mars|too much|paid 10|the disk is full/);
  });
});
