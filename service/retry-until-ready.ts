/**
 * A message for a run whose row is ahead of its workflow: the worker writes "waits for outputs" first, and its workflow
 * hears of it a moment later (much later, when the worker dies in between).
 *
 * Rule: what the row asks for is taken. The workflow is asked again until it knows of its calls; when it does not in time,
 * the answer is "no worker", which is safe to repeat, never a refusal.
 * Imported within `service/` and by tests.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { RunsError } from '../protocol/errors.ts';
import { FAILURES } from '../protocol/temporal/names.ts';
import { statusIn } from './errors.ts';

const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 250;

/** Statuses of a workflow that has not heard yet of calls which the row asks for. */
const BEFORE: ReadonlySet<string | null> = new Set(['queued', 'in_progress']);

/** Could this refusal of outputs or of an answer come of the workflow not knowing the calls yet? */
export const isWorkflowNotReady = (error: unknown): error is RunsError =>
  error instanceof RunsError &&
  error.code === 'refused' &&
  (error.failure === FAILURES.refusedUnknownCall ||
    (error.failure === FAILURES.refusedNotWaiting && BEFORE.has(statusIn(error))));

/** `isAsked`: does the row still ask for this? Looked at after each refusal that may be early. */
export const retryUntilWorkflowReady = async <T>(
  send: () => Promise<T>,
  isAsked: () => Promise<boolean>,
  timeoutMs: number,
): Promise<T> => {
  const until = performance.now() + timeoutMs;
  for (let wait = FIRST_PAUSE_MS; ; wait = Math.min(wait * 2, LONGEST_PAUSE_MS)) {
    try {
      return await send();
    } catch (error) {
      if (!isWorkflowNotReady(error) || !(await isAsked())) throw error;
      if (performance.now() >= until)
        throw new RunsError(
          'no_worker',
          'The workflow does not know yet of the calls that its run waits for.',
          {
            cause: error,
          },
        );
    }
    await pause(wait);
  }
};
