/**
 * Creates a run exactly once on a server without idempotency keys.
 *
 * Rule: one POST per attempt, and never a POST without a search when an earlier one may have been processed. The token
 * in the run's metadata identifies the run; the thread lock ("already has an active run …", with its id) is the second
 * evidence. An unknown outcome is reported (`BackendAmbiguous`), never guessed. Imports find-run and follow. index.ts
 * imports it.
 */
import type { CreateRequest, RunRef, Settled } from '../../protocol/ports/backend.ts';
import { BackendError } from '../../protocol/errors.ts';
import { FAILURES, METADATA } from '../../protocol/temporal/names.ts';
import { isTerminal } from '../../protocol/wire/objects.ts';
import { asRecord, HttpFailure } from '../http/index.ts';
import { backoffMs } from '../retry-after.ts';
import type { RunReading, StartedStream } from './api.ts';
import { settleReading, follow, followStarted, type Followed } from './follow.ts';
import { busyFrom } from './assess.ts';
import { cancelDuplicates, matchesTimeAndAssistant, findRunByToken } from './find-run.ts';
import { tokenOf } from './parse.ts';
import { settle, type BackendSession } from './session.ts';
import { awaitEnd, retryLater, pollRun } from './poll.ts';

const refusedStreaming = (failure: HttpFailure): boolean =>
  failure.status !== null &&
  [400, 406, 422, 501].includes(failure.status) &&
  (failure.error?.param === 'stream' || /\bstream/i.test(failure.error?.message ?? ''));

const ambiguous = (
  s: BackendSession,
  request: CreateRequest,
  why: string,
  candidates: string[],
): BackendError =>
  new BackendError(
    FAILURES.backendAmbiguous,
    `It is unknown whether a run was created on thread ${JSON.stringify(request.threadId)} at ${s.env.api.origin}: ${why}. ` +
      `Look at the thread's runs there, or accept a possible second run with onAmbiguousCreate "retry".`,
    { mayHaveHappened: true, details: [{ threadId: request.threadId, candidates }] },
  );

/**
 * After a POST whose fate is unknown: the run it made, or null when it surely made none (or the policy accepts the
 * risk). Throws `BackendAmbiguous` when the outcome cannot be known.
 */
const findAfterUnknownOutcome = async (
  s: BackendSession,
  request: CreateRequest,
  sentAt: number | null,
): Promise<RunRef | null> => {
  const { threadId } = request;
  await settle(s, sentAt);
  const look = await findRunByToken(s, {
    threadId,
    token: request.runId,
    assistantId: request.assistantId,
    since: request.startedAt,
    foreign: s.ctx.previous?.foreign ?? null,
  });
  if (look.kind === 'found') {
    const ref = { backendRunId: look.run.id, threadId };
    s.progress({ run: ref });
    s.ctx.log.info({ backendRunId: look.run.id }, 'adopted the run that an earlier request created');
    await cancelDuplicates(s, threadId, look.duplicates);
    return ref;
  }
  const problem =
    look.kind === 'cannot'
      ? `the server has no list of runs (HTTP ${look.status})`
      : look.unsure.length > 0
        ? `the server may drop metadata, and ${look.unsure.length} run(s) of that time may be the created one`
        : null;
  if (problem === null || s.env.settings.onAmbiguousCreate === 'retry') return null;
  throw ambiguous(s, request, problem, look.kind === 'none' ? look.unsure.map(({ id }) => id) : []);
};

/** May an earlier attempt have sent its POST? Only a heartbeat of the attempt right before can exclude it. */
const mayHavePosted = (s: BackendSession): boolean => {
  const { previous, attempt } = s.ctx;
  if (previous?.sent === true) return true;
  return attempt > 1 && !(previous?.sent === false && previous.attempt === attempt - 1);
};

/** The run that holds the thread, when the refusal did not name it: the first live one in the list. */
const findHolder = async (s: BackendSession, threadId: string): Promise<string | null> => {
  const { items } = await s.env.api.listRuns(threadId, null, s.caller);
  return items.find(({ status }) => !isTerminal(status))?.id ?? null;
};

