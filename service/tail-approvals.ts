/**
 * Streams the changes of approvals to one reader.
 *
 * Rule: watch, then read, so that no change is missed; a notification is only a reason to read. A slow reader holds one
 * batch. Of several changes of one approval that a reader missed, it gets the last. An unreachable database is awaited for a
 * while.
 * Imported by `service/index.ts`.
 */
import type { ApprovalChanges, ApprovalScope, RunStore } from '../protocol/ports/run-store.ts';
import type { AdmitRead } from '../protocol/ports/runs-service.ts';
import type { ApprovalEvent } from '../protocol/wire/decisions.ts';
import { fromRunsError } from './errors.ts';
import { patientRead } from './patient-read.ts';
import type { TailOptions } from './tail-events.ts';

/** Pause before the next read while a committed change waits for an older transaction. */
const BEHIND_MS = { first: 20, most: 1_000 };

export async function* tailApprovals(
  store: Pick<RunStore, 'approvalChanges' | 'watchApprovals' | 'receivesNotifications'>,
  scope: ApprovalScope,
  from: { after: string | null; signal: AbortSignal; admit?: AdmitRead },
  options: TailOptions = {},
): AsyncGenerator<ApprovalEvent, void, undefined> {
  const { batch = 64, idleMs = 15_000, pollMs = 500, patienceMs = 60_000 } = options;
  const { signal } = from;
  const watch = store.watchApprovals();

  const retry = { admit: from.admit, signal, pollMs, patienceMs };
  const read = (after: string | null): Promise<ApprovalChanges> =>
    patientRead(() => store.approvalChanges({ ...scope, after, limit: batch }), retry);

  try {
    let { changes, after, more, behind } = await read(from.after);
    yield { id: from.after ?? after, event: 'approvals.ready', data: { object: 'approvals.ready' } };
    let behindMs = BEHIND_MS.first;
    while (!signal.aborted) {
      for (const { id, approval } of changes)
        yield { id, event: `approval.${approval.status}`, data: approval };
      if (!more) {
        const netMs = store.receivesNotifications() ? idleMs : pollMs;
        await watch.nextChange({ timeoutMs: behind ? Math.min(behindMs, netMs) : netMs, signal });
        behindMs = behind ? Math.min(behindMs * 2, BEHIND_MS.most) : BEHIND_MS.first;
      }
      if (!signal.aborted) ({ changes, after, more, behind } = await read(after));
    }
  } catch (error) {
    throw fromRunsError(error);
  } finally {
    watch.close();
  }
}
