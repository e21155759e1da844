/** The files of the console: what is served, how it is cached, and that nothing beside them is. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApi, serveApi, type ServedApi } from '../../../api/index.ts';
import { createSandboxEngine } from '../../../testing/index.ts';
import { openDoor, sessionStoreInMemory } from '../../support/console-door.ts';

const SCRIPT = 'console.log("the console")';
const NAVIGATION = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };

const store = sessionStoreInMemory();
let dir: string;
let folder: string;
let served: ServedApi;
let origin: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'runs-console-'));
  folder = join(dir, 'console');
  await mkdir(join(folder, 'assets'), { recursive: true });
  await writeFile(join(dir, 'secret.txt'), 'a file beside the console');
  await writeFile(join(dir, 'console.json'), 'a file with its name');
  await writeFile(join(folder, 'index.html'), '<!doctype html><title>Console</title>');
  await writeFile(join(folder, 'favicon.svg'), '<svg xmlns="http://www.w3.org/2000/svg"/>');
  await writeFile(join(folder, 'assets', 'app-Ab12Cd34.js'), SCRIPT);
  await writeFile(join(folder, 'assets', 'app-Ab12Cd34.js.gz'), gzipSync(SCRIPT));
  await writeFile(join(folder, 'assets', 'notes.exe'), 'of a type that is not served');
  served = await serveApi(openDoor(store, { folder }));
  origin = new URL(served.url).origin;
});
afterAll(async () => {
  await served.close();
  await rm(dir, { recursive: true, force: true });
});

const get = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${origin}${path}`, { headers, redirect: 'manual' });

/** As it is written: `fetch` would resolve dots. */
const rawGet = (
  target: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; text: string }> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(origin);
    httpRequest({ hostname, port, path: target, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => (text += part));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    })
      .on('error', reject)
      .end();
  });

describe('the page', () => {
  test.each(['/console/', '/console/approvals/appr_1', '/console/tools/a.b/x', '/console/%F0%9F%98%80'])(
    '%s gets index.html, checked again each time',
    async (path) => {
      const response = await get(path);
      expect(response.status).toBe(200);
      expect(await response.text()).toContain('<title>Console</title>');
      expect(response.headers.get('cache-control')).toBe('no-cache');
      const etag = response.headers.get('etag') ?? '';
      const again = await get(path, { 'if-none-match': `W/${etag}` });
      expect([again.status, await again.text()]).toEqual([304, '']);
      expect((await get(path, { 'if-none-match': '"another"' })).status).toBe(200);
    },
  );

  test('lets no inline script, no foreign origin and no frame', async () => {
    const { headers } = await get('/console/');
    const policy = headers.get('content-security-policy') ?? '';
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    for (const rule of [
      "default-src 'none'",
      "script-src 'self'",
      "connect-src 'self'",
      "frame-ancestors 'none'",
      "base-uri 'none'",
    ])
      expect(policy.split('; ')).toContain(rule);
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('x-frame-options')).toBe('DENY');
    expect(headers.get('referrer-policy')).toBe('same-origin');
    expect(headers.get('set-cookie')).toBeNull();
  });

  test('is where a browser is sent to from the root, and a program is not', async () => {
    const browser = await get('/', NAVIGATION);
    expect([browser.status, browser.headers.get('location')]).toEqual([302, '/console/']);
    expect((await get('/')).status).toBe(404);
    const slash = await get('/console?x=1');
    expect([slash.status, slash.headers.get('location')]).toEqual([308, '/console/?x=1']);
  });

  test('opens from a link of another site, and its sessions do not', async () => {
    // `fetch` sets the mode itself.
    const link = { ...NAVIGATION, 'sec-fetch-site': 'cross-site' };
    expect((await rawGet('/console/approvals/appr_1', link)).status).toBe(200);
    for (const path of ['/console/session', '/console/sessions', '/v1/approvals', '/openapi.json'])
      expect((await rawGet(path, link)).status).toBe(403);
    expect((await rawGet('/console/', { ...link, 'sec-fetch-dest': 'iframe' })).status).toBe(403);
    expect((await rawGet('/console/', { ...link, 'sec-fetch-mode': 'no-cors' })).status).toBe(403);
  });

  test('is read by GET and HEAD only', async () => {
    const head = await fetch(`${origin}/console/`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    for (const method of ['POST', 'PUT', 'DELETE'])
      expect((await fetch(`${origin}/console/`, { method })).status).toBe(405);
  });
});

