/**
 * Runs on an upstream runs API: the sandbox on a socket, a worker of this project and a client on the shared Temporal
 * dev server. Tests only.
 */
import type { DataConverter } from '@temporalio/common';
import type { Hooks, ToolRegistry } from '../../activities/index.ts';
import { RunsClient, temporalTarget, type StartOptions } from '../../client/index.ts';
import type { RunSnapshot } from '../../protocol/index.ts';
import { createSandbox, type Sandbox, type Script, type ScriptedTurn } from '../../testing/index.ts';
import type { WorkflowCode } from '../../worker/bundle.ts';
import { startWorker, type RunningWorker } from '../../worker/start-worker.ts';
import { makeAssistants } from '../../worker/backends.ts';
import { configFromEnv } from '../../worker/config.ts';
import { makeLog } from '../../worker/log.ts';
import { uniqueName, workflowBundle } from './temporal.ts';

export interface AssistantsStackOptions {
  address: string;
  tools: ToolRegistry;
  /** By name; an assistant `asst_<name>` plays each, and declares all tools of the registry. */
  scripts: Record<string, Script>;
  /** Names that the assistants declare beside them. */
  declares?: readonly string[];
  hooks?: Hooks;
  dataConverter?: DataConverter;
  /** Default: one of its own. */
  taskQueue?: string;
  /** Default: the bundle of all live tests, which holds no converter. */
  workflows?: WorkflowCode;
  /** Default true. */
  worker?: boolean;
  expiresInSeconds?: number;
}

export interface AssistantsStack {
  sandbox: Sandbox;
  client: RunsClient;
  taskQueue: string;
  /** Everything the worker has logged, SDK included, as it would stand in a file. */
  logged(): string;
  startWorker(): Promise<RunningWorker>;
  start(script: string, more?: Partial<StartOptions>): Promise<string>;
  /** Until the run looks so. Each look is a query that the worker answers. */
  until(runId: string, condition: (snapshot: RunSnapshot) => boolean): Promise<RunSnapshot>;
  /** Outputs of each submit that the server took, by call id, oldest first. */
  submitted(): Record<string, string>[];
  close(): Promise<void>;
}

export const openAssistants = async (options: AssistantsStackOptions): Promise<AssistantsStack> => {
  const { address, tools, dataConverter } = options;
  const definitions = [
    ...tools.definitions(),
    ...(options.declares ?? []).map((name) => ({ type: 'function' as const, function: { name } })),
  ];
  const sandbox = await createSandbox({
    scripts: Object.fromEntries(
      Object.entries(options.scripts).map(([name, script]) => [
        name,
        { script, about: 'A test.', tools: definitions },
      ]),
    ),
    ...(options.expiresInSeconds === undefined ? {} : { expiresInSeconds: options.expiresInSeconds }),
  });
  const taskQueue = options.taskQueue ?? uniqueName('queue');
  const config = configFromEnv({
    RUNS_BACKEND: 'assistants',
    OPENAI_BASE_URL: sandbox.url,
    RUNS_SHUTDOWN_GRACE: '1s',
  });
  const converter = dataConverter === undefined ? {} : { dataConverter };
  const lines: string[] = [];
  const log = makeLog('debug', { write: (line) => void lines.push(line) });
  const client = await RunsClient.connect({ address, taskQueue, env: {}, ...converter });
  const ends: (() => Promise<void>)[] = [];

  const stack: AssistantsStack = {
    sandbox,
    client,
    taskQueue,
    logged: () => lines.join(''),
    startWorker: async () => {
      const made = await makeAssistants(config);
      const worker = await startWorker(config, {
        temporal: temporalTarget({ address, taskQueue, env: {} }),
        backends: { assistants: made.backend },
        tools,
        workflows: options.workflows ?? workflowBundle(),
        log,
        ...converter,
        ...(options.hooks === undefined ? {} : { hooks: options.hooks }),
      });
      ends.push(async () => {
        await worker.stop();
        await made.dispose();
      });
      return worker;
    },
    start: async (script, more = {}) => {
      const { runId } = await client.start({ backend: 'assistants', assistantId: `asst_${script}`, ...more });
      return runId;
    },
    until: async (runId, condition) => {
      for await (const snapshot of client.watch(runId)) {
        if (condition(snapshot)) return snapshot;
        if (snapshot.phase === 'ended') throw new Error(`The run ended: ${JSON.stringify(snapshot)}`);
      }
      throw new Error('The run ended before it looked so.');
    },
    submitted: () =>
      sandbox.requests
        .filter(({ path, status }) => path.endsWith('/submit_tool_outputs') && status === 200)
        .map(({ body }) =>
          Object.fromEntries(
            (body as { tool_outputs: { tool_call_id: string; output: string }[] }).tool_outputs.map(
              ({ tool_call_id: id, output }) => [id, output],
            ),
          ),
        ),
    close: async () => {
      for (const end of ends.toReversed()) await end();
      await client.close();
      await sandbox.close();
    },
  };
  if (options.worker !== false) await stack.startWorker();
  return stack;
};

/** One round of calls, then a last word that quotes the outputs. */
export const oneRound =
  (...calls: { id: string; name: string; arguments?: Record<string, unknown> | string }[]): Script =>
  ({ round, outputs }): ScriptedTurn =>
    round === 0
      ? { calls: calls.map((call) => ({ arguments: {}, ...call })) }
      : { text: outputs.map(({ output }) => output).join(' | ') };

export const waitingCall =
  (callId: string) =>
  (snapshot: RunSnapshot): boolean =>
    snapshot.calls.some((call) => call.callId === callId && call.state === 'waiting');
