/**
 * The `chat` backend at the expiry of its run: what an attempt stops, what it leaves to others, and how the run ends.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Backend, Settled } from '../../../protocol/ports/backend.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import { fakeContext, type FakeContextOptions } from '../../support/backend-context.ts';
import { chatOnServer } from '../../support/chat-backend.ts';
import { calls, chunk, refuses } from '../../support/chat-server.ts';
import { deferred } from '../../support/deferred.ts';
import { hang, scriptedHttp, sse, type ScriptedHttp } from '../../support/scripted-http.ts';
import { createRequest, eventNames, memoryStore, startedRun } from '../../support/store.ts';

const T = 'tenant';
const NOW = 1_800_000_000_000;
const TOOL = { type: 'function' as const, function: { name: 'a' } };

let store: Store;
let server: ScriptedHttp;
let backend: Backend & { dispose(): Promise<void> };

beforeAll(async () => {
  store = await memoryStore();
}, 60_000);
afterAll(() => store.close());
beforeEach(async () => {
  server = await scriptedHttp();
  backend = chatOnServer({ store, baseUrl: `${server.url}/v1`, flushMs: 1 });
});
afterEach(async () => {
  await backend.dispose();
  await server.close();
  if (server.overrun > 0) throw new Error(`${server.overrun} requests beyond the script`);
});

const context = (options: FakeContextOptions = {}) => fakeContext({ now: () => NOW + 1000, ...options });

const start = async (more: Parameters<typeof startedRun>[3] = {}) => {
  const run = await startedRun(store, T, NOW, more);
  const ref = { backendRunId: run.runId, threadId: run.threadId };
  return { ...run, request: createRequest(run, NOW), ref };
};

const callsOf = (settled: Settled) => {
  if (settled.status !== 'requires_action') throw new Error(`not waiting: ${settled.status}`);
  return settled.calls;
};

/** Calls may be answered for a day, so that they prolong the run. */
const patient: FakeContextOptions['plan'] = (asked) =>
  asked.map((call) => ({
    ...call,
    plan: { kind: 'external', wait: { onDeadline: 'fail', answerWithinMs: 86_400_000 } },
  }));

/** A clock that the test moves; the backend's timers are real, so what they wait for is short. */
const clockAt = (left: number) => {
  let now = NOW + 600_000 - left;
  return { now: () => now, reach: () => (now = NOW + 600_000) };
};
const viewOf = async (run: { runId: string; threadId: string }) => ({
  run: await store.getRun(T, run.threadId, run.runId),
  events: await eventNames(store, run.runId),
});

describe('at its expiry', () => {
  test.each([
    ['that says nothing', hang],
    ['in the middle of its answer', sse([chunk({ content: 'half' })], 'hold')],
  ])('the run ends, and a model %s is hung up on', async (_name, step) => {
    const run = await start();
    const clock = clockAt(40);
    const hungUp = deferred();
    server.script.push((asked, socket) => {
      socket.on('close', () => hungUp.resolve());
      clock.reach();
      return step(asked, socket);
    });
    expect(await backend.create(run.request, context({ now: clock.now }))).toEqual({
      status: 'expired',
      run: run.ref,
    });
    await hungUp.promise;
    const { run: wire, events } = await viewOf(run);
    expect(wire.status).toBe('expired');
    expect(events.at(-1)).toBe('thread.run.expired');
    expect(server.requests).toHaveLength(1);
  });

  test('an answer that comes after it is given up: nothing is settled', async () => {
    const run = await start({ assistant: { tools: [TOOL] } });
    const clock = clockAt(60_000);
    server.script.push(async (asked, socket) => {
      clock.reach();
      await calls([{ name: 'a', arguments: '{}' }])(asked, socket);
    });
    expect(await backend.create(run.request, context({ now: clock.now }))).toMatchObject({
      status: 'expired',
    });
    expect((await viewOf(run)).events).not.toContain('thread.run.requires_action');
  });

  test('a failure that comes after it does not ask for another attempt', async () => {
    const run = await start();
    const clock = clockAt(60_000);
    server.script.push((asked, socket) => {
      clock.reach();
      return refuses(500, 'oops')(asked, socket);
    });
    expect(await backend.create(run.request, context({ now: clock.now }))).toMatchObject({
      status: 'expired',
    });
  });

  test('an attempt that begins after it asks nothing, whichever operation it is', async () => {
    const run = await start();
    const clock = clockAt(0);
    const late = context({ now: clock.now, attempt: 2 });
    expect(await backend.create(run.request, late)).toMatchObject({ status: 'expired' });
    const other = await start({ assistant: { tools: [TOOL] } });
    server.script.push(calls([{ name: 'a', arguments: '{}' }]));
    const [call] = callsOf(await backend.create(other.request, context()));
    const outputs = [{ tool_call_id: call?.callId ?? '', output: 'x' }];
    expect(await backend.submit(other.ref, 1, outputs, late)).toMatchObject({ status: 'expired' });
    expect(server.requests).toHaveLength(1);
  });

  test('an attempt that was replaced leaves the end to the other one', async () => {
    const run = await start();
    const clock = clockAt(40);
    let replaced = false;
    server.script.push((asked, socket) => {
      replaced = true;
      clock.reach();
      return hang(asked, socket);
    });
    const fence = (): void => {
      if (replaced) throw new Error('replaced');
    };
    await expect(backend.create(run.request, context({ now: clock.now, fence }))).rejects.toThrow('replaced');
    expect((await viewOf(run)).run.status).toBe('in_progress');
  });

  test('a run that a lost turn has prolonged is not ended by the expiry that it had before', async () => {
    const run = await start({ assistant: { tools: [TOOL] } });
    server.script.push(calls([{ name: 'a', arguments: '{}' }]));
    const settled = await backend.create(run.request, context({ plan: patient }));
    const close = (expiresAt: number) =>
      backend.close({ kind: 'run', run: run.ref }, { kind: 'expire', expiresAt }, context());
    expect(await close(NOW + 600_000)).toEqual(settled);
    expect((await viewOf(run)).run.status).toBe('requires_action');
    if (settled.status !== 'requires_action' || settled.expiresAt === null) throw new Error('waits until');
    expect(await close(settled.expiresAt)).toMatchObject({ status: 'expired' });
  });
});
