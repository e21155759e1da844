/**
 * A Temporal server that asks for client certificates and checks API keys, reached by a config file of Temporal's: the product needs no
 * more than `read`, `write` and `worker` of its own namespace.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { calls, says } from '../support/chat-server.ts';
import { cli } from '../support/cli.ts';
import { nativeProcesses, type NativeProcesses } from '../support/native-processes.ts';
import { openAccessKeys, type AccessKeys } from './harness/access-keys.ts';
import { createAuthority, type Authority, type Certificate } from './harness/certificates.ts';
import { startTemporalCluster, type TemporalCluster } from './harness/cluster.ts';

const NAMESPACE = 'shop';
const LEAST = ['read', 'write', 'worker'].map((role) => `${NAMESPACE}:${role}`);

let dir: string;
let keys: AccessKeys;
let authority: Authority;
let ours: Certificate;
let cluster: TemporalCluster;
let native: NativeProcesses;

const serverSettings = (server: Certificate): Record<string, string> => ({
  TEMPORAL_TLS_REQUIRE_CLIENT_AUTH: 'true',
  TEMPORAL_TLS_SERVER_CA_CERT: authority.certificate,
  TEMPORAL_TLS_SERVER_CERT: server.certificate,
  TEMPORAL_TLS_SERVER_KEY: server.key,
  TEMPORAL_TLS_FRONTEND_CERT: server.certificate,
  TEMPORAL_TLS_FRONTEND_KEY: server.key,
  TEMPORAL_TLS_CLIENT1_CA_CERT: authority.certificate,
  TEMPORAL_TLS_CLIENT2_CA_CERT: authority.certificate,
  TEMPORAL_TLS_INTERNODE_SERVER_NAME: 'localhost',
  TEMPORAL_TLS_FRONTEND_SERVER_NAME: 'localhost',
  TEMPORAL_AUTH_AUTHORIZER: 'default',
  TEMPORAL_AUTH_CLAIM_MAPPER: 'default',
  TEMPORAL_JWT_KEY_SOURCE1: keys.url,
});

/** How this process and the script that prepares the namespace reach the server: with all rights. */
const operatorAccess = async (client: Certificate) => {
  const apiKey = keys.issue(['temporal-system:admin', `${NAMESPACE}:admin`]);
  const [crt, key, ca] = await Promise.all(
    [client.certificate, client.key, authority.certificate].map((file) => readFile(file)),
  );
  if (crt === undefined || key === undefined || ca === undefined) throw new Error('no certificate');
  return {
    connection: { apiKey, tls: { clientCertPair: { crt, key }, serverRootCACertificate: ca } },
    cli: {
      TEMPORAL_API_KEY: apiKey,
      TEMPORAL_TLS_CLIENT_CERT_PATH: client.certificate,
      TEMPORAL_TLS_CLIENT_KEY_PATH: client.key,
      TEMPORAL_TLS_SERVER_CA_CERT_PATH: authority.certificate,
    },
  };
};

/** A config file of Temporal's with a profile for this key and certificate. */
const configFile = async (name: string, apiKey: string, client: Certificate | null): Promise<string> => {
  const file = join(dir, `${name}.toml`);
  const lines = [
    '[profile.default]',
    `address = "${cluster.address}"`,
    `namespace = "${NAMESPACE}"`,
    `api_key = "${apiKey}"`,
    '[profile.default.tls]',
    `server_ca_cert_path = "${authority.certificate}"`,
    ...(client === null
      ? []
      : [`client_cert_path = "${client.certificate}"`, `client_key_path = "${client.key}"`]),
  ];
  await writeFile(file, `${lines.join('\n')}\n`);
  return file;
};

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'durable-runs-secured-'));
  [keys, authority] = await Promise.all([openAccessKeys(), createAuthority(dir, 'authority')]);
  const server = await authority.issue('server');
  ours = await authority.issue('ours');
  cluster = await startTemporalCluster({
    namespace: NAMESPACE,
    internalFrontend: true,
    env: serverSettings(server),
    access: await operatorAccess(ours),
  });
  const file = await configFile('ours', keys.issue(LEAST), ours);
  native = await nativeProcesses({
    temporal: cluster.address,
    name: 'secured',
    env: () => ({
      TEMPORAL_CONFIG_FILE: file,
      RUNS_TOOLS: join(import.meta.dirname, '..', 'support', 'gated-tools.ts'),
      PAID_FILE: join(dir, 'paid'),
    }),
  });
});
afterAll(async () => {
  await native.close();
  await cluster.remove();
  await keys.close();
  await rm(dir, { recursive: true, force: true });
});

test('with a client certificate and a key of three roles a run is started, approved and completed, and doctor finds nothing', async () => {
  const server = await native.serve();
  await native.start('worker').ready;
  native.model.script.push(calls([{ name: 'pay', arguments: '{"amount":7}' }]), says(['Paid.']));
  const assistant = await server.openai.beta.assistants.create({
    model: 'm',
    tools: [{ type: 'function', function: { name: 'pay', parameters: { type: 'object' } } }],
  });
  const run = await server.openai.beta.threads.createAndRun({
    assistant_id: assistant.id,
    thread: { messages: [{ role: 'user', content: 'Pay.' }] },
  });
  await expect
    .poll(async () => (await cli(['answer', run.id, '--approve'], native.env)).code, { timeout: 60_000 })
    .toBe(0);
  const ended = await server.openai.beta.threads.runs.poll(
    run.id,
    { thread_id: run.thread_id },
    { pollIntervalMs: 100 },
  );
  expect(ended.status).toBe('completed');
  expect(await readFile(join(dir, 'paid'), 'utf8')).toMatch(/ 7\n$/);
  const doctor = await cli(['doctor'], native.env);
  expect(doctor.stdout).toMatch(/^ok +temporal/m);
});

test.each([
  ['a key for another namespace', () => configFile('other', keys.issue(['default:admin']), ours)],
  ['a key that nobody signed', () => configFile('forged', `${keys.issue(LEAST).slice(0, -8)}AAAAAAAA`, ours)],
  ['no certificate', () => configFile('bare', keys.issue(LEAST), null)],
])('%s is refused, and the command says what to check', async (_name, file) => {
  const refused = await cli(['list'], { ...native.env, TEMPORAL_CONFIG_FILE: await file() });
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toMatch(/TEMPORAL_|certificate|TLS/);
});
