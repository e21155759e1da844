/**
 * Cancels a run: the request is written to its row, then sent to its workflow.
 *
 * Rule: the stored request is sent again until it has an effect. A run without a workflow is closed here.
 * Imported within `service/` only.
 */
import type { Caller } from '../protocol/ports/runs-service.ts';
import { RunsError } from '../protocol/errors.ts';
import { isTerminal, type Run } from '../protocol/wire/objects.ts';
import { isTransientApiError } from './errors.ts';
import { withPingWatchdog } from './ping-watchdog.ts';
import type { ServiceContext } from './service-context.ts';

export const requestCancel = async (
  { store, workflows, now, log }: ServiceContext,
  caller: Caller,
  threadId: string,
  runId: string,
): Promise<Run> => {
  const run = await store.markCancelling(caller.tenant, threadId, runId, now());
  try {
    await withPingWatchdog(workflows, (signal) => workflows.cancel(runId, { signal }));
    return run;
  } catch (error) {
    if (!(error instanceof RunsError)) throw error;
    if (error.code === 'run_not_found') {
      // No workflow will close it. One that is being started finds it closed.
      await store.closeRun(runId, { kind: 'cancel' }, now());
      return store.getRun(caller.tenant, threadId, runId);
    }
    if (error.code === 'refused') {
      const current = await store.getRun(caller.tenant, threadId, runId);
      // The workflow has ended and left the row open: it is closed here, as no other process will.
      if (!isTerminal(current.status)) await store.closeRun(runId, { kind: 'cancel' }, now());
      return isTerminal(current.status) ? current : store.getRun(caller.tenant, threadId, runId);
    }
    if (!isTransientApiError(error)) throw error;
    log?.warn({ runId, error }, 'the cancel request is stored, and sent when Temporal is back');
    return run;
  }
};
