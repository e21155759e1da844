/** What a worker shows of itself: logs and metrics. Real sockets, no server of Temporal. */
import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { isAllowedLogField, makeLog, temporalLogger } from '../../../worker/log.ts';
import { prometheusMetrics } from '../../../worker/metrics.ts';
import { serveMetrics } from '../../../worker/serve-metrics.ts';
import { workerOptions, type MakeWorkerOptions } from '../../../worker/worker.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';

guardAgainstLeaks();

const capture = () => {
  const lines: string[] = [];
  return { lines, destination: { write: (line: string) => void lines.push(line) } };
};

describe('logs', () => {
  test('are one JSON object a line', () => {
    const { lines, destination } = capture();
    makeLog('info', destination).info({ runId: 'run_1', ms: 3 }, 'run settled');
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      level: 30,
      runId: 'run_1',
      ms: 3,
      msg: 'run settled',
    });
  });

  test('hold nothing that is not on the list: arguments, outputs, bodies, keys', () => {
    const { lines, destination } = capture();
    makeLog('debug', destination).warn(
      {
        runId: 'run_1',
        arguments: 'canary',
        output: 'canary',
        body: { a: 'canary' },
        authorization: 'Bearer canary',
        error: new Error('canary'),
        tool: { nested: 'canary' },
      },
      'odd',
    );
    expect(lines.join()).not.toContain('canary');
    expect(lines.join()).toContain('run_1');
  });

  test('tell of an error its name and type', () => {
    expect(
      isAllowedLogField({ error: ApplicationFailure.create({ message: 'canary', type: 'ToolFailed' }) }),
    ).toEqual({
      errorName: 'ApplicationFailure',
      failureType: 'ToolFailed',
    });
  });

  test('of the SDK pass the same gate', () => {
    const { lines, destination } = capture();
    const logger = temporalLogger(makeLog('debug', destination));
    logger.warn('Activity failed', {
      activityType: 'tool.pay',
      taskToken: 'canary',
      error: new Error('canary'),
    });
    logger.info('details', { workflowId: 'run_1', runId: '01a2' });
    expect(lines.join()).not.toContain('canary');
    expect(JSON.parse(lines[1] ?? '')).toMatchObject({ runId: 'run_1', workflowRunId: '01a2' });
    expect(lines.map((line) => (JSON.parse(line) as { level: number }).level)).toEqual([40, 20]);
  });

  test('below the level are left out', () => {
    const { lines, destination } = capture();
    makeLog('warn', destination).info({}, 'hello');
    expect(lines).toEqual([]);
  });

  test('a long value is cut', () => {
    expect(String(isAllowedLogField({ reason: 'x'.repeat(5_000) })['reason'])).toHaveLength(200);
  });
});

