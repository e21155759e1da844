/**
 * Finds the run with the token of a create, and duplicates of it (deduplication).
 *
 * Rule: servers can't filter lists, so the list is read newest first until it is older than the workflow's start (by
 * the server's clock, with a margin). "Not found" is certain only if the server is known to return metadata, or no run
 * of that time could be this one. Of several runs with one token the earliest stays; the others are cancelled and
 * reported. Imports the API and assess. create, close and the end of a run import it.
 */
import type { RunRef } from '../../protocol/ports/backend.ts';
import { isTerminal } from '../../protocol/wire/objects.ts';
import { HttpFailure } from '../http/index.ts';
import { earliest } from './assess.ts';
import { tokenOf, type UpstreamRun } from './parse.ts';
import type { BackendSession } from './session.ts';

export type RunSearchResult =
  | { kind: 'found'; run: UpstreamRun; duplicates: UpstreamRun[] }
  /** `unsure`: runs that this run's create may have made, on a server that may drop metadata. */
  | { kind: 'none'; unsure: UpstreamRun[] }
  /** The server has no list of runs. */
  | { kind: 'cannot'; status: number };

export interface RunSearch {
  threadId: string;
  token: string;
  assistantId: string | null;
  /** Unix ms, this worker's clock: this run's create is not older. */
  since: number;
  /** A run that is known to belong to another client. */
  foreign?: string | null;
}

/** Margin for whole seconds and clocks a second apart; the wide margin is for the search, not for suspicion. */
const CLOCK_NOISE_MS = 5000;
/** Pages of 20; a thread with a thousand runs inside one run's lifetime is not one we can judge. */
const MAX_PAGES = 50;

/** Where a list may end: a time by our clock or by the server's. */
type Since = { ourClock: number } | { serverClock: number };

/**
 * Runs of a thread since then, newest first, `createdAt` by our clock; a number = the status with which the server
 * says that it has no list of runs.
 */
const recentRuns = async (
  s: BackendSession,
  threadId: string,
  since: Since,
): Promise<UpstreamRun[] | number> => {
  const runs: UpstreamRun[] = [];
  const seen = new Set<string>();
  let after: string | null = null;
  let offset: number | null = null;
  for (let page = 0; page < MAX_PAGES; page++) {
    let list;
    try {
      list = await s.env.api.listRuns(threadId, after, s.caller);
    } catch (error) {
      if (error instanceof HttpFailure && error.status !== null && [404, 405, 501].includes(error.status))
        return error.status;
      throw error;
    }
    // One offset for all pages: two would put runs into another order.
    const clock: number = (offset ??= list.offsetMs);
    const from =
      ('ourClock' in since ? since.ourClock : since.serverClock - clock) - s.env.settings.lookBackMs;
    const fresh = list.items
      .filter(({ id }) => !seen.has(id))
      .map((run) => (run.createdAt === null ? run : { ...run, createdAt: run.createdAt - clock }));
    for (const { id } of fresh) seen.add(id);
    const recent = fresh.filter(({ createdAt }) => createdAt === null || createdAt >= from);
    runs.push(...recent);
    if (fresh.some(({ metadata }) => Object.keys(metadata ?? {}).length > 0))
      s.env.learned.echoesMetadata = true;
    // A server that ignores `order` lists the oldest first: then only the end of the list proves that no run is left.
    const last = fresh.at(-1)?.createdAt ?? from;
    const ascending = (fresh[0]?.createdAt ?? 0) < last;
    if (!list.hasMore || list.lastId === null || fresh.length === 0) return runs;
    if (last < from && !ascending) return runs;
    after = list.lastId;
  }
  s.ctx.log.warn({ threadId, pages: MAX_PAGES }, 'the list of runs was not read to its end');
  return runs;
};

/** By its time (this worker's clock) and its assistant, could this run be the requested one? */
export const matchesTimeAndAssistant = (
  { createdAt, assistantId }: Pick<UpstreamRun, 'createdAt' | 'assistantId'>,
  what: Pick<RunSearch, 'assistantId' | 'since'>,
): boolean =>
  (createdAt === null || createdAt >= what.since - CLOCK_NOISE_MS) &&
  (what.assistantId === null || assistantId === null || assistantId === what.assistantId);

export const findRunByToken = async (s: BackendSession, what: RunSearch): Promise<RunSearchResult> => {
  const runs = await recentRuns(s, what.threadId, { ourClock: what.since });
  if (typeof runs === 'number') return { kind: 'cannot', status: runs };
  const ours = runs.filter((run) => tokenOf(run) === what.token);
  const run = earliest(ours);
  if (run !== undefined) return { kind: 'found', run, duplicates: ours.filter(({ id }) => id !== run.id) };
  if (s.env.learned.echoesMetadata === true) return { kind: 'none', unsure: [] };
  return {
    kind: 'none',
    unsure: runs.filter((other) => other.id !== what.foreign && matchesTimeAndAssistant(other, what)),
  };
};

/** Cancels runs that should not exist. Never throws but for an abort: repairing is extra, the run itself counts. */
export const cancelDuplicates = async (
  s: BackendSession,
  threadId: string,
  duplicates: readonly UpstreamRun[],
): Promise<void> => {
  for (const { id, status } of duplicates) {
    s.ctx.observe?.({ kind: 'duplicate_run', backendRunId: id });
    s.ctx.log.warn(
      { threadId, backendRunId: id, status },
      'found a second run with the same token: the earliest stays',
    );
    if (isTerminal(status)) continue;
    s.ctx.fence();
    try {
      await s.env.api.cancel({ threadId, backendRunId: id }, s.caller);
    } catch (error) {
      s.ctx.signal.throwIfAborted();
      s.ctx.log.warn({ backendRunId: id, error: String(error) }, 'the duplicate could not be cancelled');
    }
  }
};

/** Looks once more when a run has ended: a request that was delayed in the network may have made a second one. */
export const cancelDuplicatesAtEnd = async (
  s: BackendSession,
  ref: RunRef,
  run: UpstreamRun,
): Promise<void> => {
  const token = tokenOf(run);
  if (token === null || run.createdAt === null) return;
  try {
    const runs = await recentRuns(s, ref.threadId, { serverClock: run.createdAt });
    if (typeof runs === 'number') return;
    const others = runs.filter((other) => other.id !== run.id && tokenOf(other) === token);
    await cancelDuplicates(s, ref.threadId, others);
  } catch (error) {
    s.ctx.signal.throwIfAborted();
    s.ctx.log.warn(
      { backendRunId: run.id, error: String(error) },
      'the search for duplicate runs at the end failed',
    );
  }
};
