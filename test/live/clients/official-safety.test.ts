/**
 * What the server processes keep apart, refuse and keep to themselves: tenants, grants of tools, wrong keys, rates, bodies that
 * are too large, secrets in what processes write, and a server without keys.
 */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hashKey } from '../../../api/index.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';
import {
  callsOf,
  failureOf,
  failuresOf,
  functionTool,
  officialClients,
  outputsOf,
  textOf,
  threadOf,
  type OpenAI,
} from '../../support/official/clients.ts';
import { SCRIPTS, TOOLS } from '../../support/official/scripts.ts';
import { CANARIES, openOfficial, type OfficialServer } from '../../support/official/server.ts';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.ts';

guardAgainstLeaks({ ignore: ['TCPSocketWrap', 'Timeout'] });

const { clients } = await officialClients();
const [{ Api }] = clients as [(typeof clients)[number]];

const KEYS = {
  acme: 'canary-key-of-acme-0001',
  globex: 'canary-key-of-globex-0002',
  wrong: 'canary-key-of-nobody-0003',
};
/** What people say and tools answer is nobody's business but theirs. */
const SPOKEN = 'canary-spoken-word';
const OUTPUT = 'canary-tool-output';

let database: FreshDatabase;
let server: OfficialServer;
let limited: string;
beforeAll(async () => {
  database = await freshDatabase();
  const url = new URL(database.url);
  // The test server trusts everybody, so any password opens it.
  url.password = CANARIES.databasePassword;
  server = await openOfficial({
    databaseUrl: url.href,
    sandbox: { scripts: SCRIPTS },
    tools: TOOLS,
    env: {
      // Only acme may use the worker's tools, and its key is at hand as a digest only.
      RUNS_API_KEYS: `acme:sha256.${hashKey(KEYS.acme)}:run_checks globex:${KEYS.globex}`,
      RUNS_LOG_LEVEL: 'debug',
    },
  });
  limited = (await server.startApi({ RUNS_RATE_LIMITS: 'write=60' })).url;
});
afterAll(async () => {
  await server.close();
  await database.drop();
});

const as = (tenant: keyof typeof KEYS, more: { baseURL?: string; maxRetries?: number } = {}): OpenAI =>
  new Api({ baseURL: server.url, apiKey: KEYS[tenant], maxRetries: 0, ...more });
const CHECKS = functionTool('run_checks');
const DEPLOY = functionTool('deploy');

