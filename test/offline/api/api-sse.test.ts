/**
 * Streams of the HTTP face: their order, their numbers, where they end, and that readers cost nothing: slow ones hold no
 * memory, gone ones leave no subscription, and none of them touches the run.
 */
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createApi, serveApi } from '../../../api/index.ts';
import type { Api, ApiOptions } from '../../../api/index.ts';
import { encodeEvent } from '../../../api/sse.ts';
import { ApiError } from '../../../protocol/errors.ts';
import type { SequencedEvent } from '../../../protocol/wire/events.ts';
import { createSandbox } from '../../../testing/index.ts';
import type { Sandbox } from '../../../testing/index.ts';
import { deferred } from '../../support/deferred.ts';
import { call, caller, framesOfText, stream } from '../../support/http.ts';
import type { Frame } from '../../support/http.ts';

let sandbox: Sandbox;
beforeEach(async () => {
  sandbox = await createSandbox({ listen: false });
});
afterEach(async () => {
  vi.useRealTimers();
  await sandbox.close();
});

const names = (frames: Frame[]): (string | null)[] => frames.map(({ event }) => event);
const startRun = async (script: string): Promise<string> => {
  const started = await sandbox.engine.createThreadAndRun(caller(), {}, { assistant_id: `asst_${script}` });
  return `/v1/threads/${started.thread.id}/runs/${started.run.id}`;
};
const runOf = async (path: string): Promise<Record<string, unknown>> =>
  (await call(sandbox.fetch, 'GET', path)).body as Record<string, unknown>;
const outputsFor = async (path: string): Promise<unknown[]> => {
  const run = sandbox.engine.runs().find(({ id }) => path.endsWith(id));
  return (run?.required_action?.submit_tool_outputs.tool_calls ?? []).map(({ id }) => ({
    tool_call_id: id,
    output: '70',
  }));
};

const get = (path: string, headers: Record<string, string> = {}): Request =>
  new Request(`http://127.0.0.1${path}`, { headers });

describe('one frame', () => {
  test('line breaks in data, names or ids never make a second line', () => {
    const frame = encodeEvent('thread.x\r\nevent: y', { text: 'a\nb\r\n\n' }, '1\ndata: z');
    expect(frame).toBe('event: thread.x event: y\ndata: {"text":"a\\nb\\r\\n\\n"}\nid: 1 data: z\n\n');
  });
});

describe('a create stream', () => {
  test('of a plain run has the order of the API, and its body ends after done', async () => {
    const frames = await stream(sandbox.fetch, 'POST', '/v1/threads/runs', {
      assistant_id: 'asst_words:2',
      stream: true,
    });
    expect(names(frames)).toEqual([
      'thread.created',
      'thread.run.created',
      'thread.run.queued',
      'thread.run.in_progress',
      'thread.run.step.created',
      'thread.run.step.in_progress',
      'thread.message.created',
      'thread.message.in_progress',
      'thread.message.delta',
      'thread.message.delta',
      'thread.message.completed',
      'thread.run.step.completed',
      'thread.run.completed',
      'done',
    ]);
    expect(frames[1]?.data).toMatchObject({ status: 'queued' });
    expect(frames.at(-1)?.data).toBe('[DONE]');
  });

  test('of a run with calls ends at the wait, its tool step still open', async () => {
    const frames = await stream(sandbox.fetch, 'POST', '/v1/threads/runs', {
      assistant_id: 'asst_weather',
      stream: true,
    });
    expect(names(frames).slice(3, 6)).toEqual([
      'thread.run.in_progress',
      'thread.run.step.created',
      'thread.run.step.in_progress',
    ]);
    expect(frames[4]?.data).toMatchObject({ step_details: { type: 'tool_calls', tool_calls: [] } });
    const deltas = frames.filter(({ event }) => event === 'thread.run.step.delta');
    const parts = deltas.map(
      ({ data }) =>
        (data as { delta: { step_details: { tool_calls: Record<string, unknown>[] } } }).delta.step_details
          .tool_calls[0] ?? {},
    );
    // Clients concatenate: id and name come once, the rest is fragments.
    expect(parts[0]).toMatchObject({
      index: 0,
      type: 'function',
      id: expect.stringMatching(/^call_/),
      function: { name: 'get_current_weather', arguments: '', output: null },
    });
    for (const part of parts.slice(1))
      expect(Object.keys(part).toSorted()).toEqual(['function', 'index', 'type']);
    expect(names(frames).slice(-2)).toEqual(['thread.run.requires_action', 'done']);
  });

  test('a refusal is a JSON answer with its status, not a stream', async () => {
    const answer = await call(sandbox.fetch, 'POST', '/v1/threads/thread_none/runs', {
      assistant_id: 'asst_chat',
      stream: true,
    });
    expect(answer.status).toBe(404);
    expect(answer.headers.get('content-type')).toBe('application/json');
  });
});

