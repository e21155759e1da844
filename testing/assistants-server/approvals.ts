/**
 * Approvals of the scripted server, and its runs over all threads. Scripted runs have no calls that wait for an approval.
 * Imported by `engine.ts`.
 */
import { apiErrors } from '../../protocol/errors.ts';
import type { RunsService } from '../../protocol/ports/runs-service.ts';
import type { Approval } from '../../protocol/wire/decisions.ts';
import { paged } from './paging.ts';
import type { ServerState } from './thread-methods.ts';
import { toRun } from './views.ts';

const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

export const scriptedApprovals = ({
  runs,
}: Pick<ServerState, 'runs'>): Pick<
  RunsService,
  'listAllRuns' | 'listApprovals' | 'getApproval' | 'decideApproval' | 'approvalEvents'
> => ({
  async listAllRuns({ tenant }, { status, assistantId, threadId, tool, ...query }) {
    const found = [...runs.values()]
      .filter((run) => run.tenant === tenant)
      .filter((run) => {
        const view = toRun(run);
        return (
          (status === undefined || view.status === status) &&
          (assistantId === undefined || view.assistant_id === assistantId) &&
          (threadId === undefined || view.thread_id === threadId) &&
          (tool === undefined ||
            run.steps.some(
              ({ details }) => 'calls' in details && details.calls.some(({ name }) => name === tool),
            ))
        );
      });
    return paged(found, { ...query, order: 'desc' }, toRun);
  },
  listApprovals: async () => paged<never, Approval>([], { limit: 1, order: 'asc' }, (approval) => approval),
  getApproval: async (_caller, id) => {
    throw apiErrors.notFound('approval', id);
  },
  decideApproval: async (_caller, id) => {
    throw apiErrors.notFound('approval', id);
  },
  async *approvalEvents(_caller, { after, signal }) {
    yield { id: after ?? '0-0', event: 'approvals.ready', data: { object: 'approvals.ready' } };
    await untilAborted(signal);
  },
});
