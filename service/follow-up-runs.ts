/**
 * Starts the run that carries a late answer: a new run on the same thread.
 *
 * Rule: idempotent by the new run's id. A busy thread is a retryable error, never a reason to cancel another run. The
 * new run has the parameters of the old one, its tenant, and its granted tools.
 * Imported by the worker's composition root.
 */
import { ApiError, BackendError, RunsError } from '../protocol/errors.ts';
import { FAILURES, METADATA } from '../protocol/temporal/names.ts';
import { StoreError } from '../protocol/ports/store-error.ts';
import type { Store } from '../protocol/ports/run-store.ts';
import type { FollowUpInput } from '../protocol/temporal/messages.ts';
import type { Workflows } from './run-workflows.ts';

export interface FollowUpRun {
  newRunId: string;
  of: FollowUpInput;
  callId: string;
  /** The user message that carries the answer. */
  message: string;
}

const THREAD_BUSY_RETRY_MS = 2_000;

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
        `Run ${JSON.stringify(of.runId)} and its thread were deleted, so the late answer can't start a run.`,
      );
    const at = now();
    const known = await store.findRun(newRunId);
    const { config, run } = original;
    const {
      granted_tools: grantedTools,
      offer_tools: offerTools = false,
      requested_by: requestedBy,
      tools,
      ...params
    } = config;
    // An earlier attempt created it: the row's expiry counts, whatever the time is now.
    const createdAt = known?.createdAt ?? at;
    const expiresAt = known === null ? at + expiresInMs : known.expiresAt;
    if (known === null)
      await store.createRun(original.tenant, {
        runId: newRunId,
        thread: { id: run.thread_id },
        params: {
          assistant_id: run.assistant_id,
          ...params,
          // An empty list of tools would mean that the run has none.
          ...(offerTools ? {} : { tools }),
          // A tool choice that forced the old call is fulfilled.
          tool_choice: params.tool_choice === 'none' ? 'none' : 'auto',
          metadata: { ...run.metadata, [METADATA.followUpOf]: of.runId },
          additional_messages: [{ role: 'user', content: message }],
        },
        expiresAt: at + expiresInMs,
        grantedTools,
        offerTools,
        ...(requestedBy === undefined ? {} : { requestedBy }),
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
    return new BackendError(
      FAILURES.backendBusy,
      `Thread ${of.threadId} has a live run; the late answer waits until that run ends.`,
      {
        retryable: true,
        retryAfterMs: THREAD_BUSY_RETRY_MS,
        cause: error,
      },
    );
  if (error instanceof ApiError)
    return new BackendError(FAILURES.backendRejected, error.message, { cause: error });
  if ((error instanceof StoreError && error.code === 'unavailable') || error instanceof RunsError)
    return new BackendError(FAILURES.backendUnavailable, error.message, { retryable: true, cause: error });
  return error;
};
