import { setImmediate } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import type { RunRef, Settled } from '../../../protocol/ports/backend.ts';
import type { ToolOutput } from '../../../protocol/wire/objects.ts';
import { callIds, errorOf, harness, outputsFor, refOf, type Harness } from '../../support/assistants.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';

guardAgainstLeaks();
const open: Harness[] = [];
afterEach(async () => {
  for (const h of open.splice(0)) await h.close();
});
const KILLED = new Error('killed');
const ASK = { calls: [{ name: 'do_step', arguments: {} }] };
const ASKS_THEN_HANGS = { sandbox: { scripts: { asks_then_hangs: [ASK, { hang: true as const }] } } };
const ASKS_THEN_THINKS = {
  sandbox: { scripts: { asks_then_thinks: [ASK, { text: 'Done.', delayMs: 20_000 }] } },
};

type Waiting = Harness & { run: RunRef; outputs: ToolOutput[]; settled: Settled };
/** A run that waits for outputs. */
const waiting = async (script: string, ...given: Parameters<typeof harness>): Promise<Waiting> => {
  const h = await harness(...given);
  open.push(h);
  const settled = await h.backend.create(h.request(await h.thread(), script), h.context());
  h.forget();
  return Object.assign(h, { run: refOf(settled), outputs: outputsFor(settled), settled });
};
const submitPath = ({ run }: Waiting): string =>
  `/threads/${run.threadId}/runs/${run.backendRunId}/submit_tool_outputs`;
/** Another writer, or an earlier attempt. */
const submitBehind = (h: Waiting, outputs: readonly ToolOutput[]): Promise<unknown> =>
  h.call('POST', submitPath(h), { tool_outputs: outputs });
const accepted = (h: Harness): unknown[] =>
  h.sandbox.requests
    .filter(({ path, status }) => path.endsWith('/submit_tool_outputs') && status === 200)
    .map(({ body }) => (body as { tool_outputs: unknown }).tool_outputs);
const lastQuote = async (h: Waiting): Promise<string> =>
  JSON.stringify(await h.call('GET', `/threads/${h.run.threadId}/messages`));

describe('submit, undisturbed', () => {
  test('one POST with all outputs in order, one reading, one sweep', async () => {
    const h = await waiting('parallel');
    const ctx = h.context();
    const settled = await h.backend.submit(h.run, 1, h.outputs, ctx);
    expect(settled).toMatchObject({ status: 'completed', run: h.run, outputsTaken: true });
    expect(h.asked().toSorted()).toEqual(['GET run', 'GET runs', 'POST submit']);
    expect(accepted(h)).toEqual([h.outputs]);
    expect(ctx.fences).toBe(1);
    expect(ctx.heartbeats).toContainEqual(expect.objectContaining({ sent: true, run: h.run }));
  });

  test('goes on round after round, each with ids of its own', async () => {
    const h = await waiting('work:2x3');
    const seen = [callIds(h.settled)];
    let settled: Settled = h.settled;
    for (let round = 1; settled.status === 'requires_action'; round++) {
      settled = await h.backend.submit(h.run, round, outputsFor(settled), h.context());
      if (settled.status === 'requires_action') seen.push(callIds(settled));
    }
    expect(settled.status).toBe('completed');
    expect(new Set(seen.flat()).size).toBe(6);
    expect(accepted(h)).toHaveLength(3);
    expect(h.count('GET run')).toBe(3);
  });

  test('a round that ends in a question says nothing about outputs', async () => {
    const h = await waiting('rounds:2');
    expect(await h.backend.submit(h.run, 1, h.outputs, h.context())).not.toHaveProperty('outputsTaken');
  });
});

