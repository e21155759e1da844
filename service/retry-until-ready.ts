/**
 * Sends a message to a run whose row is ahead of its workflow: the worker writes "requires action" first, and the
 * workflow learns of it a moment later (much later when the worker dies in between).
 *
 * Rule: the row decides what is acceptable. The message is repeated until the workflow knows its calls; if that takes
 * too long the error is "no worker", which is safe to repeat, never a refusal.
 * Imported within `service/` and by tests.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { RunsError } from '../protocol/errors.ts';
import { FAILURES } from '../protocol/temporal/names.ts';
import { statusIn } from './errors.ts';

const FIRST_PAUSE_MS = 10;
const MAX_PAUSE_MS = 250;

/** Statuses of a workflow that does not know the row's calls yet. */
const BEFORE: ReadonlySet<string | null> = new Set(['queued', 'in_progress']);

/** May the workflow have refused because it does not know the calls yet? */
export const isWorkflowNotReady = (error: unknown): error is RunsError =>
  error instanceof RunsError &&
  error.code === 'refused' &&
  (error.failure === FAILURES.refusedUnknownCall ||
    (error.failure === FAILURES.refusedNotWaiting && BEFORE.has(statusIn(error))));

/** `isAsked`: does the row still wait for this? Checked after each refusal that may be too early. */
export const retryUntilWorkflowReady = async <T>(
  send: () => Promise<T>,
  isAsked: () => Promise<boolean>,
  timeoutMs: number,
): Promise<T> => {
  const until = performance.now() + timeoutMs;
  for (let wait = FIRST_PAUSE_MS; ; wait = Math.min(wait * 2, MAX_PAUSE_MS)) {
    try {
      return await send();
    } catch (error) {
      if (!isWorkflowNotReady(error) || !(await isAsked())) throw error;
      if (performance.now() >= until)
        throw new RunsError('no_worker', 'The workflow has not received the calls of this round yet.', {
          cause: error,
        });
    }
    await pause(wait);
  }
};
