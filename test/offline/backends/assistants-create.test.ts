import { setImmediate } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { createAssistantsBackend } from '../../../backends/assistants/index.ts';
import { METADATA } from '../../../protocol/temporal/names.ts';
import {
  callIds,
  errorOf,
  harness,
  refOf,
  TOKEN,
  withToken,
  type Harness,
} from '../../support/assistants.ts';
import { fakeContext } from '../../support/backend-context.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';

guardAgainstLeaks();
const open: Harness[] = [];
const setUp = async (...given: Parameters<typeof harness>): Promise<Harness & { threadId: string }> => {
  const h = await harness(...given);
  open.push(h);
  return Object.assign(h, { threadId: await h.thread() });
};
afterEach(async () => {
  for (const h of open.splice(0)) await h.close();
});
const KILLED = new Error('killed');

describe('create, undisturbed', () => {
  test('one POST and one reading; the run carries our token beside the metadata of the caller', async () => {
    const h = await setUp();
    const ctx = h.context();
    const params = { metadata: { team: 'blue' }, instructions: 'Be brief.' };
    const settled = await h.backend.create(h.request(h.threadId, 'parallel', { params }), ctx);
    expect(h.asked()).toEqual(['POST run', 'GET run']);
    expect(h.sandbox.requests[0]?.body).toEqual({
      assistant_id: 'asst_parallel',
      instructions: 'Be brief.',
      metadata: { team: 'blue', [METADATA.token]: TOKEN },
      stream: true,
    });
    expect(settled).toMatchObject({ status: 'requires_action', run: { threadId: h.threadId } });
    expect(settled.status === 'requires_action' && settled.calls.map(({ arguments: text }) => text)).toEqual(
      ['San Francisco, CA', 'Paris, FR', 'Tokyo, JP'].map((location) =>
        JSON.stringify({ location, unit: 'fahrenheit' }),
      ),
    );
    expect(ctx.declaredTools).toEqual([['get_current_weather']]);
    expect(ctx.fences).toBe(1);
  });

  test('deadline and creation are unix milliseconds of our clock', async () => {
    const h = await setUp();
    const settled = await h.backend.create(h.request(h.threadId, 'weather'), h.context());
    const [run] = h.runs();
    expect(settled).toMatchObject({
      expiresAt: (run?.expires_at ?? 0) * 1000,
      createdAt: (run?.created_at ?? 0) * 1000,
    });
  });

  test('before the POST the next attempt is told that it was sent, after it which run it made', async () => {
    const h = await setUp();
    const ctx = h.context();
    const settled = await h.backend.create(h.request(h.threadId, 'weather'), ctx);
    expect(ctx.heartbeats[0]).toMatchObject({ sent: true, attempt: 1 });
    expect(ctx.heartbeats.at(-1)).toEqual({ run: refOf(settled) });
  });

  test.each([
    ['chat', 'completed'],
    ['failing', 'failed'],
    ['incomplete', 'incomplete'],
  ])('a run that ends at once (%s) is settled as it ended, and swept once', async (script, status) => {
    const h = await setUp();
    const settled = await h.backend.create(h.request(h.threadId, script), h.context());
    expect(settled.status).toBe(status);
    expect(h.asked().toSorted()).toEqual(['GET run', 'GET runs', 'POST run']);
  });

  test('why a run failed or stopped early is passed on', async () => {
    const h = await setUp();
    expect(
      await h.backend.create(h.request(h.threadId, 'failing:rate_limit_exceeded'), h.context()),
    ).toMatchObject({
      lastError: { code: 'rate_limit_exceeded' },
    });
    expect(await h.backend.create(h.request(h.threadId, 'incomplete'), h.context())).toMatchObject({
      incompleteDetails: { reason: 'max_completion_tokens' },
      usage: { totalTokens: expect.any(Number) },
    });
  });

  test('128 parallel calls come in the order of the model', async () => {
    const h = await setUp();
    const settled = await h.backend.create(h.request(h.threadId, 'work:128x1'), h.context());
    const order = settled.status === 'requires_action' ? settled.calls.map((call) => call.arguments) : [];
    expect(order).toEqual(Array.from({ length: 128 }, (_, call) => JSON.stringify({ round: 0, call })));
  });

  test('a thread is created with our token', async () => {
    const h = await setUp();
    const { threadId } = await h.backend.createThread({ runId: TOKEN, metadata: { a: 'b' } }, h.context());
    expect(await h.call('GET', `/threads/${threadId}`)).toMatchObject({
      metadata: { a: 'b', [METADATA.token]: TOKEN },
    });
  });
});

