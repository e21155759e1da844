/**
 * Starts the run that carries a late answer: a new run on the thread of the one that was asked.
 *
 * Rule: idempotent by the new run's id, and patient: a thread that is busy is a reason to come again, not to push another
 * run aside. The new run is what the old one was, for the same tenant, with the same tools granted.
 * Imported by the worker's composition root.
 */
import { ApiError, BackendError, RunsError } from '../protocol/errors.ts';
import { FAILURES, METADATA } from '../protocol/temporal/names.ts';
import { StoreError, type Store } from '../protocol/ports/run-store.ts';
import type { FollowUpInput } from '../protocol/temporal/messages.ts';
import type { Workflows } from './run-workflows.ts';

export interface FollowUpRun {
  newRunId: string;
  of: FollowUpInput;
  callId: string;
  /** The user message that carries the answer. */
  message: string;
}

const BUSY_AGAIN_MS = 2_000;

const isBusy = (error: unknown): boolean => error instanceof ApiError && error.reason === 'thread_busy';

export interface FollowUpRunDeps {
  store: Store;
  workflows: Workflows;
  /** From creation to expiry, in milliseconds. Default 600,000. */
  expiresInMs?: number;
  now?: () => number;
}

export const createFollowUpRun = async (
  { store, workflows, expiresInMs = 600_000, now = Date.now }: FollowUpRunDeps,
  { newRunId, of, callId, message }: FollowUpRun,
): Promise<{ runId: string }> => {
  try {
    const original = await store.findRun(of.runId);
    if (original === null)
      throw new BackendError(
        FAILURES.backendNotFound,
        `The run ${JSON.stringify(of.runId)} that was asked is gone, and its thread with it: the late answer has no place to go.`,
      );
    const at = now();
    const known = await store.findRun(newRunId);
    const { config, run } = original;
    const { granted_tools: grantedTools, offer_tools: offerTools = false, tools, ...params } = config;
    // Of an earlier try: the row says until when, whatever the time is now.
    const createdAt = known?.createdAt ?? at;
    const expiresAt = known === null ? at + expiresInMs : known.expiresAt;
    if (known === null)
      await store.createRun(original.tenant, {
        runId: newRunId,
        thread: { id: run.thread_id },
        params: {
          assistant_id: run.assistant_id,
          ...params,
          // Sent as they are, no tools would mean that none is wanted.
          ...(offerTools ? {} : { tools }),
          // The tool that was forced then has done its part.
          tool_choice: params.tool_choice === 'none' ? 'none' : 'auto',
          metadata: { ...run.metadata, [METADATA.followUpOf]: of.runId },
          additional_messages: [{ role: 'user', content: message }],
        },
        expiresAt: at + expiresInMs,
        grantedTools,
        offerTools,
        idempotency: null,
        now: at,
      });
    await workflows.start({
      runId: newRunId,
      backend: 'chat',
      assistantId: run.assistant_id,
      threadId: run.thread_id,
      metadata: of.metadata,
      expiresAt,
      createdAt,
      hooks: of.hooks,
      settings: of.settings,
      followUpOf: { runId: of.runId, callIds: [callId] },
    });
    return { runId: newRunId };
  } catch (error) {
    throw translated(error, of);
  }
};

const translated = (error: unknown, of: FollowUpInput): unknown => {
  if (isBusy(error))
    return new BackendError(FAILURES.backendBusy, `Thread ${of.threadId} is busy; the late answer waits.`, {
      retryable: true,
      retryAfterMs: BUSY_AGAIN_MS,
      cause: error,
    });
  if (error instanceof ApiError)
    return new BackendError(FAILURES.backendRejected, error.message, { cause: error });
  if ((error instanceof StoreError && error.code === 'unavailable') || error instanceof RunsError)
    return new BackendError(FAILURES.backendUnavailable, error.message, { retryable: true, cause: error });
  return error;
};
