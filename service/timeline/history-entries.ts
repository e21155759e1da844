/**
 * Adds what Temporal's history knows to the entries of a run: true times, attempts, failures, timers, messages. Pure.
 *
 * Rule: a turn or a tool that the rows have as well becomes one entry, with the times of the history. An activity without a
 * row, such as a turn whose result was not stored, becomes an entry of its own.
 * Imported by `timeline/` and tests.
 */
import type { RunTrace, TraceActivity } from '../../client/index.ts';
import { ACTIVITIES, TOOL_ACTIVITY_PREFIX } from '../../protocol/temporal/names.ts';
import type { TimelineEntry } from '../../protocol/wire/run-timeline.ts';

const TURNS: ReadonlySet<string> = new Set([
  ACTIVITIES.createRun,
  ACTIVITIES.submitToolOutputs,
  ACTIVITIES.followRun,
]);

interface Attempted {
  start_ms: number;
  end_ms: number | null;
  source: 'history';
  attempts: number;
  failure: TraceActivity['failure'];
  next_attempt_at_ms: number | null;
}

const attempted = (activity: TraceActivity): Attempted => ({
  start_ms: activity.scheduledAt,
  end_ms: activity.endedAt,
  source: 'history',
  attempts: activity.attempts,
  failure: activity.failure,
  next_attempt_at_ms: activity.nextAttemptAt,
});

/** A turn's round: a submit names the round that it answers, so the next one is its own. */
const turnRound = ({ type, round }: TraceActivity, turnsBefore: number): number =>
  type === ACTIVITIES.createRun ? 1 : round === null ? Math.max(1, turnsBefore) : round + 1;

const turnOf = (activity: TraceActivity, round: number, known: TimelineEntry | undefined): TimelineEntry => {
  const outcome =
    activity.outcome === 'completed' ? 'ok' : activity.outcome === 'running' ? 'running' : 'failed';
  return known?.kind === 'turn'
    ? {
        ...known,
        ...attempted(activity),
        outcome: known.outcome === 'failed' || outcome === 'failed' ? 'failed' : outcome,
      }
    : {
        id: `turn:${round}:${activity.id}`,
        kind: 'turn',
        round,
        model: null,
        fallback: false,
        usage: null,
        finish_reason: null,
        outcome,
        ...attempted(activity),
      };
};

const TOOL_OUTCOME = {
  running: 'running',
  completed: 'ok',
  failed: 'failed',
  cancelled: 'cancelled',
} as const;

const toolOf = (
  activity: TraceActivity & { callId: string },
  known: TimelineEntry | undefined,
): TimelineEntry => {
  const outcome = activity.ok === false ? 'failed' : TOOL_OUTCOME[activity.outcome];
  return known?.kind === 'tool'
    ? { ...known, ...attempted(activity), outcome }
    : {
        id: `tool:${activity.callId}:${activity.id}`,
        kind: 'tool',
        round: known?.round ?? null,
        call_id: activity.callId,
        tool: activity.type.slice(TOOL_ACTIVITY_PREFIX.length),
        outcome,
        arguments: null,
        output: null,
        ...attempted(activity),
      };
};

/** Timers and messages of the workflow. */
const happenings = ({ timers, messages, continued }: RunTrace): TimelineEntry[] => [
  ...timers.map(({ id, name, startedAt, firesAt, endedAt, outcome }): TimelineEntry => ({
    id: `timer:${id}`,
    kind: 'timer',
    name,
    start_ms: startedAt,
    end_ms: endedAt,
    fires_at_ms: firesAt,
    outcome,
    round: null,
    source: 'history',
  })),
  ...messages.map(({ id, name, form, at }): TimelineEntry => ({
    id: `message:${id}`,
    kind: 'message',
    name,
    form,
    start_ms: at,
    end_ms: at,
    round: null,
    source: 'history',
  })),
  ...continued.map(({ id, at }): TimelineEntry => ({
    id: `continued:${id}`,
    kind: 'continued',
    start_ms: at,
    end_ms: at,
    round: null,
    source: 'history',
  })),
];

const isTool = (activity: TraceActivity): activity is TraceActivity & { callId: string } =>
  activity.type.startsWith(TOOL_ACTIVITY_PREFIX) && activity.callId !== null;

export const withHistory = (entries: readonly TimelineEntry[], trace: RunTrace): TimelineEntry[] => {
  const all = [...entries];
  // Which entries an activity has taken: a call that ran twice, after refused arguments, is two spans.
  const taken = new Set<number>();
  const place = (
    find: (entry: TimelineEntry) => boolean,
    make: (known?: TimelineEntry) => TimelineEntry,
  ): void => {
    const at = all.findIndex((entry, index) => !taken.has(index) && find(entry));
    if (at >= 0) {
      all[at] = make(all[at]);
      taken.add(at);
    } else taken.add(all.push(make()) - 1);
  };
  let turns = 0;
  for (const activity of trace.activities) {
    if (TURNS.has(activity.type)) {
      const round = turnRound(activity, turns);
      turns = Math.max(turns, round);
      place(
        (entry) => entry.kind === 'turn' && entry.round === round,
        (known) => turnOf(activity, round, known),
      );
    } else if (isTool(activity))
      place(
        (entry) => entry.kind === 'tool' && entry.call_id === activity.callId,
        (known) => toolOf(activity, known),
      );
  }
  return [...all, ...happenings(trace)];
};