describe('create, killed', () => {
  test('before the request is sent: the next attempt sends it once', async () => {
    const h = await setUp();
    const first = h.context({
      fence: () => {
        throw KILLED;
      },
    });
    await expect(h.backend.create(h.request(h.threadId, 'weather'), first)).rejects.toBe(KILLED);
    expect(h.asked()).toEqual([]);
    const settled = await h.backend.create(
      h.request(h.threadId, 'weather'),
      first.next({ fence: () => undefined }),
    );
    expect(settled.status).toBe('requires_action');
    expect(h.asked()).toEqual(['GET runs', 'POST run', 'GET run']);
    expect(h.runs()).toHaveLength(1);
  });

  test.each([
    ['its heartbeat is known', {}],
    ['its heartbeat is lost', { previous: null }],
  ])('after the server created the run, before the answer, %s: adopted by token', async (_name, more) => {
    const h = await setUp();
    h.fault('POST run', { kind: 'hang', when: 'after' });
    const first = h.context();
    const dying = h.backend.create(h.request(h.threadId, 'weather'), first);
    while (h.runs().length === 0) await setImmediate();
    first.abort(KILLED);
    await expect(dying).rejects.toBe(KILLED);
    h.forget();
    const second = first.next(more);
    const settled = await h.backend.create(h.request(h.threadId, 'weather'), second);
    expect(h.asked()).toEqual(['GET runs', 'GET run']);
    expect(refOf(settled).backendRunId).toBe(h.runs()[0]?.id);
    expect(second.heartbeats.at(-1)).toEqual({ run: refOf(settled) });
    expect(h.runs()).toHaveLength(1);
  });

  test('after the answer: re-attached by the heartbeat, without a look and without a POST', async () => {
    const h = await setUp();
    const first = h.context();
    const request = h.request(h.threadId, 'weather');
    const before = await h.backend.create(request, first);
    h.forget();
    expect(await h.backend.create(request, first.next())).toEqual(before);
    expect(h.asked()).toEqual(['GET run']);
  });

  test('and looked for slowly: the create is left to a fresh attempt, until the server is known to be slow', async () => {
    const h = await setUp();
    const request = h.request(h.threadId, 'weather');
    /** Between the settling and the look the server takes its time. */
    const slow = (attempt: number) =>
      h.context({
        attempt,
        previous: { sent: true, at: h.sandbox.clock.now() },
        onSleep: () => void h.sandbox.clock.advance(8_000),
      });
    for (const attempt of [2, 3, 4, 5]) {
      const error = await errorOf(h.backend.create(request, slow(attempt)));
      expect(error).toMatchObject({ type: 'BackendUnavailable', retryable: true });
      expect(error.message).toContain('the next attempt');
      expect(h.count('POST run')).toBe(0);
    }
    const settled = await h.backend.create(request, slow(6));
    expect(settled.status).toBe('requires_action');
    expect(h.runs()).toHaveLength(1);
  });

  test('while following: the next attempt re-reads', async () => {
    const h = await setUp();
    const first = h.context({
      onHeartbeat({ run }) {
        if (run !== undefined) first.abort(KILLED);
      },
    });
    const dying = h.backend.create(h.request(h.threadId, 'slow:5000'), first);
    await expect(dying).rejects.toBe(KILLED);
    h.forget();
    const settled = await h.backend.create(
      h.request(h.threadId, 'slow:5000'),
      first.next({ onHeartbeat: () => undefined }),
    );
    expect(settled.status).toBe('requires_action');
    expect(h.count('POST run')).toBe(0);
    expect(h.runs()).toHaveLength(1);
  });
});

