/** What Prometheus finds at the server and at the worker: real processes, one streamed run. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import { expect, inject, test } from 'vitest';
import { freePort } from '../../../dev-server/ports.ts';
import { createSandbox } from '../../../testing/index.ts';
import { WEATHER_TOOL } from '../../../testing/scripts.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';
import { alertRules, hasPrometheus, startPrometheus } from '../../support/prometheus.ts';
import { freshDatabase } from '../../support/postgres.ts';
import { uniqueName } from '../../support/temporal.ts';
import { spawnWorker, type WorkerProcess } from '../../support/worker-process.ts';

guardAgainstLeaks();

const scrape = async (url: string): Promise<string> => {
  const answer = await fetch(url);
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toContain('text/plain');
  return answer.text();
};

/** A real Prometheus finds the series that the alert rules ask for, and evaluates every rule. */
const expectAlertsToRead = async (...targets: string[]): Promise<void> => {
  const rules = await alertRules();
  const prometheus = await startPrometheus(targets);
  try {
    const healthy = () => prometheus.healthyRules();
    await expect.poll(healthy, { timeout: 30_000 }).toEqual(rules.map(({ alert }) => alert));
    await expect.poll(() => prometheus.query('sum(up)'), { timeout: 30_000 }).toEqual([2]);
    for (const { expr } of rules)
      for (const [name] of expr.matchAll(/\bruns_[a-z_]+/g))
        // Of these, a run in order counts nothing: `worker-watching.test.ts` moves them.
        if (
          !['runs_model_failures_total', 'runs_budget_turns_total', 'runs_tool_attempts_total'].includes(name)
        ) {
          const count = async () => (await prometheus.query(name)).length;
          await expect.poll(count, { timeout: 30_000, message: name }).toBeGreaterThan(0);
        }
  } finally {
    await prometheus.close();
  }
};

test('server and worker tell of a streamed run, and no label is an id', { timeout: 120_000 }, async () => {
  const dir = await mkdtemp(join(tmpdir(), 'durable-runs-metrics-'));
  const database = await freshDatabase();
  const sandbox = await createSandbox();
  const metricsPort = await freePort();
  const env = {
    TEMPORAL_ADDRESS: inject('temporalAddress'),
    RUNS_TASK_QUEUE: uniqueName('metrics'),
    RUNS_BACKEND: 'chat',
    OPENAI_BASE_URL: sandbox.modelUrl,
    DATABASE_URL: database.url,
    RUNS_DATA_DIR: dir,
    PORT: '0',
  };
  const children: WorkerProcess[] = [];
  try {
    const server = spawnWorker(env, ['serve']);
    children.push(server);
    const url = /ready api at (\S+),/.exec(await server.ready)?.[1] ?? '';
    // A second server, whose metrics have an address of their own.
    const ownPort = await freePort();
    const apart = spawnWorker({ ...env, RUNS_METRICS_ADDRESS: `127.0.0.1:${ownPort}` }, ['serve']);
    children.push(apart);
    const apartUrl = /ready api at (\S+),/.exec(await apart.ready)?.[1] ?? '';
    expect(await scrape(`http://127.0.0.1:${ownPort}/metrics`)).toContain('runs_live');
    expect((await fetch(new URL('/metrics', apartUrl))).status).toBe(404);

    const worker = spawnWorker({ ...env, RUNS_METRICS_PORT: String(metricsPort) });
    children.push(worker);
    await worker.ready;

    const { beta } = new OpenAI({ baseURL: url, apiKey: 'none', maxRetries: 0 });
    const assistant = await beta.assistants.create({ model: 'scripted:weather', tools: [WEATHER_TOOL] });
    const { id: threadId } = await beta.threads.create({
      messages: [{ role: 'user', content: 'What is the weather in San Francisco?' }],
    });
    const run = await beta.threads.runs.stream(threadId, { assistant_id: assistant.id }).finalRun();
    const call = run.required_action?.submit_tool_outputs.tool_calls[0]?.id ?? '';
    const ended = await beta.threads.runs
      .submitToolOutputsStream(run.id, {
        thread_id: threadId,
        tool_outputs: [{ tool_call_id: call, output: 'sunny' }],
      })
      .finalRun();
    expect(ended.status).toBe('completed');

    const atServer = await scrape(new URL('/metrics', url).href);
    expect(atServer).toContain(
      'runs_api_requests_total{method="POST",route="/v1/threads/{thread_id}/runs",status="200",stream="true"} 1',
    );
    expect(atServer).toMatch(/runs_event_delivery_seconds_count [1-9]/);
    const atWorker = await scrape(`http://127.0.0.1:${metricsPort}/metrics`);
    for (const line of [
      /runs_ended_total\{backend="chat",status="completed"\} 1/,
      /runs_rounds_total\{backend="chat"\} 1/,
      /runs_tool_calls_total\{backend="chat"\} 1/,
      /runs_wait_seconds_count 1/,
      /runs_model_seconds_count\{backend="chat"\} 2/,
      /runs_model_first_token_seconds_count\{backend="chat"\} 2/,
      /runs_event_write_seconds_count\{backend="chat"\} [1-9]/,
      /runs_tokens_total\{backend="chat",kind="prompt"\} [1-9]/,
    ])
      expect(atWorker).toMatch(line);
    if (hasPrometheus()) await expectAlertsToRead(new URL(url).host, `127.0.0.1:${metricsPort}`);
    for (const text of [atServer, atWorker])
      for (const id of [run.id, threadId, assistant.id, call]) expect(text).not.toContain(id);
  } finally {
    for (const child of children) child.signal('SIGTERM');
    await Promise.all(children.map(({ exited }) => exited));
    await sandbox.close();
    await database.drop();
    await rm(dir, { recursive: true, force: true });
  }
});
