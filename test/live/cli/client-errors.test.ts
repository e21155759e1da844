/** What the client says when something is not as it should be, and that saying it twice does nothing twice. */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { z } from 'zod';
import { defineTools } from '../../../activities/index.ts';
import { RunsClient } from '../../../client/index.ts';
import { FAILURES, RunsError, type RunSnapshot } from '../../../protocol/index.ts';
import {
  oneRound,
  openAssistants,
  waitingCall,
  type AssistantsStack,
} from '../../support/assistants-stack.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';
import { privateTemporal, uniqueName } from '../../support/temporal.ts';

guardAgainstLeaks();

let stack: AssistantsStack;
let idle: RunsClient;
const address = inject('temporalAddress');

beforeAll(async () => {
  stack = await openAssistants({
    address,
    tools: defineTools({ ask: { description: 'Asks.', parameters: z.object({}), external: true } }),
    scripts: { ask: oneRound({ id: 'call_a', name: 'ask' }), talk: [{ text: 'hello' }] },
  });
  idle = await RunsClient.connect({ address, taskQueue: uniqueName('nobody'), env: {} });
});
afterAll(async () => {
  await stack.close();
  await idle.close();
});

const errorOf = async (work: Promise<unknown>): Promise<RunsError> => {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof RunsError)) throw new Error(`expected a RunsError, got ${String(error)}`);
  return error;
};

describe('starting', () => {
  test('the same id twice starts one run, while it runs and after it has ended', async () => {
    const options = { runId: uniqueName('run'), backend: 'assistants' as const, assistantId: 'asst_talk' };
    expect(await stack.client.start(options)).toEqual({ runId: options.runId, started: true });
    expect(await stack.client.start(options)).toEqual({ runId: options.runId, started: false });
    await stack.client.result(options.runId);
    expect(await stack.client.start(options)).toEqual({ runId: options.runId, started: false });
    expect(
      stack.sandbox.requests.filter(({ method, path }) => method === 'POST' && path.endsWith('/runs')),
    ).toHaveLength(1);
  });

  test('wrong options are refused before anything exists', async () => {
    const error = await errorOf(
      stack.client.start({ runId: 'a/b', backend: 'assistants', assistantId: 'x' }),
    );
    expect(error).toMatchObject({ code: 'invalid_input' });
  });
});

describe('answering', () => {
  test('what the run refuses comes with type, reason and details', async () => {
    const runId = await stack.start('ask');
    await stack.until(runId, waitingCall('call_a'));
    expect(await errorOf(stack.client.answer(runId, { call_id: 'call_x', output: 'o' }))).toMatchObject({
      code: 'refused',
      failure: FAILURES.refusedUnknownCall,
    });
    expect(
      await errorOf(stack.client.answer(runId, { call_id: 'call_a', decision: 'approve' })),
    ).toMatchObject({
      code: 'refused',
      failure: FAILURES.refusedWrongKind,
    });
    const tool_outputs = [{ tool_call_id: 'call_x', output: 'o' }];
    expect(
      await errorOf(stack.client.submitToolOutputs(runId, { run_id: runId, tool_outputs })),
    ).toMatchObject({
      failure: FAILURES.refusedCallIds,
      details: { expected: ['call_a'], got: ['call_x'] },
    });
    await stack.client.answer(runId, { call_id: 'call_a', output: 'yes' });
    await stack.client.result(runId);
  });

  test('two different answers at once: one stands, the other is told so', async () => {
    const runId = await stack.start('ask');
    await stack.until(runId, waitingCall('call_a'));
    const settled = await Promise.allSettled(
      ['one', 'two'].map((output) => stack.client.answer(runId, { call_id: 'call_a', output })),
    );
    const accepted = settled.filter(({ status }) => status === 'fulfilled');
    const refused = settled.filter((outcome) => outcome.status === 'rejected');
    expect(accepted).toHaveLength(1);
    expect(refused).toHaveLength(1);
    expect(refused[0]?.reason).toMatchObject({ code: 'refused' });
    await stack.client.result(runId);
  });

  test('a run that has ended says how it ended', async () => {
    const runId = await stack.start('talk');
    await stack.client.result(runId);
    const answer = { call_id: 'call_a', output: 'o' };
    for (const send of ['answer', 'signalAnswer'] as const) {
      const error = await errorOf(stack.client[send](runId, answer));
      expect(error).toMatchObject({
        code: 'refused',
        failure: FAILURES.refusedUnknownCall,
        details: { status: 'completed' },
      });
      expect(error.message).toMatch(
        /has no call "call_a", and it has ended, completed\. Its calls were: none\./,
      );
    }
    const tool_outputs = [{ tool_call_id: 'call_a', output: 'o' }];
    expect(
      await errorOf(stack.client.submitToolOutputs(runId, { run_id: runId, tool_outputs })),
    ).toMatchObject({ failure: FAILURES.refusedTooLate });
    expect(await errorOf(stack.client.cancel(runId))).toMatchObject({
      code: 'refused',
      details: { status: 'completed' },
    });
  });

  test('without a worker it says so in time, and the answer may be sent again', async () => {
    const { runId } = await idle.start({ backend: 'assistants', assistantId: 'asst_ask' });
    const error = await errorOf(idle.answer(runId, { call_id: 'call_a', output: 'o' }, { timeoutMs: 300 }));
    expect(error).toMatchObject({ code: 'no_worker' });
    expect(error.message).toMatch(/no worker on task queue.*send it again/);
    await idle.temporal.workflow.getHandle(runId).terminate();
  });
});