describe('create, the answer lost or refused', () => {
  test('no connection: retryable, certain, and the next attempt posts without a look', async () => {
    const h = await setUp();
    const elsewhere = createAssistantsBackend({ baseUrl: 'http://127.0.0.1:9' });
    const first = h.context();
    const error = await errorOf(elsewhere.create(h.request(h.threadId, 'weather'), first));
    expect(error).toMatchObject({ type: 'BackendUnavailable', retryable: true, mayHaveHappened: false });
    expect(first.heartbeats.at(-1)).toMatchObject({ sent: false, attempt: 1 });
    await h.backend.create(h.request(h.threadId, 'weather'), first.next());
    expect(h.asked()).toEqual(['POST run', 'GET run']);
    await elsewhere.dispose();
  });

  test('a "not sent" of an attempt before the last is not believed', async () => {
    const h = await setUp();
    const ctx = h.context({ attempt: 3, previous: { sent: false, attempt: 1 } });
    await h.backend.create(h.request(h.threadId, 'weather'), ctx);
    expect(h.asked()).toEqual(['GET runs', 'POST run', 'GET run']);
  });

  test.each([
    ['reset', { kind: 'reset', when: 'after' }],
    ['503', { kind: 'status', status: 503, processed: true }],
    ['an unreadable answer', { kind: 'status', status: 200, body: '{"id": "run', processed: true }],
    ['an answer that is no run', { kind: 'status', status: 200, body: { ok: true }, processed: true }],
    [
      'a page of HTML',
      { kind: 'status', status: 200, body: '<p>', headers: { 'content-type': 'text/html' }, processed: true },
    ],
    ['a stream that breaks before its first event', { kind: 'cut', events: 0, how: 'reset' }],
    ['a stream that ends before its first event', { kind: 'cut', events: 0, how: 'end' }],
  ] as const)('%s after the server took it: adopted in the same attempt', async (_name, action) => {
    const h = await setUp();
    h.fault('POST run', action);
    const ctx = h.context();
    const settled = await h.backend.create(h.request(h.threadId, 'weather'), ctx);
    expect(settled.status).toBe('requires_action');
    expect(h.asked()).toEqual(['POST run', 'GET runs', 'GET run']);
    expect(ctx.sleeps.reduce((sum, ms) => sum + ms, 0)).toBeGreaterThan(2000);
    expect(h.runs()).toHaveLength(1);
  });

  test('a run that had ended before we looked is adopted too, lock or no lock', async () => {
    const h = await setUp();
    h.fault('POST run', { kind: 'reset', when: 'after' });
    const settled = await h.backend.create(h.request(h.threadId, 'chat'), h.context());
    expect(settled.status).toBe('completed');
    expect(h.count('POST run')).toBe(1);
    expect(h.runs()).toHaveLength(1);
  });

  test.each([
    ['reset', { kind: 'reset', when: 'before' }],
    ['500', { kind: 'status', status: 500 }],
  ] as const)(
    '%s before the server took it: retryable, one POST an attempt, one run in the end',
    async (_name, action) => {
      const h = await setUp();
      h.fault('POST run', action);
      const first = h.context();
      const error = await errorOf(h.backend.create(h.request(h.threadId, 'weather'), first));
      expect(error).toMatchObject({ type: 'BackendUnavailable', retryable: true, mayHaveHappened: true });
      expect(h.asked()).toEqual(['POST run', 'GET runs']);
      await h.backend.create(h.request(h.threadId, 'weather'), first.next());
      expect(h.count('POST run')).toBe(2);
      expect(h.runs()).toHaveLength(1);
    },
  );

  test('an answer that never comes is a timeout, then the same look', async () => {
    const h = await setUp({ backend: { timeouts: { headersMs: 100 } } });
    h.fault('POST run', { kind: 'hang', when: 'after' });
    const settled = await h.backend.create(h.request(h.threadId, 'weather'), h.context());
    expect(settled.status).toBe('requires_action');
    expect(h.runs()).toHaveLength(1);
  });

  test('a storm of 503 costs at most one POST and two looks an attempt, and ends with one run', async () => {
    const h = await setUp();
    h.fault('POST run', { kind: 'status', status: 503 }, 20);
    let ctx = h.context();
    const waits: (number | null)[] = [];
    for (let attempt = 1; attempt <= 20; attempt++) {
      const error = await errorOf(h.backend.create(h.request(h.threadId, 'weather'), ctx));
      waits.push(error.retryAfterMs);
      ctx = ctx.next();
    }
    await h.backend.create(h.request(h.threadId, 'weather'), ctx);
    expect(h.count('POST run')).toBe(21);
    expect(h.count('GET runs')).toBeLessThanOrEqual(2 * 21);
    expect(waits.slice(0, 4)).toEqual([375, 750, 1500, 3000]);
    expect(Math.max(...waits.map(Number))).toBe(22_500);
    expect(h.runs()).toHaveLength(1);
  });

  test.each([
    ['seconds', { 'retry-after': '7' }, 7000],
    ['milliseconds', { 'retry-after-ms': '1234' }, 1234],
    ['absurd', { 'retry-after': '99999999' }, 600_000],
  ])(
    '429 with a wait in %s: honoured within its cap, nothing looked up',
    async (_name, headers, expected) => {
      const h = await setUp();
      h.fault('POST run', { kind: 'status', status: 429, headers });
      const first = h.context();
      const error = await errorOf(h.backend.create(h.request(h.threadId, 'weather'), first));
      expect(error).toMatchObject({ type: 'BackendUnavailable', retryable: true, retryAfterMs: expected });
      await h.backend.create(h.request(h.threadId, 'weather'), first.next());
      expect(h.asked()).toEqual(['POST run', 'POST run', 'GET run']);
    },
  );

  test.each([
    [400, 'BackendRejected'],
    [401, 'BackendUnauthorized'],
    [403, 'BackendUnauthorized'],
    [404, 'BackendNotFound'],
    [422, 'BackendRejected'],
  ])('%i is final after one request, and shows no key', async (status, type) => {
    const h = await setUp({ backend: { apiKey: 'sk-canary-123456' } });
    h.fault('POST run', { kind: 'status', status, body: { error: { message: 'no: sk-canary-123456' } } });
    const error = await errorOf(h.backend.create(h.request(h.threadId, 'weather'), h.context()));
    expect(error).toMatchObject({ type, retryable: false, mayHaveHappened: false });
    expect(JSON.stringify([error.message, error.details, error.stack])).not.toContain('canary');
    expect(h.asked()).toEqual(['POST run']);
  });

  test('an unknown thread and an unknown assistant are final', async () => {
    const h = await setUp();
    expect(await errorOf(h.backend.create(h.request('thread_none', 'weather'), h.context()))).toMatchObject({
      type: 'BackendNotFound',
    });
    expect(await errorOf(h.backend.create(h.request(h.threadId, 'nobody'), h.context()))).toMatchObject({
      type: 'BackendNotFound',
    });
  });

  test('a rotated key works from the next request on', async () => {
    let key = 'old-key';
    const h = await harness({ sandbox: { apiKey: 'new-key' }, backend: { apiKey: () => key } });
    open.push(h);
    const error = await errorOf(h.backend.createThread({ runId: TOKEN, metadata: {} }, h.context()));
    expect(error.type).toBe('BackendUnauthorized');
    key = 'new-key';
    const { threadId } = await h.backend.createThread({ runId: TOKEN, metadata: {} }, h.context());
    const settled = await h.backend.create(h.request(threadId, 'weather'), h.context());
    expect(callIds(settled)).toHaveLength(1);
  });
});