describe('submit, killed', () => {
  test('before the request is sent: the next attempt reads, then sends once', async () => {
    const h = await waiting('parallel');
    const first = h.context({
      fence: () => {
        throw KILLED;
      },
    });
    await expect(h.backend.submit(h.run, 1, h.outputs, first)).rejects.toBe(KILLED);
    const settled = await h.backend.submit(h.run, 1, h.outputs, first.next({ fence: () => undefined }));
    expect(settled.status).toBe('completed');
    expect(h.asked().slice(0, 2)).toEqual(['GET run', 'POST submit']);
    expect(accepted(h)).toHaveLength(1);
  });

  test.each([
    ['with its heartbeat', {}],
    ['without a heartbeat', { previous: null }],
  ])('after the server took it, before the answer, %s: recognised, never sent again', async (_name, more) => {
    const h = await waiting('rounds:2');
    h.fault('POST submit', { kind: 'hang', when: 'after' });
    const first = h.context();
    const dying = h.backend.submit(h.run, 1, h.outputs, first);
    while (
      h.sandbox.engine.history(h.run.backendRunId).filter(({ status }) => status === 'requires_action')
        .length < 2
    )
      await setImmediate();
    first.abort(KILLED);
    await expect(dying).rejects.toBe(KILLED);
    h.forget();
    const settled = await h.backend.submit(h.run, 1, h.outputs, first.next(more));
    expect(settled.status).toBe('requires_action');
    expect(callIds(settled)).not.toEqual(callIds(h.settled));
    expect(h.asked()).toEqual(['GET run', 'GET steps']);
  });

  test('the settle time since the lost request is waited out first', async () => {
    const h = await waiting('rounds:2');
    const ctx = h.context({
      attempt: 2,
      previous: { run: h.run, sent: true, at: h.sandbox.clock.now() - 1000 },
    });
    await h.backend.submit(h.run, 1, h.outputs, ctx);
    expect(ctx.sleeps[0]).toBeGreaterThan(1500);
    expect(ctx.sleeps[0]).toBeLessThanOrEqual(2000);
  });
});

describe('submit, the answer lost', () => {
  test.each([
    ['reset', { kind: 'reset', when: 'after' }],
    ['502', { kind: 'status', status: 502, processed: true }],
    ['an unreadable answer', { kind: 'status', status: 200, body: '{"id"', processed: true }],
  ] as const)('%s after it was taken: applied, the next round is the answer', async (_name, action) => {
    const h = await waiting('rounds:2');
    h.fault('POST submit', action);
    const settled = await h.backend.submit(h.run, 1, h.outputs, h.context());
    expect(settled.status).toBe('requires_action');
    expect(callIds(settled)).not.toEqual(callIds(h.settled));
    expect(h.asked()).toEqual(['POST submit', 'GET run', 'GET steps']);
  });

  test('reset after it was taken, and the run is still at work: followed', async () => {
    const h = await waiting('asks_then_thinks', ASKS_THEN_THINKS);
    h.fault('POST submit', { kind: 'reset', when: 'after' });
    const settled = await h.backend.submit(h.run, 1, h.outputs, h.context());
    expect(settled).toMatchObject({ status: 'completed', outputsTaken: true });
    expect(h.count('POST submit')).toBe(1);
    expect(h.count('GET run')).toBeGreaterThan(3);
  });

  test.each([
    ['reset', { kind: 'reset', when: 'before' }],
    ['503', { kind: 'status', status: 503 }],
    ['429', { kind: 'status', status: 429 }],
  ] as const)('%s before it was taken: retryable, then sent once more', async (_name, action) => {
    const h = await waiting('parallel');
    h.fault('POST submit', action);
    const first = h.context();
    expect(await errorOf(h.backend.submit(h.run, 1, h.outputs, first))).toMatchObject({
      type: 'BackendUnavailable',
      retryable: true,
    });
    await h.backend.submit(h.run, 1, h.outputs, first.next());
    expect(h.count('POST submit')).toBe(2);
    expect(accepted(h)).toEqual([h.outputs]);
  });

  test('a storm of 500 costs one POST and two readings an attempt', async () => {
    const h = await waiting('parallel');
    h.fault('POST submit', { kind: 'status', status: 500 }, 15);
    let ctx = h.context();
    for (let attempt = 1; attempt <= 15; attempt++) {
      await errorOf(h.backend.submit(h.run, 1, h.outputs, ctx));
      ctx = ctx.next();
    }
    await h.backend.submit(h.run, 1, h.outputs, ctx);
    expect(h.count('POST submit')).toBe(16);
    expect(h.count('GET run')).toBeLessThanOrEqual(2 * 16);
    expect(accepted(h)).toHaveLength(1);
  });

  test('a wait that the server asks for ends with the deadline of the run', async () => {
    const h = await waiting('parallel');
    h.fault('POST submit', { kind: 'status', status: 503, headers: { 'retry-after': '900' } });
    h.sandbox.clock.advance(500_000);
    const error = await errorOf(h.backend.submit(h.run, 1, h.outputs, h.context({ attempt: 2 })));
    expect(error.retryAfterMs).toBeLessThanOrEqual(600_000);
    const left =
      h.settled.status === 'requires_action' ? (h.settled.expiresAt ?? 0) - h.sandbox.clock.now() : 0;
    expect(error.retryAfterMs).toBeGreaterThan(left);
  });
});

