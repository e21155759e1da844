/**
 * One turn of the model: read the thread, ask, show the answer as it arrives, settle.
 *
 * Rule: nothing is opened before there is something to show, so an attempt that fails early leaves no trace. Every
 * write carries the claim's lease; an attempt that was replaced notices at its next write at the latest.
 * Imported by `backends/chat/index.ts`.
 */
import type { BackendContext, PlanGrant } from '../../protocol/ports/backend.ts';
import type { PlannedCall } from '../../protocol/tool-calls.ts';
import type {
  Claim,
  ContextItem,
  StoredRunState,
  TurnOutcome,
  TurnStore,
  TurnUsage,
} from '../../protocol/ports/turn-store.ts';
import { ModelError } from '../../protocol/ports/model.ts';
import type { ModelCandidate, ModelRouter } from '../../protocol/ports/model-router.ts';
import { planFitting } from '../fit-calls.ts';
import { askModels, FIRST_TURN, RouteFailedError, type TurnRetry } from './ask-models.ts';
import type { TurnAttempts } from './attempts.ts';
import { estimatedUsage, mustCount, type PricingOptions } from './bounded-request.ts';
import { ClaimLostError, pendingClaim } from './pending-claim.ts';
import { pricedUsage } from './price.ts';
import { completionTokensLeft, promptTokensLeft } from './request.ts';
import { extendedExpiry } from './settlement.ts';
import { ableSpeakers, speakersFor, turnNeeds } from './speakers.ts';
import { declaredTools } from './tools.ts';
import { publishedContent, TurnPublisher } from './turn-publisher.ts';
import type { ModelTurn } from './turn-recorder.ts';

export interface TurnOptions extends PricingOptions {
  store: TurnStore;
  models: ModelRouter;
  /** Newest messages and rounds of the thread that are read at most. */
  contextItems: number;
  flushMs: number;
}

/** The turn's end, or why the run must be claimed again: readers have seen a part of the turn, or the claim failed. */
export type TurnResult =
  | { kind: 'settled'; state: StoredRunState }
  | { kind: 'again'; beginning: TurnRetry }
  | { kind: 'not-taken' };

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

const publisherFor = (
  { lease }: Claim,
  { store, flushMs }: TurnOptions,
  ctx: BackendContext,
): TurnPublisher =>
  new TurnPublisher(store, lease, {
    now: () => ctx.now(),
    flushMs,
    fence: () => ctx.fence(),
    onWritten: (ms) => ctx.observe?.({ kind: 'events_written', ms }),
  });

/** How the models failed; null = the error is of another kind. */
const failuresOf = (error: unknown): readonly [ModelError, ...ModelError[]] | null => {
  if (error instanceof RouteFailedError) return error.failures;
  return error instanceof ModelError ? [error] : null;
};

/** The models that may answer the turn, the one to ask first in front. */
const routeOf = (
  models: ModelRouter,
  { config, tenant, runId }: StoredRunState,
  items: readonly ContextItem[],
): readonly ModelCandidate[] =>
  ableSpeakers(speakersFor(models.route(config.model, tenant), items, runId), turnNeeds(config, items));

const grantOf = ({ config }: StoredRunState): PlanGrant => ({
  granted: config.granted_tools,
  complete: true,
  requestedBy: config.requested_by,
});

export const runTurn = async (
  claim: Claim,
  options: TurnOptions,
  ctx: BackendContext,
  attempts: TurnAttempts,
  beginning: TurnRetry = FIRST_TURN,
): Promise<TurnResult> => {
  const { store, models } = options;
  const { lease } = claim;
  const tools = declaredTools(claim.state.config, ctx.workerTools?.() ?? []);
  const state: StoredRunState = { ...claim.state, config: { ...claim.state.config, tools } };
  const declared = tools.map((tool) => tool.function.name);
  const plan = (calls: ModelTurn['calls']): PlannedCall[] =>
    planFitting(calls, (fitting) => ctx.plan(fitting, declared, grantOf(state)));
  const taking = pendingClaim(claim.taken, ctx.signal);
  const settle = async (turn: Parameters<TurnStore['settleTurn']>[1]): Promise<TurnResult> => {
    await taking.done;
    ctx.fence();
    return { kind: 'settled', state: await store.settleTurn(lease, turn, ctx.now()) };
  };
  const endIncomplete = (reason: Reason): Promise<TurnResult> =>
    settle({ outcome: { kind: 'incomplete', reason }, message: null, usage: null });

  const show = publisherFor(claim, options, ctx);
  try {
    attempts.assertAffordable();
    if ((completionTokensLeft(state) ?? 1) <= 0) return await endIncomplete('max_completion_tokens');
    if ((promptTokensLeft(state) ?? 1) <= 0) return await endIncomplete('max_prompt_tokens');
    const items = claim.context ?? (await store.readContext(state.threadId, options.contextItems));
    const route = routeOf(models, state, items);
    const asked = await askModels(
      { claim, state, items, route, options, ctx, attempts, taking, show },
      beginning,
    );
    if (asked.kind === 'again') return asked;
    if (asked.kind === 'refused') return await endIncomplete('max_cost');
    if (asked.kind === 'too_long') return await settlePartial(show, asked, settle);
    const { spoken, speaker } = asked;
    const model = speaker.id;
    if (speaker !== route[0])
      ctx.log.info({ model, runId: state.runId }, 'another model has answered the turn');
    const outcome = outcomeOf(spoken, plan, (calls) => extendedExpiry(calls, state, ctx.now()), asked.limit);
    // An answer without text and calls is an empty message, not a missing one.
    if (outcome.kind === 'completed') await show.message();
    await show.finish();
    const id = show.openMessage();
    const spoke = id !== null || spoken.text !== '' || spoken.refusal !== '';
    return await settle({
      outcome,
      message: spoke ? { id, content: publishedContent(spoken) } : null,
      usage: pricedUsage(
        spoken.usage ?? (mustCount(state, options) ? estimatedUsage(state, asked.cut, spoken) : null),
        model,
        asked.price,
      ),
      providerTurn: spoken.providerTurn,
      model,
    });
  } catch (error) {
    const failures = failuresOf(error);
    // When the claim failed, the server's refusal says nothing about this run.
    const reason = failures === null ? error : ((await taking.failure()) ?? error);
    if (reason instanceof ClaimLostError) return { kind: 'not-taken' };
    throw reason === error && failures !== null ? attempts.failed(failures, state.expiresAt) : reason;
  } finally {
    show.stop();
    taking.dispose();
  }
};

/** The answer can't be continued: its text so far stays, as incomplete. */
const settlePartial = async (
  show: TurnPublisher,
  { spoken, speaker, usage }: { spoken: ModelTurn; speaker: { id: string }; usage: TurnUsage | null },
  settle: (turn: Parameters<TurnStore['settleTurn']>[1]) => Promise<TurnResult>,
): Promise<TurnResult> => {
  await show.finish();
  const id = show.openMessage();
  return await settle({
    outcome: { kind: 'incomplete', reason: 'max_prompt_tokens' },
    message: id === null ? null : { id, content: publishedContent(spoken) },
    usage,
    model: id === null ? null : speaker.id,
  });
};