describe('create on a thread that is held', () => {
  test('by this run: adopted, also after the backend forgot it', async () => {
    const h = await setUp();
    const request = h.request(h.threadId, 'weather');
    const first = await h.backend.create(request, h.context());
    h.forget();
    const again = await h.backend.create(request, h.context());
    expect(again).toEqual(first);
    expect(h.asked()).toEqual(['POST run', 'GET run', 'GET run']);
    expect(h.runs()).toHaveLength(1);
  });

  test('by another run, policy fail: refused, naming the run', async () => {
    const h = await setUp();
    const foreign = await h.foreignRun(h.threadId, 'hang');
    h.forget();
    const error = await errorOf(h.backend.create(h.request(h.threadId, 'weather'), h.context()));
    expect(error).toMatchObject({
      type: 'BackendBusy',
      retryable: false,
      details: [{ threadId: h.threadId, runId: foreign.id }],
    });
    expect(error.message).toContain(foreign.id);
    expect(h.asked()).toEqual(['POST run', 'GET run']);
    expect(h.runs().map(({ status }) => status)).toEqual(['in_progress']);
  });

  test('by another run, policy wait: waits until it ends, then starts', async () => {
    const h = await setUp();
    await h.foreignRun(h.threadId, 'slow:3000');
    const ctx = h.context({
      onSleep: async () => {
        const [foreign] = h.runs();
        if (foreign?.status !== 'requires_action') return;
        const outputs = foreign.required_action.submit_tool_outputs.tool_calls.map(({ id }) => ({
          tool_call_id: id,
          output: 'done',
        }));
        await h.call('POST', `/threads/${h.threadId}/runs/${foreign.id}/submit_tool_outputs`, {
          tool_outputs: outputs,
        });
      },
    });
    const settled = await h.backend.create(h.request(h.threadId, 'weather', { busy: 'wait' }), ctx);
    expect(settled.status).toBe('requires_action');
    expect(h.runs().map(({ status }) => status)).toEqual(['completed', 'requires_action']);
    expect(h.count('POST run')).toBe(2);
    expect(Math.min(...ctx.sleeps)).toBeGreaterThanOrEqual(20);
    const told = new Set(ctx.heartbeats.flatMap(({ run }) => (run === undefined ? [] : [run.backendRunId])));
    expect([...told]).toEqual([refOf(settled).backendRunId]);
  });

  test('by another run for long, policy wait: the create is left to the next attempt', async () => {
    const h = await setUp();
    const foreign = await h.foreignRun(h.threadId, 'slow:30000');
    const request = h.request(h.threadId, 'weather', { busy: 'wait' });
    const first = h.context({
      onSleep: async () => {
        if (h.runs()[0]?.status === 'requires_action')
          await h.call('POST', `/threads/${h.threadId}/runs/${foreign.id}/cancel`);
      },
    });
    const error = await errorOf(h.backend.create(request, first));
    expect(error).toMatchObject({ type: 'BackendUnavailable', retryable: true });
    expect(error.message).toContain('the next attempt');
    expect(h.count('POST run')).toBe(1);
    expect(first.heartbeats.at(-1)).toMatchObject({ sent: false });
    // Nothing is looked for: what was sent was refused.
    h.forget();
    expect((await h.backend.create(request, first.next())).status).toBe('requires_action');
    expect(h.asked()[0]).toBe('POST run');
    expect(withToken(h.runs())).toHaveLength(1);
  });

  test('by another run, policy cancel: cancelled, then starts', async () => {
    const h = await setUp({ sandbox: { cancelMs: 5000 } });
    await h.foreignRun(h.threadId, 'hang');
    const ctx = h.context();
    const settled = await h.backend.create(h.request(h.threadId, 'weather', { busy: 'cancel' }), ctx);
    expect(settled.status).toBe('requires_action');
    expect(h.runs().map(({ status }) => status)).toEqual(['cancelled', 'requires_action']);
    expect(h.count('POST cancel')).toBe(1);
    expect(ctx.fences).toBe(3);
  });

  test('policy cancel gives up, naming the run, when the server does not let go of it', async () => {
    const h = await setUp({ sandbox: { quirks: { cancelInProgressOnly: true, noExpiry: true } } });
    const foreign = await h.foreignRun(h.threadId, 'weather');
    const error = await errorOf(
      h.backend.create(h.request(h.threadId, 'weather', { busy: 'cancel' }), h.context()),
    );
    expect(error).toMatchObject({ type: 'BackendBusy', details: [{ runId: foreign.id }] });
  });

  test('by a run that ended meanwhile: posted again', async () => {
    const h = await setUp();
    const foreign = await h.foreignRun(h.threadId, 'chat');
    h.fault('POST run', {
      kind: 'status',
      status: 400,
      body: { error: { message: `Thread ${h.threadId} already has an active run ${foreign.id}.` } },
    });
    const settled = await h.backend.create(h.request(h.threadId, 'weather'), h.context());
    expect(settled.status).toBe('requires_action');
  });

  test('a refusal that names no run is looked up in the list', async () => {
    const h = await setUp();
    const foreign = await h.foreignRun(h.threadId, 'hang');
    h.fault('POST run', {
      kind: 'status',
      status: 400,
      body: { error: { message: 'This thread already has an active run.' } },
    });
    const error = await errorOf(h.backend.create(h.request(h.threadId, 'weather'), h.context()));
    expect(error).toMatchObject({ type: 'BackendBusy', details: [{ runId: foreign.id }] });
  });
});

