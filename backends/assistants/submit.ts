/**
 * Submits the outputs of a round exactly once, all together.
 *
 * Rule: `requires_action` with its set of call ids is a compare-and-set. After an unclear outcome (a lost response, any
 * 400, an earlier attempt) the run is read, and its steps if the run has left the round: the same outputs there mean
 * applied, other outputs mean another writer. It never submits a part of the outputs, and never repeats a POST without
 * a read. Imports poll and assess. index.ts imports it.
 */
import type { RunRef, Settled } from '../../protocol/ports/backend.ts';
import { BackendError } from '../../protocol/errors.ts';
import { FAILURES } from '../../protocol/temporal/names.ts';
import type { ToolOutput } from '../../protocol/wire/objects.ts';
import { HttpFailure } from '../http/index.ts';
import type { RunReading, StartedStream } from './api.ts';
import { settleReading, followStarted, type Followed } from './follow.ts';
import { relateIds, relateOutputs, type OutputRelation } from './assess.ts';
import { settle, toError, unsupported, type BackendSession } from './session.ts';
import { retryLater, pollRun } from './poll.ts';

/** Attempts after which a server that contradicts itself is believed to mean its refusal. */
const MAX_CONTRADICTING_ATTEMPTS = 4;
const MAX_STEP_PAGES = 5;

/** Does the run still ask for any of our calls? */
const requiresOwnCalls = ({ run }: RunReading, outputs: readonly ToolOutput[]): boolean =>
  run.status === 'requires_action' && relateIds(run.calls, outputs) !== 'none';

type Shown = ReadonlyMap<string, string | null>;

/** Call id → output, as the steps show them, at least for our calls; null on servers without steps. */
const readOutputs = async (
  s: BackendSession,
  ref: RunRef,
  outputs: readonly ToolOutput[],
): Promise<Shown | null> => {
  const shown = new Map<string, string | null>();
  let after: string | null = null;
  try {
    for (let page = 0; page < MAX_STEP_PAGES; page++) {
      const steps = await s.env.api.stepOutputs(ref, after, s.caller);
      for (const step of steps.items)
        for (const [id, output] of step) if (!shown.has(id)) shown.set(id, output);
      if (!steps.hasMore || steps.lastId === null) break;
      if (outputs.every(({ tool_call_id }) => shown.has(tool_call_id))) break;
      after = steps.lastId;
    }
  } catch (error) {
    // A server whose steps can't be read at all leaves the run's own status to decide; an outage does not.
    if (!(error instanceof HttpFailure) || !error.verdict.nonRetryable) throw error;
    return null;
  }
  return shown;
};

/** Does the run wait for outputs that its steps show? Then the steps are newer than the read, which is of an earlier round. */
const isStaleReading = ({ run }: RunReading, shown: Shown | null): boolean =>
  run.status === 'requires_action' &&
  run.calls.length > 0 &&
  run.calls.every(({ callId }) => shown?.get(callId) != null);

/** The run has moved on: by these outputs, or by another writer's? Throws the conflict. */
const findWriter = async (
  s: BackendSession,
  ref: RunRef,
  reading: RunReading,
  outputs: readonly ToolOutput[],
): Promise<{ taken: boolean }> => {
  const shown = await readOutputs(s, ref, outputs);
  const relation: OutputRelation = shown === null ? { kind: 'unknown' } : relateOutputs(shown, outputs);
  if (isStaleReading(reading, shown) && s.ctx.attempt < MAX_CONTRADICTING_ATTEMPTS)
    throw retryLater(
      `Run ${JSON.stringify(ref.backendRunId)} is shown as it was in an earlier round: the read is stale.`,
      s,
    );
  if (relation.kind === 'different')
    throw new BackendError(
      FAILURES.backendConflict,
      `Another writer submitted other outputs for ${relation.callIds.map((id) => JSON.stringify(id)).join(', ')} ` +
        `of run ${JSON.stringify(ref.backendRunId)}; the server accepted those.`,
      { details: [{ callIds: relation.callIds }] },
    );
  if (relation.kind === 'equal') return { taken: true };
  if (relation.kind === 'absent') return { taken: false };
  return { taken: reading.run.status !== 'expired' && reading.run.status !== 'cancelled' };
};

