import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { guardRefusal, type GuardedRequest } from '../../../dev-server/loopback-guard.ts';
import { freePort } from '../../../dev-server/ports.ts';
import { startUiProxy, type UiProxy } from '../../../dev-server/ui-proxy.ts';

const PORT = 8233;
const program: GuardedRequest = {
  method: 'POST',
  host: `127.0.0.1:${PORT}`,
  origin: undefined,
  fetchSite: undefined,
  fetchMode: undefined,
};

describe('the guard of a server on loopback', () => {
  test.each<[string, Partial<GuardedRequest>]>([
    ['a program on this machine', {}],
    ['the name localhost', { host: `localhost:${PORT}` }],
    [
      'its own page',
      { origin: `http://localhost:${PORT}`, host: `localhost:${PORT}`, fetchSite: 'same-origin' },
    ],
    ['the address bar', { method: 'GET', fetchSite: 'none', fetchMode: 'navigate' }],
    ['a link on another page', { method: 'GET', fetchSite: 'cross-site', fetchMode: 'navigate' }],
  ])('answers %s', (_name, change) => {
    expect(guardRefusal({ ...program, ...change }, PORT)).toBeNull();
  });

  test.each<[string, Partial<GuardedRequest>, number]>([
    ['a name that was rebound to loopback', { host: `evil.example:${PORT}` }, 421],
    ['a name that begins like its own', { host: `127.0.0.1.evil.example:${PORT}` }, 421],
    ['another port', { host: '127.0.0.1:9' }, 421],
    ['no Host at all', { host: undefined }, 421],
    ['the page of another origin', { origin: 'https://evil.example' }, 403],
    ['the page of another port', { origin: 'http://127.0.0.1:9000' }, 403],
    ['a page without an origin', { origin: 'null' }, 403],
    [
      'an image or script of another site',
      { method: 'GET', fetchSite: 'cross-site', fetchMode: 'no-cors' },
      403,
    ],
    [
      'a page of another port of this machine',
      { method: 'GET', fetchSite: 'same-site', fetchMode: 'cors' },
      403,
    ],
    ['a form of another site', { fetchSite: 'cross-site', fetchMode: 'navigate' }, 403],
  ])('refuses %s', (_name, change, status) => {
    expect(guardRefusal({ ...program, ...change }, PORT)?.status).toBe(status);
  });
});

describe('the proxy before the Web UI', () => {
  const seen: string[] = [];
  const behind = createServer((incoming, outgoing) => {
    seen.push(`${incoming.method} ${incoming.url}`);
    outgoing.writeHead(207, { 'content-type': 'text/plain', 'set-cookie': ['a=1', 'b=2'] });
    incoming.pipe(outgoing);
  });
  let proxied: UiProxy;
  let port: number;
  beforeAll(async () => {
    await new Promise<void>((resolve) => {
      behind.listen(0, '127.0.0.1', resolve);
    });
    port = await freePort();
    proxied = await startUiProxy(`http://127.0.0.1:${(behind.address() as AddressInfo).port}`, port);
  });
  afterAll(async () => {
    await proxied.close();
    behind.close();
  });

  const send = (
    headers: Record<string, string>,
    body: string,
  ): Promise<{ status: number | undefined; text: string; cookies: string[] | undefined }> =>
    new Promise((resolve, reject) => {
      const sent = request(
        { host: '127.0.0.1', port, path: '/api/v1/x?y=%2F', method: 'POST', headers },
        (answer) => {
          let text = '';
          answer.setEncoding('utf8').on('data', (piece: string) => (text += piece));
          answer.once('end', () =>
            resolve({ status: answer.statusCode, text, cookies: answer.headers['set-cookie'] }),
          );
        },
      );
      sent.once('error', reject);
      sent.end(body);
    });

  test('forwards method, path, query and body, and answers with status, cookies and body', async () => {
    const answer = await send({ host: `localhost:${port}` }, 'hello');
    expect(answer).toEqual({ status: 207, text: 'hello', cookies: ['a=1', 'b=2'] });
    expect(seen).toEqual(['POST /api/v1/x?y=%2F']);
  });

  test('forwards nothing of a page whose name was rebound to this machine', async () => {
    const before = seen.length;
    const answer = await send({ host: `evil.example:${port}` }, 'signal');
    expect(answer.status).toBe(421);
    expect(answer.text).toContain('"evil.example');
    expect(seen).toHaveLength(before);
  });

  test('refuses a port that is in use', async () => {
    await expect(startUiProxy('http://127.0.0.1:1', port)).rejects.toThrow('EADDRINUSE');
  });
});
