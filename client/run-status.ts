/**
 * The status of a live run as the API shows it, from Temporal's data.
 *
 * Rule: every reader gets the same status. A workflow learns of a turn after its end, and its attribute is not set
 * before its first wait; Temporal knows whether a worker has started the turn. Pure but for `readPendingWork`. Imported
 * by the client only.
 */
import { ACTIVITIES } from '../protocol/index.ts';
import { SERVER_TIMEOUT_MS, type ClientSession } from './session.ts';

/** Activities in which the run goes on at its backend. */
const TURNS: ReadonlySet<string> = new Set([
  ACTIVITIES.createRun,
  ACTIVITIES.submitToolOutputs,
  ACTIVITIES.followRun,
]);
/** Activities before the run exists at its backend. */
const FIRST: ReadonlySet<string> = new Set([ACTIVITIES.createThread, ACTIVITIES.createRun]);
/** Events of a workflow whose first task no worker has finished. */
const UNTOUCHED_HISTORY_EVENTS = 4;

/** The work of a live workflow, as Temporal describes it. */
export interface Work {
  pending: { type: string; taken: boolean }[];
  historyLength: number;
}

/** The part of Temporal's reply that is read here. */
interface RawDescription {
  pendingActivities?:
    | { activityType?: { name?: string | null } | null; lastWorkerIdentity?: string | null }[]
    | null;
}

export const workOf = ({ raw, historyLength }: { raw: RawDescription; historyLength: number }): Work => ({
  historyLength,
  pending: (raw.pendingActivities ?? []).map(({ activityType, lastWorkerIdentity }) => ({
    type: activityType?.name ?? '',
    // Of the worker that has it, or had it last; empty before the first.
    taken: lastWorkerIdentity != null && lastWorkerIdentity !== '',
  })),
});

/** `known`: as the workflow or its search attribute says it; null = it has never waited, so there is no attribute. */
export const liveStatus = (known: string | null, { pending, historyLength }: Work): string => {
  if (known !== null)
    return known === 'queued' && pending.some(({ type, taken }) => taken && TURNS.has(type))
      ? 'in_progress'
      : known;
  const begun =
    pending.length === 0
      ? historyLength > UNTOUCHED_HISTORY_EVENTS
      : pending.some(({ type, taken }) => taken || !FIRST.has(type));
  return begun ? 'in_progress' : 'queued';
};

/** Throws `run_not_found` when the run is gone meanwhile. */
export const readPendingWork = async (
  session: ClientSession,
  runId: string,
  signal?: AbortSignal,
): Promise<Work> =>
  session.call(
    {
      what: `Looking for run ${JSON.stringify(runId)}`,
      runId,
      timeoutMs: SERVER_TIMEOUT_MS,
      ...(signal === undefined ? {} : { signal }),
    },
    async () => workOf(await session.handle(runId).describe()),
  );
