/**
 * Decides which models may answer a turn, and which one follows after a failure. Pure.
 *
 * Rule: another model answers only when the one before is unavailable or its limit is reached, never after an answer that was
 * refused or broken off. A model that wants its data back with its tool calls, and whose data may not be dropped, keeps a run in
 * which it has called tools; all others go on with plain text and calls.
 * Imported within `backends/chat/` and by tests.
 */
import type { ModelError } from '../../protocol/ports/model.ts';
import type { ModelCandidate } from '../../protocol/ports/model-router.ts';
import type { ContextItem, RunConfig } from '../../protocol/ports/turn-store.ts';

type Speaker = Pick<ModelCandidate, 'model' | 'dropProviderData'> & {
  adapter: Pick<ModelCandidate['adapter'], 'provider' | 'dialect'>;
};

/** The candidates of a run, by what its rounds so far need back. Never empty when `candidates` is not. */
export const speakersFor = <Candidate extends Speaker>(
  candidates: readonly Candidate[],
  context: readonly ContextItem[],
  runId: string,
): readonly Candidate[] => {
  const turns = context.flatMap((item) =>
    item.kind === 'round' && item.runId === runId && item.providerTurn?.data != null
      ? [item.providerTurn]
      : [],
  );
  const keeper = candidates.find(
    ({ adapter, model, dropProviderData }) =>
      !dropProviderData &&
      turns.some(
        (turn) =>
          turn.provider === adapter.provider && turn.dialect === adapter.dialect && turn.model === model,
      ),
  );
  return keeper === undefined ? candidates : [keeper];
};

/** What a turn needs of the model that answers it. */
export interface TurnNeeds {
  images: boolean;
  jsonSchema: boolean;
  tools: boolean;
}

export const turnNeeds = (
  {
    tools,
    offer_tools: offered,
    response_format: format,
  }: Pick<RunConfig, 'tools' | 'offer_tools' | 'response_format'>,
  context: readonly ContextItem[],
): TurnNeeds => ({
  images: context.some(
    (item) => item.kind === 'message' && item.content.some(({ type }) => type === 'image_url'),
  ),
  jsonSchema: format !== 'auto' && format.type !== 'text',
  tools: offered !== true && tools.length > 0,
});

type Able = Pick<ModelCandidate, 'capabilities'>;

/** JSON comes by the format or by a tool. */
const canServe = ({ capabilities: { images, jsonSchema, tools } }: Able, needs: TurnNeeds): boolean =>
  !(needs.images && images === false) &&
  !(needs.tools && tools === false) &&
  !(needs.jsonSchema && jsonSchema === false && tools === false);

/** The candidates that can serve the turn as far as the operator says; all of them where none can, so that the first one refuses it. */
export const ableSpeakers = <Candidate extends Able>(
  candidates: readonly Candidate[],
  needs: TurnNeeds,
): readonly Candidate[] => {
  const able = candidates.filter((candidate) => canServe(candidate, needs));
  return able.length === 0 ? candidates : able;
};

/** May another model be asked in the place of one that failed so? */
export const letsAnotherSpeak = ({ kind }: Pick<ModelError, 'kind'>): boolean =>
  kind === 'unavailable' || kind === 'rate_limited';

/**
 * The failure that decides how the turn goes on when every model has failed: the first that another attempt may mend, else the
 * first. Its wait is the shortest of them.
 */
export const decisiveFailure = (
  failures: readonly [ModelError, ...ModelError[]],
): { error: ModelError; retryAfterMs: number | null } => {
  const retryable = failures.filter((failure) => failure.retryable);
  const error = retryable[0] ?? failures[0];
  // A model that names no time may answer at once.
  const waits = retryable.map((failure) => failure.retryAfterMs);
  const known = waits.filter((wait) => wait !== null);
  return {
    error,
    retryAfterMs: known.length === 0 || known.length < waits.length ? null : Math.min(...known),
  };
};
