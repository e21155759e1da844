import { setImmediate } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import type { CloseHow, CloseTarget } from '../../../protocol/ports/backend.ts';
import { METADATA } from '../../../protocol/temporal/names.ts';
import { errorOf, harness, outputsFor, refOf, TOKEN, type Harness } from '../../support/assistants.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';

guardAgainstLeaks();
const open: Harness[] = [];
afterEach(async () => {
  for (const h of open.splice(0)) await h.close();
});
type Live = Harness & { target: CloseTarget; threadId: string };
const CANCEL: CloseHow = { kind: 'cancel' };

/** A live run of ours: waiting for outputs (`weather`), or at work (`hang`). */
const live = async (script: string, ...given: Parameters<typeof harness>): Promise<Live> => {
  const h = await harness(...given);
  open.push(h);
  const threadId = await h.thread();
  const run = (await h.call('POST', `/threads/${threadId}/runs`, {
    assistant_id: `asst_${script}`,
    metadata: { [METADATA.token]: TOKEN },
  })) as { id: string };
  while (h.runs()[0]?.status === 'queued') await setImmediate();
  h.forget();
  return Object.assign(h, {
    threadId,
    target: { kind: 'run', run: { backendRunId: run.id, threadId } } as const,
  });
};
const byToken = (h: Live): CloseTarget => ({
  kind: 'token',
  runId: TOKEN,
  threadId: h.threadId,
  startedAt: h.sandbox.clock.now() - 1000,
});

describe('cancelling a known run', () => {
  test.each(['weather', 'hang'])('%s: one POST, then read until it is cancelled', async (script) => {
    const h = await live(script, { sandbox: { cancelMs: 20_000 } });
    const ctx = h.context();
    expect(await h.backend.close(h.target, CANCEL, ctx)).toMatchObject({ status: 'cancelled' });
    expect(h.count('POST cancel')).toBe(1);
    expect(ctx.fences).toBe(1);
    expect(h.runs()[0]?.status).toBe('cancelled');
  });

  test('a run that fails by our decision is cancelled there, too', async () => {
    const h = await live('hang');
    const how: CloseHow = { kind: 'fail', error: { code: 'server_error', message: 'over budget' } };
    expect(await h.backend.close(h.target, how, h.context())).toMatchObject({ status: 'cancelled' });
  });

  test('a run that completed first is reported completed', async () => {
    const h = await live('chat');
    while (h.runs()[0]?.status !== 'completed') await setImmediate();
    expect(await h.backend.close(h.target, CANCEL, h.context())).toMatchObject({ status: 'completed' });
    expect(h.count('POST cancel')).toBe(1);
  });

  test('a run that expired first is reported expired', async () => {
    const h = await live('weather');
    h.sandbox.clock.advance(600_000);
    expect(await h.backend.close(h.target, CANCEL, h.context())).toMatchObject({ status: 'expired' });
  });

  test('a run that goes on although cancel was lost is cancelled again', async () => {
    const h = await live('hang');
    h.fault('POST cancel', { kind: 'status', status: 200, body: h.runs()[0] });
    expect(await h.backend.close(h.target, CANCEL, h.context())).toMatchObject({ status: 'cancelled' });
    expect(h.count('POST cancel')).toBe(2);
  });

  test('where cancel must wait for a state that allows it, it is repeated every few seconds', async () => {
    const h = await live('slow:12000', { sandbox: { quirks: { cancelInProgressOnly: true }, pickupMs: 0 } });
    h.fault(
      'POST cancel',
      { kind: 'status', status: 400, body: { error: { message: 'Cannot cancel run with status queued' } } },
      2,
    );
    const ctx = h.context();
    expect(await h.backend.close(h.target, CANCEL, ctx)).toMatchObject({ status: 'cancelled' });
    expect(h.count('POST cancel')).toBe(3);
  });

  test('a run that will not end is given back to the retries of the caller', async () => {
    const h = await live('weather', { sandbox: { quirks: { cancelInProgressOnly: true, noExpiry: true } } });
    const error = await errorOf(h.backend.close(h.target, CANCEL, h.context()));
    expect(error).toMatchObject({ type: 'BackendUnavailable', retryable: true });
    expect(h.count('POST cancel')).toBeLessThan(15);
  });

  test.each([
    ['reset', { kind: 'reset', when: 'after' }],
    ['503', { kind: 'status', status: 503, processed: true }],
  ] as const)('%s: the next attempt repeats it until the run is terminal', async (_name, action) => {
    const h = await live('hang', { sandbox: { cancelMs: 2000 } });
    h.fault('POST cancel', action);
    const first = h.context();
    expect(await errorOf(h.backend.close(h.target, CANCEL, first))).toMatchObject({ retryable: true });
    expect(await h.backend.close(h.target, CANCEL, first.next())).toMatchObject({ status: 'cancelled' });
  });

  test('killed while cancelling: the next attempt finishes it', async () => {
    const h = await live('hang', { sandbox: { cancelMs: 5000 } });
    const killed = new Error('killed');
    const first = h.context({ onSleep: (_ms, count) => void (count === 2 && first.abort(killed)) });
    await expect(h.backend.close(h.target, CANCEL, first)).rejects.toBe(killed);
    expect(h.runs()[0]?.status).toBe('cancelling');
    expect(await h.backend.close(h.target, CANCEL, first.next({ onSleep: () => undefined }))).toMatchObject({
      status: 'cancelled',
    });
  });

  test('a run that the server does not know needs no closing', async () => {
    const h = await live('hang');
    const run = { backendRunId: 'run_gone', threadId: h.threadId };
    expect(await h.backend.close({ kind: 'run', run }, CANCEL, h.context())).toEqual({
      status: 'cancelled',
      run,
    });
  });

  test('a wrong key is not taken for a closed run', async () => {
    const h = await live('hang');
    h.fault('POST cancel', { kind: 'status', status: 401 });
    expect(await errorOf(h.backend.close(h.target, CANCEL, h.context()))).toMatchObject({
      type: 'BackendUnauthorized',
      retryable: false,
    });
  });

  test('outputs that were submitted before the cancel are part of the truth', async () => {
    const h = await harness();
    open.push(h);
    const threadId = await h.thread();
    const first = await h.backend.create(h.request(threadId, 'weather'), h.context());
    await h.backend.submit(refOf(first), 1, outputsFor(first), h.context());
    const target: CloseTarget = { kind: 'run', run: refOf(first) };
    expect(await h.backend.close(target, CANCEL, h.context())).toMatchObject({
      status: 'completed',
      usage: {},
    });
  });
});

