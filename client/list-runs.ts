/**
 * Listing runs: Temporal's list, and what it does not tell of a run looked up.
 *
 * Rule: an ended run's status is in its result, a working run's in its pending work; waiting runs cost no look.
 * Imported by the client only.
 */
import { visibilityQuery } from './query.ts';
import { readPendingWork, liveStatus } from './run-status.ts';
import { SERVER_TIMEOUT_MS, type ClientSession } from './session.ts';
import type { ListOptions, RunListItem } from './types.ts';
import { attributeStatus, isOpen, toListItem, type WorkflowView } from './view.ts';

const DEFAULT_LIMIT = 100;
/** Listed runs that are looked at side by side. */
const CONCURRENCY = 8;

const listItem = async (session: ClientSession, view: WorkflowView): Promise<RunListItem> => {
  if (!isOpen(view)) return toListItem(view, await session.closedResult(view));
  const item = toListItem(view, null);
  if (item.waitingFor.length > 0 || item.followUp) return item;
  // A run that has ended meanwhile is shown as the list knew it.
  const work = await readPendingWork(session, view.workflowId).catch(() => null);
  return work === null ? item : { ...item, status: liveStatus(attributeStatus(view), work) };
};

/** `attributes`: are our search attributes registered? */
export async function* listRuns(
  session: ClientSession,
  options: ListOptions,
  attributes: boolean,
): AsyncGenerator<RunListItem, void, undefined> {
  const limit = options.limit ?? DEFAULT_LIMIT;
  const { query, exactStatus } = visibilityQuery(options, attributes);
  const found = session.client.workflow.list({ query, pageSize: Math.min(limit, 100) });
  const pages = found[Symbol.asyncIterator]();
  const next = () => session.call({ what: 'Listing runs', timeoutMs: SERVER_TIMEOUT_MS }, () => pages.next());
  let count = 0;
  for (let over = false; !over;) {
    const some: WorkflowView[] = [];
    while (!over && some.length < CONCURRENCY) {
      const page = await next();
      if (page.done === true) over = true;
      else some.push(page.value);
    }
    for (const item of await Promise.all(some.map((view) => listItem(session, view)))) {
      if (exactStatus !== null && item.status !== exactStatus) continue;
      yield item;
      if (++count >= limit) return;
    }
  }
}