describe('submit, refused with 400', () => {
  test('the same outputs were sent before by an earlier attempt: applied', async () => {
    const h = await waiting('rounds:2');
    await submitBehind(h, h.outputs);
    const settled = await h.backend.submit(h.run, 1, h.outputs, h.context());
    expect(settled.status).toBe('requires_action');
    expect(callIds(settled)).not.toEqual(callIds(h.settled));
    expect(h.asked()).toEqual(['POST submit', 'GET run', 'GET steps']);
  });

  test.each([1, 2])(
    'another writer sent other outputs (attempt %i): a conflict that names the calls',
    async (attempt) => {
      const h = await waiting('work:2x2');
      const theirs = h.outputs.map((output, index) =>
        index === 1 ? { ...output, output: 'a secret' } : output,
      );
      await submitBehind(h, theirs);
      const error = await errorOf(h.backend.submit(h.run, 1, h.outputs, h.context({ attempt })));
      expect(error).toMatchObject({
        type: 'BackendConflict',
        retryable: false,
        details: [{ callIds: [h.outputs[1]?.tool_call_id] }],
      });
      expect(error.message).not.toContain('secret');
    },
  );

  test('a conflict is seen after the run has ended, too', async () => {
    const h = await waiting('parallel');
    await submitBehind(
      h,
      h.outputs.map((output) => ({ ...output, output: 'theirs' })),
    );
    const error = await errorOf(h.backend.submit(h.run, 1, h.outputs, h.context()));
    expect(error).toMatchObject({ type: 'BackendConflict', details: [{ callIds: callIds(h.settled) }] });
  });

  test('the run expired meanwhile: that is the truth, and the outputs were not taken', async () => {
    const h = await waiting('parallel');
    h.sandbox.clock.advance(600_000);
    const settled = await h.backend.submit(h.run, 1, h.outputs, h.context());
    expect(settled).toMatchObject({ status: 'expired', outputsTaken: false });
    expect(h.count('POST submit')).toBe(1);
  });

  test('the run was cancelled meanwhile: that is the truth, and the outputs were not taken', async () => {
    const h = await waiting('parallel');
    await h.call('POST', `/threads/${h.run.threadId}/runs/${h.run.backendRunId}/cancel`);
    h.sandbox.clock.advance(1000);
    expect(await h.backend.submit(h.run, 1, h.outputs, h.context())).toMatchObject({
      status: 'cancelled',
      outputsTaken: false,
    });
  });

  test('a run that failed without our outputs did not take them', async () => {
    const h = await waiting('parallel');
    const run = { ...h.runs()[0], status: 'failed', required_action: null };
    h.fault('POST submit', { kind: 'status', status: 400 });
    h.fault('GET run', { kind: 'body', text: JSON.stringify(run) });
    expect(await h.backend.submit(h.run, 1, h.outputs, h.context())).toMatchObject({
      status: 'failed',
      outputsTaken: false,
    });
  });

  test('outputs that were taken before the run was cancelled count as taken', async () => {
    const h = await waiting('asks_then_hangs', ASKS_THEN_HANGS);
    await submitBehind(h, h.outputs);
    await h.call('POST', `/threads/${h.run.threadId}/runs/${h.run.backendRunId}/cancel`);
    h.sandbox.clock.advance(1000);
    expect(await h.backend.submit(h.run, 1, h.outputs, h.context({ attempt: 2 }))).toMatchObject({
      status: 'cancelled',
      outputsTaken: true,
    });
    expect(h.count('POST submit')).toBe(0);
  });

  test('the set of ids is wrong: final, nothing was sent in part', async () => {
    const h = await waiting('parallel');
    const error = await errorOf(h.backend.submit(h.run, 1, h.outputs.slice(0, 2), h.context({ attempt: 4 })));
    expect(error).toMatchObject({ type: 'BackendUnsupported', retryable: false });
    expect(accepted(h)).toEqual([]);
  });

  test('outputs too large for the server: final, in its own words', async () => {
    const h = await waiting('parallel');
    const outputs = h.outputs.map((output) => ({ ...output, output: 'x'.repeat(300_000) }));
    const error = await errorOf(h.backend.submit(h.run, 1, outputs, h.context()));
    expect(error).toMatchObject({ type: 'BackendRejected', retryable: false });
    expect(error.message).toContain('512kb');
  });

  test.each([
    'Runs in status "queued" do not accept tool outputs.',
    "Expected tool outputs for call_ids ['x'], got ['y']",
  ])('a refusal that contradicts the reading is an old one, but not for ever: %s', async (message) => {
    const h = await waiting('parallel');
    h.fault('POST submit', { kind: 'status', status: 400, body: { error: { message } } }, Infinity);
    const error = (attempt: number): Promise<unknown> =>
      errorOf(h.backend.submit(h.run, 1, h.outputs, h.context({ attempt })));
    expect(await error(1)).toMatchObject({ type: 'BackendUnavailable', retryable: true });
    expect(await error(4)).toMatchObject({ type: 'BackendRejected', retryable: false });
  });

  test.each([
    [401, 'BackendUnauthorized'],
    [404, 'BackendNotFound'],
    [413, 'BackendRejected'],
  ])('%i is final after one request', async (status, type) => {
    const h = await waiting('parallel');
    h.fault('POST submit', { kind: 'status', status });
    expect(await errorOf(h.backend.submit(h.run, 1, h.outputs, h.context()))).toMatchObject({
      type,
      retryable: false,
    });
    expect(h.asked()).toEqual(['POST submit']);
  });
});

