/**
 * The `assistants` backend's contract at the fast level: search before the create, adopt, compare-and-set on call ids.
 *
 * Rule: it keeps the promises of `backends/assistants` with shorter code. The real backend runs at the full level. Only
 * `test/simulation` imports it.
 */
import type {
  CloseHow,
  CloseTarget,
  CreateRequest,
  RunRef,
  Settled,
} from '../../../protocol/ports/backend.ts';
import { FAILURES } from '../../../protocol/temporal/names.ts';
import { isTerminal } from '../../../protocol/wire/objects.ts';
import type { ToolOutput } from '../../../protocol/wire/objects.ts';
import { applicationFailure } from '../temporal/types.ts';
import { RequestFailure } from './attempt.ts';
import type { Attempt } from './attempt.ts';
import { Refused } from './assistants-server.ts';
import type { AssistantsServer, Seen } from './assistants-server.ts';

const SETTLE_MS = 3_000;
/** Older attempts leave a create that was refused to a fresh one, which Temporal is known to hear. */
const REPOST_WITHIN_MS = 7_000;
/** Attempts that do so when their look took long, too. */
const SLOW_LOOKS = 5;
const LOOK_MS = 20_000;

const toSettled = (seen: Seen, threadId: string): Settled => {
  const run = { backendRunId: seen.id, threadId };
  return isTerminal(seen.status)
    ? {
        status: seen.status,
        run,
        ...(seen.status === 'failed' ? { lastError: { code: 'server_error', message: 'as scripted' } } : {}),
      }
    : {
        status: 'requires_action',
        run,
        calls: seen.calls.map(({ callId, name, plan }) => ({ callId, name, arguments: '{}', plan })),
        expiresAt: seen.expiresAt,
        createdAt: seen.createdAt,
      };
};

const final = (type: string, message: string): Error => applicationFailure(type, message);
const again = (message: string): Error =>
  applicationFailure(FAILURES.backendUnavailable, message, { retryable: true });

const asks = (seen: Seen, outputs: readonly ToolOutput[]): boolean =>
  seen.status === 'requires_action' &&
  seen.calls.some(({ callId }) => outputs.some((output) => output.tool_call_id === callId));