/** A run without the token, on a server that may drop metadata: could an earlier request of this run have created it? */
const mayBeOwnRun = (s: BackendSession, { run, offsetMs }: RunReading, request: CreateRequest): boolean =>
  s.env.learned.echoesMetadata !== true &&
  tokenOf(run) === null &&
  run.id !== s.ctx.previous?.foreign &&
  matchesTimeAndAssistant(
    { assistantId: run.assistantId, createdAt: run.createdAt === null ? null : run.createdAt - offsetMs },
    { assistantId: request.assistantId, since: request.startedAt },
  );

/** Attempts that leave the create to the next one when their search took long. After them the server counts as slow. */
const MAX_SLOW_SEARCH_ATTEMPTS = 5;

/** Handles a thread that a run locks. Returns the ref if it is this run; null = post again. */
const onBusy = async (
  s: BackendSession,
  request: CreateRequest,
  named: string | null,
  recoverAfterUnknownOutcome: boolean,
  sentAt: number,
): Promise<RunRef | null> => {
  const { threadId, busy } = request;
  const holderId = named ?? (await findHolder(s, threadId));
  if (holderId === null)
    throw retryLater(`Thread ${JSON.stringify(threadId)} is locked by a run that can't be found.`, s);
  const holder: RunRef = { backendRunId: holderId, threadId };
  let reading: RunReading;
  try {
    reading = await s.env.api.getRun(holder, s.caller);
  } catch (error) {
    if (error instanceof HttpFailure && error.status === 404) return null;
    throw error;
  }
  if (tokenOf(reading.run) === request.runId) {
    s.progress({ run: holder });
    return holder;
  }
  // Ended or not: the run that locked the thread a moment ago may be the one that the earlier request created.
  if (recoverAfterUnknownOutcome && mayBeOwnRun(s, reading, request))
    throw ambiguous(s, request, `run ${JSON.stringify(holderId)} locked the thread and shows no metadata`, [
      holderId,
    ]);
  if (isTerminal(reading.run.status)) return null;
  s.progress({ sent: true, at: sentAt, attempt: s.ctx.attempt, foreign: holderId });
  if (busy === 'wait') {
    s.ctx.log.info({ threadId, backendRunId: holderId }, 'waiting for the run that locks the thread');
    await awaitEnd(s, holder, null);
    return null;
  }
  const refused = new BackendError(
    FAILURES.backendBusy,
    `Thread ${JSON.stringify(threadId)} has another live run ${JSON.stringify(holderId)} (${reading.run.status}). ` +
      `Wait for it or cancel it, or start the run with busy "wait" or "cancel".`,
    { details: [{ threadId, runId: holderId }] },
  );
  if (busy === 'fail') throw refused;
  s.ctx.log.warn({ threadId, backendRunId: holderId }, 'cancelling the run that locks the thread');
  s.ctx.fence();
  try {
    await s.env.api.cancel(holder, s.caller);
  } catch (error) {
    // 400: it is ending already, or can't be cancelled in its state; the wait below finds out.
    if (!(error instanceof HttpFailure) || error.status !== 400) throw error;
  }
  if (!(await awaitEnd(s, holder, s.env.settings.closeWithinMs))) throw refused;
  return null;
};