describe('looking', () => {
  test('a run that does not exist is told by every method', async () => {
    const runId = uniqueName('run');
    const { client } = stack;
    const tool_outputs = [{ tool_call_id: 'c', output: 'o' }];
    for (const ask of [
      () => client.get(runId),
      () => client.result(runId),
      () => client.cancel(runId),
      () => client.answer(runId, { call_id: 'c', output: 'o' }),
      () => client.signalAnswer(runId, { call_id: 'c', output: 'o' }),
      () => client.submitToolOutputs(runId, { run_id: runId, tool_outputs }),
    ])
      expect(await errorOf(ask())).toMatchObject({ code: 'run_not_found' });
  });

  test(
    'without a worker a run shows what Temporal knows of it, and says that it is partial',
    { timeout: 30_000 },
    async () => {
      const { runId } = await idle.start({
        backend: 'assistants',
        assistantId: 'asst_ask',
        threadId: 'thread_1',
      });
      expect(await idle.get(runId)).toMatchObject({
        runId,
        assistantId: 'asst_ask',
        threadId: 'thread_1',
        backend: 'assistants',
        status: 'queued',
        partial: true,
      });
      await idle.temporal.workflow.getHandle(runId).terminate('test');
      expect(await errorOf(idle.result(runId))).toMatchObject({ code: 'run_failed' });
      expect(await idle.get(runId)).toMatchObject({
        phase: 'ended',
        status: 'failed',
        partial: true,
        result: null,
      });
    },
  );

  test('a result that does not come in time, or is not waited for any longer, is given up', async () => {
    const runId = await stack.start('ask');
    expect(await errorOf(stack.client.result(runId, { timeoutMs: 100 }))).toMatchObject({
      code: 'cancelled',
    });
    const abort = new AbortController();
    const waiting = errorOf(stack.client.result(runId, { signal: abort.signal }));
    abort.abort();
    expect(await waiting).toMatchObject({ code: 'cancelled' });
    await stack.client.cancel(runId);
    await stack.client.result(runId);
  });

  test('watching shows the wait, and ends with the result', async () => {
    const runId = await stack.start('ask');
    const seen: RunSnapshot[] = [];
    for await (const snapshot of stack.client.watch(runId)) {
      seen.push(snapshot);
      if (waitingCall('call_a')(snapshot))
        await stack.client.answer(runId, { call_id: 'call_a', output: 'o' });
    }
    expect(seen.some(waitingCall('call_a'))).toBe(true);
    expect(seen.at(-1)).toMatchObject({ phase: 'ended', result: { status: 'completed' } });
    expect(new Set(seen.map((snapshot) => JSON.stringify(snapshot))).size).toBe(seen.length);
  });

  test('lists find a waiting run by its thread, and an ended one by how it ended', async () => {
    const runId = await stack.start('ask');
    const { threadId } = await stack.until(runId, waitingCall('call_a'));
    if (threadId === null) throw new Error('a waiting run has a thread');
    const listed = async (options: Parameters<RunsClient['list']>[0]) => {
      // Visibility follows within a second or so.
      for (let look = 0; look < 100; look++) {
        const items = [];
        for await (const item of stack.client.list({ threadId, ...options })) items.push(item);
        if (items.length > 0) return items;
        await new Promise((resolve) => {
          setTimeout(resolve, 100);
        });
      }
      return [];
    };
    expect(await listed({ waiting: true })).toMatchObject([
      {
        runId,
        status: 'requires_action',
        waitingFor: ['ask'],
        assistantId: 'asst_ask',
        backend: 'assistants',
        followUp: false,
      },
    ]);
    await stack.client.answer(runId, { call_id: 'call_a', output: 'o' });
    await stack.client.result(runId);
    expect(await listed({ status: 'completed' })).toMatchObject([
      { runId, status: 'completed', waitingFor: [] },
    ]);
  });
});

describe('a Temporal server that is not as it should be', () => {
  test('without a server, the error has the address and comes in the given time', async () => {
    const error = await errorOf(
      RunsClient.connect({ address: '127.0.0.1:1', env: {}, connectTimeoutMs: 300 }),
    );
    expect(error).toMatchObject({ code: 'temporal_unavailable' });
    expect(error.message).toMatch(/127\.0\.0\.1:1/);
  });

  test('a namespace that does not exist', async () => {
    const client = await RunsClient.connect({ address, namespace: 'nowhere', env: {} });
    try {
      const error = await errorOf(client.get('run_1'));
      expect(error).toMatchObject({ code: 'temporal_unavailable' });
      expect(error.message).toMatch(/no namespace "nowhere".*TEMPORAL_NAMESPACE/);
    } finally {
      await client.close();
    }
  });

  test('a profile that does not exist', async () => {
    expect(await errorOf(RunsClient.connect({ profile: 'nobody', env: {} }))).toMatchObject({
      code: 'config',
    });
  });

  test(
    'a server that dies under a call: the call says so, and closing ends quietly',
    { timeout: 60_000 },
    async () => {
      const server = await privateTemporal();
      const client = await RunsClient.connect({ address: server.address, env: {} });
      const { runId } = await client.start({ backend: 'assistants', assistantId: 'asst_1' });
      const waiting = errorOf(client.result(runId));
      server.kill();
      await server.exited;
      const starting = errorOf(client.start({ backend: 'assistants', assistantId: 'asst_1' }));
      // In retry back-off now: closing under it would end the process.
      await client.close();
      expect((await waiting).code).toMatch(/temporal_unavailable|cancelled/);
      expect((await starting).code).toMatch(/temporal_unavailable|cancelled/);
      expect(await errorOf(client.get(runId))).toMatchObject({ code: 'cancelled' });
      await server.stop();
    },
  );
});
