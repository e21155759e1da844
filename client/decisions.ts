/**
 * Reads the decisions about a run's calls, from the run's workflow and from its follow-up workflow.
 *
 * Rule: a run without a follow-up workflow has no late decisions; any other missing part is an error. Imported by the
 * client only.
 */
import { DECISIONS_QUERY, followUpWorkflowId, RunsError, type Decision } from '../protocol/index.ts';
import type { ClientSession } from './session.ts';
import type { CallOptions } from './types.ts';

/** How long a worker may take to show them, in milliseconds. */
const QUERY_TIMEOUT_MS = 5_000;

export const readDecisions = async (
  session: ClientSession,
  runId: string,
  { signal }: Pick<CallOptions, 'signal'>,
): Promise<Decision[]> => {
  const read = (workflowId: string): Promise<Decision[]> =>
    session.call(
      {
        what: `Reading the decisions of run ${JSON.stringify(runId)}`,
        runId: workflowId,
        timeoutMs: QUERY_TIMEOUT_MS,
        awaitsWorker: true,
        ...(signal === undefined ? {} : { signal }),
      },
      () => session.handle(workflowId).query<Decision[]>(DECISIONS_QUERY),
    );
  const own = await read(runId);
  try {
    return [...own, ...(await read(followUpWorkflowId(runId)))];
  } catch (error) {
    if (error instanceof RunsError && error.code === 'run_not_found') return own;
    throw error;
  }
};