describe('metrics', () => {
  test('are served as Prometheus reads them, with what the activities counted', async () => {
    const { metrics, registry } = prometheusMetrics();
    metrics.runEnded('chat', 'completed');
    metrics.roundBegan('chat', 3);
    metrics.waited(90_000);
    metrics.started('tool', 3_000);
    metrics.started('tool', -5);
    metrics.toolAttempt('pay', 'ok', 20);
    metrics.toolAttempt('pay', 'failed', 20);
    metrics.backendActivity('createRun', 'ok', 40);
    metrics.observe('chat', {
      kind: 'request',
      method: 'POST',
      route: '/chat/completions',
      status: 200,
      ms: 12,
    });
    const model = {
      kind: 'model',
      provider: 'default',
      model: 'model-a',
      finish: 'stop',
      ms: 900,
      firstTokenMs: 80,
      promptTokens: 11,
      completionTokens: 7,
      cachedTokens: 4,
      reasoningTokens: 2,
      cost: { USD: '0.25' },
    } as const;
    metrics.observe('chat', model);
    const failed = { kind: 'model_failed', provider: 'default', model: 'model-a', ms: 5 } as const;
    metrics.observe('chat', { ...failed, reason: 'unavailable' });
    metrics.observe('chat', { kind: 'budget', budget: 'max_cost', outcome: 'refused' });
    // Callers choose the names of models: only so many have a label of their own.
    const none = { promptTokens: 0, completionTokens: 0, cachedTokens: 0, reasoningTokens: 0, cost: {} };
    for (let n = 0; n < 60; n += 1)
      metrics.observe('chat', {
        ...model,
        ...none,
        model: `caller-${n}`,
        firstTokenMs: null,
        promptTokens: 1,
      });
    metrics.observe('assistants', { kind: 'unknown_status', status: 'run_1 is pondering' });
    metrics.observe('assistants', { kind: 'fallback', reason: 'cut' });
    const endpoint = await serveMetrics(registry, '127.0.0.1', 0);
    try {
      const response = await fetch(endpoint.url);
      const text = await response.text();
      expect(response.headers.get('content-type')).toContain('text/plain');
      for (const line of [
        'runs_ended_total{backend="chat",status="completed"} 1',
        'runs_rounds_total{backend="chat"} 1',
        'runs_tool_calls_total{backend="chat"} 3',
        'runs_wait_seconds_sum 90',
        'runs_schedule_to_start_seconds_sum{kind="tool"} 3',
        'runs_schedule_to_start_seconds_count{kind="tool"} 2',
        'runs_tool_attempts_total{tool="pay",outcome="ok"} 1',
        'runs_tool_attempts_total{tool="pay",outcome="failed"} 1',
        'runs_backend_activities_total{activity="createRun",outcome="ok"} 1',
        'runs_backend_requests_total{backend="chat",method="POST",route="/chat/completions",status="200"} 1',
        'runs_tokens_total{backend="chat",kind="prompt"} 71',
        'runs_model_failures_total{provider="default",reason="unavailable"} 1',
        'runs_budget_turns_total{budget="max_cost",outcome="refused"} 1',
        'runs_model_tokens_total{model="model-a",kind="prompt"} 11',
        'runs_model_tokens_total{model="model-a",kind="cached"} 4',
        'runs_model_tokens_total{model="model-a",kind="completion"} 7',
        'runs_model_tokens_total{model="model-a",kind="reasoning"} 2',
        'runs_model_cost_total{model="model-a",currency="USD"} 0.25',
        'runs_model_tokens_total{model="caller-48",kind="prompt"} 1',
        'runs_model_tokens_total{model="other",kind="prompt"} 11',
        'runs_budget_turns_total{budget="max_cost",outcome="refused"} 1',
        'runs_tokens_total{backend="chat",kind="completion"} 7',
        'runs_model_first_token_seconds_count{backend="chat"} 1',
        'runs_backend_unknown_statuses_total{backend="assistants"} 1',
        'runs_backend_fallbacks_total{backend="assistants",reason="cut"} 1',
      ])
        expect(text.split('\n')).toContain(line);
      expect(text).not.toContain('pondering');
      expect((await fetch(new URL('/else', endpoint.url))).status).toBe(404);
      expect((await fetch(endpoint.url, { method: 'POST' })).status).toBe(404);
    } finally {
      await endpoint.close();
    }
  });

  test('a port that is taken is told', async () => {
    const { registry } = prometheusMetrics();
    const first = await serveMetrics(registry, '127.0.0.1', 0);
    try {
      const port = Number(new URL(first.url).port);
      await expect(serveMetrics(registry, '127.0.0.1', port)).rejects.toMatchObject({
        code: 'config',
        message: expect.stringContaining(`Port ${port} of RUNS_METRICS_PORT`) as string,
      });
    } finally {
      await first.close();
    }
  });

  test('two workers in a process count apart', async () => {
    const [one, two] = [prometheusMetrics(), prometheusMetrics()];
    one.metrics.runEnded('chat', 'completed');
    expect(await two.registry.getSingleMetricAsString('runs_ended_total')).not.toContain('completed');
  });
});

describe("the worker's settings", () => {
  const given = {
    connection: {},
    activities: {},
    workflows: { codePath: '/x' },
  } as unknown as MakeWorkerOptions;

  test('bound the cache and let a cancellation through within seconds', () => {
    expect(workerOptions(given)).toMatchObject({
      namespace: 'default',
      taskQueue: 'runs',
      maxCachedWorkflows: 500,
      maxHeartbeatThrottleInterval: 2_000,
      defaultHeartbeatThrottleInterval: 2_000,
      shutdownGraceTime: 10_000,
      shutdownForceTime: 20_000,
    });
    expect(workerOptions(given).workerDeploymentOptions).toBeUndefined();
  });

  test('pin runs to their version when one is named', () => {
    expect(
      workerOptions({ ...given, deployment: { name: 'd', buildId: 'b' } }).workerDeploymentOptions,
    ).toEqual({
      useWorkerVersioning: true,
      version: { deploymentName: 'd', buildId: 'b' },
      defaultVersioningBehavior: 'PINNED',
    });
  });
});
