/**
 * Approvals of the scripted server. Scripted runs have no calls that wait for an approval.
 * Imported by `engine.ts`.
 */
import { apiErrors } from '../../protocol/errors.ts';
import type { RunsService } from '../../protocol/ports/runs-service.ts';
import type { Approval } from '../../protocol/wire/decisions.ts';
import { paged } from './paging.ts';

const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

export const scriptedApprovals = (): Pick<
  RunsService,
  'listApprovals' | 'getApproval' | 'decideApproval' | 'answerApproval' | 'commentApproval' | 'approvalEvents'
> => ({
  listApprovals: async () => paged<never, Approval>([], { limit: 1, order: 'asc' }, (approval) => approval),
  getApproval: async (_caller, id) => {
    throw apiErrors.notFound('approval', id);
  },
  decideApproval: async (_caller, id) => {
    throw apiErrors.notFound('approval', id);
  },
  answerApproval: async (_caller, id) => {
    throw apiErrors.notFound('approval', id);
  },
  commentApproval: async (_caller, id) => {
    throw apiErrors.notFound('approval', id);
  },
  async *approvalEvents(_caller, { after, signal }) {
    yield { id: after ?? '0-0', event: 'approvals.ready', data: { object: 'approvals.ready' } };
    await untilAborted(signal);
  },
});
