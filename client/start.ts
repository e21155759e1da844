/**
 * Starting a run, once.
 *
 * Rule: the workflow's id is the run's, and Temporal refuses a second one of an id: so a start may be repeated. What a
 * list shows without a worker goes into search attributes, or into the memo where those are not registered.
 * Imported by the client only.
 */
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { mintId, packRunInput, RunsError, WORKFLOWS } from '../protocol/index.ts';
import { toRunInput } from './input.ts';
import { searchAttributeKeys } from './search-attributes.ts';
import { SERVER_TIMEOUT_MS, type ClientSession } from './session.ts';
import type { CallOptions, RunMemo, StartedRun, StartOptions } from './types.ts';
import { RUN_MEMO } from './view.ts';

/** `attributes`: are our search attributes registered? */
export const startRunWorkflow = async (
  session: ClientSession,
  options: StartOptions,
  attributes: () => Promise<boolean>,
  call: Pick<CallOptions, 'signal'>,
): Promise<StartedRun> => {
  const runId = options.runId ?? mintId('run');
  const input = toRunInput(runId, options, false);
  const searchAttributes = await attributes();
  // Search attributes tell the rest, and `assistants` is what a run is without a word about it.
  const memo: RunMemo | null = !searchAttributes
    ? { backend: input.backend, assistantId: input.assistantId, threadId: input.threadId }
    : input.backend === 'chat'
      ? { backend: 'chat' }
      : null;
  const what = `Starting run ${JSON.stringify(runId)}`;
  try {
    await session.call({ what, runId, timeoutMs: SERVER_TIMEOUT_MS, ...call }, () =>
      session.client.workflow.start(WORKFLOWS.run, {
        workflowId: runId,
        taskQueue: session.taskQueue,
        args: [packRunInput({ ...input, searchAttributes })],
        // FAIL rather than USE_EXISTING: the reply then tells whether this call started the run.
        workflowIdConflictPolicy: 'FAIL',
        workflowIdReusePolicy: 'REJECT_DUPLICATE',
        ...(session.eagerStart ? { requestEagerStart: true } : {}),
        staticSummary: `${input.assistantId} on ${input.threadId ?? 'a new thread'}`,
        ...(memo === null ? {} : { memo: { [RUN_MEMO]: memo } }),
        ...(searchAttributes
          ? {
              typedSearchAttributes: [
                { key: searchAttributeKeys.assistantId, value: input.assistantId },
                ...(input.threadId === null
                  ? []
                  : [{ key: searchAttributeKeys.threadId, value: input.threadId }]),
              ],
            }
          : {}),
      }),
    );
    return { runId, started: true };
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return { runId, started: false };
    if (error instanceof RunsError)
      throw new RunsError(error.code, error.message, { details: { runId }, cause: error });
    throw error;
  }
};