describe('create, killed after a refusal', () => {
  test('a run that was made after the refusal is found, though the last heartbeat that arrived is older', async () => {
    const h = await setUp();
    await h.foreignRun(h.threadId, 'slow:3000');
    let posts = 0;
    const first = h.context({
      onSleep: async () => {
        const [foreign] = h.runs();
        if (foreign?.status === 'requires_action')
          await h.call('POST', `/threads/${h.threadId}/runs/${foreign.id}/cancel`);
      },
      onHeartbeat: () => {
        posts = h.count('POST run');
      },
    });
    const request = h.request(h.threadId, 'chat', { busy: 'wait' });
    h.fault('POST run', {
      kind: 'status',
      status: 400,
      body: { error: { message: `Thread ${h.threadId} already has an active run ${h.runs()[0]?.id}.` } },
    });
    h.fault('POST run', { kind: 'hang', when: 'after' });
    const dying = h.backend.create(request, first);
    while (withToken(h.runs()).length === 0) await setImmediate();
    first.abort(KILLED);
    await expect(dying).rejects.toBe(KILLED);
    expect(posts).toBe(1);
    // Whatever was told before the second POST may be the last that the server heard: heartbeats are held back.
    const heard = first.heartbeats.slice(0, -1).filter(({ sent }) => sent !== undefined);
    for (const previous of heard) {
      h.forget();
      const settled = await h.backend.create(request, first.next({ previous }));
      expect(settled.status).toBe('completed');
      expect(h.count('POST run')).toBe(0);
    }
    expect(withToken(h.runs())).toHaveLength(1);
  });

  test.each([0, 1])(
    'metadata forgotten: the run that held the thread is not suspected by the next attempt (%i)',
    async (ended) => {
      const h = await setUp({
        sandbox: { quirks: { noMetadata: true } },
        backend: { stream: 'never' },
      });
      const foreign = await h.foreignRun(h.threadId, 'slow:3000');
      const request = h.request(h.threadId, 'slow:30000', { busy: 'wait' });
      const first = h.context({ onSleep: () => first.abort(KILLED) });
      await expect(h.backend.create(request, first)).rejects.toBe(KILLED);
      if (ended === 1) await h.call('POST', `/threads/${h.threadId}/runs/${foreign.id}/cancel`);
      const second = first.next({
        onSleep: async () => {
          if (h.runs()[0]?.status === 'requires_action')
            await h.call('POST', `/threads/${h.threadId}/runs/${foreign.id}/cancel`);
        },
      });
      const settled = await h.backend.create(request, second);
      expect(settled.status).toBe('requires_action');
      expect(h.runs()).toHaveLength(2);
    },
  );

  test('after a doubt, a refusal and a holder that could not be read: looked for again', async () => {
    const h = await setUp();
    const request = h.request(h.threadId, 'weather');
    await twin(h, h.threadId, 'weather');
    h.fault('GET runs', { kind: 'body', text: '{"object":"list","data":[],"has_more":false}' });
    h.fault('GET run', { kind: 'status', status: 503 });
    const second = h.context({ attempt: 2 });
    expect(await errorOf(h.backend.create(request, second))).toMatchObject({ retryable: true });
    await h.call('POST', `/threads/${h.threadId}/runs/${h.runs()[0]?.id}/cancel`);
    expect(await h.backend.create(request, second.next())).toMatchObject({ status: 'cancelled' });
    expect(h.runs()).toHaveLength(1);
  });

  test('metadata forgotten, a doubt, and what held the thread has ended: said, not posted again', async () => {
    const h = await setUp({ sandbox: { quirks: { noMetadata: true } } });
    const first = await h.foreignRun(h.threadId, 'chat');
    h.fault('GET runs', { kind: 'body', text: '{"object":"list","data":[],"has_more":false}' });
    h.fault('POST run', {
      kind: 'status',
      status: 400,
      body: { error: { message: `Thread ${h.threadId} already has an active run ${first.id}.` } },
    });
    const error = await errorOf(h.backend.create(h.request(h.threadId, 'chat'), h.context({ attempt: 2 })));
    expect(error).toMatchObject({ type: 'BackendAmbiguous', details: [{ candidates: [first.id] }] });
    expect(h.runs()).toHaveLength(1);
  });
});

