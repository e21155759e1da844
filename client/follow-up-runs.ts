/**
 * The chain of late answers, both ways: the runs that carry late answers of an ended run, from the history of the workflow that
 * starts them, and the run that a run goes back to, from its own input.
 *
 * Rule: the id is known from the moment the start is asked for; nothing is asked of a worker. `followUpRunsIn` is pure.
 * Imported by the client only.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { ACTIVITIES, followUpWorkflowId, RunsError } from '../protocol/index.ts';
import { readActivities, readInput, type HistoryActivity } from './run-history.ts';
import type { ClientSession } from './session.ts';
import type { LateAnswerRun, RunOrigin } from './types.ts';
import { isRecord } from '../protocol/rules/is-record.ts';

export const followUpRunsIn = (activities: readonly HistoryActivity[]): LateAnswerRun[] =>
  activities
    .filter(({ type }) => type === ACTIVITIES.startFollowUpRun)
    .flatMap(({ input, result }) => {
      const { newRunId, callId } = input as { newRunId?: unknown; callId?: unknown };
      return typeof newRunId === 'string' && typeof callId === 'string'
        ? [{ callId, runId: newRunId, started: result !== undefined }]
        : [];
    });

/** In the order of their starts; empty when no answer came late. */
export const followUpRuns = async (
  session: ClientSession,
  runId: string,
  signal?: AbortSignal,
): Promise<LateAnswerRun[]> => {
  try {
    return followUpRunsIn(await readActivities(session, followUpWorkflowId(runId), signal));
  } catch (error) {
    if (error instanceof RunsError && error.code === 'run_not_found') return [];
    throw error;
  }
};

/** Of a run's input; null = it carries no late answer. */
export const originIn = (input: unknown): RunOrigin | null => {
  const of = isRecord(input) ? input['followUpOf'] : undefined;
  if (!isRecord(of)) return null;
  const { runId, callIds } = of;
  return typeof runId === 'string' && Array.isArray(callIds)
    ? { runId, callIds: callIds.filter((id) => typeof id === 'string') }
    : null;
};

/** The run whose late answer this one carries; null = none. */
export const runOrigin = async (
  session: ClientSession,
  runId: string,
  signal?: AbortSignal,
): Promise<RunOrigin | null> => originIn(await readInput(session, runId, signal));

/** A worker asks for the start within a moment of the answer, unless a tool has to run first. */
const FOLLOW_UP_POLLS = { count: 8, everyMs: 250 };

/** Id of the run that carries the answer of this call; undefined when that is not known soon. Never throws. */
export const followUpRunOf = async (
  session: ClientSession,
  runId: string,
  callId: string,
  signal?: AbortSignal,
): Promise<string | undefined> => {
  for (let look = 0; look < FOLLOW_UP_POLLS.count; look += 1) {
    // The answer was taken: that its run can't be named now is no reason to fail.
    const runs = await followUpRuns(session, runId, signal).catch(() => []);
    const found = runs.find((run) => run.callId === callId);
    if (found !== undefined) return found.runId;
    const waited = await pause(FOLLOW_UP_POLLS.everyMs, true, signal === undefined ? {} : { signal }).catch(
      () => false,
    );
    if (!waited) return undefined;
  }
  return undefined;
};
