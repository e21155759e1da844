/**
 * One turn of the model: read the thread, ask, show the answer as it arrives, settle.
 *
 * Rule: nothing is opened before there is something to show, so an attempt that fails early leaves no trace. Every
 * write carries the claim's lease; an attempt that was replaced notices at its next write at the latest.
 * Imported by `backends/chat/index.ts`.
 */
import type { BackendContext } from '../../protocol/ports/backend.ts';
import type { PlannedCall } from '../../protocol/tool-calls.ts';
import { mintId } from '../../protocol/wire/ids.ts';
import type {
  Claim,
  StoredRunState,
  TurnOutcome,
  TurnStore,
  TurnUsage,
} from '../../protocol/ports/turn-store.ts';
import { ModelError, type Model, type ModelRequest } from '../../protocol/ports/model.ts';
import type { TokenPrice } from '../../protocol/rules/cost.ts';
import { planFitting } from '../fit-calls.ts';
import type { TurnAttempts } from './attempts.ts';
import { boundedRequest, estimatedUsage, mustCount, type PricingOptions } from './bounded-request.ts';
import { ClaimLostError, pendingClaim, type PendingClaim } from './pending-claim.ts';
import { pricedUsage } from './price.ts';
import { cutToSize, estimateTokens, type PromptCut } from './prompt.ts';
import { completionTokensLeft, promptTokensLeft, systemMessages } from './request.ts';
import { extendedExpiry } from './settlement.ts';
import { declaredTools } from './tools.ts';
import { TurnPublisher, publishedContent } from './turn-publisher.ts';
import { createTurnRecorder, type ModelTurn, type TurnRecorder } from './turn-recorder.ts';

export interface TurnOptions extends PricingOptions {
  store: TurnStore;
  model: Model;
  /** The model's context window in tokens; null = unknown, the server reports when it is exceeded. */
  contextTokens: number | null;
  /** Newest messages and rounds of the thread that are read at most. */
  contextItems: number;
  flushMs: number;
}

/** How often a prompt that the server found too long is cut and sent again. */
const MAX_PROMPT_CUTS = 4;

/** How to begin the turn, after what earlier requests of it have shown. */
export interface TurnRetry {
  /** Estimated tokens for the messages; null = the limits of the run and of the model's window. */
  budget: number | null;
  /** How often the prompt may still be cut. */
  cuts: number;
}
export const FIRST_TURN: TurnRetry = { budget: null, cuts: MAX_PROMPT_CUTS };

/** The turn's end, or why the run must be claimed again: readers have seen a part of the turn, or the claim failed. */
export type TurnResult =
  | { kind: 'settled'; state: StoredRunState }
  | { kind: 'again'; beginning: TurnRetry }
  | { kind: 'not-taken' };

/** Tokens for the messages by the run's limit and the model's window. null = no limit. */
const promptBudget = (state: StoredRunState, options: TurnOptions): number | null => {
  const frame =
    estimateTokens(systemMessages(state.config)) + Math.ceil(JSON.stringify(state.config.tools).length / 4);
  const limits = [promptTokensLeft(state), options.contextTokens].filter((limit) => limit !== null);
  return limits.length === 0 ? null : Math.max(0, Math.min(...limits) - frame);
};

type Reason = Extract<TurnOutcome, { kind: 'incomplete' }>['reason'];

export const outcomeOf = (
  spoken: ModelTurn,
  plan: (calls: ModelTurn['calls']) => PlannedCall[],
  expiry: (calls: readonly PlannedCall[]) => number | null,
  limit: Reason = 'max_completion_tokens',
): TurnOutcome => {
  // A call that the limit cut off can't run.
  if (spoken.finish === 'length') return { kind: 'incomplete', reason: limit };
  if (spoken.finish === 'content_filter') return { kind: 'incomplete', reason: 'content_filter' };
  if (spoken.calls.length === 0) return { kind: 'completed' };
  const calls = plan(spoken.calls);
  return { kind: 'calls', calls, expiresAt: expiry(calls) };
};