const streamOf = (run: unknown): Parameters<Harness['fault']>[1] => ({
  kind: 'status',
  status: 200,
  processed: true,
  headers: { 'content-type': 'text/event-stream' },
  body: `event: thread.run.created\ndata: ${JSON.stringify(run)}\n\n`,
});

describe('a stream that names another run', () => {
  test.each(['of somebody else', 'that is nowhere'])('%s: ours is found and followed', async (what) => {
    const h = await setUp({ sandbox: { quirks: { noThreadLock: true } } });
    await h.call('POST', `/threads/${h.threadId}/runs`, {
      assistant_id: 'asst_hang',
      metadata: { [METADATA.token]: 'run_other' },
    });
    const [foreign] = h.runs();
    h.fault('POST run', streamOf(what === 'that is nowhere' ? { ...foreign, id: 'run_none' } : foreign));
    const settled = await h.backend.create(h.request(h.threadId, 'weather'), h.context());
    expect(withToken(h.runs()).map(({ id }) => id)).toEqual([refOf(settled).backendRunId]);
    expect(h.count('POST run')).toBe(1);
    expect(h.count('POST cancel')).toBe(0);
  });

  test('is recognised by the attempt after it, too', async () => {
    const h = await setUp({ sandbox: { quirks: { noThreadLock: true } } });
    await h.call('POST', `/threads/${h.threadId}/runs`, {
      assistant_id: 'asst_weather',
      metadata: { [METADATA.token]: 'run_other' },
    });
    await twin(h, h.threadId, 'weather');
    const [foreign, ours] = h.runs();
    const previous = { run: { backendRunId: foreign?.id ?? '', threadId: h.threadId } };
    const settled = await h.backend.create(
      h.request(h.threadId, 'weather'),
      h.context({ attempt: 2, previous }),
    );
    expect(refOf(settled).backendRunId).toBe(ours?.id);
    expect(h.runs()).toHaveLength(2);
  });
});

describe('create on a server of two minds', () => {
  test.each(['gone', 'ended'])('"held", but the holder is %s: asked at growing pauses', async (what) => {
    const h = await setUp();
    const { id } = await h.foreignRun(h.threadId, 'chat');
    const holder = what === 'gone' ? 'run_gone' : id;
    h.fault(
      'POST run',
      {
        kind: 'status',
        status: 400,
        body: { error: { message: `Thread ${h.threadId} already has an active run ${holder}.` } },
      },
      8,
    );
    const request = h.request(h.threadId, 'weather', { busy: 'wait' });
    const first = h.context();
    const error = await errorOf(h.backend.create(request, first));
    // Then the pauses are Temporal's, which grow with the attempts.
    expect(error).toMatchObject({ type: 'BackendUnavailable', retryable: true });
    expect(Number(Reflect.get(error, 'retryAfterMs'))).toBeGreaterThan(300);
    const pauses = first.sleeps.filter((ms) => ms > 300);
    expect(pauses).toHaveLength(h.count('POST run') - 2);
    expect(pauses).toEqual(pauses.toSorted((a, b) => a - b));
    await h.backend.create(request, first.next());
    expect(h.count('POST run')).toBe(9);
  });

  test('streams refused to two creates at once: both are started without', async () => {
    const h = await setUp();
    const other = await h.thread();
    h.fault(
      'POST run',
      {
        kind: 'status',
        status: 400,
        body: { error: { message: 'streaming is not supported', param: 'stream' } },
      },
      2,
    );
    const settled = await Promise.all([
      h.backend.create(h.request(h.threadId, 'weather'), h.context()),
      h.backend.create(h.request(other, 'weather', { runId: 'run_other' }), h.context()),
    ]);
    expect(settled.map(({ status }) => status)).toEqual(['requires_action', 'requires_action']);
  });
});

