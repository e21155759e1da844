/**
 * The `chat` backend: runs on a model. This project is the runs server: its store keeps thread, messages, steps and
 * expiry; the model answers one turn at a time, through its port, and remembers nothing.
 *
 * Rule: the store's row is the truth. Claiming a run finds everything that an earlier attempt did, so create, submit
 * and follow are the same after their first step: read the run, and continue from there.
 * Imported by the worker's composition root and tests.
 */
import type { Backend } from '../../protocol/ports/backend.ts';
import { BackendError } from '../../protocol/errors.ts';
import type { ModelRouter } from '../../protocol/ports/model-router.ts';
import type { Budget } from '../../protocol/rules/budget.ts';
import type { TokenPrice } from '../../protocol/rules/cost.ts';
import { FAILURES } from '../../protocol/temporal/names.ts';
import type { TurnStore } from '../../protocol/ports/turn-store.ts';
import { DEFAULT_MODEL_ATTEMPTS } from './attempts.ts';
import { shownError } from './last-error.ts';
import { RunResumer } from './resume-run.ts';
import { fromStoreError, toSettled } from './settlement.ts';
import type { TurnOptions } from './turn.ts';

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

  const runs = new RunResumer(turn, options.modelAttempts ?? DEFAULT_MODEL_ATTEMPTS);

  return {
    kind: 'chat',
    createThread() {
      throw new BackendError(
        FAILURES.backendRejected,
        'A run on the chat backend needs a thread that the store holds before the run starts; this run has none.',
      );
    },
    create: (request, ctx) => translated(() => runs.resume(request.runId, ctx)),
    follow: (run, ctx) => translated(() => runs.resume(run.backendRunId, ctx)),
    submit: (run, _round, outputs, ctx, decisions = []) =>
      translated(async () => {
        ctx.fence();
        const { taken } = await store.acceptOutputs(run.backendRunId, outputs, {
          now: ctx.now(),
          by: null,
          decisions,
        });
        const settled = await runs.resume(run.backendRunId, ctx);
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
