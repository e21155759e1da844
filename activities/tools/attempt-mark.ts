/**
 * How often attempts of one call were lost together with their worker, told from attempt to attempt by heartbeat details.
 *
 * Rule: an attempt that ends in any orderly way says so as its last word; one that leaves no such word was lost, unless its
 * process still lives or its time was over. A first attempt writes nothing before it runs, so the usual call costs no
 * request; from the second one on, the mark is written first.
 * Imported by the tool runner and by tests.
 */
import { randomUUID } from 'node:crypto';

/** Losses after which a call is not tried again: it would end a third worker. */
export const MAX_LOST_ATTEMPTS = 2;
/** How stale the last heartbeat of a living attempt may be: its interval and the SDK's throttle. Milliseconds. */
const STALE_MS = 5_000;
const MAX_DETAILS_CHARS = 32_768;

/** This process, among all that may run attempts of a call. */
export const PROCESS_ID = randomUUID();

export interface AttemptMark {
  attempt: number;
  process: string;
  /** Milliseconds from the attempt's begin to this mark. */
  ms: number;
  /** Attempts lost before this one. */
  lost: number;
  /** The attempt has ended by itself: it failed, was stopped, or is not to blame for what ended its process. */
  ended?: true;
}

interface MarkedDetails {
  durableRunsMark: AttemptMark;
  details?: unknown;
}

const isMarked = (details: unknown): details is MarkedDetails =>
  typeof details === 'object' && details !== null && 'durableRunsMark' in details;

/** Heartbeat details as the tool gave them, and the mark beside them. */
export const unmark = (details: unknown): { mark: AttemptMark | null; details: unknown } =>
  isMarked(details)
    ? { mark: details.durableRunsMark, details: details.details }
    : { mark: null, details: details ?? undefined };

/** Details that JSON can't hold would make the SDK cancel the attempt: they are left out instead. */
const sendable = (details: unknown): unknown => {
  try {
    const text = JSON.stringify(details);
    return text === undefined || text.length > MAX_DETAILS_CHARS ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
};

/** How many attempts were lost before attempt `attempt`. `mark`: what the attempts before it left. Pure. */
export const lostBefore = (
  mark: AttemptMark | null,
  now: { attempt: number; process: string; startToCloseMs: number },
): number => {
  const before = mark?.lost ?? 0;
  if (now.attempt <= 1) return 0;
  // A short attempt that ran out of time and one that died leave the same: nothing.
  const tellsNothing = now.startToCloseMs > 0 && now.startToCloseMs <= STALE_MS;
  if (mark?.attempt !== now.attempt - 1) return tellsNothing ? before : before + 1;
  const lives = mark.ended === true || mark.process === now.process;
  const ranOut = now.startToCloseMs > 0 && mark.ms + STALE_MS >= now.startToCloseMs;
  return lives || ranOut ? before : before + 1;
};

export interface AttemptMarks {
  /** Attempts of this call that were lost before this one. */
  readonly lost: number;
  /** What the tool's own heartbeats of earlier attempts said. */
  readonly previous: unknown;
  /** A heartbeat; `details` replace the tool's, when given. */
  beat(details?: { value: unknown }): void;
  /** The attempt ends by itself, or was lost through the fault of this call (`lost`). */
  end(lost?: number): void;
}

/** `heartbeat` and the rest as the activity's context has them. */
export const createAttemptMarks = (
  context: {
    info: { attempt: number; heartbeatDetails: unknown; startToCloseTimeoutMs: number };
    heartbeat(details: unknown): void;
  },
  elapsedMs: () => number,
): AttemptMarks => {
  const { attempt, heartbeatDetails, startToCloseTimeoutMs } = context.info;
  const { mark, details: previous } = unmark(heartbeatDetails);
  const lost = lostBefore(mark, { attempt, process: PROCESS_ID, startToCloseMs: startToCloseTimeoutMs });
  let details = previous;
  // Once the attempt is known to end by itself, a late heartbeat of its tool does not unsay it.
  let end: Pick<AttemptMark, 'ended' | 'lost'> = { lost };
  const send = (): void =>
    context.heartbeat({
      durableRunsMark: { attempt, process: PROCESS_ID, ms: Math.round(elapsedMs()), ...end },
      ...(details === undefined ? {} : { details }),
    } satisfies MarkedDetails);
  return {
    lost,
    previous,
    beat(given) {
      if (given !== undefined) details = sendable(given.value);
      send();
    },
    end(total) {
      end = { lost: total ?? end.lost, ended: true };
      send();
    },
  };
};
