/**
 * Counts the attempts of a call that were lost together with their worker, by heartbeat details.
 *
 * Rule: an attempt that ends in order writes so in its last heartbeat. One without this mark was lost, unless its
 * process lives or its time was over. A first attempt writes nothing before it runs, so the usual call costs no
 * request; later attempts write the mark first.
 * Imported by the tool runner and by tests.
 */
import { randomUUID } from 'node:crypto';

/** After this many losses a call is not retried, since it would end a third worker. */
export const MAX_LOST_ATTEMPTS = 2;
/** How old the last heartbeat of a live attempt may be: its interval plus the SDK's throttle. Milliseconds. */
const STALE_MS = 5_000;
const MAX_DETAILS_CHARS = 32_768;

/** Identifies this process among those that may run attempts of a call. */
export const PROCESS_ID = randomUUID();

export interface AttemptMark {
  attempt: number;
  process: string;
  /** Milliseconds from the start of the attempt to this mark. */
  ms: number;
  /** Attempts lost before this one. */
  lost: number;
  /** The attempt ended by itself: it failed, was stopped, or did not cause the end of its process. */
  ended?: true;
}

interface MarkedDetails {
  durableRunsMark: AttemptMark;
  details?: unknown;
}

const isMarked = (details: unknown): details is MarkedDetails =>
  typeof details === 'object' && details !== null && 'durableRunsMark' in details;

/** Heartbeat details of the tool, with the mark beside them. */
export const unmark = (details: unknown): { mark: AttemptMark | null; details: unknown } =>
  isMarked(details)
    ? { mark: details.durableRunsMark, details: details.details }
    : { mark: null, details: details ?? undefined };

/** Details that JSON can't express would make the SDK cancel the attempt, so they are left out. */
const sendable = (details: unknown): unknown => {
  try {
    const text = JSON.stringify(details);
    return text === undefined || text.length > MAX_DETAILS_CHARS ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
};

/** How many attempts were lost before attempt `attempt`. `mark`: of the previous attempts. Pure. */
export const lostBefore = (
  mark: AttemptMark | null,
  now: { attempt: number; process: string; startToCloseMs: number },
): number => {
  const before = mark?.lost ?? 0;
  if (now.attempt <= 1) return 0;
  // A short attempt that timed out and one that died both leave nothing.
  const tellsNothing = now.startToCloseMs > 0 && now.startToCloseMs <= STALE_MS;
  if (mark?.attempt !== now.attempt - 1) return tellsNothing ? before : before + 1;
  const lives = mark.ended === true || mark.process === now.process;
  const ranOut = now.startToCloseMs > 0 && mark.ms + STALE_MS >= now.startToCloseMs;
  return lives || ranOut ? before : before + 1;
};

export interface AttemptMarks {
  /** Attempts of this call that were lost before this one. */
  readonly lost: number;
  /** Details of the tool's heartbeats in earlier attempts. */
  readonly previous: unknown;
  /** Sends a heartbeat; `details` replace the tool's, when given. */
  beat(details?: { value: unknown }): void;
  /** The attempt ends by itself, or this call caused its loss (`lost`). */
  end(lost?: number): void;
}

/** `heartbeat` and the other functions of the activity's context. */
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
  // After the end of the attempt is known, a late heartbeat of its tool does not overwrite the mark.
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
