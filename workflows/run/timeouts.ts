/**
 * Every number of a run's workflow, with its reason. Milliseconds unless the name says otherwise.
 *
 * Rule: no number with a meaning lives anywhere else in `workflows/`. Durations are not part of what replay compares,
 * so they may change between releases; a running run keeps the timers and activities it already has.
 * Imports nothing at run time. Workflow code and tests import it.
 */
import type { RunSettings } from '../../protocol/temporal/messages.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Defaults of `RunSettings`. */
export const DEFAULTS = {
  /** A killed worker is noticed after this; shorter costs a server call per running activity more often. */
  heartbeatMs: 10 * SECOND,
  /** Twice the longest expiry seen on a server of this protocol (30 min), when a server names none. */
  createWithinMs: HOUR,
  /** A run that has not ended after 64 rounds is looping; each round is paid for. */
  maxRounds: 64,
  maxCalls: 512,
  /** People return from holidays. */
  followUpWithinMs: 30 * DAY,
} as const satisfies RunSettings;

/** Backend activities: retried by Temporal alone (the HTTP client never retries). */
export const BACKEND_RETRY = {
  /** A restart of a local server takes about this long; less would only burn attempts. */
  initialInterval: 500,
  backoffCoefficient: 2,
  /** After an outage, everything is back within half a minute of the server. */
  maximumInterval: 30 * SECOND,
} as const;

/** Past the run's expiry, a server of the runs API still needs to tell how the run ended. */
export const EXPIRY_GRACE_MS = MINUTE;
/** An operation at such a server always gets this long, even when the expiry is near or past: the verdict must be fetched. */
export const MIN_BACKEND_MS = 2 * MINUTE;
/** On the `chat` backend the attempt ends the run at its expiry; this long it has to report before Temporal gives it up. */
export const TURN_GRACE_MS = 250;
/** A turn that is asked for at the expiry or after it gets this long to find that out and to end the run. */
export const MIN_TURN_MS = SECOND;
/** Ending a run outlives an hour of outage; after that, the server's own expiry ends the run. */
export const CLOSE_SCHEDULE_TO_CLOSE_MS = HOUR;
/** On `chat` a close is one transaction; an attempt that was lost is repeated after this. */
export const CHAT_CLOSE_START_TO_CLOSE_MS = 30 * SECOND;

/** Hooks are notifications: a receiver that is down for ten minutes has missed this one. */
export const HOOK_START_TO_CLOSE_MS = 30 * SECOND;
export const HOOK_SCHEDULE_TO_CLOSE_MS = 10 * MINUTE;
/** Showing a partial answer early is a courtesy (the submit guarantees it): few attempts, soon given up. */
export const RECORD_START_TO_CLOSE_MS = 30 * SECOND;
export const RECORD_SCHEDULE_TO_CLOSE_MS = 5 * MINUTE;

/** Starting a linked run waits for the thread to become free; runs that wait for people hold it for days. */
export const FOLLOW_UP_RUN_SCHEDULE_TO_CLOSE_MS = 7 * DAY;
export const FOLLOW_UP_RUN_START_TO_CLOSE_MS = 5 * MINUTE;
export const FOLLOW_UP_RUN_RETRY = {
  initialInterval: SECOND,
  backoffCoefficient: 2,
  maximumInterval: MINUTE,
} as const;

/** Time kept free before the expiry, so that a submit still arrives: a share of the run's life, but at least this. */
export const MARGIN_MS = 5 * SECOND;
export const MARGIN_SHARE = 0.05;
/** On very short runs the margin must not eat the whole life. */
export const MAX_MARGIN_SHARE = 0.25;

/** A tool that would get less time than this is not started; the model is told instead. */
export const MIN_TOOL_MS = SECOND;

/** A server's clock and its expiry sweep are whole seconds: asking at the very millisecond would ask twice. */
export const VERDICT_SLACK_MS = SECOND;
/** When a server keeps a run waiting past its own expiry: look again after 2 s, 4 s, … 5 min. */
export const RECHECK_INITIAL_MS = 2 * SECOND;
export const MAX_RECHECK_MS = 5 * MINUTE;
/**
 * When a server names no expiry: look after 1 min, 2 min, … 1 h whether the run still waits. A look is about ten events,
 * so a day costs a few hundred.
 */
export const POLL_INITIAL_MS = MINUTE;
export const MAX_POLL_MS = HOUR;

/** Signals that could not be used: how many are kept for people to read. */
export const MAX_REJECTED_SIGNALS = 10;
/** Decisions whose texts are kept in the state; beyond it who decided what is kept, and the texts are with the store. */
export const DECISIONS_KEPT_CHARS = 200_000;
/** Texts of decisions that travel beside a round's outputs: both must fit one payload. */
export const DECISIONS_SENT_CHARS = 64_000;
/** A decision that the store can't take for an hour travels with the round's outputs or the run's end. */
export const DECISION_WITHIN_MS = HOUR;
/** Decisions on the run's page: the latest ones. */
export const DECISIONS_SHOWN = 20;
/** Carried state must fit one payload (2 MB) beside the input, with room for escapes. */
export const MAX_CARRIED_STATE_CHARS = 750_000;
/** The memo a cancelled run leaves: the server warns at 2 KB. */
export const MAX_MEMO_BYTES = 1900;
/** A run's page, in characters: a reply to a query may have 4 MB, and nobody reads more than this. */
export const MAX_DETAILS_CHARS = 128_000;
/** The Web UI cuts lines of a code block at the edge of its column, which holds this much on a small screen. */
export const DETAILS_COLUMNS = 48;
/** However many calls wait, each shows about this much of its arguments. */
export const MIN_SHOWN_CHARS = 2000;
/** Arguments that are laid out a second time, to be edited. */
export const MAX_EDITABLE_CHARS = 1000;