describe('a tenant', () => {
  test("sees nothing of another's: every foreign id is a 404, and lists are empty", async () => {
    const mine = as('acme').beta;
    const theirs = as('globex').beta;
    const { id: assistant_id } = await mine.assistants.create({
      model: 'scripted:weather',
      tools: [functionTool('get_current_weather')],
    });
    const run = await mine.threads.createAndRunPoll({
      assistant_id,
      thread: { messages: [{ role: 'user', content: SPOKEN }] },
    });
    expect(callsOf(run)).toHaveLength(1);
    const where = threadOf(run);
    const [message] = (await mine.threads.messages.list(run.thread_id)).data;
    const [step] = (await mine.threads.runs.steps.list(run.id, where)).data;
    const { id: own } = await theirs.assistants.create({ model: 'scripted:chat' });
    const { id: place } = await theirs.threads.create();
    const foreign = [
      theirs.assistants.retrieve(assistant_id),
      theirs.assistants.update(assistant_id, { name: 'x' }),
      theirs.assistants.delete(assistant_id),
      theirs.assistants.list({ after: assistant_id }),
      theirs.threads.retrieve(run.thread_id),
      theirs.threads.update(run.thread_id, { metadata: {} }),
      theirs.threads.delete(run.thread_id),
      theirs.threads.createAndRun({ assistant_id }),
      theirs.threads.messages.create(run.thread_id, { role: 'user', content: 'x' }),
      theirs.threads.messages.list(run.thread_id),
      theirs.threads.messages.retrieve(message?.id ?? '', where),
      theirs.threads.messages.update(message?.id ?? '', { ...where, metadata: {} }),
      theirs.threads.messages.delete(message?.id ?? '', where),
      theirs.threads.runs.create(run.thread_id, { assistant_id: own }),
      theirs.threads.runs.create(place, { assistant_id }),
      theirs.threads.runs.list(run.thread_id),
      theirs.threads.runs.retrieve(run.id, where),
      theirs.threads.runs.retrieve(run.id, { thread_id: place }),
      theirs.threads.runs.update(run.id, { ...where, metadata: {} }),
      theirs.threads.runs.cancel(run.id, where),
      theirs.threads.runs.submitToolOutputs(run.id, { ...where, tool_outputs: outputsOf(run) }),
      theirs.threads.runs.steps.list(run.id, where),
      theirs.threads.runs.steps.retrieve(step?.id ?? '', { ...where, run_id: run.id }),
    ];
    for (const failure of await failuresOf(foreign)) expect(failure).toBeInstanceOf(Api.NotFoundError);
    const path = `${server.url}/threads/${run.thread_id}/runs/${run.id}`;
    const headers = { authorization: `Bearer ${KEYS.globex}`, 'content-type': 'application/json' };
    expect((await fetch(`${path}/events`, { headers })).status).toBe(404);
    const answer = JSON.stringify({ call_id: callsOf(run)[0]?.id, output: 'x' });
    expect((await fetch(`${path}/answers`, { method: 'POST', headers, body: answer })).status).toBe(404);
    expect((await theirs.assistants.list()).data.map(({ id }) => id)).toEqual([own]);
    expect(await mine.threads.runs.retrieve(run.id, where)).toEqual(run);
    await mine.threads.runs.submitToolOutputsAndPoll(run.id, {
      ...where,
      tool_outputs: outputsOf(run, () => OUTPUT),
    });
  });

  test('uses the tools of the worker that it was granted, and none by default', async () => {
    const runs = async (tenant: 'acme' | 'globex') => {
      const { beta } = as(tenant);
      const { id } = await beta.assistants.create({ model: 'scripted:mixed', tools: [CHECKS, DEPLOY] });
      return await beta.threads.createAndRunPoll({ assistant_id: id });
    };
    const stranger = await runs('globex');
    expect(callsOf(stranger).map((call) => call.function.name)).toEqual(['run_checks', 'deploy']);
    const done = await as('globex').beta.threads.runs.submitToolOutputsAndPoll(stranger.id, {
      ...threadOf(stranger),
      tool_outputs: outputsOf(stranger),
    });
    expect(done.status).toBe('completed');
    expect(await readFile(server.notes, 'utf8')).toBe('');
    const granted = await runs('acme');
    expect(callsOf(granted).map((call) => call.function.name)).toEqual(['deploy']);
    await as('acme').beta.threads.runs.submitToolOutputsAndPoll(granted.id, {
      ...threadOf(granted),
      tool_outputs: outputsOf(granted),
    });
    expect(await readFile(server.notes, 'utf8')).toBe('run_checks 1\nrun_checks 2\n');
    const [last] = (await as('acme').beta.threads.messages.list(granted.thread_id)).data;
    expect(textOf(last)).toContain('checkout is green');
  });
});

describe.each(clients)('$name', ({ Api: Version }) => {
  test('a wrong key is an AuthenticationError that does not repeat it; none at all too', async () => {
    const failure = await failureOf(
      new Version({ baseURL: server.url, apiKey: KEYS.wrong, maxRetries: 0 }).beta.threads.create(),
    );
    expect(failure).toBeInstanceOf(Version.AuthenticationError);
    expect(failure).toMatchObject({ status: 401, code: 'invalid_api_key' });
    expect(JSON.stringify((failure as InstanceType<typeof Version.APIError>).error)).not.toContain('canary');
    expect((await fetch(`${server.url}/assistants`)).status).toBe(401);
    // As Azure's clients send it.
    expect((await fetch(`${server.url}/assistants`, { headers: { 'api-key': KEYS.globex } })).status).toBe(
      200,
    );
  });

  test('too many requests are a RateLimitError that says when to come back; a patient client does', async () => {
    const options = { baseURL: limited, apiKey: KEYS.globex };
    const hasty = new Version({ ...options, maxRetries: 0 });
    const all = await Promise.allSettled(Array.from({ length: 70 }, () => hasty.beta.threads.create()));
    const refused = all.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
    expect(refused.length).toBeGreaterThan(0);
    for (const failure of refused) {
      expect(failure).toBeInstanceOf(Version.RateLimitError);
      expect(failure).toMatchObject({ status: 429, code: 'rate_limit_exceeded' });
      const { headers } = failure as InstanceType<typeof Version.APIError>;
      expect(Number(headers?.get('retry-after'))).toBeGreaterThanOrEqual(1);
    }
    // Another tenant has a measure of its own, and so have other kinds of requests.
    await as('acme', { baseURL: limited }).beta.threads.create();
    await hasty.beta.assistants.list();
    const patient = new Version({ ...options, maxRetries: 4 });
    expect((await patient.beta.threads.create()).object).toBe('thread');
  });
});

