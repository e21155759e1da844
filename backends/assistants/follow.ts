/**
 * From a started or known run to its settlement.
 *
 * Rule: the last step is a read of the run. When a stream reports the end, the search for duplicates runs together with
 * that read. Imports poll and find-run. create, submit and close import it.
 */
import type { RunRef, Settled } from '../../protocol/ports/backend.ts';
import { isTerminal } from '../../protocol/wire/objects.ts';
import type { RunReading, StartedStream } from './api.ts';
import { settledFrom } from './assess.ts';
import { cancelDuplicatesAtEnd } from './find-run.ts';
import type { BackendSession } from './session.ts';
import { pollRun, readStream } from './poll.ts';

/** The settlement of a reading; an ended run is swept for duplicates first, unless that has been done. */
export const settleReading = async (
  s: BackendSession,
  ref: RunRef,
  reading: RunReading,
  swept: Promise<void> | null = null,
): Promise<Settled> => {
  if (isTerminal(reading.run.status)) await (swept ?? cancelDuplicatesAtEnd(s, ref, reading.run));
  else await swept;
  return settledFrom(reading, ref.threadId, (calls, tools) => s.ctx.plan(calls, tools));
};

export interface Followed {
  ref: RunRef;
  /** The last read of the run on the way, if any. */
  first: RunReading | null;
  swept: Promise<void> | null;
}

/**
 * Takes what a create or a submit was answered with to the point where a reading is due. null = the stream broke
 * before it named a run (only possible for a create).
 */
export const followStarted = async (
  s: BackendSession,
  threadId: string,
  started: StartedStream,
  known: RunRef | null,
): Promise<Followed | null> => {
  if (started.kind === 'run') {
    const ref = known ?? { backendRunId: started.reading.run.id, threadId };
    s.progress({ run: ref });
    return { ref, first: started.reading, swept: null };
  }
  let ref = known;
  if (ref !== null) s.progress({ run: ref });
  const end = await readStream(s, started, known?.backendRunId ?? null, (run) => {
    if (ref === null) {
      ref = { backendRunId: run.id, threadId };
      s.progress({ run: ref });
    }
  });
  const { last } = end;
  if (last === null) return ref === null ? null : { ref, first: null, swept: null };
  ref ??= { backendRunId: last.id, threadId };
  const swept = end.final && isTerminal(last.status) ? cancelDuplicatesAtEnd(s, ref, last) : null;
  // Awaited with the settlement; should that never come, its abort is not an unhandled one.
  swept?.catch(() => undefined);
  return { ref, first: null, swept };
};

/** Re-attaches to a run: reads until it needs us or has ended. */
export const follow = async (
  s: BackendSession,
  ref: RunRef,
  first: RunReading | null = null,
): Promise<Settled> => {
  s.progress({ run: ref });
  return settleReading(s, ref, await pollRun(s, ref, () => true, first));
};
