/**
 * One run with scripted activities on a real server: its own worker, task queue and id.
 *
 * Knows no test runner: live tests and the recorder of histories import it.
 */
import type { Client, WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import type { NativeConnection, WorkerOptions } from '@temporalio/worker';
import { ANSWER, RUN_QUERY, SUBMIT_TOOL_OUTPUTS, WORKFLOWS } from '../../protocol/temporal/names.ts';
import type {
  AnswerReply,
  RunInput,
  RunResult,
  RunSnapshot,
  SubmitPayload,
  SubmitReply,
} from '../../protocol/temporal/messages.ts';
import { runInput, scripted } from './run-stubs.ts';
import type { Asked, Script } from './run-stubs.ts';

export interface Server {
  client: Client;
  nativeConnection: NativeConnection;
  workflowBundle: NonNullable<WorkerOptions['workflowBundle']>;
}

export interface LiveRun {
  runId: string;
  taskQueue: string;
  asked: Asked;
  handle: WorkflowHandleWithFirstExecutionRunId;
  answer(payload: unknown): Promise<AnswerReply>;
  submit(payload: Omit<SubmitPayload, 'run_id'>): Promise<SubmitReply>;
  snapshot(): Promise<RunSnapshot>;
  /** Until the snapshot satisfies the condition. Each look is a query that a worker answers. */
  until(condition: (snapshot: RunSnapshot) => boolean): Promise<RunSnapshot>;
  result(): Promise<RunResult>;
  /** Event types of the latest execution, in order. */
  events(): Promise<string[]>;
}

/** Starts a worker and a run on it, hands both to `use`, and ends the worker whatever happens. */
export const runOnServer = async <T>(
  server: Server,
  runId: string,
  script: Script,
  input: Partial<RunInput>,
  use: (run: LiveRun) => Promise<T>,
  worker: Partial<WorkerOptions> = {},
): Promise<T> => {
  const { client, nativeConnection } = server;
  const taskQueue = `queue-of-${runId}`;
  const { activities, asked } = scripted(script);
  const made = await Worker.create({
    connection: nativeConnection,
    taskQueue,
    workflowBundle: server.workflowBundle,
    activities,
    ...worker,
  });
  return await made.runUntil(async () => {
    const handle = await client.workflow.start(WORKFLOWS.run, {
      workflowId: runId,
      taskQueue,
      args: [runInput(runId, input)],
    });
    const byId = client.workflow.getHandle(runId);
    const snapshot = (): Promise<RunSnapshot> => byId.query<RunSnapshot>(RUN_QUERY);
    const until = async (condition: (snapshot: RunSnapshot) => boolean): Promise<RunSnapshot> => {
      for (;;) {
        const now = await snapshot();
        if (condition(now)) return now;
        if (now.phase === 'ended') throw new Error(`The run ended: ${JSON.stringify(now)}`);
        await new Promise((resolve) => {
          setTimeout(resolve, 20);
        });
      }
    };
    return await use({
      runId,
      taskQueue,
      asked,
      handle,
      answer: (payload) => byId.executeUpdate<AnswerReply, [unknown]>(ANSWER, { args: [payload] }),
      submit: (payload) =>
        byId.executeUpdate<SubmitReply, [SubmitPayload]>(SUBMIT_TOOL_OUTPUTS, {
          args: [{ run_id: runId, ...payload }],
        }),
      snapshot,
      until,
      result: () => byId.result() as Promise<RunResult>,
      events: async () => {
        const { events } = await byId.fetchHistory();
        return (events ?? []).map((event) => eventName(event));
      },
    });
  });
};

/** `activityTaskScheduled` and so on: the one attributes field that is set. */
const eventName = (event: object): string =>
  (Object.keys(event).find((key) => key.endsWith('EventAttributes')) ?? 'unknown').replace(
    'EventAttributes',
    '',
  );