/** Posts until the server accepts or refuses the run, or its outcome is unknown. Repeats only after certain refusals. */
const post = async (
  s: BackendSession,
  request: CreateRequest,
  doubt: boolean,
): Promise<StartedStream | RunRef> => {
  const { learned } = s.env;
  const { stream: _, ...params } = request.params;
  const body = {
    ...params,
    assistant_id: request.assistantId,
    metadata: { ...asRecord(params['metadata']), [METADATA.token]: request.runId },
  };
  /** The attempt ends here, and its requests were refused. The outcome of an earlier attempt is still unknown. */
  const last = (error: unknown): never => {
    if (!doubt) s.progress({ sent: false, at: s.ctx.now(), attempt: s.ctx.attempt });
    throw error;
  };
  const began = s.ctx.now();
  // Another client that always locks the thread first must not hold this attempt for ever: the caller chose to wait.
  for (let refusals = 0; ; refusals++) {
    // An attempt that is cut off from Temporal does not notice its timeout. A new attempt is known to be current.
    if (refusals > 0 && s.ctx.now() - began > s.env.settings.repostWithinMs)
      return last(
        new BackendError(
          FAILURES.backendUnavailable,
          `Thread ${JSON.stringify(request.threadId)} was locked by another run for a while; the next attempt creates the run.`,
          { retryable: true, retryAfterMs: backoffMs(s.ctx.attempt, s.env.settings.random()) },
        ),
      );
    // A server that reports a lock and shows a run without one must not be polled in a hot loop.
    if (refusals > 1)
      await s.ctx.sleep(Math.min(s.env.settings.poll.maxMs, backoffMs(refusals, s.env.settings.random())));
    const sentAt = s.ctx.now();
    s.progress({ sent: true, at: sentAt, attempt: s.ctx.attempt });
    s.ctx.fence();
    // Of this request: another one may learn otherwise meanwhile.
    const stream = learned.streams;
    try {
      return await s.env.api.createRun(request.threadId, body, stream, s.caller);
    } catch (error) {
      if (!(error instanceof HttpFailure)) throw error;
      const busy = error.status === 400 || error.status === 409 ? busyFrom(error.error?.message ?? '') : null;
      if (busy === null && error.mayHaveHappened) {
        const ref = await findAfterUnknownOutcome(s, request, sentAt);
        if (ref !== null) return ref;
        throw error;
      }
      if (busy !== null && (request.busy === 'wait' || refusals < 5)) {
        const ref = await onBusy(s, request, busy.runId, doubt, sentAt).catch(last);
        if (ref !== null) return ref;
      } else if (stream && refusedStreaming(error)) learned.streams = false;
      else return last(error);
    }
  }
};

/**
 * Follows the run that a stream named first, here or in an earlier attempt. A stream may name anything: a run that is not
 * there, or carries another token, is not ours, and ours is looked for.
 */
const followNamed = async (s: BackendSession, request: CreateRequest, named: Followed): Promise<Settled> => {
  let reading: RunReading | null = null;
  let gone: HttpFailure | null = null;
  try {
    reading = named.first ?? (await s.env.api.getRun(named.ref, s.caller));
  } catch (error) {
    if (!(error instanceof HttpFailure) || error.status !== 404) throw error;
    gone = error;
  }
  const token = reading === null ? null : tokenOf(reading.run);
  if (reading !== null && (token === null || token === request.runId)) {
    const settled = await pollRun(s, named.ref, () => true, reading);
    return settleReading(s, named.ref, settled, named.swept);
  }
  s.ctx.log.warn(
    { backendRunId: named.ref.backendRunId },
    'the stream names another run than the created one',
  );
  s.progress({ sent: true, attempt: s.ctx.attempt });
  const ref = await findAfterUnknownOutcome(s, request, s.ctx.now());
  if (ref !== null) return follow(s, ref);
  throw (
    gone ?? retryLater(`Run ${JSON.stringify(named.ref.backendRunId)} is not the one that was created.`, s)
  );
};

export const create = async (s: BackendSession, request: CreateRequest): Promise<Settled> => {
  const { previous } = s.ctx;
  if (previous?.run !== undefined) {
    s.progress({ run: previous.run });
    return followNamed(s, request, { ref: previous.run, first: null, swept: null });
  }
  const doubt = mayHavePosted(s);
  if (doubt) {
    const began = s.ctx.now();
    const ref = await findAfterUnknownOutcome(s, request, previous?.at ?? null);
    if (ref !== null) return follow(s, ref);
    // As in `post`: an attempt that searched for so long may have been replaced, and its replacement may have ended.
    if (s.ctx.attempt <= MAX_SLOW_SEARCH_ATTEMPTS && s.ctx.now() - began > s.env.settings.repostWithinMs)
      throw retryLater(
        `Looking for an earlier run on thread ${JSON.stringify(request.threadId)} took too long; the next attempt looks again.`,
        s,
      );
  }
  const sentAt = s.ctx.now();
  const started = await post(s, request, doubt);
  if (!('kind' in started)) return follow(s, started);
  if (started.kind === 'run' && s.env.learned.streams) s.env.learned.streams = false;
  const followed = await followStarted(s, request.threadId, started, null);
  if (followed === null) {
    // The server took the request and broke off before it named the run.
    const ref = await findAfterUnknownOutcome(s, request, sentAt);
    if (ref !== null) return follow(s, ref);
    throw retryLater(
      `The response to the create on thread ${JSON.stringify(request.threadId)} ended before it named the run.`,
      s,
    );
  }
  return followNamed(s, request, followed);
};
