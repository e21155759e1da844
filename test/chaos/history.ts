/**
 * What a run's history must look like, whatever died: I8 of docs/contributing/faults.md.
 *
 * Rule: pure. A fault may repeat an attempt, which Temporal keeps out of the history; it may never schedule a piece of work
 * twice. So the activities are exactly those that the run's calls and rounds explain, every workflow task has a cause, and
 * the length is 11 + 6r + 3k + 3W and what the other events are known to add.
 */
import type { WorkflowHandle } from '@temporalio/client';
import type { RunResult } from '../../protocol/temporal/messages.ts';
import type { Violation } from './audit.ts';

export type History = Awaited<ReturnType<WorkflowHandle['fetchHistory']>>;
export type HistoryEvent = NonNullable<History['events']>[number];

export const eventsOf = (history: History): readonly HistoryEvent[] => history.events ?? [];

/** Unix ms. */
export const timeOf = ({ eventTime }: HistoryEvent): number =>
  Number(eventTime?.seconds ?? 0) * 1000 + (eventTime?.nanos ?? 0) / 1e6;

/** `activityTaskScheduled` and the like. */
const kindOf = (event: HistoryEvent): string => {
  const set = Object.entries(event).find(
    ([name, value]) => name.endsWith('EventAttributes') && value != null,
  );
  return (set?.[0] ?? 'unknown').replace(/EventAttributes$/, '');
};

/** Causes with which a worker gives a workflow task back without having failed. */
const HARMLESS = new Set([
  // WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND: something came in while the run ended.
  1,
  // WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND: a worker on its way down.
  17,
]);

export interface Expected {
  result: RunResult;
  /** A thread is created by the run itself. */
  ownThread: boolean;
  /** Answers that may be shown early, each by an activity of its own (native only). */
  answersShown: boolean;
  /** Updates that somebody tried to send: a refused one leaves no event, and may leave the task that refused it. */
  asked: number;
  /** How many workers or servers fell or stood still. */
  faults: number;
}

export const checkEvents = (history: History, expected: Expected): Violation[] => {
  const { result, faults, asked } = expected;
  const found: Violation[] = [];
  const violated = (text: string): void => {
    found.push({ invariant: 'I8', text: `history of run ${result.runId}: ${text}` });
  };
  const counts = new Map<string, number>();
  const activities = new Map<string, number>();
  for (const event of eventsOf(history)) {
    const kind = kindOf(event);
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
    const type = event.activityTaskScheduledEventAttributes?.activityType?.name;
    if (type != null) activities.set(type, (activities.get(type) ?? 0) + 1);
    const cause = event.workflowTaskFailedEventAttributes?.cause;
    if (cause != null && !HARMLESS.has(cause)) violated(`a workflow task failed with cause ${cause}`);
  }
  const count = (kind: string): number => counts.get(kind) ?? 0;
  const total = (kinds: readonly string[]): number => kinds.reduce((sum, kind) => sum + count(kind), 0);

  // The length, part by part: an event that no part explains is a violation.
  const scheduled = count('activityTaskScheduled');
  const tasks = count('workflowTaskCompleted');
  const length = eventsOf(history).length;
  const surcharge =
    // A cancelled activity was told so.
    total(OTHERS) + lostTasks(history).events;
  const explained = 2 + 3 * tasks + 3 * scheduled + surcharge;
  if (length !== explained)
    violated(`${length} events, explained are ${explained}: ${JSON.stringify([...counts])}`);

  // No workflow task without something new.
  const causes = 1 + total(CAUSES) + asked;
  if (tasks > causes) violated(`${tasks} workflow tasks, ${causes} causes`);
  const lost = lostTasks(history).count;
  if (lost > LOST_PER_FAULT * faults) violated(`${lost} workflow tasks timed out after ${faults} faults`);

  if (result.status !== 'completed') return found;
  const calls = result.calls.filter(({ kind }) => kind === 'automatic' || kind === 'approval');
  const ran = calls.filter(
    ({ kind, notes = [] }) => kind === 'automatic' || !notes.some((note) => note === 'denied'),
  ).length;
  const own: Record<string, number> = {
    createThread: expected.ownThread ? 1 : 0,
    createRun: 1,
    submitToolOutputs: result.rounds,
    followRun: 0,
    closeRun: 0,
  };
  for (const [type, most] of Object.entries(own))
    if ((activities.get(type) ?? 0) !== most)
      violated(`${activities.get(type) ?? 0} activities ${type}, expected ${most}`);
  const tools = [...activities].reduce((sum, [type, n]) => sum + (type.startsWith('tool.') ? n : 0), 0);
  if (tools !== ran) violated(`${tools} tool activities for ${ran} calls that ran`);
  const shown = activities.get('recordAnswers') ?? 0;
  const answered = result.calls.filter(({ kind }) => kind !== 'automatic').length;
  if (shown > (expected.answersShown ? answered : 0)) violated(`${shown} activities recordAnswers`);
  const kept = activities.get('recordDecisions') ?? 0;
  const gated = result.calls.filter(({ kind }) => kind === 'approval').length;
  if (kept > (expected.answersShown ? gated : 0)) violated(`${kept} activities recordDecisions`);
  const known = tools + shown + kept + Object.values(own).reduce((sum, n) => sum + n, 0);
  if (scheduled !== known && found.length === 0)
    violated(`${scheduled} activities, known are ${known}: ${JSON.stringify([...activities])}`);
  return found;
};

/** A kill may lose the task that was under way and, later, one that was put on the dead worker's own queue. */
const LOST_PER_FAULT = 2;

/** Each of these is one event more, and has nothing to do with faults. */
const OTHERS = [
  'workflowExecutionSignaled',
  'workflowExecutionUpdateAccepted',
  'workflowExecutionUpdateCompleted',
  'workflowExecutionUpdateAdmitted',
  'workflowExecutionCancelRequested',
  'workflowPropertiesModified',
  'upsertWorkflowSearchAttributes',
  'timerStarted',
  'timerFired',
  'timerCanceled',
  'activityTaskCancelRequested',
  'markerRecorded',
] as const;

/** What may wake a run. */
const CAUSES = [
  'activityTaskCompleted',
  'activityTaskFailed',
  'activityTaskTimedOut',
  'activityTaskCanceled',
  'workflowExecutionSignaled',
  'workflowExecutionCancelRequested',
  'timerFired',
  'workflowTaskTimedOut',
  'workflowTaskFailed',
] as const;

/** Workflow tasks that nobody completed: 2 events when nobody began them, else 3. */
const lostTasks = (history: History): { count: number; events: number } => {
  let count = 0;
  let events = 0;
  let started = false;
  for (const event of eventsOf(history)) {
    const kind = kindOf(event);
    if (kind === 'workflowTaskScheduled') started = false;
    if (kind === 'workflowTaskStarted') started = true;
    if (kind !== 'workflowTaskTimedOut' && kind !== 'workflowTaskFailed') continue;
    events += started ? 3 : 2;
    if (kind === 'workflowTaskTimedOut') count += 1;
  }
  return { count, events };
};

/** One line an event: number, time, kind, and what tells it apart. */
export const historyText = (history: History): string =>
  eventsOf(history)
    .map((event) => {
      const kind = kindOf(event);
      const activity = event.activityTaskScheduledEventAttributes?.activityType?.name;
      const started = event.activityTaskStartedEventAttributes;
      const more = activity ?? (started == null ? '' : `attempt ${started.attempt}`);
      return `${String(event.eventId).padStart(4)} ${new Date(timeOf(event)).toISOString()} ${kind} ${more}`;
    })
    .join('\n');
