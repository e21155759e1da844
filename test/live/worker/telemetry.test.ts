/** What a collector gets of real processes, and what a collector that fails does to them: nothing. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest';
import { ApprovalsClient } from '../../../client/http/public.ts';
import { SPAN_ATTRIBUTES } from '../../../worker/telemetry/attributes.ts';
import { calls, says } from '../../support/chat-server.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';
import { nativeProcesses, type NativeProcesses } from '../../support/native-processes.ts';
import { otlpReceiver, type ReceivedSpan } from '../../support/otlp-receiver.ts';
import { liveTemporal, type LiveTemporal } from '../../support/temporal.ts';

guardAgainstLeaks();

const TOOLS = fileURLToPath(new URL('../../support/telling-tools.ts', import.meta.url));
const declared = (name: string) => ({
  type: 'function' as const,
  function: { name, parameters: { type: 'object' } },
});
/** Stands for whatever a conversation holds; it must reach no collector. */
const CANARY = 'canary-3141592653';
const KEY = 'key-of-the-collector';
const TRACE = '0af7651916cd43dd8448eb211c80319c';
const CALLER = 'b7ad6b7169203331';

let temporal: LiveTemporal;
beforeAll(async () => {
  temporal = await liveTemporal();
});
afterAll(() => temporal.close());

let native: NativeProcesses | null = null;
afterEach(async () => {
  await native?.close();
  native = null;
});

const processes = async (env: Record<string, string>): Promise<NativeProcesses> => {
  native = await nativeProcesses({
    temporal: inject('temporalAddress'),
    name: 'telemetry',
    env: () => ({ RUNS_TOOLS: TOOLS, ...env }),
  });
  return native;
};

const named = (spans: readonly ReceivedSpan[], name: string): ReceivedSpan => {
  const found = spans.find((span) => span.name === name);
  if (found === undefined)
    throw new Error(`No span ${name} among ${spans.map((span) => span.name).join(', ')}.`);
  return found;
};