export const runTurn = async (
  claim: Claim,
  options: TurnOptions,
  ctx: BackendContext,
  attempts: TurnAttempts,
  beginning: TurnRetry = FIRST_TURN,
): Promise<TurnResult> => {
  const { store, model } = options;
  const { lease } = claim;
  const tools = declaredTools(claim.state.config, ctx.workerTools?.() ?? []);
  const state: StoredRunState = { ...claim.state, config: { ...claim.state.config, tools } };
  const declared = tools.map((tool) => tool.function.name);
  const plan = (calls: ModelTurn['calls']): PlannedCall[] =>
    planFitting(calls, (fitting) =>
      ctx.plan(fitting, declared, { granted: state.config.granted_tools, complete: true }),
    );
  const taking = pendingClaim(claim.taken, ctx.signal);
  const settle = async (turn: Parameters<TurnStore['settleTurn']>[1]): Promise<TurnResult> => {
    await taking.done;
    ctx.fence();
    return { kind: 'settled', state: await store.settleTurn(lease, turn, ctx.now()) };
  };
  const endIncomplete = (reason: Reason): Promise<TurnResult> =>
    settle({ outcome: { kind: 'incomplete', reason }, message: null, usage: null });

  const show = new TurnPublisher(store, lease, {
    now: () => ctx.now(),
    flushMs: options.flushMs,
    fence: () => ctx.fence(),
    onWritten: (ms) => ctx.observe?.({ kind: 'events_written', ms }),
  });
  try {
    attempts.assertAffordable();
    if ((completionTokensLeft(state) ?? 1) <= 0) return await endIncomplete('max_completion_tokens');
    const items = claim.context ?? (await store.readContext(state.threadId, options.contextItems));
    let budget = beginning.budget ?? promptBudget(state, options);
    let cut = cutToSize(items, state.config.truncation_strategy, budget);
    if ((promptTokensLeft(state) ?? 1) <= 0) return await endIncomplete('max_prompt_tokens');

    for (let cuts = beginning.cuts; ; cuts -= 1) {
      const recorder = createTurnRecorder(() => mintId('call'));
      ctx.fence();
      const { request, price, allowed } = await boundedRequest(state, cut.messages, options, {
        lease,
        taking,
        ctx,
      });
      if (allowed.kind === 'refused') return await endIncomplete('max_cost');
      attempts.asking({ backendRunId: state.runId, threadId: state.threadId });
      try {
        await publishAnswer(request, price, { model, ctx, taking, show, recorder });
      } catch (error) {
        if (!(error instanceof ModelError) || error.kind !== 'too_long') {
          await countBroken(claim, pricedUsage(recorder.turn().usage, request.model, price), options, ctx);
          throw error;
        }
        const smaller = cuts > 0 ? smallerBudget(cut, budget) : null;
        const { usage } = recorder.turn();
        const used = pricedUsage(usage, request.model, price);
        if (smaller === null)
          return await settlePartial(show, recorder.turn(), used, 'max_prompt_tokens', settle);
        await countBroken(claim, used, options, ctx);
        if (show.begun()) return { kind: 'again', beginning: { budget: smaller, cuts: cuts - 1 } };
        budget = smaller;
        cut = cutToSize(items, state.config.truncation_strategy, budget);
        ctx.observe?.({ kind: 'fallback', reason: 'prompt shortened to fit the context' });
        continue;
      }
      const spoken = recorder.turn();
      const outcome = outcomeOf(
        spoken,
        plan,
        (calls) => extendedExpiry(calls, state, ctx.now()),
        allowed.by === 'max_cost' ? 'max_cost' : 'max_completion_tokens',
      );
      // An answer without text and calls is an empty message, not a missing one.
      if (outcome.kind === 'completed') await show.message();
      await show.finish();
      const id = show.openMessage();
      const spoke = id !== null || spoken.text !== '' || spoken.refusal !== '';
      return await settle({
        outcome,
        message: spoke ? { id, content: publishedContent(spoken) } : null,
        usage: pricedUsage(
          spoken.usage ?? (mustCount(state, options) ? estimatedUsage(state, cut, spoken) : null),
          request.model,
          price,
        ),
        providerTurn: spoken.providerTurn,
      });
    }
  } catch (error) {
    // When the claim failed, the server's refusal says nothing about this run.
    const reason = error instanceof ModelError ? ((await taking.failure()) ?? error) : error;
    if (reason instanceof ClaimLostError) return { kind: 'not-taken' };
    throw reason instanceof ModelError ? attempts.failed(reason, state.expiresAt) : reason;
  } finally {
    show.stop();
    taking.dispose();
  }
};

interface Speaking {
  model: Model;
  ctx: BackendContext;
  taking: PendingClaim;
  show: TurnPublisher;
  recorder: TurnRecorder;
}

/** Asks the model and shows its answer to the end. */
const publishAnswer = async (
  request: ModelRequest,
  price: TokenPrice | null,
  { model, ctx, taking, show, recorder }: Speaking,
): Promise<void> => {
  const started = ctx.now();
  let firstAt: number | null = null;
  const answer = model.turn(request, {
    signal: taking.signal,
    // The run's expiry aborts the signal.
    deadline: null,
    observe: (what) => ctx.observe?.(what),
  });
  for await (const parts of answer) {
    const news = recorder.take(parts);
    firstAt ??= news.length > 0 ? ctx.now() : null;
    await taking.done;
    await show.news(news);
  }
  const usage = pricedUsage(recorder.turn().usage, request.model, price);
  ctx.observe?.({
    kind: 'model',
    model: request.model,
    ms: ctx.now() - started,
    firstTokenMs: firstAt === null ? null : firstAt - started,
    promptTokens: usage?.promptTokens ?? 0,
    completionTokens: usage?.completionTokens ?? 0,
    cachedTokens: usage?.cachedTokens ?? 0,
    reasoningTokens: usage?.reasoningTokens ?? 0,
    cost: usage?.cost ?? {},
  });
};

/** The answer can't be continued: its text so far stays, as incomplete. */
const settlePartial = async (
  show: TurnPublisher,
  spoken: ModelTurn,
  usage: TurnUsage | null,
  reason: Reason,
  settle: (turn: Parameters<TurnStore['settleTurn']>[1]) => Promise<TurnResult>,
): Promise<TurnResult> => {
  await show.finish();
  const id = show.openMessage();
  return await settle({
    outcome: { kind: 'incomplete', reason },
    message: id === null ? null : { id, content: publishedContent(spoken) },
    usage,
  });
};

/**
 * Counts an answer that broke off, if the server had reported its usage. A count that can't be written is lost: the failure that
 * led here says more, and the next attempt must come soon.
 */
const countBroken = async (
  { taken, lease }: Claim,
  usage: TurnUsage | null,
  { store }: TurnOptions,
  ctx: BackendContext,
): Promise<void> => {
  if (usage === null || (taken !== undefined && !(await taken.catch(() => false)))) return;
  try {
    await store.countTurn(lease, usage, ctx.now());
  } catch (error) {
    ctx.log.warn({ error }, 'the usage of an answer that broke off was not counted');
  }
};

/** The next smaller budget; null when nothing is left to leave out. */
const smallerBudget = (cut: PromptCut, budget: number | null): number | null =>
  cut.minimal ? null : Math.floor(Math.min(cut.tokens, budget ?? cut.tokens) / 2);
