/**
 * Bytes of a hostile or broken server, read by our own HTTP client: rows 24 and 26 of docs/contributing/faults.md.
 *
 * Proves: events are those of the specification whatever the bytes and pieces, a cut document is no document, and whatever
 * a socket says, the outcome is JSON or a typed failure, within bounds. Does not prove: TLS, proxies in between.
 */
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import {
  createHttpClient,
  HttpFailure,
  sseEvents,
  SseLimitError,
  type HttpClient,
} from '../../../backends/http/index.ts';
import { parseJson } from '../../../backends/http/json.ts';
import { createSseParser, type SseEvent } from '../../../backends/http/sse.ts';
import { holds, holdsAsync } from '../../support/fuzz.ts';
import { raw, reply, scriptedHttp, type ScriptedHttp } from '../../support/scripted-http.ts';

/** All events of a whole stream, as the specification of server-sent events has it, line by line. */
const specified = (bytes: Uint8Array): SseEvent[] => {
  const lines = new TextDecoder().decode(bytes).split(/\r\n|\r|\n/);
  // What has no line end is no line.
  lines.pop();
  const events: SseEvent[] = [];
  let [type, data, id]: [string, string, string | null] = ['', '', null];
  for (const line of lines) {
    if (line === '') {
      if (data !== '') events.push({ event: type || 'message', data: data.slice(0, -1), id });
      [type, data] = ['', ''];
      continue;
    }
    const [, name = '', value = ''] = /^([^:]*)(?:: ?)?([\s\S]*)$/.exec(line) ?? [];
    if (name === 'event') type = value;
    if (name === 'data') data += `${value}\n`;
    if (name === 'id' && !value.includes('\0')) id = value;
  }
  return events;
};

const fragment = fc.oneof(
  fc
    .constantFrom(
      'data: ',
      'data:',
      'data',
      'event: e',
      'id: 7',
      'id: a\0b',
      'retry: 9',
      ': ping',
      'da',
      '\n',
      '\r',
      '\r\n',
      '\n\n',
      '\r\r',
      '\ufeff',
      '\0',
      '😀',
      '{"a":[1,2]}',
      '[DONE]',
      'x'.repeat(5_000),
    )
    .map((text) => Buffer.from(text)),
  fc
    .constantFrom([0xff], [0xc3], [0xe2, 0x82], [0xf0, 0x9f, 0x98], [0xef, 0xbb])
    .map((bytes) => Buffer.from(bytes)),
  fc.uint8Array({ maxLength: 6 }).map((bytes) => Buffer.from(bytes)),
);

test('events of any bytes in any pieces are those of a reader written from the specification', () => {
  holds(
    fc.property(
      fc.array(fragment, { maxLength: 40 }),
      fc.array(fc.nat(), { maxLength: 20 }),
      (fragments, cuts) => {
        const bytes = Buffer.concat(fragments);
        const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted(
          (a, b) => a - b,
        );
        const parser = createSseParser();
        const events = at.flatMap((from, index) => parser.push(bytes.subarray(from, at[index + 1] ?? from)));
        expect(events).toEqual(specified(bytes));
      },
    ),
    { runs: 700 },
  );
});

describe('JSON', () => {
  test('that is cut at any byte is refused', () => {
    const document = fc.oneof(
      fc.dictionary(fc.string(), fc.jsonValue()),
      fc.array(fc.jsonValue(), { maxLength: 5 }),
    );
    holds(
      fc.property(document, fc.nat(), (value, cut) => {
        const text = JSON.stringify(value);
        expect(() => parseJson(text.slice(0, cut % text.length))).toThrow(SyntaxError);
      }),
      { runs: 500 },
    );
  });

  test('with a key twice has the last of the two, and no prototype from either', () => {
    expect(parseJson('{"status":"queued","status":"completed"}')).toEqual({ status: 'completed' });
    const value = parseJson('{"__proto__":{"a":1},"__proto__":{"b":1},"a":{"__proto__":1,"__proto__":2}}');
    expect(JSON.stringify(value)).toBe('{"a":{}}');
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  });

  test.each(['\u0000', '{"a":"\u0000"}', '{"a":1}\u0000', '\ufeff\ufeff{}', '{"a":NaN}', '{"a":1}{"b":2}'])(
    '%j is none',
    (text) => {
      expect(() => parseJson(text)).toThrow(SyntaxError);
    },
  );
});

