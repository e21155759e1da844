/**
 * A listed workflow as a run: what Temporal's list does not tell is looked up.
 *
 * Rule: an ended run's status is in its result, a working run's in its pending work; waiting runs cost no look.
 * Imported by the client only.
 */
import { lookAtWork, liveStatus } from './run-status.ts';
import type { ClientSession } from './session.ts';
import type { RunListItem } from './types.ts';
import { attributeStatus, isOpen, toListItem, type WorkflowView } from './view.ts';

export const listItem = async (session: ClientSession, view: WorkflowView): Promise<RunListItem> => {
  if (!isOpen(view)) return toListItem(view, await session.closedResult(view));
  const item = toListItem(view, null);
  if (item.waitingFor.length > 0 || item.followUp) return item;
  // A run that has ended meanwhile is shown as the list knew it.
  const work = await lookAtWork(session, view.workflowId).catch(() => null);
  return work === null ? item : { ...item, status: liveStatus(attributeStatus(view), work) };
};
