/**
 * Asks for one answer: the first model of the route, cut prompts after "too long", and the next model when one can't answer.
 *
 * Rule: nothing is asked twice here but what was refused as too long; Temporal owns retries. When readers have seen a part of an
 * answer that failed, the run is claimed again, which closes that part, before another answer begins.
 * Imported by `turn.ts`.
 */
import type { BackendContext } from '../../protocol/ports/backend.ts';
import { ModelError } from '../../protocol/ports/model.ts';
import type { ModelCandidate, ModelRouter } from '../../protocol/ports/model-router.ts';
import type {
  Claim,
  ContextItem,
  StoredRunState,
  TurnOutcome,
  TurnStore,
  TurnUsage,
} from '../../protocol/ports/turn-store.ts';
import type { TokenPrice } from '../../protocol/rules/cost.ts';
import { mintId } from '../../protocol/wire/ids.ts';
import type { TurnAttempts } from './attempts.ts';
import { boundedRequest, type BoundedRequest, type PricingOptions } from './bounded-request.ts';
import type { PendingClaim } from './pending-claim.ts';
import { pricedUsage } from './price.ts';
import { cutToSize, estimateTokens, type PromptCut } from './prompt.ts';
import { promptTokensLeft, systemMessages } from './request.ts';
import { letsAnotherSpeak } from './speakers.ts';
import type { TurnPublisher } from './turn-publisher.ts';
import { createTurnRecorder, type ModelTurn, type TurnRecorder } from './turn-recorder.ts';

/** How often a prompt that the server found too long is cut and sent again. */
const MAX_PROMPT_CUTS = 4;

/** How to begin the turn, after what earlier requests of it have shown. */
export interface TurnRetry {
  /** Estimated tokens for the messages; null = the limits of the run and of the model's window. */
  budget: number | null;
  /** How often the prompt may still be cut. */
  cuts: number;
  /** How the models failed that were asked before; the next one of the route is asked. */
  failures: readonly ModelError[];
}
export const FIRST_TURN: TurnRetry = { budget: null, cuts: MAX_PROMPT_CUTS, failures: [] };

export interface Asking {
  claim: Claim;
  state: StoredRunState;
  items: readonly ContextItem[];
  /** Who may answer, in order; never empty. */
  route: readonly ModelCandidate[];
  options: PricingOptions & { store: TurnStore; models: ModelRouter };
  ctx: BackendContext;
  attempts: TurnAttempts;
  taking: PendingClaim;
  show: TurnPublisher;
}

export type Asked =
  | {
      kind: 'answered';
      spoken: ModelTurn;
      cut: PromptCut;
      speaker: ModelCandidate;
      price: TokenPrice | null;
      /** Why the answer ends where it is cut off. */
      limit: Extract<TurnOutcome, { kind: 'incomplete' }>['reason'];
    }
  /** Nothing is left to leave out. */
  | { kind: 'too_long'; spoken: ModelTurn; speaker: ModelCandidate; usage: TurnUsage | null }
  /** The run may not spend what the turn needs. */
  | { kind: 'refused' }
  /** Readers have seen a part of the turn. */
  | { kind: 'again'; beginning: TurnRetry };

/** Every model of the route has failed. */
export class RouteFailedError extends Error {
  override readonly name = 'RouteFailedError';
  readonly failures: readonly [ModelError, ...ModelError[]];

  constructor(failures: readonly [ModelError, ...ModelError[]]) {
    super(failures[0].message);
    this.failures = failures;
  }
}

/** Estimated tokens of instructions and tools. */
const frameTokens = ({ config }: StoredRunState): number =>
  estimateTokens(systemMessages(config)) + Math.ceil(JSON.stringify(config.tools).length / 4);

/** Tokens for the messages by the run's limit and the model's window. null = no limit. */
const promptBudget = (state: StoredRunState, contextTokens: number | null): number | null => {
  const limits = [promptTokensLeft(state), contextTokens].filter((limit) => limit !== null);
  return limits.length === 0 ? null : Math.max(0, Math.min(...limits) - frameTokens(state));
};

/** The next smaller budget; null when nothing is left to leave out. */
const smallerBudget = (cut: PromptCut, budget: number | null): number | null =>
  cut.minimal ? null : Math.floor(Math.min(cut.tokens, budget ?? cut.tokens) / 2);

