/**
 * Marked secrets in keys, arguments and outputs, in real processes in which everything fails that can: rows 19, 41 and 58 of
 * docs/contributing/faults.md. Both backends: `runs serve` with `runs worker`, and `runs worker` on a stranger's runs API.
 *
 * Proves: keys are in nothing that is written, answered, counted or kept; arguments and outputs are in histories and with the
 * server, not in logs (debug level), metrics, attributes, memos or summaries. Does not prove: what a tool writes itself.
 */
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { freePort } from '../../../dev-server/ports.ts';
import { RunsClient } from '../../../client/index.ts';
import type { Script } from '../../../testing/index.ts';
import { CANARIES, openOfficial, type OfficialServer } from '../../support/official/server.ts';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.ts';
import { uniqueName } from '../../support/temporal.ts';

const TENANT = 'canary-key-of-a-tenant-0001';
const OPERATOR = 'canary-key-of-an-operator-01';
const KEYS = [CANARIES.model, CANARIES.databasePassword, TENANT, OPERATOR, 'canary-wrong-key-0002'];
const ARGUMENT = 'canary-said-by-the-model';
const OUTPUT = 'canary-returned-by-a-tool';
const REASON = 'canary-typed-by-a-person';

const names = ['works', 'explodes', 'strict', 'risky'];
const definitions = names.map((name) => ({
  type: 'function' as const,
  function: { name, parameters: { type: 'object' } },
}));
const secrets: Script = ({ round, outputs }) =>
  round === 0
    ? {
        calls: [...names, 'unheard_of'].map((name) => ({
          name,
          arguments: { text: name === 'strict' ? { no: ARGUMENT } : ARGUMENT },
        })),
      }
    : { text: outputs.map(({ output }) => output).join(' | ') };

const TOOLS = `
  const parameters = z.object({ text: z.string() });
  const description = 'A tool.';
  const failure = (text) => Object.assign(new Error('failed on ' + text + ' with ${OUTPUT}'), { config: { text } });
  export default defineTools({
    works: { description, parameters, execute: ({ text }) => ({ text, found: '${OUTPUT}' }) },
    explodes: {
      description, parameters, retry: { maximumAttempts: 2, initialInterval: 10 },
      execute: ({ text }) => { throw failure(text); },
    },
    strict: { description, parameters, execute: () => 'never' },
    risky: { description, parameters, approval: true, execute: () => '${OUTPUT}' },
  });
`;

let database: FreshDatabase;
let server: OfficialServer;
const clients: RunsClient[] = [];
/** Where a secret may be or not be, by what it is called. */
const written: [string, string][] = [];
const answered: [string, string][] = [];
const counted: [string, string][] = [];
const listed: [string, string][] = [];
const histories: [string, string][] = [];

/** All texts inside, bytes read as UTF-8: payloads are searched as what they say. */
const textsOf = (value: unknown): string => {
  if (typeof value === 'string') return `${value}\n`;
  if (value instanceof Uint8Array) return `${Buffer.from(value).toString('utf8')}\n`;
  if (typeof value !== 'object' || value === null) return '';
  return Object.entries(value)
    .map(([key, item]) => `${key}\n${textsOf(item)}`)
    .join('');
};

const keep = async (client: RunsClient, what: string, runId: string): Promise<void> => {
  const handle = client.temporal.workflow.getHandle(runId);
  const history = await handle.fetchHistory();
  const { raw } = await handle.describe();
  const info = raw.workflowExecutionInfo;
  histories.push([what, textsOf(history.events)]);
  const summaries = (history.events ?? []).map(({ userMetadata }) => userMetadata?.summary);
  listed.push([what, textsOf([info?.searchAttributes, info?.memo, summaries])]);
};

/** A run of which everything fails that may fail before a person denies the rest. */
const through = async (client: RunsClient, what: string, runId: string): Promise<void> => {
  for await (const { calls } of client.watch(runId)) {
    const waiting = calls.find(({ name, state }) => name === 'risky' && state === 'waiting');
    if (waiting === undefined || calls.some(({ state }) => state === 'running')) continue;
    await client.signalAnswer(runId, { call_id: REASON, output: REASON });
    const refused = client.answer(runId, { call_id: waiting.callId, output: REASON });
    await expect(refused).rejects.toThrow(/approval/);
    await client.answer(runId, { call_id: waiting.callId, decision: 'deny', reason: REASON, by: 'ada' });
    break;
  }
  expect((await client.result(runId)).status).toBe('completed');
  await keep(client, what, runId);
};

const spoiled = (path: string, status: number, times: number): void => {
  const message = `no: ${CANARIES.model}, Bearer ${CANARIES.model}`;
  server.sandbox.faults.add({
    match: { method: 'POST', path },
    times,
    action: { kind: 'status', status, body: { error: { message, code: 'no' } } },
  });
};

const metricsOf = async (what: string, port: number): Promise<void> => {
  // Only `serve` asks for a key.
  const headers = { authorization: `Bearer ${OPERATOR}` };
  counted.push([what, await (await fetch(`http://127.0.0.1:${port}/metrics`, { headers })).text()]);
};

