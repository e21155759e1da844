/**
 * Every fault of the sandbox happens, observably, on a real socket; and the same fault means the same thing in process.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { request as undiciRequest } from 'undici';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createSandbox } from '../../../testing/index.ts';
import type { FaultAction, Sandbox } from '../../../testing/index.ts';
import { call, caller, framesOfText } from '../../support/http.ts';
import type { Fetch } from '../../support/http.ts';

let sandbox: Sandbox;
beforeEach(async () => {
  sandbox = await createSandbox();
});
afterEach(() => sandbox.close());

const socketFetch: Fetch = (request) =>
  fetch(request.url.replace('http://127.0.0.1', sandbox.url.slice(0, -3)), request);
const inProcess: Fetch = (request) => sandbox.fetch(request);
const WAYS: [string, Fetch][] = [
  ['on a socket', socketFetch],
  ['in process', inProcess],
];

const fault = (action: FaultAction, path = '/v1/threads'): void => {
  sandbox.faults.add({ match: { path }, action });
};
const createThread = (send: Fetch) => call(send, 'POST', '/v1/threads', { metadata: { made: 'yes' } });
const statusOf = async (send: Fetch): Promise<number> => (await createThread(send)).status;
const threadsMade = (): number =>
  sandbox.requests.filter(({ path, status }) => path === '/v1/threads' && status === 200).length;

const streamRun = async (
  send: Fetch,
  script = 'words:3',
): Promise<{ response: Response; text: string; lost: boolean }> => {
  const response = await send(
    new Request('http://127.0.0.1/v1/threads/runs', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ assistant_id: `asst_${script}`, stream: true }),
    }),
  );
  const decoder = new TextDecoder();
  let text = '';
  try {
    for await (const part of response.body ?? [])
      text += decoder.decode(part as Uint8Array, { stream: true });
    return { response, text: text + decoder.decode(), lost: false };
  } catch {
    return { response, text, lost: true };
  }
};
const events = (text: string): (string | null)[] => framesOfText(text).map(({ event }) => event);
const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => null,
    (error: unknown) => error,
  );

describe.each(WAYS)('%s', (_, send) => {
  test.each(['before', 'after'] as const)(
    'reset %s: the connection breaks; the effect is there only after',
    async (when) => {
      const { id } = await sandbox.engine.createThread(caller(), {});
      sandbox.faults.add({ match: { method: 'DELETE' }, action: { kind: 'reset', when } });
      const error = await failure(call(send, 'DELETE', `/v1/threads/${id}`));
      expect(error).toBeInstanceOf(TypeError);
      expect(error).toMatchObject({ message: 'fetch failed' });
      const left = await call(send, 'GET', `/v1/threads/${id}`);
      expect(left.status).toBe(when === 'before' ? 200 : 404);
      expect(sandbox.requests[0]).toMatchObject({ method: 'DELETE', status: null, fault: 'reset' });
    },
  );

  test.each(['before', 'after'] as const)(
    'hang %s: no answer comes until the caller gives up',
    async (when) => {
      const { id } = await sandbox.engine.createThread(caller(), {});
      sandbox.faults.add({ match: { method: 'DELETE' }, action: { kind: 'hang', when } });
      const request = new Request(`http://127.0.0.1/v1/threads/${id}`, {
        method: 'DELETE',
        signal: AbortSignal.timeout(60),
      });
      expect(await failure(Promise.resolve(send(request)))).toBeInstanceOf(Error);
      const left = await call(send, 'GET', `/v1/threads/${id}`);
      expect(left.status).toBe(when === 'before' ? 200 : 404);
    },
  );

  test('stall_body sends the head and a part, and never the rest', async () => {
    fault({ kind: 'stall_body', bytes: 10 });
    const response = await send(
      new Request('http://127.0.0.1/v1/threads', { method: 'POST', signal: AbortSignal.timeout(5000) }),
    );
    expect(response.status).toBe(200);
    const reader = response.body?.getReader();
    const first = await reader?.read();
    expect(new TextDecoder().decode(first?.value)).toBe('{"id":"thr');
    const second = await Promise.race([reader?.read(), wait(40, 'silence')]);
    expect(second).toBe('silence');
    await failure(Promise.resolve(reader?.cancel()));
  });

  test('status answers with it, its headers and body, and processes nothing unless asked', async () => {
    fault({ kind: 'status', status: 429, headers: { 'retry-after': '7' } });
    const limited = await createThread(send);
    expect([limited.status, limited.headers.get('retry-after'), threadsMade()]).toEqual([429, '7', 0]);
    fault({
      kind: 'status',
      status: 503,
      body: 'upstream is ill',
      headers: { 'content-type': 'text/plain' },
    });
    expect(await createThread(send)).toMatchObject({ status: 503, body: 'upstream is ill' });
    const { id } = await sandbox.engine.createThread(caller(), {});
    fault({ kind: 'status', status: 502, processed: true }, id);
    expect((await call(send, 'DELETE', `/v1/threads/${id}`)).status).toBe(502);
    expect((await call(send, 'GET', `/v1/threads/${id}`)).status).toBe(404);
  });

  test('headers and content_type change the real answer', async () => {
    fault({ kind: 'headers', headers: { 'openai-poll-after-ms': '9', 'retry-after-ms': '5' } });
    const answer = await createThread(send);
    expect([answer.status, answer.headers.get('openai-poll-after-ms')]).toEqual([200, '9']);
    fault({ kind: 'content_type', value: 'text/html' });
    expect((await createThread(send)).headers.get('content-type')).toBe('text/html');
  });

  test('truncate_json and body give a complete answer that is not JSON, or another one', async () => {
    fault({ kind: 'truncate_json' });
    const half = await createThread(send);
    expect(half.status).toBe(200);
    expect(() => JSON.parse(String(half.body))).toThrow(SyntaxError);
    fault({ kind: 'body', text: '<html>proxy</html>' });
    expect((await createThread(send)).body).toBe('<html>proxy</html>');
  });

  test.each(['close', 'reset'] as const)(
    'cut (%s): the first events come whole, then the connection breaks',
    async (how) => {
      fault({ kind: 'cut', events: 3, how });
      const { text, lost } = await streamRun(send);
      expect(events(text)).toEqual(['thread.created', 'thread.run.created', 'thread.run.queued']);
      expect(lost).toBe(true);
    },
  );

  test('cut at the end ends the body in good order without a final event', async () => {
    fault({ kind: 'cut', events: 3, how: 'end' });
    const { text, lost } = await streamRun(send);
    expect(events(text)).toHaveLength(3);
    expect(lost).toBe(false);
  });

  test('cut breaks off inside an event, and inside a character', async () => {
    fault({ kind: 'cut', events: 2, inside: 'event' });
    const { text } = await streamRun(send);
    expect(text.split('\n\n')).toHaveLength(3);
    expect(text.split('\n\n')[2]).toMatch(/^event: thread.run.queued\ndata: \{/);
    fault({ kind: 'cut', events: 2, inside: 'character', how: 'end' });
    const broken = await streamRun(send);
    expect(broken.text.endsWith('caf\uFFFD')).toBe(true);
  });

  test('stall_stream is silent after the first events', async () => {
    fault({ kind: 'stall_stream', events: 1 });
    const response = await send(
      new Request('http://127.0.0.1/v1/threads/runs', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ assistant_id: 'asst_chat', stream: true }),
      }),
    );
    const reader = response.body?.getReader();
    await reader?.read();
    expect(await Promise.race([reader?.read(), wait(40, 'silence')])).toBe('silence');
    await failure(Promise.resolve(reader?.cancel()));
  });

  test('duplicate, reorder and drop change the events that arrive, and nothing of the run', async () => {
    const plain = events((await streamRun(send)).text);
    fault({ kind: 'duplicate_events', at: [1] });
    const doubled = events((await streamRun(send)).text);
    expect(doubled).toEqual([plain[0], plain[1], ...plain.slice(1)]);
    fault({ kind: 'reorder_events', at: 1 });
    const swapped = events((await streamRun(send)).text);
    expect(swapped).toEqual([plain[0], plain[2], plain[1], ...plain.slice(3)]);
    fault({ kind: 'drop_event', at: 2 });
    expect(events((await streamRun(send)).text)).toEqual(plain.toSpliced(2, 1));
  });

  test('unknown events, garbage and comments come between the real ones, which all arrive', async () => {
    const plain = events((await streamRun(send)).text);
    fault({ kind: 'unknown_events' });
    const strange = events((await streamRun(send)).text);
    expect(strange.filter((name) => name !== 'thread.run.daydreaming')).toEqual(plain);
    expect(strange).toHaveLength(plain.length * 2);
    fault({ kind: 'garbage_events' });
    const { text } = await streamRun(send);
    expect(text).toContain('data: not json at all');
    expect(text).toContain('\u0000\u0001\u0002 binary rubbish');
    fault({ kind: 'comments' });
    const commented = (await streamRun(send)).text;
    // The decoder of `fetch` bodies eats a BOM, so it is counted in bytes elsewhere; comments and fields stand here.
    expect(commented).toContain(': a comment\n:\nretry: 3000\nflavour: vanilla\n');
    expect(events(commented)).toEqual(plain);
  });

  test('line endings may be CR, CRLF, and all of them mixed', async () => {
    fault({ kind: 'line_endings', with: 'cr' });
    const cr = (await streamRun(send)).text;
    expect(cr).not.toContain('\n');
    fault({ kind: 'line_endings', with: 'crlf' });
    expect((await streamRun(send)).text.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/);
    fault({ kind: 'line_endings', with: 'mixed' });
    const mixed = (await streamRun(send)).text;
    expect(mixed).toMatch(/[^\r]\n\n/);
    expect(mixed).toMatch(/\r\r[^\n]/);
    expect(mixed).toContain('\r\n\r\n');
  });

  test('split data spreads one event over many data lines, which are the same JSON when joined', async () => {
    fault({ kind: 'split_data' });
    const { text } = await streamRun(send);
    const block = text.split('\n\n').find((item) => item.includes('event: thread.run.created')) ?? '';
    const lines = block.split('\n').filter((line) => line.startsWith('data: '));
    expect(lines.length).toBeGreaterThan(10);
    const joined = lines.map((line) => line.slice('data: '.length)).join('\n');
    expect(JSON.parse(joined)).toMatchObject({ object: 'thread.run', status: 'queued' });
  });

  test('a huge line arrives whole', async () => {
    fault({ kind: 'huge_line', bytes: 2_000_000, at: 1 });
    const { text } = await streamRun(send);
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBe(2_000_002);
  });

  test('an error event has the nested shape, and the stream ends with it', async () => {
    fault({ kind: 'error_event', at: 2, error: { message: 'The model is overloaded.', code: 'overloaded' } });
    const frames = framesOfText((await streamRun(send)).text);
    expect(frames.at(-1)).toEqual({
      id: null,
      event: 'error',
      data: {
        error: { message: 'The model is overloaded.', type: 'server_error', param: null, code: 'overloaded' },
      },
    });
    expect(frames).toHaveLength(3);
  });

  test('dribble sends the same bytes, a few at a time', async () => {
    fault({ kind: 'dribble', bytes: 7 });
    const { text } = await streamRun(send);
    expect(events(text).at(-1)).toBe('done');
  });

  test('stale shows a run as it was before', async () => {
    const started = await call(send, 'POST', '/v1/threads/runs', { assistant_id: 'asst_weather' });
    const { id, thread_id: thread } = started.body as { id: string; thread_id: string };
    sandbox.clock.advance(10);
    const path = `/v1/threads/${thread}/runs/${id}`;
    fault({ kind: 'stale' }, path);
    expect((await call(send, 'GET', path)).body).toMatchObject({ id, status: 'in_progress' });
    fault({ kind: 'stale', back: 2 }, path);
    expect((await call(send, 'GET', path)).body).toMatchObject({ id, status: 'queued' });
    expect((await call(send, 'GET', path)).body).toMatchObject({ id, status: 'requires_action' });
  });

  test('delay waits by the clock of the sandbox, not by ours', async () => {
    fault({ kind: 'delay', ms: 3_600_000 });
    let answered = false;
    const answer = createThread(send).then((value) => {
      answered = true;
      return value;
    });
    while (sandbox.clock.pending === 0) await wait(1);
    expect(answered).toBe(false);
    sandbox.clock.advance(3_600_000);
    expect((await answer).status).toBe(200);
  });

  test('big_body is as large as asked, and never held in memory', async () => {
    fault({ kind: 'big_body', bytes: 50_000_000 });
    const before = process.memoryUsage().rss;
    const response = await send(new Request('http://127.0.0.1/v1/threads', { method: 'POST' }));
    let bytes = 0;
    for await (const part of response.body ?? []) bytes += (part as Uint8Array).byteLength;
    expect(bytes).toBe(50_000_000);
    expect(process.memoryUsage().rss - before).toBeLessThan(200_000_000);
  });

  test('one fault hits one request by default; times and nth say otherwise', async () => {
    fault({ kind: 'status', status: 500 });
    expect([await statusOf(send), await statusOf(send)]).toEqual([500, 200]);
    const twice = sandbox.faults.add({ action: { kind: 'status', status: 500 }, times: 2 });
    expect([await statusOf(send), await statusOf(send), await statusOf(send)]).toEqual([500, 500, 200]);
    expect(twice.hits).toBe(2);
    sandbox.faults.add({
      match: { path: /^\/v1\/threads$/, nth: 2 },
      action: { kind: 'status', status: 500 },
    });
    expect([await statusOf(send), await statusOf(send), await statusOf(send)]).toEqual([200, 500, 200]);
    sandbox.faults.add({ match: { method: 'DELETE' }, action: { kind: 'status', status: 500 } });
    expect([await statusOf(send), sandbox.faults.pending]).toEqual([200, 1]);
    sandbox.faults.clear();
    expect(sandbox.faults.pending).toBe(0);
  });
});

describe('on a socket, below fetch', () => {
  test('gzip_bomb is kilobytes on the wire, and as many megabytes unpacked as asked', async () => {
    fault({ kind: 'gzip_bomb', bytes: 64 * 1024 * 1024 });
    const { headers, body } = await undiciRequest(`${sandbox.url}/threads`, { method: 'POST' });
    expect(headers['content-encoding']).toBe('gzip');
    const packed = await body.arrayBuffer();
    expect(packed.byteLength).toBeLessThan(128 * 1024);
    fault({ kind: 'gzip_bomb', bytes: 64 * 1024 * 1024 });
    const unpacked = await fetch(`${sandbox.url}/threads`, { method: 'POST' });
    let bytes = 0;
    for await (const part of unpacked.body ?? []) bytes += (part as Uint8Array).byteLength;
    expect(bytes).toBe(64 * 1024 * 1024);
  });

  test('comments begin with a byte order mark', async () => {
    fault({ kind: 'comments' });
    const { body } = await undiciRequest(`${sandbox.url}/threads/runs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ assistant_id: 'asst_chat', stream: true }),
    });
    const bytes = new Uint8Array(await body.arrayBuffer());
    expect(Array.from(bytes.slice(0, 3))).toEqual([0xef, 0xbb, 0xbf]);
  });

  test('a reset has the code of one, whether before the head or in mid-body', async () => {
    fault({ kind: 'reset', when: 'before' });
    const early = await failure(undiciRequest(`${sandbox.url}/threads`, { method: 'POST' }));
    expect(early).toMatchObject({ code: expect.stringMatching(/^(?:ECONNRESET|UND_ERR_SOCKET)$/) });
  });

  test('the model has the same faults', async () => {
    sandbox.faults.add({ match: { path: '/chat/completions' }, action: { kind: 'status', status: 529 } });
    const answer = await fetch(`${sandbox.modelUrl}/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: 'x' }] }),
    });
    expect(answer.status).toBe(529);
    expect(sandbox.requests.at(-1)).toMatchObject({ face: 'model', status: 529, fault: 'status' });
  });
});
