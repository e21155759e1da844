/**
 * The end of a run: waiting for it, and asking for it.
 *
 * Rule: a cancelled workflow keeps no result, so its result is in the memo; an absent result is an error that says so.
 * Imported by the client only.
 */
import { WorkflowFailedError } from '@temporalio/client';
import { CancelledFailure } from '@temporalio/common';
import { RunsError, type RunResult } from '../protocol/index.ts';
import { within } from './with-timeout.ts';
import { checkRunId } from './payloads.ts';
import { notFound, SERVER_TIMEOUT_MS, type ClientSession } from './session.ts';
import type { CallOptions, WaitOptions } from './types.ts';
import { isOpen, resultInMemo, toListItem } from './view.ts';

export const awaitResult = async (
  session: ClientSession,
  runId: string,
  options: WaitOptions,
): Promise<RunResult> => {
  checkRunId(runId);
  const what = `Waiting for run ${JSON.stringify(runId)}`;
  try {
    return await within(options, (signal) =>
      session.call({ what, runId, signal }, (): Promise<RunResult> => session.handle(runId).result()),
    );
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    const view = await session.look(runId);
    const kept = view === null ? null : resultInMemo(view);
    if (kept !== null) return kept;
    const cancelled = error.cause instanceof CancelledFailure;
    throw new RunsError(
      cancelled ? 'cancelled' : 'run_failed',
      `Run ${JSON.stringify(runId)} has no result: its workflow ${
        cancelled ? 'was cancelled before it could return one' : `ended as ${view?.status.name ?? 'unknown'}`
      } (${error.cause?.message ?? error.message}). The thread shows what the run did.`,
      { cause: error },
    );
  }
};

export const cancelRun = async (
  session: ClientSession,
  runId: string,
  call: Pick<CallOptions, 'signal'>,
): Promise<void> => {
  checkRunId(runId);
  // Looked at first: Temporal takes a cancel of an ended workflow for done, and the caller would wait for nothing.
  const view = await session.look(runId, call.signal);
  if (view === null) throw notFound(runId, session);
  if (isOpen(view)) {
    await session.call(
      { what: `Cancelling run ${JSON.stringify(runId)}`, runId, timeoutMs: SERVER_TIMEOUT_MS, ...call },
      () => session.handle(runId).cancel(),
    );
    return;
  }
  const { status } = toListItem(view, await session.closedResult(view));
  if (status === 'cancelled') return;
  throw new RunsError(
    'refused',
    `Run ${JSON.stringify(runId)} can't be cancelled: it has ended, ${status}.`,
    {
      details: { status },
    },
  );
};
