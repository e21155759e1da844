/**
 * Heads of requests in all forms, and senders that do not come to an end: rows of docs/contributing/faults.md about what is sent before a
 * key is known.
 *
 * Proves: a key counts in one form only, an ambiguous length is refused and nothing behind it is read as a request, a
 * compressed body is refused unread, and a slow head or body is cut off. The cases were tried on a process of `runs dev`, too,
 * with its own limits of time.
 */
import { connect } from 'node:net';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApi, keyAuth, parseApiKeys, serveApi, type ServedApi } from '../../../api/index.ts';
import { createSandboxEngine } from '../../../testing/index.ts';

const KEY = 'sk-of-the-heads-0123456789';
const AUTH = `authorization: Bearer ${KEY}`;

let served: ServedApi;
let open: ServedApi;
beforeAll(async () => {
  const auth = keyAuth(parseApiKeys(`acme:${KEY}:*`));
  const slowMs = { head: 300, request: 900 };
  served = await serveApi(createApi({ engine: createSandboxEngine(), auth }), { slowMs });
  open = await serveApi(createApi({ engine: createSandboxEngine() }));
});
afterAll(() => Promise.all([served.close(), open.close()]));

interface Talk {
  heard: string;
  statuses: number[];
}

/** Everything that the server says to these bytes, until it closes. `drip`: sent every 50 ms from then on. */
const talk = (bytes: string | Buffer, { drip = '', to = served } = {}): Promise<Talk> =>
  new Promise((resolve) => {
    let heard = '';
    const socket = connect(to.port, '127.0.0.1', () => void socket.write(bytes));
    const more = drip === '' ? undefined : setInterval(() => void socket.write(drip), 50);
    socket.on('data', (piece) => (heard += piece.toString('latin1')));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearInterval(more);
      const statuses = [...heard.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
      resolve({ heard, statuses });
    });
  });

const get = (headers: string[], target = '/v1/assistants', version = '1.1'): string =>
  [`GET ${target} HTTP/${version}`, 'host: 127.0.0.1', ...headers, 'connection: close', '', ''].join('\r\n');
const post = (headers: string[], body: string): string =>
  [
    'POST /v1/threads HTTP/1.1',
    'host: 127.0.0.1',
    AUTH,
    'content-type: application/json',
    ...headers,
    '',
    body,
  ].join('\r\n');

describe('a key', () => {
  test.each<[string, string[], number]>([
    ['as it should be', [AUTH], 200],
    ['with odd case', [`aUtHoRiZaTiOn: bEaReR ${KEY}`], 200],
    ['in the header of Azure’s clients', [`api-key: ${KEY}`], 200],
    ['not at all', [], 401],
    ['before another one', [AUTH, 'authorization: Bearer other'], 401],
    ['behind another one', ['authorization: Bearer other', AUTH], 401],
    ['twice', [AUTH, AUTH], 401],
    ['beside a wrong one in the other header', ['authorization: Bearer other', `api-key: ${KEY}`], 401],
    ['folded over two lines', ['authorization: Bearer', ` ${KEY}`], 400],
    ['with a space before the colon', [`authorization : Bearer ${KEY}`], 400],
    ['with tabs', [`authorization:\tBearer\t${KEY}`], 401],
    ['with a NUL behind it', [`${AUTH}\0`], 400],
    ['as a password', [`authorization: Basic ${Buffer.from(`x:${KEY}`).toString('base64')}`], 401],
    ['behind more headers than are read', [...Array.from({ length: 1_500 }, () => 'a: 1'), AUTH], 401],
    ['for another address that a header names', ['x-original-url: /v1/assistants'], 401],
  ])('%s: %s', async (_how, headers, status) => {
    expect((await talk(get(headers))).statuses).toEqual([status]);
  });

  test('in a trailer of the body counts for nothing', async () => {
    const sent = `POST /v1/threads HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\ntrailer: authorization\r\n\r\n2\r\n{}\r\n0\r\n${AUTH}\r\n\r\n`;
    expect((await talk(sent)).statuses).toEqual([401]);
  });

  test('of one request says nothing about the next one on its connection', async () => {
    const first = get([AUTH]).replace('connection: close\r\n', '');
    expect((await talk(first + get([]))).statuses).toEqual([200, 401]);
  });
});