describe('expiry', () => {
  test('is left to the server', async () => {
    const h = await live('weather');
    h.sandbox.clock.advance(595_000);
    expect(await h.backend.close(h.target, { kind: 'expire' }, h.context())).toMatchObject({
      status: 'expired',
    });
    expect(h.count('POST cancel')).toBe(0);
  });

  test('a run that the server never expires is cancelled', async () => {
    const h = await live('weather', { sandbox: { quirks: { noExpiry: true } } });
    expect(await h.backend.close(h.target, { kind: 'expire' }, h.context())).toMatchObject({
      status: 'cancelled',
    });
    expect(h.count('POST cancel')).toBe(1);
  });
});

describe('closing before the run is known', () => {
  test('without a thread there is nothing', async () => {
    const h = await live('hang');
    const target: CloseTarget = { kind: 'token', runId: TOKEN, threadId: null, startedAt: 0 };
    expect(await h.backend.close(target, CANCEL, h.context())).toEqual({ status: 'cancelled', run: null });
    expect(h.asked()).toEqual([]);
  });

  test('a run with our token is found and cancelled', async () => {
    const h = await live('hang');
    expect(await h.backend.close(byToken(h), CANCEL, h.context())).toMatchObject({
      status: 'cancelled',
      run: { backendRunId: h.runs()[0]?.id },
    });
    expect(h.asked().slice(0, 2)).toEqual(['GET runs', 'POST cancel']);
  });

  test('a create that was still on its way is found after the settle time', async () => {
    const h = await harness();
    open.push(h);
    const threadId = await h.thread();
    const ctx = h.context({
      onSleep: async (_ms, count) => {
        if (count > 1) return;
        await h.call('POST', `/threads/${threadId}/runs`, {
          assistant_id: 'asst_hang',
          metadata: { [METADATA.token]: TOKEN },
        });
      },
    });
    const target: CloseTarget = { kind: 'token', runId: TOKEN, threadId, startedAt: h.sandbox.clock.now() };
    expect(await h.backend.close(target, CANCEL, ctx)).toMatchObject({ status: 'cancelled' });
    expect(h.runs().map(({ status }) => status)).toEqual(['cancelled']);
    expect(ctx.sleeps[0]).toBe(3000);
  });

  test('foreign runs are left alone; none of ours is a cancel without a run', async () => {
    const h = await harness();
    open.push(h);
    const threadId = await h.thread();
    await h.foreignRun(threadId, 'hang');
    const target: CloseTarget = { kind: 'token', runId: TOKEN, threadId, startedAt: h.sandbox.clock.now() };
    h.forget();
    expect(await h.backend.close(target, CANCEL, h.context())).toEqual({ status: 'cancelled', run: null });
    expect(h.asked()).toEqual(['GET runs', 'GET runs']);
    expect(h.runs().map(({ status }) => status)).toEqual(['in_progress']);
  });

  test('several runs with our token are all ended', async () => {
    const h = await live('hang', { sandbox: { quirks: { noThreadLock: true } } });
    await h.call('POST', `/threads/${h.threadId}/runs`, {
      assistant_id: 'asst_hang',
      metadata: { [METADATA.token]: TOKEN },
    });
    await h.backend.close(byToken(h), CANCEL, h.context());
    h.sandbox.clock.advance(1000);
    expect(h.runs().map(({ status }) => status)).toEqual(['cancelled', 'cancelled']);
  });

  test('a server without a list of runs: said, not guessed', async () => {
    const h = await live('hang');
    h.fault('GET runs', { kind: 'status', status: 404 });
    expect(await errorOf(h.backend.close(byToken(h), CANCEL, h.context()))).toMatchObject({
      type: 'BackendAmbiguous',
    });
  });
});
