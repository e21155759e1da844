/**
 * The sandbox's clock: timers fire in order, at their own moment, whether time runs or is moved.
 */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createClock, createSandbox } from '../../../testing/index.ts';
import { call } from '../../support/http.ts';

describe('a virtual clock', () => {
  test('fires every timer at its own moment, in order of time, then of setting', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 60 }), (delays) => {
        const clock = createClock({ kind: 'virtual', start: 1000 });
        const fired: [number, number][] = [];
        for (const [index, delay] of delays.entries())
          clock.setTimeout(() => {
            expect(clock.now()).toBe(1000 + delay);
            fired.push([delay, index]);
          }, delay);
        expect(clock.advance(50)).toBe(delays.length);
        expect(fired).toEqual([...fired].toSorted((a, b) => a[0] - b[0] || a[1] - b[1]));
        expect([clock.pending, clock.now()]).toEqual([0, 1050]);
      }),
    );
  });

  test('cancelled timers do not fire, wherever they stand', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 5 }), fc.boolean()), { maxLength: 40 }),
        (plan) => {
          const clock = createClock({ kind: 'virtual' });
          let fired = 0;
          const cancels = plan.map(([delay]) => clock.setTimeout(() => (fired += 1), delay));
          for (const [index, [, cancel]] of plan.entries()) if (cancel) cancels[index]?.();
          clock.advance(10);
          expect(fired).toBe(plan.filter(([, cancel]) => !cancel).length);
        },
      ),
    );
  });

  test('a timer set by a timer fires in the same walk if it is due by then', () => {
    const clock = createClock({ kind: 'virtual', start: 0 });
    const seen: number[] = [];
    clock.setTimeout(() => {
      seen.push(clock.now());
      clock.setTimeout(() => seen.push(clock.now()), 5);
      clock.setTimeout(() => seen.push(clock.now()), 50);
    }, 10);
    clock.advance(20);
    expect([seen, clock.next()]).toEqual([[10, 15], 60]);
    expect(clock.step()).toBe(true);
    expect([seen, clock.now(), clock.step()]).toEqual([[10, 15, 60], 60, false]);
  });

  test('does not move by itself, nor backwards', async () => {
    const clock = createClock({ kind: 'virtual' });
    const before = clock.now();
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(clock.now()).toBe(before);
    expect(() => clock.advance(-1)).toThrow('Time moves forward only');
    expect(() => clock.advance(Number.NaN)).toThrow('Time moves forward only');
  });
});

describe('a real clock', () => {
  test('runs by itself, and can be moved on top', async () => {
    const clock = createClock();
    expect(Math.abs(clock.now() - Date.now())).toBeLessThan(1000);
    await new Promise<void>((resolve) => clock.setTimeout(resolve, 2));
    let early = false;
    clock.setTimeout(() => {
      early = true;
    }, 86_400_000);
    const before = clock.now();
    expect(clock.advance(86_400_000)).toBe(1);
    expect(early).toBe(true);
    expect(clock.now() - before).toBeGreaterThanOrEqual(86_400_000);
    clock.stop();
  });

  test('lets ten minutes of waiting pass in a moment, over HTTP too', async () => {
    const sandbox = await createSandbox({ controls: true });
    const send = (request: Request): Promise<Response> =>
      fetch(request.url.replace('http://127.0.0.1', sandbox.url.slice(0, -3)), request);
    const started = await call(send, 'POST', '/v1/threads/runs', { assistant_id: 'asst_weather' });
    const { id, thread_id: thread } = started.body as { id: string; thread_id: string };
    const moved = await call(send, 'POST', '/sandbox/clock/advance', { ms: 600_000 });
    expect(moved.status).toBe(200);
    expect((await call(send, 'GET', `/v1/threads/${thread}/runs/${id}`)).body).toMatchObject({
      status: 'expired',
    });
    await sandbox.close();
  });
});

describe('controls over HTTP', () => {
  test('are off unless asked for', async () => {
    const sandbox = await createSandbox();
    expect((await fetch(`${sandbox.url.slice(0, -3)}/sandbox/clock`)).status).toBe(404);
    await sandbox.close();
  });

  test('faults, quirks, log, scripts, reference page and reset', async () => {
    const sandbox = await createSandbox({ controls: true });
    const send = (request: Request): Promise<Response> =>
      fetch(request.url.replace('http://127.0.0.1', sandbox.url.slice(0, -3)), request);
    const post = (path: string, body: unknown = {}) => call(send, 'POST', `/sandbox${path}`, body);
    expect(
      (await post('/faults', { match: { path: '/threads$/' }, action: { kind: 'status', status: 418 } }))
        .body,
    ).toEqual({
      pending: 1,
    });
    await call(send, 'DELETE', '/sandbox/faults');
    await post('/faults', { match: { path: '/^.v1.threads$/' }, action: { kind: 'status', status: 418 } });
    expect((await call(send, 'POST', '/v1/threads')).status).toBe(418);
    expect((await post('/faults', {})).status).toBe(400);
    expect((await post('/quirks', { noExpiry: true })).body).toMatchObject({ noExpiry: true });
    expect((await post('/quirks', { noSuch: true })).body).toMatchObject({ error: { param: 'noSuch' } });
    expect((await post('/reference')).body).toEqual({
      threadId: 'thread_123',
      runId: 'run_123',
      callId: 'call_001',
    });
    expect((await call(send, 'GET', '/v1/threads/thread_123')).status).toBe(200);
    expect((await call(send, 'GET', '/sandbox/scripts')).body).toMatchObject({ weather: expect.any(String) });
    expect((await call(send, 'GET', '/sandbox/requests')).body).toMatchObject([
      { method: 'POST', path: '/v1/threads', status: 418, fault: 'status' },
      { method: 'GET', path: '/v1/threads/thread_123', status: 200, fault: null },
    ]);
    await post('/reset');
    expect((await call(send, 'GET', '/v1/threads/thread_123')).status).toBe(404);
    expect((await call(send, 'GET', '/sandbox/clock')).body).toMatchObject({ pending: 0 });
    expect((await call(send, 'GET', '/sandbox/nothing')).status).toBe(404);
    await sandbox.close();
  });
});
