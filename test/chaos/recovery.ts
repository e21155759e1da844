/**
 * How long a run stood still after a worker's death, read from its history.
 *
 * Rule: pure. Only what was under way when the worker died counts: a workflow task, or an activity whose second attempt began
 * after exactly one death. What nobody had in hands may wait for a person or a model, and says nothing. A death without
 * another ready worker counts from that worker's readiness, since production has one.
 */
import { BACKEND_RETRY } from '../../workflows/run/timeouts.ts';
import { eventsOf, timeOf, type History, type HistoryEvent } from './history.ts';

/** A process that did, or could do, the work. Unix ms. */
export interface WorkerLife {
  readyAt: number | null;
  /** When it was told to die; null = it was not, or in good order. */
  killedAt: number | null;
}

export interface Recovery {
  /** `workflow task`, or the activity's type. */
  what: string;
  ms: number;
}

/** Silence after which Temporal takes a workflow task from a worker, and gives up on its sticky queue: server defaults. */
const WORKFLOW_TASK_MS = 10_000;
/** For Temporal's timers and for the worker on a machine where both share two busy cores; a second silence is far longer. */
const SLACK_MS = 3_000;

/** The longest that a run may stand still after a death: one silence, the pause before the second attempt, and slack. */
export const recoveryBound = (heartbeatMs: number): number =>
  Math.max(heartbeatMs + BACKEND_RETRY.initialInterval, WORKFLOW_TASK_MS) + SLACK_MS;

const typeOf = (event: HistoryEvent): string =>
  event.activityTaskScheduledEventAttributes?.activityType?.name ?? '';

interface Death {
  at: number;
  /** When somebody could have gone on. */
  since: number;
}

const deathsOf = (lives: readonly WorkerLife[]): Death[] =>
  lives.flatMap(({ killedAt }) => {
    if (killedAt === null) return [];
    const ready = lives.flatMap((life) =>
      life.readyAt !== null && (life.killedAt ?? Infinity) > killedAt ? [life.readyAt] : [],
    );
    return ready.length === 0 ? [] : [{ at: killedAt, since: Math.max(killedAt, Math.min(...ready)) }];
  });

/** `ignored`: activity types whose attempts fail for other reasons than a death. */
export const recoveriesOf = (
  history: History,
  lives: readonly WorkerLife[],
  ignored: readonly string[] = [],
): Recovery[] => {
  const deaths = deathsOf(lives);
  const killed = lives.flatMap(({ killedAt }) => (killedAt === null ? [] : [killedAt]));
  const found: Recovery[] = [];
  /** From what was under way since `from` to the one who began it again at `at`. */
  const note = (what: string, from: number, at: number): void => {
    const within = killed.filter((death) => death > from && death < at);
    const death = deaths.find(({ at: died }) => died === within[0]);
    if (within.length === 1 && death !== undefined) found.push({ what, ms: Math.max(0, at - death.since) });
  };
  const scheduled = new Map<string, { what: string; at: number }>();
  /** Since when the workflow has wanted a task that was not completed. */
  let wanted: number | null = null;
  let begun: number | null = null;
  for (const event of eventsOf(history)) {
    const at = timeOf(event);
    if (event.activityTaskScheduledEventAttributes != null)
      scheduled.set(String(event.eventId), { what: typeOf(event), at });
    const started = event.activityTaskStartedEventAttributes;
    if (started != null) {
      const activity = scheduled.get(String(started.scheduledEventId));
      if (activity !== undefined && started.attempt === 2 && !ignored.includes(activity.what))
        note(activity.what, activity.at, at);
    }
    if (event.workflowTaskScheduledEventAttributes != null) wanted ??= at;
    if (event.workflowTaskStartedEventAttributes != null) begun = at;
    if (event.workflowTaskCompletedEventAttributes != null) {
      if (wanted !== null && begun !== null) note('workflow task', wanted, begun);
      wanted = null;
    }
  }
  return found;
};