export const createFastAssistants = (server: AssistantsServer) => {
  const get = (a: Attempt, runId: string): Promise<Seen> =>
    a.request(
      'get',
      () => server.get(runId),
      () => server.getStale(runId),
    );

  const follow = async (
    a: Attempt,
    run: RunRef,
    done: (seen: Seen) => boolean = () => true,
  ): Promise<Seen> => {
    a.heartbeat({ run });
    for (;;) {
      const seen = await get(a, run.backendRunId);
      if ((isTerminal(seen.status) || seen.status === 'requires_action') && done(seen)) return seen;
      await a.until((listener) => server.subscribe(run.backendRunId, listener), LOOK_MS);
    }
  };

  const look = async (a: Attempt, request: { threadId: string; runId: string }): Promise<RunRef | null> => {
    const runs = await a.request('list', () => server.list(request.threadId));
    const ours = runs.filter((run) => run.token === request.runId).at(-1);
    return ours === undefined ? null : { backendRunId: ours.id, threadId: request.threadId };
  };

  const onBusy = async (a: Attempt, request: CreateRequest, holderId: string): Promise<RunRef | null> => {
    const holder = await get(a, holderId);
    if (holder.token === request.runId) return { backendRunId: holderId, threadId: request.threadId };
    if (isTerminal(holder.status)) return null;
    if (request.busy === 'fail') throw final(FAILURES.backendBusy, `held by ${holderId}`);
    if (request.busy === 'cancel') {
      a.fence();
      try {
        await a.request('cancel', () => server.cancel(holderId));
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
      }
    }
    for (;;) {
      if (isTerminal((await get(a, holderId)).status)) return null;
      await a.sleep(2_000);
    }
  };

  const create = async (a: Attempt, request: CreateRequest): Promise<RunRef> => {
    if (a.previous?.run !== undefined) return a.previous.run;
    if (a.number > 1 || a.previous?.sent === true) {
      const asked = a.now();
      await a.sleep(SETTLE_MS);
      const ref = await look(a, request);
      if (ref !== null) return ref;
      if (a.number <= SLOW_LOOKS && a.now() - asked > REPOST_WITHIN_MS) throw again('looked for long');
    }
    const began = a.now();
    for (let refused = false; ; refused = true) {
      if (refused && a.now() - began > REPOST_WITHIN_MS) {
        a.heartbeat({ sent: false });
        throw again('held for a while');
      }
      a.heartbeat({ sent: true });
      a.fence();
      try {
        const seen = await a.request('create', () => server.createRun(request.threadId, request.runId));
        return { backendRunId: seen.id, threadId: request.threadId };
      } catch (error) {
        if (error instanceof Refused && error.code === 'busy' && error.runId !== null) {
          const ref = await onBusy(a, request, error.runId);
          if (ref !== null) return ref;
          continue;
        }
        if (error instanceof RequestFailure && error.mayHaveHappened) {
          await a.sleep(SETTLE_MS);
          const ref = await look(a, request);
          if (ref !== null) return ref;
        }
        throw error;
      }
    }
  };

  /** The run has left the round: by our outputs, or by somebody's? */
  const findWriter = async (a: Attempt, run: RunRef, outputs: readonly ToolOutput[]): Promise<boolean> => {
    const there = await a.request('get', () => server.outputsOf(run.backendRunId));
    const shown = new Map(there.map((output) => [output.tool_call_id, output.output]));
    const known = outputs.filter((output) => shown.has(output.tool_call_id));
    if (known.some((output) => shown.get(output.tool_call_id) !== output.output))
      throw final(FAILURES.backendConflict, 'another writer submitted other outputs');
    return known.length > 0;
  };

  const submit = async (a: Attempt, run: RunRef, outputs: readonly ToolOutput[]): Promise<Settled> => {
    a.heartbeat({ run });
    let taken = false;
    let open = true;
    if (a.number > 1) {
      await a.sleep(SETTLE_MS);
      open = asks(await get(a, run.backendRunId), outputs);
      if (!open) taken = await findWriter(a, run, outputs);
    }
    if (open) {
      a.heartbeat({ run, sent: true });
      a.fence();
      try {
        await a.request('submit', () => server.submit(run.backendRunId, outputs, 'us'));
        taken = true;
      } catch (error) {
        const doubt = error instanceof RequestFailure && error.mayHaveHappened;
        if (!doubt && !(error instanceof Refused)) throw error;
        if (asks(await get(a, run.backendRunId), outputs)) throw again('not applied yet');
        taken = await findWriter(a, run, outputs);
      }
    }
    const postedAt = a.now();
    const seen = await follow(a, run, (now) => !asks(now, outputs) || a.now() - postedAt > 2_000);
    if (asks(seen, outputs)) throw again('still open');
    const settled = toSettled(seen, run.threadId);
    return settled.status === 'requires_action' ? settled : { ...settled, outputsTaken: taken };
  };

  const close = async (a: Attempt, target: CloseTarget, how: CloseHow): Promise<Settled> => {
    let ref = target.kind === 'run' ? target.run : (a.previous?.run ?? null);
    if (ref === null && target.kind === 'token' && target.threadId !== null) {
      const wanted = { threadId: target.threadId, runId: target.runId };
      ref = await look(a, wanted);
      if (ref === null) {
        await a.sleep(SETTLE_MS);
        ref = await look(a, wanted);
      }
    }
    if (ref === null) return { status: 'cancelled', run: null };
    const { backendRunId, threadId } = ref;
    a.heartbeat({ run: ref });
    const begun = a.now();
    for (;;) {
      a.fence();
      try {
        await a.request('cancel', () => server.cancel(backendRunId));
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
      }
      const seen = await get(a, backendRunId);
      if (isTerminal(seen.status)) return toSettled(seen, threadId);
      if (a.now() - begun > 60_000) throw again(`still ${seen.status} after ${how.kind}`);
      await a.until((listener) => server.subscribe(backendRunId, listener), 5_000);
    }
  };

  return {
    createThread: (a: Attempt) =>
      a.request('thread', () => server.createThread()).then((threadId) => ({ threadId })),
    create: async (a: Attempt, request: CreateRequest) => {
      const run = await create(a, request);
      return toSettled(await follow(a, run), run.threadId);
    },
    submit,
    follow: async (a: Attempt, run: RunRef) => toSettled(await follow(a, run), run.threadId),
    close,
  };
};