describe('a target', () => {
  test.each<[string, string, number[]]>([
    ['in absolute form, of this server', get([AUTH], 'http://127.0.0.1/v1/assistants'), [200]],
    ['in absolute form, without a key', get([], 'http://evil.example/v1/assistants'), [401]],
    ['of a tunnel', `CONNECT evil.example:80 HTTP/1.1\r\nhost: a\r\n${AUTH}\r\n\r\n`, []],
    ['of all', `OPTIONS * HTTP/1.1\r\nhost: a\r\n${AUTH}\r\nconnection: close\r\n\r\n`, [400]],
    ['with a fragment', get([AUTH], '/v1/assistants#/../x'), [404]],
    ['of 20 KB', get([AUTH], `/v1/${'a'.repeat(20_000)}`), [431]],
    ['of HTTP/1.0', get([AUTH], '/v1/assistants', '1.0'), [200]],
    ['of HTTP/1.1 without a host', `GET /v1/assistants HTTP/1.1\r\n${AUTH}\r\n\r\n`, [400]],
    ['of HTTP/0.9', 'GET /v1/assistants\r\n', [408]],
  ])('%s', async (_what, sent, statuses) => {
    const { heard, statuses: got } = await talk(sent);
    expect(got).toEqual(statuses);
    expect(heard).not.toContain('evil.example');
  });

  test('of a server without keys names this machine, in host and target', async () => {
    const foreign =
      'GET http://evil.example/v1/assistants HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n';
    expect((await talk(foreign, { to: open })).statuses).toEqual([403]);
    const twice = get(['host: evil.example']);
    expect((await talk(twice, { to: open })).statuses).not.toContain(200);
    expect((await talk(get([]), { to: open })).statuses).toEqual([200]);
  });
});

describe('a length', () => {
  const SMUGGLED = `0\r\n\r\nGET /v1/assistants HTTP/1.1\r\nhost: a\r\n${AUTH}\r\n\r\n`;
  test.each<[string, string[]]>([
    ['in two ways', ['content-length: 6', 'transfer-encoding: chunked']],
    ['twice and different', ['content-length: 2', 'content-length: 5']],
    ['twice and the same', ['content-length: 2', 'content-length: 2']],
    ['as a list', ['content-length: 2, 2']],
    ['with a sign', ['content-length: +2']],
    ['of an unknown transfer coding', ['transfer-encoding: xchunked']],
    ['of chunks before another coding', ['transfer-encoding: chunked, identity']],
    ['with a space before the colon', ['transfer-encoding : chunked', 'content-length: 3']],
    ['folded', ['transfer-encoding:', ' chunked', 'content-length: 3']],
  ])('%s is refused, and what follows is no request', async (_how, headers) => {
    expect((await talk(post(headers, SMUGGLED))).statuses).toEqual([400]);
  });

  test('of headers has a maximum', async () => {
    expect((await talk(get([AUTH, `x: ${'y'.repeat(20_000)}`]))).statuses).toEqual([431]);
    const many = Array.from({ length: 3_000 }, (_, at) => `x${at}: 1`);
    expect((await talk(get([AUTH, ...many]))).statuses).toEqual([431]);
    const extension = `2;${'x'.repeat(30_000)}\r\n{}\r\n0\r\n\r\n`;
    expect((await talk(post(['transfer-encoding: chunked'], extension))).statuses).toEqual([413]);
  });
});

describe('a body that is compressed', () => {
  const plain = Buffer.alloc(30_000_000, 0x20);
  test.each<[string, Buffer]>([
    ['gzip', gzipSync(plain)],
    ['GZIP', gzipSync(plain)],
    ['br', brotliCompressSync(plain)],
    ['identity, gzip', gzipSync(plain)],
    ['zstd', Buffer.from('x')],
  ])('as %s is refused unread', async (encoding, bytes) => {
    const head = post(
      [`content-encoding: ${encoding}`, `content-length: ${bytes.length}`, 'connection: close'],
      '',
    );
    expect((await talk(Buffer.concat([Buffer.from(head), bytes]))).statuses).toEqual([415]);
  });

  test('as a transfer coding is read as it came, and is no JSON', async () => {
    const bytes = gzipSync(Buffer.from('{}'));
    const head = post(
      ['transfer-encoding: gzip, chunked', 'connection: close'],
      `${bytes.length.toString(16)}\r\n`,
    );
    const sent = Buffer.concat([Buffer.from(head), bytes, Buffer.from('\r\n0\r\n\r\n')]);
    expect((await talk(sent)).statuses).toEqual([400]);
  });
});

describe('a sender that is slow', () => {
  const head = 'GET /v1/assistants HTTP/1.1\r\nhost: a\r\n';
  test.each<[string, string, string]>([
    ['sends nothing', '', ''],
    ['stops in its head', `${head}x: `, ''],
    ['drips its head', `${head}x: `, 'y'],
    ['drips headers', head, 'x: y\r\n'],
    ['drips a body', post(['content-length: 100000'], '{'), ' '],
    ['drips chunks', post(['transfer-encoding: chunked'], '1\r\n{\r\n'), '1\r\n \r\n'],
  ])('and %s is cut off', async (_how, first, drip) => {
    expect((await talk(first, { drip })).statuses).toEqual([408]);
  });

  test('and has no key is refused before its body', async () => {
    const sent = 'POST /v1/threads HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n{';
    expect((await talk(sent, { drip: ' ' })).statuses[0]).toBe(401);
  });
});