describe('a socket that says anything', () => {
  let server: ScriptedHttp;
  let client: HttpClient;
  beforeAll(async () => {
    server = await scriptedHttp();
    client = createHttpClient({
      baseUrl: server.url,
      apiKey: 'sk-canary-0123456789',
      maxBodyBytes: 50_000,
      timeouts: { headersMs: 2_000, bodyGapMs: 2_000, totalMs: 4_000, streamGapMs: 2_000 },
    });
  });
  afterAll(async () => {
    await client.close();
    await server.close();
  });

  const request = { method: 'POST', path: ['things'], route: '/things', body: { a: 1 } } as const;

  /** `json`, `events`, or the kind of the failure; any other error comes out. */
  const outcome = async (how: 'json' | 'stream'): Promise<string> => {
    try {
      if (how === 'json') return typeof (await client.json(request)).status === 'number' ? 'json' : 'nothing';
      const answer = await client.stream(request);
      if (answer.kind === 'json') return 'json';
      for await (const { data } of sseEvents(answer.chunks, { maxLineChars: 60_000 }))
        if (data === 'stop') break;
      return 'events';
    } catch (error) {
      if (error instanceof SseLimitError) return 'limit';
      if (!(error instanceof HttpFailure)) throw error;
      expect(`${error.message} ${JSON.stringify(error.facts)}`).not.toContain('canary');
      expect(error.message.length).toBeLessThan(1_000);
      return error.kind;
    }
  };

  const OUTCOMES = [
    'json',
    'events',
    'limit',
    'bad_body',
    'status',
    'network_ambiguous',
    'network_before_send',
    'timeout',
  ];

  const header = fc.oneof(
    fc.constantFrom(
      'content-type: application/json',
      'content-type: text/event-stream',
      'content-type: text/html; charset=nonsense',
      'content-encoding: gzip',
      'content-encoding: zstd, br',
      'content-length: 3',
      'content-length: 99999999999',
      'content-length: -1',
      'content-length: 5\r\ncontent-length: 6',
      'transfer-encoding: chunked',
      'retry-after: soon',
      'date: never',
      'location: http://127.0.0.1:1/',
      'x-echo: Bearer sk-canary-0123456789',
      'no colon at all',
      ': no name',
      `x-long: ${'y'.repeat(20_000)}`,
    ),
    fc.string({ unit: 'binary', maxLength: 20 }),
  );
  const body = fc.oneof(
    fc.jsonValue().map((value) => JSON.stringify(value)),
    fc.constantFrom(
      '',
      '{',
      '{"error":{"message":"sk-canary-0123456789"}}',
      'data: 1\n\n',
      'x'.repeat(60_000),
      '9\r\n{"a":',
    ),
    fc.string({ unit: 'binary' }),
  );
  const answer = fc
    .tuple(
      fc.constantFrom(
        'HTTP/1.1 200 OK',
        'HTTP/1.1 500 No',
        'HTTP/1.1 204',
        'HTTP/1.1 302 There',
        'HTTP/9.9 200',
        'HTTP/1.1 99999',
        'SIP/2.0 200 OK',
        '',
      ),
      fc.array(header, { maxLength: 5 }),
      body,
    )
    .map(([status, headers, text]) => [status, ...headers, '', text].join('\r\n'));

  test('for any bytes of a server, the outcome is JSON or a typed failure', async () => {
    const seen = new Set<string>();
    await holdsAsync(
      fc.asyncProperty(
        answer,
        fc.constantFrom('json', 'stream'),
        fc.constantFrom('end', 'cut'),
        async (bytes, how, then) => {
          server.script.push(raw(Buffer.from(bytes, 'latin1'), then));
          const what = await outcome(how);
          seen.add(what);
          expect(OUTCOMES).toContain(what);
          // Nothing was sent twice, and nothing is left for the next one.
          expect([server.script.length, server.overrun]).toEqual([0, 0]);
        },
      ),
      { runs: 150, ms: 5_000 },
    );
    expect([...seen].toSorted()).toEqual(expect.arrayContaining(['bad_body', 'network_ambiguous', 'status']));
  });

  test('bombs are refused, wherever they are hidden', async () => {
    const zeros = Buffer.alloc(30_000_000, 0x20);
    const bombs: [string, Buffer][] = [
      ['gzip', gzipSync(zeros)],
      ['deflate', deflateSync(zeros)],
      ['br', brotliCompressSync(zeros)],
    ];
    for (const [encoding, bytes] of bombs)
      for (const [status, type, how, expected] of [
        [200, 'application/json', 'json', 'bad_body'],
        [200, 'application/json', 'stream', 'bad_body'],
        [200, 'text/event-stream', 'stream', 'bad_body'],
        [500, 'application/json', 'json', 'status'],
        [400, 'text/html', 'stream', 'status'],
      ] as const) {
        server.script.push(reply(status, bytes, { 'content-type': type, 'content-encoding': encoding }));
        expect([encoding, status, type, how, await outcome(how)]).toEqual([
          encoding,
          status,
          type,
          how,
          expected,
        ]);
      }
  });
});
