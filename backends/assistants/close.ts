/**
 * Ends a run and returns its final status.
 *
 * Rule: safe to repeat until the run is terminal; a run that completed first is reported as completed. Before the run
 * is known, it is searched for by its token, once more after the settle time, since its create may still arrive.
 * Imports poll and find-run. index.ts imports it.
 */
import type { CloseHow, CloseTarget, RunRef, Settled } from '../../protocol/ports/backend.ts';
import { BackendError } from '../../protocol/errors.ts';
import { FAILURES } from '../../protocol/temporal/names.ts';
import { isTerminal } from '../../protocol/wire/objects.ts';
import { HttpFailure } from '../http/index.ts';
import type { RunReading } from './api.ts';
import { settleReading } from './follow.ts';
import { assessRun, pollDelay } from './assess.ts';
import { cancelDuplicates, findRunByToken } from './find-run.ts';
import type { BackendSession } from './session.ts';
import { retryLater } from './poll.ts';

/** How long after its expiry a run may take to be called expired before it is cancelled instead. */
const EXPIRY_GRACE_MS = 30_000;

/** Sends one cancel. null = the server refused it in this state (or did not show the run): read the run. */
const cancelOnce = async (s: BackendSession, ref: RunRef): Promise<RunReading | null> => {
  s.ctx.fence();
  try {
    return await s.env.api.cancel(ref, s.caller);
  } catch (error) {
    if (!(error instanceof HttpFailure)) throw error;
    // 400: it has ended, or its state allows no cancel yet. 409 is how some servers say the same.
    if (error.status === 400 || error.status === 409) return null;
    throw error;
  }
};

/** Milliseconds until the server may be expected to expire the run by itself; 0 = not to be waited for. */
const expiryLeft = (s: BackendSession, { run, offsetMs }: RunReading): number =>
  run.expiresAt === null ? 0 : Math.max(0, run.expiresAt - offsetMs + EXPIRY_GRACE_MS - s.ctx.now());

const closeRun = async (s: BackendSession, ref: RunRef, how: CloseHow): Promise<Settled> => {
  const { api, settings } = s.env;
  const began = s.ctx.now();
  let cancelledAt: number | null = null;
  for (;;) {
    let reading: RunReading | null = null;
    const due = cancelledAt === null || s.ctx.now() - cancelledAt >= settings.cancelEveryMs;
    if (how.kind !== 'expire' && due) {
      reading = await cancelOnce(s, ref);
      cancelledAt = s.ctx.now();
    }
    reading ??= await api.getRun(ref, s.caller);
    if (isTerminal(reading.run.status)) return settleReading(s, ref, reading);
    s.deadline = reading.run.expiresAt === null ? null : reading.run.expiresAt - reading.offsetMs;
    if (how.kind === 'expire' && expiryLeft(s, reading) === 0) {
      s.ctx.log.warn({ backendRunId: ref.backendRunId }, 'the server does not expire the run: cancelling it');
      return closeRun(s, ref, { kind: 'cancel' });
    }
    if (how.kind !== 'expire' && s.ctx.now() - began >= settings.closeWithinMs)
      throw retryLater(
        `Run ${JSON.stringify(ref.backendRunId)} is still ${JSON.stringify(reading.run.status)} after it was cancelled.`,
        s,
      );
    const puzzling = assessRun(reading.run).kind === 'puzzling';
    await s.ctx.sleep(
      pollDelay(settings.poll, {
        hintMs: reading.hintMs,
        ageMs: s.ctx.now() - began,
        unrecognised: puzzling,
      }),
    );
    // A run in status `cancelling` gets no second cancel; only a cancel without effect is repeated.
    if (reading.run.status === 'cancelling') cancelledAt = s.ctx.now();
  }
};

const orMissingRun = async (s: BackendSession, ref: RunRef, closing: Promise<Settled>): Promise<Settled> => {
  try {
    return await closing;
  } catch (error) {
    if (!(error instanceof HttpFailure) || error.status !== 404) throw error;
    s.ctx.log.warn({ backendRunId: ref.backendRunId }, 'the server does not know the run: nothing to close');
    return { status: 'cancelled', run: ref };
  }
};

const findByToken = async (
  s: BackendSession,
  target: Extract<CloseTarget, { kind: 'token' }> & { threadId: string },
): Promise<RunRef | null> => {
  const { threadId, runId, startedAt } = target;
  for (let again = false; ; again = true) {
    const look = await findRunByToken(s, { threadId, token: runId, assistantId: null, since: startedAt });
    if (look.kind === 'found') {
      await cancelDuplicates(s, threadId, look.duplicates);
      return { backendRunId: look.run.id, threadId };
    }
    if (look.kind === 'cannot')
      throw new BackendError(
        FAILURES.backendAmbiguous,
        `It is unknown whether a run exists on thread ${JSON.stringify(threadId)} at ${s.env.api.origin}: ` +
          `the server has no list of runs (HTTP ${look.status}). Look at the thread's runs there, and cancel the run by hand.`,
        { mayHaveHappened: true, details: [{ threadId, candidates: [] }] },
      );
    if (again) return null;
    await s.ctx.sleep(s.env.settings.settleMs);
  }
};

export const close = async (s: BackendSession, target: CloseTarget, how: CloseHow): Promise<Settled> => {
  if (target.kind === 'run') {
    s.progress({ run: target.run });
    return orMissingRun(s, target.run, closeRun(s, target.run, how));
  }
  const { threadId } = target;
  const known = s.ctx.previous?.run ?? null;
  const ref = known ?? (threadId === null ? null : await findByToken(s, { ...target, threadId }));
  if (ref === null) return { status: 'cancelled', run: null };
  s.progress({ run: ref });
  return orMissingRun(s, ref, closeRun(s, ref, how));
};