describe('submit to servers that differ', () => {
  test('an old reading after an accepted submit is waited out, not answered again', async () => {
    const h = await waiting('rounds:2');
    h.fault('GET run', { kind: 'stale', back: 3 }, 4);
    const settled = await h.backend.submit(h.run, 1, h.outputs, h.context());
    expect(callIds(settled)).not.toEqual(callIds(h.settled));
    expect(h.count('POST submit')).toBe(1);
    expect(h.count('GET run')).toBe(5);
  });

  test('an old reading before the send of a second attempt costs one refused POST', async () => {
    const h = await waiting('rounds:2');
    await submitBehind(h, h.outputs);
    h.fault('GET run', { kind: 'stale', back: 3 }, 1);
    const settled = await h.backend.submit(h.run, 1, h.outputs, h.context({ attempt: 2 }));
    expect(callIds(settled)).not.toEqual(callIds(h.settled));
    expect(accepted(h)).toEqual([]);
    expect(h.count('POST submit')).toBe(1);
  });

  test('a server that acknowledges and forgets gets the full set once more, then is called unsupported', async () => {
    const h = await waiting('parallel');
    const run = h.runs()[0];
    h.fault('POST submit', { kind: 'status', status: 200, body: run }, Infinity);
    const ctx = h.context();
    const error = await errorOf(h.backend.submit(h.run, 1, h.outputs, ctx));
    expect(error).toMatchObject({ type: 'BackendUnsupported', retryable: false });
    expect(h.count('POST submit')).toBe(2);
    expect(Math.min(...ctx.sleeps)).toBeGreaterThanOrEqual(20);
  });

  test('a server that forgot once is answered by the second full set', async () => {
    const h = await waiting('parallel');
    h.fault('POST submit', { kind: 'status', status: 200, body: h.runs()[0] });
    expect(await h.backend.submit(h.run, 1, h.outputs, h.context())).toMatchObject({ status: 'completed' });
    expect(accepted(h)).toHaveLength(2);
    expect(accepted(h)[1]).toEqual(h.outputs);
  });

  test('partial submits are never made, also where they are accepted', async () => {
    const h = await waiting('work:3x2', { sandbox: { quirks: { partialSubmits: true } } });
    const settled = await h.backend.submit(h.run, 1, h.outputs, h.context());
    expect(settled.status).toBe('requires_action');
    expect(accepted(h)).toEqual([h.outputs]);
  });

  test('a round that another client answered in part is reported as unsupported after a refusal', async () => {
    const h = await waiting('work:3x2', { sandbox: { quirks: { partialSubmits: true } } });
    await submitBehind(h, h.outputs.slice(0, 1));
    h.fault('POST submit', { kind: 'status', status: 500 });
    expect(await errorOf(h.backend.submit(h.run, 1, h.outputs, h.context()))).toMatchObject({
      type: 'BackendUnsupported',
    });
  });

  test('a server that checks nothing is not answered twice', async () => {
    const h = await waiting('rounds:2', { sandbox: { quirks: { uncheckedSubmits: true, noSteps: true } } });
    h.fault('POST submit', { kind: 'reset', when: 'after' });
    const settled = await h.backend.submit(h.run, 1, h.outputs, h.context());
    expect(callIds(settled)).not.toEqual(callIds(h.settled));
    expect(h.count('POST submit')).toBe(1);
  });

  test('without steps a run that has moved on counts as answered', async () => {
    const h = await waiting('parallel', { sandbox: { quirks: { noSteps: true } } });
    await submitBehind(
      h,
      h.outputs.map((output) => ({ ...output, output: 'theirs' })),
    );
    expect(await h.backend.submit(h.run, 1, h.outputs, h.context())).toMatchObject({
      status: 'completed',
      outputsTaken: true,
    });
  });

  test('steps that are down for a moment make the attempt retryable, not a guess', async () => {
    const h = await waiting('parallel');
    await submitBehind(h, h.outputs);
    h.fault('GET steps', { kind: 'status', status: 503 });
    expect(await errorOf(h.backend.submit(h.run, 1, h.outputs, h.context()))).toMatchObject({
      retryable: true,
    });
  });

  test.each([
    'noQueuedAfterSubmit',
    'noStreaming',
    'noDone',
    'noPollHint',
    'millisecondTimes',
    'emptyRequiredAction',
    'absentRequiredAction',
    'noExpiry',
    'expiryPerWait',
    'noThreadLock',
    'noMetadata',
    'noSteps',
  ] as const)('with %s a run of three rounds ends the same way', async (quirk) => {
    const h = await waiting('work:2x3', { sandbox: { quirks: { [quirk]: true } } });
    let settled: Settled = h.settled;
    for (let round = 1; settled.status === 'requires_action'; round++)
      settled = await h.backend.submit(h.run, round, outputsFor(settled), h.context());
    expect(settled.status).toBe('completed');
    expect(h.count('POST submit')).toBe(3);
  });
});