const refusedStreaming = (failure: HttpFailure): boolean =>
  failure.error?.param === 'stream' || failure.status === 406 || failure.status === 501;

type Posted =
  | { kind: 'accepted'; followed: Followed }
  /** Not by this POST: the run has left the round. */
  | { kind: 'moved'; reading: RunReading; taken: boolean };

const onFailure = async (
  s: BackendSession,
  ref: RunRef,
  outputs: readonly ToolOutput[],
  failure: HttpFailure,
): Promise<Posted> => {
  // Refused permanently and not because of the run's state (401, 404, 413, …): nothing happened, a read adds nothing.
  if (failure.status !== 400 && !failure.mayHaveHappened) throw failure;
  const reading = await s.env.api.getRun(ref, s.caller);
  if (!requiresOwnCalls(reading, outputs)) {
    const { taken } = await findWriter(s, ref, reading, outputs);
    return { kind: 'moved', reading, taken };
  }
  if (relateIds(reading.run.calls, outputs) === 'some')
    throw unsupported('a round with only some of its outputs accepted', s.env.api.origin, {
      runId: ref.backendRunId,
    });
  if (failure.status !== 400) throw failure;
  // The refusal is about the round, and the read shows the round open: one of the two is stale.
  const aboutTheRound = /do not accept tool outputs|expected tool outputs/i.test(
    failure.error?.message ?? '',
  );
  if (aboutTheRound && s.ctx.attempt < MAX_CONTRADICTING_ATTEMPTS) throw retryLater(failure.message, s);
  throw toError(s, failure);
};

const post = async (s: BackendSession, ref: RunRef, outputs: readonly ToolOutput[]): Promise<Posted> => {
  const { learned } = s.env;
  for (;;) {
    s.progress({ run: ref, sent: true, at: s.ctx.now(), attempt: s.ctx.attempt });
    s.ctx.fence();
    // Of this request: another one may learn otherwise meanwhile.
    const stream = learned.streams;
    let started: StartedStream;
    try {
      started = await s.env.api.submit(ref, outputs, stream, s.caller);
    } catch (error) {
      if (!(error instanceof HttpFailure)) throw error;
      if (stream && !error.mayHaveHappened && refusedStreaming(error)) {
        learned.streams = false;
        continue;
      }
      return onFailure(s, ref, outputs, error);
    }
    if (started.kind === 'run' && learned.streams) learned.streams = false;
    const followed = await followStarted(s, ref.threadId, started, ref);
    // A known run is always followed; the null is for creates.
    return { kind: 'accepted', followed: followed ?? { ref, first: null, swept: null } };
  }
};

export const submit = async (
  s: BackendSession,
  ref: RunRef,
  outputs: readonly ToolOutput[],
): Promise<Settled> => {
  const { previous, attempt } = s.ctx;
  s.progress({ ...previous, run: ref });
  let reading: RunReading | null = null;
  let open = true;
  let taken = false;
  let swept: Promise<void> | null = null;
  if (attempt > 1 || previous?.sent === true) {
    await settle(s, previous?.at ?? null);
    reading = await s.env.api.getRun(ref, s.caller);
    open = requiresOwnCalls(reading, outputs);
    if (!open) ({ taken } = await findWriter(s, ref, reading, outputs));
  }
  for (let posts = 0; ;) {
    if (open) {
      if (posts === 2)
        throw unsupported('a round that stays open after its outputs were accepted', s.env.api.origin, {
          runId: ref.backendRunId,
        });
      posts++;
      const posted = await post(s, ref, outputs);
      if (posted.kind === 'accepted') {
        ({ first: reading, swept } = posted.followed);
        taken = true;
      } else {
        ({ reading, taken } = posted);
      }
    }
    const postedAt = s.ctx.now();
    // For a while after the submit was accepted, a read that still waits for these calls is stale.
    reading = await pollRun(
      s,
      ref,
      (now) => !requiresOwnCalls(now, outputs) || s.ctx.now() - postedAt >= s.env.settings.staleMs,
      reading,
    );
    open = requiresOwnCalls(reading, outputs);
    if (!open) {
      const settled = await settleReading(s, ref, reading, swept);
      return settled.status === 'requires_action' ? settled : { ...settled, outputsTaken: taken };
    }
    s.ctx.log.warn({ backendRunId: ref.backendRunId }, 'the round is still open after its outputs were sent');
  }
};
