/**
 * The `chat` backend: runs on a model. This project is the runs server: its store keeps thread, messages, steps and
 * expiry; the model answers one turn at a time, through its port, and remembers nothing.
 *
 * Rule: the store's row is the truth. Claiming a run finds everything that an earlier attempt did, so create, submit
 * and follow are the same after their first step: read the run, and continue from there.
 * Imported by the worker's composition root and tests.
 */
import type { Backend, BackendContext, CloseHow, Settled } from '../../protocol/ports/backend.ts';
import { BackendError } from '../../protocol/errors.ts';
import type { ModelRouter } from '../../protocol/ports/model-router.ts';
import type { Budget } from '../../protocol/rules/budget.ts';
import type { TokenPrice } from '../../protocol/rules/cost.ts';
import { FAILURES } from '../../protocol/temporal/names.ts';
import type { Claim, StoredRunState, TurnStore } from '../../protocol/ports/turn-store.ts';
import { createTurnAttempts, DEFAULT_MODEL_ATTEMPTS, type TurnAttempts } from './attempts.ts';
import { boundByExpiry } from './expiry.ts';
import { shownError } from './last-error.ts';
import { fromStoreError, toSettled } from './settlement.ts';
import { FIRST_TURN, type TurnRetry } from './ask-models.ts';
import { runTurn, type TurnOptions, type TurnResult } from './turn.ts';

export interface ChatBackendOptions {
  store: TurnStore;
  /** Who answers; disposed of with the backend. */
  models: ModelRouter;
  /** Newest messages and rounds of a thread that are read at most. Default 2,000. */
  contextItems?: number;
  /** Attempts of one turn in which the model may have generated. Default 5. */
  modelAttempts?: number;
  /** Pause between two writes of deltas. Default 30 ms. */
  flushMs?: number;
  /** What a model costs at the moment. Default: not known. */
  priceOf?: (model: string) => TokenPrice | null;
  /** What a tenant's runs may use. Default: there is no budget. */
  budgetOf?: (tenant: string) => Budget | null;
}

const noRow = (runId: string): BackendError =>
  new BackendError(
    FAILURES.backendNoSuchRow,
    `There is no run ${JSON.stringify(runId)} in the store: its start was rolled back.`,
  );

const translated = async <T>(work: () => Promise<T>): Promise<T> => {
  try {
    return await work();
  } catch (error) {
    throw fromStoreError(error);
  }
};

export const createChatBackend = (options: ChatBackendOptions): Backend & { dispose(): Promise<void> } => {
  const { store } = options;
  const turn: TurnOptions = {
    store,
    models: options.models,
    contextItems: options.contextItems ?? 2_000,
    flushMs: options.flushMs ?? 30,
    priceOf: options.priceOf ?? (() => null),
    budgetOf: options.budgetOf ?? (() => null),
  };

  const modelAttempts = options.modelAttempts ?? DEFAULT_MODEL_ATTEMPTS;

  const closed = async (runId: string, how: CloseHow, ctx: BackendContext): Promise<StoredRunState> => {
    const state = await store.closeRun(runId, how, ctx.now());
    if (state === null) throw noRow(runId);
    return state;
  };

  /** Runs one turn, and ends the run when it expires during the turn. */
  const turnUntilExpiry = async (
    claim: Claim,
    attempts: TurnAttempts,
    beginning: TurnRetry,
    ctx: BackendContext,
  ): Promise<TurnResult> => {
    const bound = boundByExpiry(ctx, claim.state);
    try {
      return await runTurn(claim, turn, bound.context, attempts, beginning);
    } catch (error) {
      if (!bound.expired()) throw error;
      // Another attempt may have claimed the run; then that one ends it.
      ctx.fence();
      const { runId, expiresAt } = claim.state;
      const failed = attempts.last();
      const how = {
        kind: 'expire',
        expiresAt,
        ...(failed === null ? {} : { error: shownError(failed, claim.state.config.model) }),
      } as const;
      return { kind: 'settled', state: await closed(runId, how, ctx) };
    } finally {
      bound.dispose();
    }
  };

  /** Claims the run and continues from its state. */
  const resume = async (runId: string, ctx: BackendContext): Promise<Settled> => {
    let contextItems: number | undefined = turn.contextItems;
    const attempts = createTurnAttempts(ctx, modelAttempts);
    for (let beginning = FIRST_TURN; ;) {
      ctx.fence();
      const claim = await store.claim(runId, ctx.now(), contextItems);
      if (claim === null) throw noRow(runId);
      if (claim.next === 'cancel') return toSettled(await closed(runId, { kind: 'cancel' }, ctx));
      const turned: TurnResult =
        claim.next === 'turn'
          ? await turnUntilExpiry(claim, attempts, beginning, ctx)
          : { kind: 'settled', state: claim.state };
      if (turned.kind === 'settled') {
        const { state } = turned;
        // A cancel was requested while the model answered: its calls do not run.
        const end = toSettled(
          state.status === 'cancelling' ? await closed(runId, { kind: 'cancel' }, ctx) : state,
        );
        // The row has the cause; the result has the details, for operators.
        const failed = attempts.last();
        return end.status === 'expired' && failed !== null ? { ...end, lastError: failed } : end;
      }
      // Another writer was faster: now the run is claimed under its lock.
      if (turned.kind === 'not-taken') contextItems = undefined;
      else beginning = turned.beginning;
    }
  };

  return {
    kind: 'chat',
    createThread() {
      throw new BackendError(
        FAILURES.backendRejected,
        'A run on the chat backend needs a thread that the store holds before the run starts; this run has none.',
      );
    },
    create: (request, ctx) => translated(() => resume(request.runId, ctx)),
    follow: (run, ctx) => translated(() => resume(run.backendRunId, ctx)),
    submit: (run, _round, outputs, ctx, decisions = []) =>
      translated(async () => {
        ctx.fence();
        const { taken } = await store.acceptOutputs(run.backendRunId, outputs, {
          now: ctx.now(),
          by: null,
          decisions,
        });
        const settled = await resume(run.backendRunId, ctx);
        return settled.status === 'requires_action' ? settled : { ...settled, outputsTaken: taken };
      }),
    recordAnswers: (run, _round, outputs, ctx) =>
      translated(async () => {
        ctx.fence();
        await store.acceptOutputs(run.backendRunId, outputs, { now: ctx.now(), by: null });
      }),
    recordDecisions: (runId, decisions, ctx) =>
      translated(async () => {
        ctx.fence();
        await store.recordDecisions(runId, decisions);
      }),
    close: (target, how, ctx, decisions = []) =>
      translated(async () => {
        ctx.fence();
        const runId = target.kind === 'run' ? target.run.backendRunId : target.runId;
        const failure = 'error' in how ? how.error : undefined;
        const model =
          failure?.code === 'no_images' ? ((await store.readState(runId))?.config.model ?? null) : null;
        const shown = failure === undefined ? how : { ...how, error: shownError(failure, model) };
        const state = await store.closeRun(runId, shown, ctx.now(), decisions);
        if (state !== null) return toSettled(state);
        const status = ({ cancel: 'cancelled', expire: 'expired', fail: 'failed' } as const)[how.kind];
        return { status, run: null };
      }),
    learned: () => turn.models.learned(),
    probe: (signal) => turn.models.probe(signal),
    dispose: () => turn.models.dispose(),
  };
};