describe('the events of a run', () => {
  test('can be read again from any number, without loss or repeat', async () => {
    const path = await startRun('words:5');
    sandbox.clock.advance(1);
    const all = await stream(sandbox.fetch, 'GET', `${path}/events`);
    const numbers = all.slice(0, -1).map(({ id }) => Number(id));
    expect(numbers).toEqual(numbers.map((_, at) => at + 1));
    const rest = await stream(sandbox.fetch, 'GET', `${path}/events`, undefined, { 'last-event-id': '7' });
    expect(rest).toEqual(all.slice(7));
    expect(await stream(sandbox.fetch, 'GET', `${path}/events?after=7`)).toEqual(rest);
  });

  test('the header of a reconnecting reader wins over the place in its URL', async () => {
    const path = await startRun('words:5');
    sandbox.clock.advance(1);
    const all = await stream(sandbox.fetch, 'GET', `${path}/events`);
    const headers = { 'last-event-id': '9' };
    expect(await stream(sandbox.fetch, 'GET', `${path}/events?after=2`, undefined, headers)).toEqual(
      all.slice(9),
    );
  });

  test('a reader that has seen the end gets done at once', async () => {
    const path = await startRun('chat');
    sandbox.clock.advance(1);
    const all = await stream(sandbox.fetch, 'GET', `${path}/events`);
    const last = all.at(-2)?.id ?? '';
    expect(await stream(sandbox.fetch, 'GET', `${path}/events?after=${last}`)).toEqual(all.slice(-1));
  });

  test('go on over a wait, to the end of the run', async () => {
    const path = await startRun('weather');
    sandbox.clock.advance(1);
    const reading = stream(sandbox.fetch, 'GET', `${path}/events`);
    await call(sandbox.fetch, 'POST', `${path}/submit_tool_outputs`, {
      tool_outputs: await outputsFor(path),
    });
    sandbox.clock.advance(1);
    const read = names(await reading);
    expect(read).toContain('thread.run.requires_action');
    expect(read.slice(-2)).toEqual(['thread.run.completed', 'done']);
  });

  test('many readers see the same', async () => {
    const path = await startRun('words:3');
    const readers = Array.from({ length: 20 }, () => stream(sandbox.fetch, 'GET', `${path}/events`));
    sandbox.clock.advance(1);
    const [first, ...others] = await Promise.all(readers);
    for (const other of others) expect(other).toEqual(first);
  });

  test('of an unknown run are a 404', async () => {
    expect((await call(sandbox.fetch, 'GET', '/v1/threads/t/runs/r/events')).status).toBe(404);
  });
});