describe('two workers on one attempt', () => {
  test('with a thread lock they make one run, and both follow it', async () => {
    const h = await setUp();
    const request = h.request(h.threadId, 'weather');
    const [a, b] = await Promise.all([
      h.backend.create(request, h.context()),
      h.backend.create(request, h.context()),
    ]);
    expect(a).toEqual(b);
    expect(h.runs()).toHaveLength(1);
  });

  test('without one the second run is cancelled when the first ends', async () => {
    const h = await setUp({ sandbox: { quirks: { noThreadLock: true } } });
    const request = h.request(h.threadId, 'weather');
    const [a] = await Promise.all([
      h.backend.create(request, h.context()),
      h.backend.create(request, h.context()),
    ]);
    const outputs = callIds(a).map((id) => ({ tool_call_id: id, output: '70 F' }));
    await h.backend.submit(refOf(a), 1, outputs, h.context());
    h.sandbox.clock.advance(1000);
    expect(
      h
        .runs()
        .map(({ status }) => status)
        .toSorted(),
    ).toEqual(['cancelled', 'completed']);
  });

  test('a frozen one that wakes up is stopped by its fence before it writes', async () => {
    const h = await setUp();
    const request = h.request(h.threadId, 'weather');
    h.fault('GET runs', { kind: 'delay', ms: 5 });
    const frozen = h.context({
      attempt: 2,
      fence: () => {
        throw new Error('replaced by attempt 3');
      },
    });
    await expect(h.backend.create(request, frozen)).rejects.toThrow('replaced by attempt 3');
    expect(h.count('POST run')).toBe(0);
  });
});

describe('create with an unknown outcome', () => {
  const lost = { kind: 'reset', when: 'after' } as const;

  test.each([404, 405, 501])('no list of runs (%i): said, not guessed', async (status) => {
    const h = await setUp({ sandbox: { quirks: { noThreadLock: true } } });
    h.fault('POST run', lost);
    h.fault('GET runs', { kind: 'status', status }, Infinity);
    const error = await errorOf(h.backend.create(h.request(h.threadId, 'weather'), h.context()));
    expect(error).toMatchObject({ type: 'BackendAmbiguous', retryable: false, mayHaveHappened: true });
    expect(h.count('POST run')).toBe(1);
  });

  test('metadata forgotten and a run that may be ours: said, naming it', async () => {
    const h = await setUp({ sandbox: { quirks: { noThreadLock: true, noMetadata: true } } });
    h.fault('POST run', lost);
    const error = await errorOf(h.backend.create(h.request(h.threadId, 'weather'), h.context()));
    expect(error).toMatchObject({
      type: 'BackendAmbiguous',
      details: [{ threadId: h.threadId, candidates: [h.runs()[0]?.id] }],
    });
  });

  test('metadata forgotten, but nothing there that could be ours: tried again', async () => {
    const h = await setUp({ sandbox: { quirks: { noThreadLock: true, noMetadata: true } } });
    const earlier = await h.foreignRun(h.threadId, 'weather');
    await h.call('POST', `/threads/${h.threadId}/runs/${earlier.id}/cancel`);
    h.sandbox.clock.advance(60_000);
    await h.foreignRun(h.threadId, 'chat');
    h.fault('POST run', { kind: 'reset', when: 'before' });
    const first = h.context();
    const error = await errorOf(h.backend.create(h.request(h.threadId, 'weather'), first));
    expect(error).toMatchObject({ type: 'BackendUnavailable', retryable: true });
    const settled = await h.backend.create(h.request(h.threadId, 'weather'), first.next());
    expect(settled.status).toBe('requires_action');
    expect(h.runs()).toHaveLength(3);
  });

  test('metadata forgotten and the thread held after a doubt: said, not taken for foreign', async () => {
    const h = await setUp({ sandbox: { quirks: { noMetadata: true } } });
    h.fault('GET runs', { kind: 'body', text: '{"object":"list","data":[],"has_more":false}' });
    const other = await h.foreignRun(h.threadId, 'hang');
    const error = await errorOf(h.backend.create(h.request(h.threadId, 'hang'), h.context({ attempt: 2 })));
    expect(error).toMatchObject({ type: 'BackendAmbiguous', details: [{ candidates: [other.id] }] });
  });

  test('with onAmbiguousCreate "retry" a second run is risked', async () => {
    const h = await setUp({
      sandbox: { quirks: { noThreadLock: true, noMetadata: true } },
      backend: { onAmbiguousCreate: 'retry' },
    });
    h.fault('POST run', lost);
    const first = h.context();
    expect(await errorOf(h.backend.create(h.request(h.threadId, 'weather'), first))).toMatchObject({
      retryable: true,
    });
    await h.backend.create(h.request(h.threadId, 'weather'), first.next());
    expect(h.runs()).toHaveLength(2);
  });

  test('foreign runs on a server that is known to keep metadata raise no doubt', async () => {
    const h = await setUp({ sandbox: { quirks: { noThreadLock: true } } });
    await h.call('POST', `/threads/${h.threadId}/runs`, {
      assistant_id: 'asst_weather',
      metadata: { a: 'b' },
    });
    h.fault('POST run', { kind: 'reset', when: 'before' });
    const first = h.context();
    expect(await errorOf(h.backend.create(h.request(h.threadId, 'weather'), first))).toMatchObject({
      retryable: true,
    });
    await h.backend.create(h.request(h.threadId, 'weather'), first.next());
    expect(withToken(h.runs())).toHaveLength(1);
  });
});

