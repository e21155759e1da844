/**
 * Worker of the bare workflow, as a separate process: undici to the zero backend, no policy, no checks. `bench/main.ts`
 * starts it with the settings of the project's worker.
 */
import { fileURLToPath } from 'node:url';
import { heartbeat } from '@temporalio/activity';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { Pool } from 'undici';
import { reportUsage, wallClock } from '../usage.ts';

const setting = (name: string): string => {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} must be set by bench/main.ts`);
  return value;
};

const base = new URL(setting('BENCH_BACKEND'));
const pool = new Pool(base.origin, { connections: 256 });

interface RunView {
  id: string;
  required_action: {
    submit_tool_outputs: { tool_calls: { id: string; function: { name: string; arguments: string } }[] };
  } | null;
}

const post = async (path: string, body: unknown): Promise<RunView> => {
  const answer = await pool.request({
    method: 'POST',
    path: `${base.pathname}${path}`,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const frames = (await answer.body.text())
    .split('\n\n')
    .filter((frame) => frame.includes('event: thread.run.'));
  return JSON.parse((frames.at(-1) ?? '').replace(/^event: .*\ndata: /, '')) as RunView;
};
const callsOf = (run: RunView) =>
  (run.required_action?.submit_tool_outputs.tool_calls ?? []).map((call) => ({
    callId: call.id,
    name: call.function.name,
    arguments: call.function.arguments,
  }));

const activities = {
  async create(input: { assistantId: string; threadId: string }) {
    const run = await post(`/threads/${input.threadId}/runs`, {
      assistant_id: input.assistantId,
      stream: true,
    });
    heartbeat(run.id);
    return { runId: run.id, calls: callsOf(run) };
  },
  async stamp() {
    return wallClock();
  },
  async echo(input: { arguments: string }) {
    return (JSON.parse(input.arguments) as { text: string }).text;
  },
  async submit(input: { threadId: string; runId: string; outputs: { callId: string; output: string }[] }) {
    const tool_outputs = input.outputs.map(({ callId, output }) => ({ tool_call_id: callId, output }));
    return {
      calls: callsOf(
        await post(`/threads/${input.threadId}/runs/${input.runId}/submit_tool_outputs`, {
          tool_outputs,
          stream: true,
        }),
      ),
    };
  },
};

Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
const connection = await NativeConnection.connect({ address: setting('BENCH_TEMPORAL') });
const worker = await Worker.create({
  connection,
  taskQueue: setting('BENCH_QUEUE'),
  workflowsPath: fileURLToPath(new URL('./workflows.ts', import.meta.url)),
  activities,
  // As the project's worker, so that the two differ in what they run alone.
  maxCachedWorkflows: 2000,
  maxConcurrentActivityTaskExecutions: 500,
  workflowTaskPollerBehavior: { type: 'autoscaling' },
  activityTaskPollerBehavior: { type: 'autoscaling' },
  maxHeartbeatThrottleInterval: '2 s',
  defaultHeartbeatThrottleInterval: '2 s',
});
reportUsage();
process.on('disconnect', () => {
  if (worker.getState() === 'RUNNING') worker.shutdown();
});
process.send?.({ ready: true });
await worker.run();
await connection.close();
await pool.close();