/** An API over the sandbox's engine whose event source is watched or replaced. */
const watched = (
  more: Partial<ApiOptions>,
  source?: (signal: AbortSignal) => AsyncGenerator<SequencedEvent>,
): { api: Api; subscribed: () => number; taken: () => number } => {
  let open = 0;
  let taken = 0;
  const { engine } = sandbox;
  const api = createApi({
    ...more,
    engine: {
      ...engine,
      async *events(who, threadId, runId, options) {
        open += 1;
        try {
          for await (const event of source?.(options.signal) ??
            engine.events(who, threadId, runId, options)) {
            taken += 1;
            yield event;
          }
        } finally {
          open -= 1;
        }
      },
    },
  });
  return { api, subscribed: () => open, taken: () => taken };
};

const textDelta = (seq: number): SequencedEvent => ({
  seq,
  event: 'thread.message.delta',
  data: {
    id: 'msg_1',
    object: 'thread.message.delta',
    delta: { content: [{ index: 0, type: 'text', text: { value: 'x'.repeat(1000) } }] },
  },
});

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

describe('readers', () => {
  test('a reader that goes away ends its subscription and nothing else', async () => {
    const path = await startRun('hang');
    sandbox.clock.advance(1);
    const { api, subscribed } = watched({});
    const response = await api.fetch(get(`${path}/events`));
    const reader = response.body?.getReader();
    await reader?.read();
    expect(subscribed()).toBe(1);
    await reader?.cancel();
    await settle();
    expect(subscribed()).toBe(0);
    expect((await runOf(path))['status']).toBe('in_progress');
  });

  test('HEAD of a stream gets its headers and leaves no subscription', async () => {
    const path = await startRun('hang');
    const { api, subscribed } = watched({});
    const response = await api.fetch(new Request(get(`${path}/events`), { method: 'HEAD' }));
    expect([response.status, response.headers.get('content-type')]).toEqual([
      200,
      'text/event-stream; charset=utf-8',
    ]);
    expect(await response.text()).toBe('');
    await settle();
    expect(subscribed()).toBe(0);
  });

  test('a reader that reads nothing makes the server take next to nothing from the log', async () => {
    const path = await startRun('hang');
    const { api, taken } = watched({}, async function* () {
      for (let seq = 1; ; seq += 1) yield textDelta(seq);
    });
    const response = await api.fetch(get(`${path}/events`));
    await settle();
    // One batch of frames at most stands ready; the rest stays in the log.
    expect(taken()).toBeLessThanOrEqual(130);
    await response.body?.cancel();
  });

  test('a reader that takes nothing for too long is told, and its connection is cut', async () => {
    const path = await startRun('hang');
    const { api, subscribed } = watched({ stallMs: 20, keepAliveMs: 5 }, async function* () {
      for (let seq = 1; ; seq += 1) yield textDelta(seq);
    });
    const dropped = deferred();
    const response = await api.fetch(get(`${path}/events`), {
      outgoing: {
        destroyed: false,
        destroy: () => dropped.resolve(),
        once: () => undefined,
        off: () => undefined,
      },
    });
    await dropped.promise;
    expect(subscribed()).toBe(0);
    const frames = framesOfText(await response.text());
    expect(frames.at(-1)).toMatchObject({ event: 'error', data: { error: { code: 'slow_reader' } } });
  });

  test('a silent stream is kept alive by comments, which are no events', async () => {
    const path = await startRun('hang');
    sandbox.clock.advance(1);
    const { api } = watched({ keepAliveMs: 5 });
    const response = await api.fetch(get(`${path}/events`));
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    while (text.split(': keep-alive\n').length < 3) text += (await reader?.read())?.value ?? '';
    expect(framesOfText(text).map(({ event }) => event)).toEqual([
      'thread.run.created',
      'thread.run.queued',
      'thread.run.in_progress',
    ]);
    // A blank line after a comment is an event without data for the official Python, Go and Java clients.
    expect(text).not.toContain('keep-alive\n\n');
    await reader?.cancel();
  });

  test("a silent stream of Azure's Java client, which can't read comments, is kept alive by an event it ignores", async () => {
    const path = await startRun('hang');
    sandbox.clock.advance(1);
    const { api } = watched({ keepAliveMs: 5 });
    const userAgent = 'app azsdk-java-azure-ai-openai-assistants/1.0.0-beta.5 (17.0.15; Linux; 6.1)';
    const response = await api.fetch(get(`${path}/events`, { 'user-agent': userAgent }));
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    while (text.split('keep-alive').length < 3) text += (await reader?.read())?.value ?? '';
    expect(text.split('\n\n').slice(3, -1)).toEqual([
      'event: done\ndata: keep-alive',
      'event: done\ndata: keep-alive',
    ]);
    await reader?.cancel();
  });

  test('a stream that sends events more often than the comment is due sends no comment', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
    const path = await startRun('hang');
    let next = deferred();
    const { api } = watched({ keepAliveMs: 100 }, async function* () {
      for (let seq = 1; seq <= 10; seq += 1) {
        await next.promise;
        next = deferred();
        yield textDelta(seq);
      }
      await new Promise(() => undefined);
    });
    const response = await api.fetch(get(`${path}/events`));
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    for (let count = 0; count < 10; count += 1) {
      vi.advanceTimersByTime(60);
      next.resolve();
      text += (await reader?.read())?.value ?? '';
    }
    expect(framesOfText(text)).toHaveLength(10);
    expect(text).not.toContain('keep-alive');
    vi.advanceTimersByTime(100);
    expect((await reader?.read())?.value).toBe(': keep-alive\n');
    void reader?.cancel();
  });
});