describe('an asset', () => {
  test('is kept for ever, and sent compressed where the build made that', async () => {
    const plain = await get('/console/assets/app-Ab12Cd34.js', { 'accept-encoding': 'identity' });
    expect(plain.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    expect(plain.headers.get('content-type')).toContain('text/javascript');
    expect(plain.headers.get('content-encoding')).toBeNull();
    expect(await plain.text()).toBe(SCRIPT);
    const packed = await get('/console/assets/app-Ab12Cd34.js', { 'accept-encoding': 'br, gzip;q=0.5' });
    expect(packed.headers.get('content-encoding')).toBe('gzip');
    expect(packed.headers.get('vary')).toBe('accept-encoding');
    expect(await packed.text()).toBe(SCRIPT);
    expect(packed.headers.get('etag')).not.toBe(plain.headers.get('etag'));
    const refused = await get('/console/assets/app-Ab12Cd34.js', { 'accept-encoding': 'gzip;q=0' });
    expect(refused.headers.get('content-encoding')).toBeNull();
  });

  test.each([
    '/console/assets/gone-12345678.js',
    '/console/assets/notes.exe',
    '/console/assets/',
    '/console/no.png',
  ])('%s that is not there is a plain 404', async (path) => {
    const response = await get(path);
    expect(response.status).toBe(404);
    expect(response.headers.get('content-type')).toContain('text/plain');
  });
});

describe('a path that leaves the folder', () => {
  test.each([
    '/console/../secret.txt',
    '/console/%2e%2e/secret.txt',
    '/console/..%2fsecret.txt',
    '/console/assets/..%2f..%2f..%2fsecret.txt',
    '/console/assets/../../../secret.txt',
    '/console/..\\secret.txt',
    '/console/%5c..%5csecret.txt',
    '/console/%252e%252e/secret.txt',
    '/console//etc/passwd',
    '/console/%00/../secret.txt',
    '/console.json',
    '/console/assets/%2e%2e/%2e%2e/secret.txt',
    '/console/....//secret.txt',
    '//console/../secret.txt',
  ])('%s reads nothing beside it', async (path) => {
    const { text } = await rawGet(path);
    expect(text).not.toContain('a file');
    expect(text).not.toContain('root:');
  });
});

test('a page of a rebound name reads nothing of a server without keys', async () => {
  const open = await serveApi(openDoor(store, { folder, apiKeys: null }));
  const { hostname, port } = new URL(open.url);
  const statusOf = (path: string, host: string): Promise<number> =>
    new Promise((resolve, reject) => {
      httpRequest(
        { hostname, port, path, headers: { host, origin: `http://${host}` }, agent: false },
        (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        },
      )
        .on('error', reject)
        .end();
    });
  for (const path of ['/console/session', '/console/', '/v1/approvals']) {
    expect(await statusOf(path, `evil.test:${port}`)).toBe(403);
    expect(await statusOf(path, `127.0.0.1.evil.test:${port}`)).toBe(403);
  }
  expect(await statusOf('/console/', `127.0.0.1:${port}`)).toBe(200);
  await open.close();
});

test('a console that is not built says how to build it, and is there when it is built', async () => {
  const later = join(dir, 'later');
  const door = openDoor(store, { folder: later });
  const before = await door.fetch(new Request('http://runs.test/console/'));
  expect(before.status).toBe(404);
  expect(before.headers.get('content-security-policy')).toContain("default-src 'none'");
  expect(await before.text()).toContain('npm run build:console');
  await mkdir(later);
  await writeFile(join(later, 'index.html'), 'built');
  expect(await (await door.fetch(new Request('http://runs.test/console/'))).text()).toBe('built');
  await writeFile(join(later, 'index.html'), 'built again');
  expect(await (await door.fetch(new Request('http://runs.test/console/'))).text()).toBe('built again');
});

test('a server whose console is off has neither pages nor sessions, and takes no cookie', async () => {
  const api = createApi({ engine: createSandboxEngine(), console: null });
  for (const path of ['/console/', '/console/session', '/'])
    expect((await api.fetch(new Request(`http://127.0.0.1${path}`, { headers: NAVIGATION }))).status).toBe(
      404,
    );
  const headers = { cookie: `runs_session=${'A'.repeat(43)}` };
  expect((await api.fetch(new Request('http://127.0.0.1/v1/assistants', { headers }))).status).toBe(200);
});