const twin = (h: Harness, threadId: string, script: string): Promise<unknown> =>
  h.call('POST', `/threads/${threadId}/runs`, {
    assistant_id: `asst_${script}`,
    metadata: { [METADATA.token]: TOKEN },
  });

describe('two runs with one token', () => {
  test('found when we look: the earliest stays, the others are cancelled and reported', async () => {
    const h = await setUp({ sandbox: { quirks: { noThreadLock: true } } });
    const startedAt = h.sandbox.clock.now();
    for (let run = 0; run < 3; run++) {
      await twin(h, h.threadId, 'hang');
      h.sandbox.clock.advance(1000);
    }
    const ctx = h.context({
      attempt: 2,
      onSleep: () =>
        h.call('POST', `/threads/${h.threadId}/runs/${h.runs()[0]?.id}/cancel`).then(() => undefined),
    });
    const settled = await h.backend.create(h.request(h.threadId, 'weather', { startedAt }), ctx);
    expect(refOf(settled).backendRunId).toBe(h.runs()[0]?.id);
    expect(h.runs().map(({ status }) => status)).toEqual(['cancelled', 'cancelled', 'cancelled']);
    expect(h.count('POST cancel')).toBe(2);
    expect(ctx.observed.filter(({ kind }) => kind === 'duplicate_run')).toHaveLength(4);
    expect(h.count('POST run')).toBe(0);
  });

  test('made by a request that was delayed: found when the run ends', async () => {
    const h = await setUp({ sandbox: { quirks: { noThreadLock: true } } });
    const first = await h.backend.create(h.request(h.threadId, 'weather'), h.context());
    h.sandbox.clock.advance(2000);
    await twin(h, h.threadId, 'hang');
    const ctx = h.context();
    const outputs = callIds(first).map((id) => ({ tool_call_id: id, output: '70 F' }));
    expect(await h.backend.submit(refOf(first), 1, outputs, ctx)).toMatchObject({ status: 'completed' });
    expect(h.runs().map(({ status }) => status)).toEqual(['completed', 'cancelled']);
    expect(ctx.observed).toContainEqual({ kind: 'duplicate_run', backendRunId: h.runs()[1]?.id });
  });

  test('ours is found on a later page', async () => {
    const h = await setUp({ sandbox: { quirks: { noThreadLock: true } } });
    await twin(h, h.threadId, 'weather');
    for (let run = 0; run < 25; run++) await h.foreignRun(h.threadId, 'chat');
    const settled = await h.backend.create(h.request(h.threadId, 'weather'), h.context({ attempt: 2 }));
    expect(refOf(settled).backendRunId).toBe(h.runs()[0]?.id);
    expect(h.asked()).toEqual(['GET runs', 'GET runs', 'GET run']);
  });

  test('a look that fails at the end does not spoil the result', async () => {
    const h = await setUp();
    h.fault('GET runs', { kind: 'status', status: 500 });
    const ctx = h.context();
    expect(await h.backend.create(h.request(h.threadId, 'chat'), ctx)).toMatchObject({ status: 'completed' });
    expect(ctx.logs).toContainEqual(expect.objectContaining({ level: 'warn' }));
  });

  test('a thread with many runs is read page by page until it is too old', async () => {
    const h = await setUp();
    for (let run = 0; run < 45; run++) {
      await h.foreignRun(h.threadId, 'chat');
      h.sandbox.clock.advance(run === 20 ? 3_600_000 : 1000);
    }
    const startedAt = h.sandbox.clock.now() - 24_500;
    await h.backend.create(h.request(h.threadId, 'weather', { startedAt }), h.context({ attempt: 2 }));
    // 24 runs of the last hour fill one page and begin another, whose end is older than the look reaches.
    expect(h.asked().slice(0, 3)).toEqual(['GET runs', 'GET runs', 'POST run']);
  });
});

test('a fence that throws keeps the request from being sent', async () => {
  const h = await setUp();
  const ctx = fakeContext({
    fence: () => {
      throw KILLED;
    },
  });
  await expect(h.backend.createThread({ runId: TOKEN, metadata: {} }, ctx)).rejects.toBe(KILLED);
  await expect(h.backend.create(h.request(h.threadId, 'weather'), ctx)).rejects.toBe(KILLED);
  expect(h.asked()).toEqual([]);
});