/** Throws `RouteFailedError`, or why the turn ends without an answer: an abort, a budget, a store's error. */
export const askModels = async (asking: Asking, beginning: TurnRetry): Promise<Asked> => {
  const { claim, state, items, route, options, ctx, attempts, taking, show } = asking;
  const failures = [...beginning.failures];
  let speaker = route[Math.min(failures.length, route.length - 1)];
  if (speaker === undefined) throw new Error('a route has no model');
  let budget = beginning.budget ?? promptBudget(state, speaker.contextTokens);
  let cut = cutToSize(items, state.config.truncation_strategy, budget);
  for (let cuts = beginning.cuts; ;) {
    const recorder = createTurnRecorder(() => mintId('call'));
    ctx.fence();
    const lent = { lease: claim.lease, taking, ctx };
    const bounded = await boundedRequest(state, speaker, cut.messages, options, lent);
    const { price, allowed } = bounded;
    if (allowed.kind === 'refused') return { kind: 'refused' };
    try {
      await publishAnswer(speaker, bounded, { tokens: cut.tokens + frameTokens(state), recorder }, asking);
      const limit = allowed.by === 'max_cost' ? 'max_cost' : 'max_completion_tokens';
      return { kind: 'answered', spoken: recorder.turn(), cut, speaker, price, limit };
    } catch (error) {
      const spoken = recorder.turn();
      const usage = pricedUsage(spoken.usage, speaker.id, price);
      const smaller = cuts > 0 ? smallerBudget(cut, budget) : null;
      const tooLong = error instanceof ModelError && error.kind === 'too_long';
      if (tooLong && smaller === null) return { kind: 'too_long', spoken, speaker, usage };
      await countBroken(asking, usage);
      if (!(error instanceof ModelError)) throw error;
      if (tooLong) {
        cuts -= 1;
        budget = smaller;
      } else {
        failures.push(error);
        const next = letsAnotherSpeak(error) ? route[failures.length] : undefined;
        if (next === undefined) throw new RouteFailedError([failures[0] ?? error, ...failures.slice(1)]);
        // When the claim failed, the server's refusal says nothing about this run.
        await taking.done;
        attempts.passed(error, speaker.id);
        cuts = MAX_PROMPT_CUTS;
        speaker = next;
        budget = promptBudget(state, speaker.contextTokens);
      }
      if (show.begun()) return { kind: 'again', beginning: { budget, cuts, failures } };
      ctx.observe?.({
        kind: 'fallback',
        reason: tooLong ? 'prompt shortened to fit the context' : 'another model',
      });
      cut = cutToSize(items, state.config.truncation_strategy, budget);
    }
  }
};

/**
 * Counts an answer that broke off, if the server had reported its usage. A count that can't be written is lost: the failure that
 * led here says more, and the next attempt must come soon.
 */
const countBroken = async (
  { claim: { taken, lease }, options: { store }, ctx }: Asking,
  usage: TurnUsage | null,
): Promise<void> => {
  if (usage === null || (taken !== undefined && !(await taken.catch(() => false)))) return;
  try {
    await store.countTurn(lease, usage, ctx.now());
  } catch (error) {
    ctx.log.warn({ error }, 'the usage of an answer that broke off was not counted');
  }
};

const observeCooldown = (
  { provider }: ModelCandidate,
  change: 'began' | 'passed_over',
  ctx: BackendContext,
): void => ctx.observe?.({ kind: 'model_cooldown', provider, change });

const observeFailure = (
  { id: model, provider }: ModelCandidate,
  ms: number,
  error: unknown,
  ctx: BackendContext,
): void => {
  const reason = error instanceof ModelError ? error.kind : 'stopped';
  ctx.observe?.({ kind: 'model_failed', provider, model, ms, reason });
};

/** Asks one model within its provider's limits, and shows its answer to the end. */
const publishAnswer = async (
  speaker: ModelCandidate,
  { request, price }: Pick<BoundedRequest, 'request' | 'price'>,
  { tokens, recorder }: { tokens: number; recorder: TurnRecorder },
  { state, options, ctx, attempts, taking, show }: Asking,
): Promise<void> => {
  const { signal } = taking;
  const { models } = options;
  const admission = await models.admit(speaker, { tokens, signal }).catch((error: unknown) => {
    if (error instanceof ModelError) observeCooldown(speaker, 'passed_over', ctx);
    throw error;
  });
  let started: number | null = null;
  try {
    if (admission.waitedMs > 0) {
      ctx.observe?.({ kind: 'model_wait', provider: speaker.provider, ms: admission.waitedMs });
      ctx.fence();
    }
    attempts.asking({ backendRunId: state.runId, threadId: state.threadId });
    show.speaker(speaker.id);
    started = ctx.now();
    let firstAt: number | null = null;
    const answer = speaker.adapter.turn(request, {
      signal,
      // The run's expiry aborts the signal.
      deadline: null,
      observe: (what) => ctx.observe?.(what),
    });
    for await (const parts of answer) {
      const deltas = recorder.take(parts);
      firstAt ??= deltas.length > 0 ? ctx.now() : null;
      await taking.done;
      await show.publish(deltas);
    }
    await models.ended(speaker, null);
    const usage = pricedUsage(recorder.turn().usage, speaker.id, price);
    ctx.observe?.({
      kind: 'model',
      provider: speaker.provider,
      model: speaker.id,
      finish: recorder.turn().finish,
      ms: ctx.now() - started,
      firstTokenMs: firstAt === null ? null : firstAt - started,
      promptTokens: usage?.promptTokens ?? 0,
      completionTokens: usage?.completionTokens ?? 0,
      cachedTokens: usage?.cachedTokens ?? 0,
      reasoningTokens: usage?.reasoningTokens ?? 0,
      cost: usage?.cost ?? {},
    });
  } catch (error) {
    if (started !== null) observeFailure(speaker, ctx.now() - started, error, ctx);
    if (error instanceof ModelError && (await models.ended(speaker, error)))
      observeCooldown(speaker, 'began', ctx);
    throw error;
  } finally {
    admission.release(recorder.turn().usage?.totalTokens ?? null);
  }
};
