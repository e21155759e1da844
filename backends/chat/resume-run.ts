/**
 * Continues a run from what the store holds: claims it, plays turns, and ends it when it expired or was cancelled.
 *
 * Rule: a claim finds everything that an earlier attempt did. When another attempt has claimed the run, that one ends it.
 * Imported by the backend's index.
 */
import type { BackendContext, CloseHow, Settled } from '../../protocol/ports/backend.ts';
import { BackendError } from '../../protocol/errors.ts';
import { FAILURES } from '../../protocol/temporal/names.ts';
import type { Claim, StoredRunState } from '../../protocol/ports/turn-store.ts';
import { createTurnAttempts, type TurnAttempts } from './attempts.ts';
import { boundByExpiry } from './expiry.ts';
import { shownError } from './last-error.ts';
import { toSettled } from './settlement.ts';
import { FIRST_TURN, type TurnRetry } from './ask-models.ts';
import { runTurn, type TurnOptions, type TurnResult } from './turn.ts';

const noRow = (runId: string): BackendError =>
  new BackendError(
    FAILURES.backendNoSuchRow,
    `There is no run ${JSON.stringify(runId)} in the store: its start was rolled back.`,
  );

export class RunResumer {
  readonly #turn: TurnOptions;
  readonly #modelAttempts: number;

  constructor(turn: TurnOptions, modelAttempts: number) {
    this.#turn = turn;
    this.#modelAttempts = modelAttempts;
  }

  /** Claims the run and continues from its state. */
  async resume(runId: string, ctx: BackendContext): Promise<Settled> {
    const { store } = this.#turn;
    let contextItems: number | undefined = this.#turn.contextItems;
    const attempts = createTurnAttempts(ctx, this.#modelAttempts);
    for (let beginning = FIRST_TURN; ;) {
      ctx.fence();
      const claim = await store.claim(runId, ctx.now(), contextItems);
      if (claim === null) throw noRow(runId);
      if (claim.next === 'cancel') return toSettled(await this.#close(runId, { kind: 'cancel' }, ctx));
      const turned: TurnResult =
        claim.next === 'turn'
          ? await this.#turnUntilExpiry(claim, attempts, beginning, ctx)
          : { kind: 'settled', state: claim.state };
      if (turned.kind === 'settled') return await this.#settled(turned.state, attempts, ctx);
      // Another writer was faster: now the run is claimed under its lock.
      if (turned.kind === 'not-taken') contextItems = undefined;
      else beginning = turned.beginning;
    }
  }

  async #settled(state: StoredRunState, attempts: TurnAttempts, ctx: BackendContext): Promise<Settled> {
    // A cancel was requested while the model answered: its calls do not run.
    const end = toSettled(
      state.status === 'cancelling' ? await this.#close(state.runId, { kind: 'cancel' }, ctx) : state,
    );
    // The row has the cause; the result has the details, for operators.
    const failed = attempts.last();
    return end.status === 'expired' && failed !== null ? { ...end, lastError: failed } : end;
  }

  async #close(runId: string, how: CloseHow, ctx: BackendContext): Promise<StoredRunState> {
    const state = await this.#turn.store.closeRun(runId, how, ctx.now());
    if (state === null) throw noRow(runId);
    return state;
  }

  /** Runs one turn, and ends the run when it expires during the turn. */
  async #turnUntilExpiry(
    claim: Claim,
    attempts: TurnAttempts,
    beginning: TurnRetry,
    ctx: BackendContext,
  ): Promise<TurnResult> {
    const bound = boundByExpiry(ctx, claim.state);
    try {
      return await runTurn(claim, this.#turn, bound.context, attempts, beginning);
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
      return { kind: 'settled', state: await this.#close(runId, how, ctx) };
    } finally {
      bound.dispose();
    }
  }
}