/** Status and code of the answer. */
const send = async (body: string, type = 'application/json'): Promise<unknown> => {
  const response = await fetch(`${server.url}/threads`, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEYS.acme}`, 'content-type': type },
    body,
  });
  const { error } = (await response.json()) as { error: { code: string } };
  return [response.status, error.code];
};

describe('a body', () => {
  test.each([
    ['too large', 'request_too_large', JSON.stringify({ metadata: { a: 'x'.repeat(9 * 1024 * 1024) } })],
    ['nested too deeply', 'invalid_json', `${'{"metadata":'.repeat(100)}1${'}'.repeat(100)}`],
    ['that is not JSON', 'invalid_json', '{"messages": ['],
  ])('%s is refused', async (_what, code, body) => {
    expect(await send(body)).toEqual([400, code]);
  });

  test('of another kind is refused', async () => {
    expect(await send('a=b', 'application/x-www-form-urlencoded')).toEqual([400, 'invalid_content_type']);
  });

  test('with a key that would change prototypes changes none', async () => {
    const response = await fetch(`${server.url}/threads`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEYS.acme}`, 'content-type': 'application/json' },
      body: '{"__proto__": {"polluted": true}, "metadata": {"a": "b"}}',
    });
    expect(await response.json()).toMatchObject({ metadata: { a: 'b' } });
  });
});

describe('secrets', () => {
  test('are in no output of a process, after any failure', async () => {
    // A server that can't start, a model that refuses, a tool that fails, requests that are wrong: all of it was or is logged.
    const nowhere = new URL(server.databaseUrl);
    nowhere.port = '1';
    const broken = server.spawn('serve', { DATABASE_URL: nowhere.href });
    expect((await broken.exited).code).not.toBe(0);
    expect(broken.said()).toMatch(/database/i);
    const { beta } = as('acme');
    const { id } = await beta.assistants.create({ model: 'scripted:refused', instructions: SPOKEN });
    const failed = await beta.threads.createAndRunPoll({
      assistant_id: id,
      thread: { messages: [{ role: 'user', content: SPOKEN }] },
    });
    expect(failed.status).toBe('failed');
    for (const one of server.processes) {
      const text = one.said();
      expect(text).not.toBe('');
      expect(text).not.toContain('canary');
    }
    // The canaries were there: the model was given its key, the words and the output.
    const seen = JSON.stringify(server.sandbox.requests);
    for (const canary of [SPOKEN, OUTPUT]) expect(seen).toContain(canary);
  });
});

describe('a server without keys', () => {
  const open = { RUNS_API_KEYS: '', DATABASE_URL: '' };

  test('listens on this machine only, and says so', async () => {
    const env = { ...open, DATABASE_URL: server.databaseUrl };
    const everywhere = server.spawn('serve', { ...env, HOST: '0.0.0.0', PORT: '0' });
    expect((await everywhere.exited).code).not.toBe(0);
    expect(everywhere.said()).toMatch(/Without API keys.*this machine only.*"0\.0\.0\.0"/);
    const here = await server.startApi(env);
    expect(new URL(here.url).hostname).toBe('127.0.0.1');
    expect(here.said()).toContain('without keys: for this machine only');
    expect((await fetch(`${here.url}/assistants`)).status).toBe(200);
    here.signal('SIGTERM');
    expect((await here.exited).code).toBe(0);
  });

  test('does not start without a database that it can share', async () => {
    const alone = server.spawn('serve', open);
    expect((await alone.exited).code).not.toBe(0);
    expect(alone.said()).toMatch(/DATABASE_URL is needed/);
  });
});
