/** The embedded Temporal of `runs dev` and the demo is no door for pages that a browser on this machine shows. */
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTemporal, type StackTemporal } from '../../../app/temporal.ts';
import { freePorts } from '../../../dev-server/ports.ts';
import { startTemporal } from '../../../dev-server/temporal-server.ts';
import { silent } from '../../support/native-stack.ts';
import { launchBrowser } from '../../support/web-ui.ts';

let temporal: StackTemporal;
let uiPort = 0;

beforeAll(async () => {
  const [grpc = 0, ui = 0] = await freePorts(2);
  uiPort = ui;
  temporal = await openTemporal({
    env: {},
    taskQueue: 'runs',
    ports: { grpc: [grpc], ui: [ui] },
    log: silent,
    say: () => undefined,
  });
});
afterAll(() => temporal.stop());

interface Reply {
  status: number | undefined;
  cookies: string[] | undefined;
}

const ask = (url: string, headers: Record<string, string>, method = 'GET'): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const sent = request(url, { method, headers }, (answer) => {
      answer
        .resume()
        .once('end', () => resolve({ status: answer.statusCode, cookies: answer.headers['set-cookie'] }));
    });
    sent.once('error', reject);
    sent.end();
  });

test('the Web UI works at the address that is printed', async () => {
  const browser = await launchBrowser();
  try {
    const page = await browser.newPage();
    await page.goto(`${temporal.uiUrl}/namespaces/default/workflows`);
    await page.getByText('Workflows').first().waitFor();
    expect(await page.evaluate(async () => (await fetch('/api/v1/namespaces/default')).status)).toBe(200);
  } finally {
    await browser.close();
  }
});

test('a page whose name was rebound to this machine reads nothing and gets no cookie', async () => {
  const foreign = { host: `evil.example:${uiPort}` };
  for (const path of ['/', '/api/v1/namespaces/default/workflows', '/api/v1/settings'])
    expect(await ask(`${temporal.uiUrl}${path}`, foreign)).toEqual({ status: 421, cookies: undefined });
});

test('a form of another site signals nothing', async () => {
  const form = { origin: 'https://evil.example', 'content-type': 'text/plain' };
  expect(
    (await ask(`${temporal.uiUrl}/api/v1/namespaces/default/workflows/x/signal/answer`, form, 'POST')).status,
  ).toBe(403);
});

test('the HTTP API of a guarded dev server answers no host name that a page can have', async () => {
  const server = await startTemporal({ guarded: true, ui: true });
  try {
    const { port } = new URL(server.httpUrl);
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, 'evil.example', 'evil.invalid'])
      expect((await ask(`${server.httpUrl}/api/v1/namespaces/default`, { host })).status).toBe(403);
    const batch = { 'content-type': 'text/plain', origin: 'https://evil.example' };
    expect(
      (await ask(`${server.httpUrl}/api/v1/namespaces/default/batch-operations/x`, batch, 'POST')).status,
    ).toBe(403);
    const usual = new URL(server.uiUrl ?? '').hostname === '127.0.0.1';
    expect(usual).toBe(process.platform !== 'linux');
    const connection = await Connection.connect({ address: server.address });
    await connection.close();
  } finally {
    await server.stop();
  }
});

test('a state file is readable by its owner only', async () => {
  const { writeDevState } = await import('../../../app/dev-state.ts');
  const dir = await mkdtemp(join(tmpdir(), 'durable-runs-state-'));
  try {
    await writeDevState(dir, {
      pid: 1,
      temporalPid: null,
      temporalAddress: '127.0.0.1:7233',
      namespace: 'default',
      uiUrl: null,
      apiUrl: null,
      backend: 'sandbox',
      taskQueue: 'runs',
    });
    expect((await stat(join(dir, 'dev.json'))).mode & 0o777).toBe(0o600);
  } finally {
    await rm(dir, { recursive: true });
  }
});
