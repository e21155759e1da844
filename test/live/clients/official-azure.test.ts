/**
 * The official clients as they are configured for Azure, which insist on https: through a TLS proxy, with the `api-key` header,
 * an `api-version` and Azure's paths, against the server processes. The Python checks are `test/support/official/azure.py`.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { AzureOpenAI } from 'openai';
import { Agent, fetch as undiciFetch } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WEATHER_TOOL } from '../../../testing/scripts.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';
import { outputsOf, threadOf } from '../../support/official/clients.ts';
import { openOfficial, type OfficialServer } from '../../support/official/server.ts';
import { pythonClient } from '../../support/python.ts';
import { openTlsProxy, type TlsProxy } from '../../support/tls-proxy.ts';

guardAgainstLeaks();

const KEY = 'azure-test-key-0123456789';
const program = fileURLToPath(new URL('../../support/official/azure.py', import.meta.url));
const names = [...readFileSync(program, 'utf8').matchAll(/^def (check_\w+)/gm)].map(([, name]) => name ?? '');

let server: OfficialServer;
let proxy: TlsProxy;
const results = new Map<string, string | null>();

// Installing the Python client may take minutes, once.
beforeAll(async () => {
  const [python, opened] = await Promise.all([
    pythonClient(),
    openOfficial({ env: { RUNS_API_KEYS: `azure:${KEY}` } }),
  ]);
  server = opened;
  proxy = await openTlsProxy(server.url);
  const { stdout } = await promisify(execFile)(python.command, [program], {
    env: {
      PATH: process.env['PATH'] ?? '',
      ...python.env,
      RUNS_ENDPOINT: proxy.url,
      RUNS_KEY: KEY,
      SSL_CERT_FILE: proxy.certificate,
    },
    timeout: 180_000,
  });
  for (const line of stdout.trim().split('\n')) {
    const { name, error } = JSON.parse(line) as { name: string; error: string | null };
    results.set(name, error);
  }
}, 600_000);
afterAll(async () => {
  await proxy?.close();
  await server?.close();
});

test.each(names)('openai-python for Azure passes its check: %s', (name) => {
  expect(results.get(name)).toBeNull();
});

test('openai-node for Azure takes a run to its call and submits the output as a stream', async () => {
  const agent = new Agent({ connect: { ca: readFileSync(proxy.certificate) } });
  const client = new AzureOpenAI({
    endpoint: proxy.url,
    apiVersion: '2024-05-01-preview',
    apiKey: KEY,
    maxRetries: 0,
    fetch: (url, init) => undiciFetch(url as string, { ...(init as object), dispatcher: agent }),
  });
  expect(client.baseURL).toMatch(/^https:.*\/openai$/);
  const { beta } = client;
  const assistant = await beta.assistants.create({ model: 'scripted:weather', tools: [WEATHER_TOOL] });
  const run = await beta.threads.createAndRunPoll({ assistant_id: assistant.id });
  expect(run.status).toBe('requires_action');
  const stream = beta.threads.runs.submitToolOutputsStream(run.id, {
    ...threadOf(run),
    tool_outputs: outputsOf(run),
  });
  expect((await stream.finalRun()).status).toBe('completed');
  await agent.close();
});