const post = async (url: string, body: unknown, key = TENANT): Promise<Record<string, unknown>> => {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
  const text = await response.text();
  if (!response.ok) answered.push([url, `${text} ${JSON.stringify([...response.headers])}`]);
  return JSON.parse(text) as Record<string, unknown>;
};

const served = async (): Promise<void> => {
  const port = await freePort();
  const api = await server.startApi();
  await server.startWorker({ RUNS_METRICS_PORT: String(port) });
  const address = inject('temporalAddress');
  const client = await RunsClient.connect({ address, taskQueue: server.taskQueue, env: {} });
  clients.push(client);
  const { id: assistant_id } = await post(`${api.url}/assistants`, {
    model: 'scripted:secrets',
    tools: definitions,
  });
  const begin = async (): Promise<string> =>
    String((await post(`${api.url}/threads/runs`, { assistant_id }))['id']);
  spoiled('/chat/completions', 500, 1);
  await through(client, 'chat', await begin());
  spoiled('/chat/completions', 401, 1);
  const refused = await begin();
  expect((await client.result(refused)).status).toBe('failed');
  await keep(client, 'chat, 401', refused);
  await post(`${api.url}/threads/runs`, { assistant_id, metadata: { a: 7 } });
  await post(`${api.url}/threads/${String(assistant_id)}/runs`, { assistant_id });
  await post(`${api.url}/threads`, {}, 'canary-wrong-key-0002');
  await metricsOf('serve', api.port);
  await metricsOf('worker', port);
};

const followed = async (): Promise<void> => {
  const port = await freePort();
  const taskQueue = uniqueName('canaries');
  await server.startWorker({
    RUNS_BACKEND: 'assistants',
    OPENAI_BASE_URL: server.sandbox.url,
    RUNS_TASK_QUEUE: taskQueue,
    RUNS_METRICS_PORT: String(port),
  });
  const client = await RunsClient.connect({ address: inject('temporalAddress'), taskQueue, env: {} });
  clients.push(client);
  const begin = async (): Promise<string> =>
    (await client.start({ backend: 'assistants', assistantId: 'asst_secrets' })).runId;
  spoiled('/runs', 503, 1);
  await through(client, 'assistants', await begin());
  spoiled('/threads', 401, 1);
  const refused = await begin();
  await client.result(refused).then(
    (result) => answered.push(['assistants, 401', JSON.stringify(result)]),
    (error: unknown) => answered.push(['assistants, 401', `${String(error)} ${JSON.stringify(error)}`]),
  );
  await keep(client, 'assistants, 401', refused);
  const cancelled = await begin();
  for await (const { calls } of client.watch(cancelled))
    if (calls.some(({ state }) => state === 'waiting')) break;
  await client.cancel(cancelled);
  expect((await client.result(cancelled)).status).toBe('cancelled');
  await keep(client, 'assistants, cancelled', cancelled);
  await metricsOf('worker on a runs API', port);
};

beforeAll(async () => {
  database = await freshDatabase();
  const url = new URL(database.url);
  // The test server trusts everybody, so any password opens it.
  url.password = CANARIES.databasePassword;
  server = await openOfficial({
    databaseUrl: url.href,
    sandbox: { scripts: { secrets: { script: secrets, about: 'A test.', tools: definitions } } },
    tools: TOOLS,
    env: {
      RUNS_API_KEYS: `acme:${TENANT}:*,ops:${OPERATOR}::role=operator;name=olga`,
      RUNS_LOG_LEVEL: 'debug',
    },
    apis: 0,
    workers: 0,
  });
  await served();
  await followed();
  for (const [index, process] of server.processes.entries())
    written.push([`process ${index}`, process.said() + process.printed()]);
}, 240_000);
afterAll(async () => {
  for (const client of clients) await client.close();
  await server.close();
  await database.drop();
});

/** Each place with each secret that stands there, and what stands around it. */
const found = (places: readonly [string, string][], canaries: readonly string[]): string[] =>
  places.flatMap(([what, text]) =>
    canaries.flatMap((canary) => {
      const at = text.indexOf(canary);
      return at === -1 ? [] : [`${what}: ${text.slice(Math.max(0, at - 200), at + 100)}`];
    }),
  );

test('keys are nowhere', () => {
  expect(found([...written, ...answered, ...counted, ...listed, ...histories], KEYS)).toEqual([]);
  // There was something to find them in, and they were used.
  expect([written.length, answered.length, counted.length, histories.length]).toEqual([3, 4, 3, 5]);
  for (const [, text] of [...written, ...counted, ...histories]) expect(text.length).toBeGreaterThan(500);
  const used = server.sandbox.requests.filter(({ fault }) => fault === 'status');
  expect(used).toHaveLength(4);
});

test('arguments and outputs are where they belong only', () => {
  const spoken = [ARGUMENT, OUTPUT, REASON];
  expect(found([...written, ...counted, ...listed], spoken)).toEqual([]);
  for (const what of ['chat', 'assistants']) {
    const [, text = ''] = histories.find(([name]) => name === what) ?? [];
    for (const canary of spoken) expect(text).toContain(canary);
  }
});
