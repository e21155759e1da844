/**
 * Reads a run as its workflow sees it, or as far as Temporal itself knows it.
 *
 * Rule: a query needs a worker of the run's build, which may be gone. A live run is worth the wait for one; an ended run has its
 * result in Temporal, so a worker that does not answer at once is not waited for.
 * Imported by the client only.
 */
import { RUN_QUERY, RunsError, type RunSnapshot } from '../protocol/index.ts';
import { readPendingWork, liveStatus } from './run-status.ts';
import { notFound, type ClientSession } from './session.ts';
import { attributeStatus, isOpen, partialSnapshot } from './view.ts';

/** How long a worker may take to show a run's state, in milliseconds. */
const QUERY_TIMEOUT_MS = 5_000;
/** How long the worker of a run may take that turns out to have ended, in milliseconds. */
const ENDED_QUERY_MS = 300;

export const readSnapshot = async (
  session: ClientSession,
  runId: string,
  signal: AbortSignal | undefined,
): Promise<RunSnapshot> => {
  const snapshot = await queryUnlessEnded(session, runId, signal);
  if (snapshot !== null) {
    if (snapshot.status !== 'queued') return snapshot;
    const work = await readPendingWork(session, runId, signal);
    return { ...snapshot, status: liveStatus(snapshot.status, work) };
  }
  const view = await session.look(runId, signal);
  if (view === null) throw notFound(runId, session);
  if (!isOpen(view)) return partialSnapshot(view, await session.closedResult(view));
  const work = await readPendingWork(session, runId, signal);
  return { ...partialSnapshot(view, null), status: liveStatus(attributeStatus(view), work) };
};

/** The state that a worker shows; null when no worker does, or when there is no run. */
const queryUnlessEnded = async (
  session: ClientSession,
  runId: string,
  signal: AbortSignal | undefined,
): Promise<RunSnapshot | null> => {
  const ended = new AbortController();
  const timer = setTimeout(() => void abortIfEnded(session, runId, ended), ENDED_QUERY_MS);
  try {
    return await session.call(
      {
        what: `Reading run ${JSON.stringify(runId)}`,
        runId,
        timeoutMs: QUERY_TIMEOUT_MS,
        awaitsWorker: true,
        signal: signal === undefined ? ended.signal : AbortSignal.any([signal, ended.signal]),
      },
      () => session.handle(runId).query<RunSnapshot>(RUN_QUERY),
    );
  } catch (error) {
    if (ended.signal.aborted && signal?.aborted !== true) return null;
    if (error instanceof RunsError && (error.code === 'no_worker' || error.code === 'run_not_found'))
      return null;
    throw error;
  } finally {
    clearTimeout(timer);
  }
};

const abortIfEnded = async (session: ClientSession, runId: string, ended: AbortController): Promise<void> => {
  try {
    const view = await session.look(runId);
    if (view !== null && !isOpen(view)) ended.abort();
  } catch {
    // The query goes on, and its own failure is reported.
  }
};