test('a reading of an earlier round is waited out by the next attempt, not taken for the next round', async () => {
  const h = await waiting('work:1x3');
  const earlier = await h.call('GET', `/threads/${h.run.threadId}/runs/${h.run.backendRunId}`);
  const second = await h.backend.submit(h.run, 1, h.outputs, h.context());
  const outputs = outputsFor(second);
  h.fault('POST submit', { kind: 'reset', when: 'after' });
  h.fault('GET run', { kind: 'status', status: 200, body: earlier }, 2);
  const first = h.context();
  expect(await errorOf(h.backend.submit(h.run, 2, outputs, first))).toMatchObject({ retryable: true });
  const again = first.next();
  expect(await errorOf(h.backend.submit(h.run, 2, outputs, again))).toMatchObject({ retryable: true });
  const third = await h.backend.submit(h.run, 2, outputs, again.next());
  expect(callIds(third)).toHaveLength(1);
  expect([...callIds(h.settled), ...callIds(second)]).not.toContain(callIds(third)[0]);
  expect(h.count('POST submit')).toBe(2);
});

test('streams refused to two submits at once: both are sent without', async () => {
  const h = await waiting('weather');
  const other = await h.backend.create(
    h.request(await h.thread(), 'weather', { runId: 'run_other' }),
    h.context(),
  );
  const body = { error: { message: 'no event streams here', param: 'stream' } };
  h.fault('POST submit', { kind: 'status', status: 400, body }, 2);
  const settled = await Promise.all([
    h.backend.submit(h.run, 1, h.outputs, h.context()),
    h.backend.submit(refOf(other), 1, outputsFor(other), h.context()),
  ]);
  expect(settled.map(({ status }) => status)).toEqual(['completed', 'completed']);
});

test('what the model reads is what was submitted', async () => {
  const h = await waiting('parallel');
  await h.backend.submit(h.run, 1, h.outputs, h.context());
  expect(await lastQuote(h)).toContain('output of 0 | get_current_weather said: output of 1');
});