test('one trace leads from a request through a wait and another worker to models and tools, and holds no content', async () => {
  const collector = await otlpReceiver();
  try {
    const made = await processes({
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_HEADERS: `authorization=${KEY}`,
      OTEL_SERVICE_NAME: 'runs-of-the-test',
      OTEL_METRIC_EXPORT_INTERVAL: '200',
    });
    const server = await made.serve();
    let worker = made.start('worker');
    await worker.ready;
    const secret = JSON.stringify({ secret: CANARY });
    made.model.script.push(
      calls([
        { name: 'tell', arguments: secret },
        { name: 'break_down', arguments: secret },
      ]),
      says([CANARY]),
    );
    const { beta } = server.openai;
    const assistant = await beta.assistants.create({
      model: 'm',
      instructions: CANARY,
      tools: [declared('tell'), declared('break_down')],
    });
    const run = await beta.threads.createAndRun(
      { assistant_id: assistant.id, thread: { messages: [{ role: 'user', content: CANARY }] } },
      { headers: { traceparent: `00-${TRACE}-${CALLER}-01` } },
    );
    const approvals = new ApprovalsClient({ url: server.url });
    const open = async () => (await approvals.list()).data;
    await expect.poll(open, { timeout: 30_000 }).toHaveLength(1);

    // The run continues on a worker that has only its history.
    worker.signal('SIGTERM');
    await worker.exited;
    worker = made.start('worker');
    await worker.ready;
    const [call] = await open();
    await approvals.decide(call?.id ?? '', { decision: 'approve', by: 'alice' });
    await expect
      .poll(async () => (await beta.threads.runs.retrieve(run.id, { thread_id: run.thread_id })).status, {
        timeout: 30_000,
      })
      .toBe('completed');
    // The run has ended in the store a moment before its workflow has.
    await temporal.client.workflow.getHandle(run.id).result();
    // What a process has not sent yet is sent when it ends.
    for (const one of [worker, server.process]) one.signal('SIGTERM');
    await Promise.all([worker.exited, server.process.exited]);

    const spans = collector.spans.filter(({ traceId }) => traceId === TRACE);
    const request = named(spans, 'POST /v1/threads/runs');
    const started = named(spans, 'StartWorkflow:run');
    const execution = named(spans, 'RunWorkflow:run');
    expect(request.parentSpanId).toBe(CALLER);
    expect(started.parentSpanId).toBe(request.spanId);
    expect(execution.parentSpanId).toBe(started.spanId);
    expect(execution.attributes).toMatchObject({
      temporalWorkflowId: run.id,
      'durable_runs.run.status': 'completed',
    });
    const activities = spans.filter(({ name }) => name.startsWith('RunActivity:'));
    expect(new Set(activities.map(({ parentSpanId }) => parentSpanId))).toEqual(new Set([execution.spanId]));
    const at = (span: ReceivedSpan) => activities.find(({ spanId }) => spanId === span.parentSpanId)?.name;
    const turns = spans.filter(({ name }) => name === 'chat m');
    expect(turns.map(at)).toEqual(['RunActivity:createRun', 'RunActivity:submitToolOutputs']);
    expect(turns[0]?.attributes).toMatchObject({
      'gen_ai.operation.name': 'chat',
      'gen_ai.request.model': 'm',
      'gen_ai.response.finish_reasons': ['tool_calls'],
    });
    expect(turns[0]?.attributes['gen_ai.usage.input_tokens']).toEqual(expect.any(Number));
    const tell = named(spans, 'execute_tool tell');
    expect(at(tell)).toBe('RunActivity:tool.tell');
    expect(tell.failed).toBe(false);
    expect(tell.attributes).toMatchObject({
      'gen_ai.operation.name': 'execute_tool',
      'gen_ai.tool.name': 'tell',
      'gen_ai.tool.call.id': call?.call_id,
      'gen_ai.conversation.id': run.thread_id,
    });
    const broken = named(spans, 'execute_tool break_down');
    expect(broken.failed).toBe(true);
    expect(broken.attributes['error.type']).toBe('ToolFailed');

    const allowed: readonly string[] = SPAN_ATTRIBUTES;
    const others = collector.spans.flatMap(({ attributes }) =>
      Object.keys(attributes).filter((key) => !allowed.includes(key)),
    );
    expect(others).toEqual([]);
    expect(collector.spans.filter(({ events, statusMessage }) => events > 0 || statusMessage !== '')).toEqual(
      [],
    );
    for (const text of [CANARY, KEY, 'key-of-the-model', 'cannot take'])
      expect(collector.everything()).not.toContain(text);
    expect(collector.header('authorization')).toEqual(new Set([KEY]));
    expect(new Set(collector.spans.map(({ service }) => service))).toEqual(new Set(['runs-of-the-test']));

    // The metrics of both processes, by the names that Prometheus has.
    expect(collector.metrics.get('runs_ended_total')?.sum?.dataPoints[0]?.asDouble).toBe(1);
    expect(collector.metrics.get('runs_model_seconds')?.histogram?.dataPoints[0]?.count).toBe('1');
    expect(collector.metrics.get('runs_api_requests_total')?.sum?.dataPoints.length).toBeGreaterThan(1);
    expect([...collector.metrics.keys()]).toContain('runs_live');
  } finally {
    await collector.close();
  }
}, 120_000);

const HANGS = (): Server => createServer(() => undefined);
const FAILS = (): Server =>
  createServer((request, response) => {
    request.resume();
    response.writeHead(500).end();
  });

test.each<[string, (() => Server) | null]>([
  ['hangs', HANGS],
  ['answers 500', FAILS],
  ['refuses connections', null],
])(
  'a run completes, and its process ends, while the collector %s',
  async (_what, make) => {
    const collector = (make ?? HANGS)();
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
    const { port } = collector.address() as AddressInfo;
    const stop = async () => {
      collector.closeAllConnections();
      await new Promise<void>((resolve) => collector.close(() => resolve()));
    };
    if (make === null) await stop();
    try {
      const made = await processes({
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
        OTEL_BSP_SCHEDULE_DELAY: '10',
        OTEL_METRIC_EXPORT_INTERVAL: '50',
      });
      const server = await made.serve('--worker');
      made.model.script.push(says(['Hello.']));
      const { beta } = server.openai;
      const assistant = await beta.assistants.create({ model: 'm' });
      const run = await beta.threads.createAndRunPoll({
        assistant_id: assistant.id,
        thread: { messages: [{ role: 'user', content: 'Hello?' }] },
      });
      expect(run.status).toBe('completed');
      server.process.signal('SIGTERM');
      expect(await server.process.exited).toEqual({ code: 0, signal: null });
    } finally {
      if (make !== null) await stop();
    }
  },
  60_000,
);
