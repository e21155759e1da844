/**
 * The numbers of a run's workflow, with their reasons. Milliseconds unless the name says otherwise.
 *
 * Rule: no other file in `workflows/` has a number with a meaning. Replay does not compare durations, so they may
 * change between releases; a running run keeps the timers and activities that it has.
 * Imports one default of `protocol/`. Imported by workflow code and tests.
 */
import { FOLLOW_UP_WITHIN_MS } from '../../protocol/decisions.ts';
import type { RunSettings } from '../../protocol/temporal/messages.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Defaults of `RunSettings`. */
export const DEFAULTS = {
  /** A killed worker is noticed after this time; a shorter one costs more server calls per running activity. */
  heartbeatMs: 10 * SECOND,
  /** Used when an upstream names no expiry: twice the longest expiry known of such a server (30 min). */
  createWithinMs: HOUR,
  /** A run that has not ended after 64 rounds is looping; each round costs money. */
  maxRounds: 64,
  maxCalls: 512,
  /** People return from holidays. */
  followUpWithinMs: FOLLOW_UP_WITHIN_MS,
} as const satisfies RunSettings;

/** Backend activities: only Temporal retries; the HTTP client never does. */
export const BACKEND_RETRY = {
  /** A local server restarts in about this time; a shorter interval wastes attempts. */
  initialInterval: 500,
  backoffCoefficient: 2,
  /** After an outage, work resumes within half a minute. */
  maximumInterval: 30 * SECOND,
} as const;

/** After the run's expiry, an upstream still needs time to report how the run ended. */
export const EXPIRY_GRACE_MS = MINUTE;
/** An operation upstream always gets this long, also near or past the expiry, so that the final status can be read. */
export const MIN_BACKEND_MS = 2 * MINUTE;
/** On `chat` the attempt ends the run at its expiry; it has this long to report before Temporal times it out. */
export const TURN_GRACE_MS = 250;
/** A turn that starts at or after the expiry has this long to notice and to end the run. */
export const MIN_TURN_MS = SECOND;
/** Ending a run survives an hour of outage; after that, the upstream's own expiry ends the run. */
export const CLOSE_SCHEDULE_TO_CLOSE_MS = HOUR;
/** On `chat` a close is one transaction; a lost attempt is repeated after this. */
export const CHAT_CLOSE_START_TO_CLOSE_MS = 30 * SECOND;

/** Hooks are notifications: a receiver that is down for ten minutes misses this one. */
export const HOOK_START_TO_CLOSE_MS = 30 * SECOND;
export const HOOK_SCHEDULE_TO_CLOSE_MS = 10 * MINUTE;
/** Showing a partial answer early is optional, since the submit repeats it: few attempts, soon given up. */
export const RECORD_START_TO_CLOSE_MS = 30 * SECOND;
export const RECORD_SCHEDULE_TO_CLOSE_MS = 5 * MINUTE;

/** Starting a follow-up run waits until the thread is free; a run that waits for a person may hold it for days. */
export const FOLLOW_UP_RUN_SCHEDULE_TO_CLOSE_MS = 7 * DAY;
export const FOLLOW_UP_RUN_START_TO_CLOSE_MS = 5 * MINUTE;
export const FOLLOW_UP_RUN_RETRY = {
  initialInterval: SECOND,
  backoffCoefficient: 2,
  maximumInterval: MINUTE,
} as const;

/**
 * A tool that sends no heartbeats: its worker sends them. A killed worker is noticed after this time, instead of the tool's timeout of
 * minutes; a tool may block its process for less than this.
 */
export const TOOL_HEARTBEAT_MS = MINUTE;
/** A tool with less time than this is not started; the model reads that there was no time. */
export const MIN_TOOL_MS = SECOND;

/** A server's clock and its expiry sweep run in whole seconds: a poll at the exact millisecond would come too early. */
export const VERDICT_SLACK_MS = SECOND;
/** When an upstream keeps a run past its expiry: poll after 2 s, 4 s, … 5 min. */
export const RECHECK_INITIAL_MS = 2 * SECOND;
export const MAX_RECHECK_MS = 5 * MINUTE;
/**
 * When an upstream names no expiry: poll after 1 min, 2 min, … 1 h. A poll is about ten events, so a day costs a few
 * hundred.
 */
export const POLL_INITIAL_MS = MINUTE;
export const MAX_POLL_MS = HOUR;

/** How many rejected signals are listed for people to read. */
export const MAX_REJECTED_SIGNALS = 10;
/**
 * Decisions whose texts the state keeps. Of older ones it keeps the sender and the verdict; the store has the texts.
 */
export const DECISIONS_KEPT_CHARS = 200_000;
/** Texts of decisions that travel with a round's outputs: both must fit one payload. */
export const DECISIONS_SENT_CHARS = 64_000;
/** A decision that the store cannot take for an hour travels with the outputs of the round or with the run's end. */
export const DECISION_WITHIN_MS = HOUR;
/** How many decisions the current details show: the latest ones. */
export const DECISIONS_SHOWN = 20;
/** Carried state must fit one payload (2 MB) beside the input, with room for escapes. */
export const MAX_CARRIED_STATE_CHARS = 750_000;
/** The memo of a cancelled run: the server warns at 2 KB. */
export const MAX_MEMO_BYTES = 1900;
/** Characters of the current details: a query reply may have 4 MB, but a person reads no more than this. */
export const MAX_DETAILS_CHARS = 128_000;
/** The Web UI cuts lines of a code block at the edge of its column, which has this width on a small screen. */
export const DETAILS_COLUMNS = 48;
/** Each waiting call shows about this much of its arguments, however many calls wait. */
export const MIN_SHOWN_CHARS = 2000;
/** Characters of arguments that are shown a second time, to be edited. */
export const MAX_EDITABLE_CHARS = 1000;
