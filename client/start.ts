/**
 * Starting a run, once.
 *
 * Rule: the workflow's id is the run's, and Temporal refuses a second one of an id: so a start may be repeated. What a
 * list shows without a worker goes into search attributes, or into the memo where those are not registered.
 * Imported by the client only.
 */
import { WorkflowExecutionAlreadyStartedError, type WorkflowStartOptions } from '@temporalio/client';
import { mintId, RunsError, WORKFLOWS, type RunInput } from '../protocol/index.ts';
import { toRunInput } from './input.ts';
import { searchAttributeKeys } from './search-attributes.ts';
import { SERVER_TIMEOUT_MS, type ClientSession } from './session.ts';
import type { CallOptions, RunMemo, StartedRun, StartOptions } from './types.ts';
import { RUN_MEMO } from './view.ts';

/** Whether the namespace takes our search attributes. */
export interface AttributeSupport {
  available(): Promise<boolean>;
  /** A start that carried them was refused: what `available` knows is asked anew. */
  refused(): void;
}

export const startRunWorkflow = async (
  session: ClientSession,
  options: StartOptions,
  attributes: AttributeSupport,
  call: Pick<CallOptions, 'signal'>,
): Promise<StartedRun> => {
  const runId = options.runId ?? mintId('run');
  const input = toRunInput(runId, options, false);
  const what = `Starting run ${JSON.stringify(runId)}`;
  const start = async (searchAttributes: boolean, atStart: boolean): Promise<void> => {
    const workflow = workflowOptions(session, { ...input, searchAttributes }, atStart);
    await session.call({ what, runId, timeoutMs: SERVER_TIMEOUT_MS, ...call }, () =>
      session.client.workflow.start(WORKFLOWS.run, workflow),
    );
  };
  try {
    const searchAttributes = await attributes.available();
    try {
      await start(searchAttributes, searchAttributes);
    } catch (error) {
      // For seconds after they were registered, one part of Temporal lists them while another refuses a start that has
      // them. Its code does not tell this from a bad input, so the same start without them decides. The workflow sets them
      // at its first wait: a task that is refused for them is repeated by Temporal.
      if (!searchAttributes || !(error instanceof RunsError) || error.code !== 'invalid_input') throw error;
      attributes.refused();
      await start(await attributes.available(), false);
    }
    return { runId, started: true };
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return { runId, started: false };
    if (error instanceof RunsError)
      throw new RunsError(error.code, error.message, { details: { runId }, cause: error });
    throw error;
  }
};

/** `atStart`: the start itself carries search attributes. */
const workflowOptions = (session: ClientSession, input: RunInput, atStart: boolean): WorkflowStartOptions => {
  const { runId, backend, assistantId, threadId } = input;
  // Search attributes hold the rest, and a run without this memo is one of `assistants`.
  const memo: RunMemo | null = !atStart
    ? { backend, assistantId, threadId }
    : backend === 'chat'
      ? { backend }
      : null;
  return {
    workflowId: runId,
    taskQueue: session.taskQueue,
    args: [input],
    // FAIL rather than USE_EXISTING: the reply then tells whether this call started the run.
    workflowIdConflictPolicy: 'FAIL',
    workflowIdReusePolicy: 'REJECT_DUPLICATE',
    ...(session.eagerStart ? { requestEagerStart: true } : {}),
    staticSummary: `${assistantId} on ${threadId ?? 'a new thread'}`,
    ...(memo === null ? {} : { memo: { [RUN_MEMO]: memo } }),
    ...(atStart
      ? {
          typedSearchAttributes: [
            { key: searchAttributeKeys.assistantId, value: assistantId },
            ...(threadId === null ? [] : [{ key: searchAttributeKeys.threadId, value: threadId }]),
          ],
        }
      : {}),
  };
};