describe('ends that are not the end of the run', () => {
  test('shutting down tells every stream, and ends it', async () => {
    const path = await startRun('hang');
    const { api, subscribed } = watched({});
    const reading = Promise.resolve(api.fetch(get(`${path}/events`))).then((response) => response.text());
    await settle();
    api.shutdown();
    const frames = framesOfText(await reading);
    expect(frames.at(-1)).toMatchObject({ event: 'error', data: { error: { code: 'shutting_down' } } });
    expect(frames.map(({ event }) => event)).not.toContain('done');
    await settle();
    expect(subscribed()).toBe(0);
    const ready = await call(api.fetch, 'GET', '/readyz');
    expect([ready.status, ready.body]).toEqual([
      503,
      { status: 'not ready', problems: ['the server is shutting down'] },
    ]);
  });

  test.each([
    [
      'an engine that throws in mid-stream',
      async function* (): AsyncGenerator<SequencedEvent> {
        yield textDelta(1);
        throw new ApiError(410, 'Events up to 40 are gone.', { code: 'events_pruned' });
      },
      'events_pruned',
    ],
    [
      'an engine that stops before the run has ended',
      async function* (): AsyncGenerator<SequencedEvent> {
        yield textDelta(1);
      },
      'stream_ended',
    ],
  ])(
    '%s is a stated error in the nested shape that all clients raise, and no done',
    async (_, source, code) => {
      const path = await startRun('hang');
      const { api } = watched({}, source);
      const frames = await stream(api.fetch, 'GET', `${path}/events`);
      expect(names(frames)).toEqual(['thread.message.delta', 'error']);
      expect(frames[1]?.data).toMatchObject({ error: { code, message: expect.any(String) } });
    },
  );
});

describe('on a socket', () => {
  test('a reader that never reads is dropped, and its connection closed', async () => {
    const path = await startRun('hang');
    const { api, subscribed } = watched({ stallMs: 50, keepAliveMs: 10 }, async function* () {
      for (let seq = 1; ; seq += 1) {
        yield textDelta(seq);
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
    const served = await serveApi(api);
    const socket = connect(served.port, '127.0.0.1');
    socket.pause();
    socket.write(`GET ${path}/events HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`);
    while (subscribed() === 0) await settle();
    while (subscribed() > 0) await settle();
    // Reading now shows what was on its way, and then the end that the server made.
    const end = deferred<boolean>();
    socket.on('error', () => undefined).on('close', () => end.resolve(true));
    socket.resume();
    expect(await end.promise).toBe(true);
    await served.close();
  });
});
