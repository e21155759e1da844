/** One turn of a model, collected for assertions. Tests only. */
import {
  ModelError,
  type Model,
  type ModelObservation,
  type ModelPart,
  type ModelRequest,
  type ModelUsage,
  type ProviderTurn,
  type TurnControls,
} from '../../protocol/ports/model.ts';
import { UNKNOWN_CAPABILITIES } from '../../protocol/rules/resolve-model.ts';
import type { FunctionTool } from '../../protocol/wire/objects.ts';

export const tool = (name: string, parameters?: Record<string, unknown>): FunctionTool => ({
  type: 'function',
  function: { name, ...(parameters === undefined ? {} : { parameters }) },
});

export const modelRequest = (more: Partial<ModelRequest> = {}): ModelRequest => ({
  model: 'model-a',
  messages: [{ role: 'user', content: [{ type: 'text', text: 'Hello' }] }],
  tools: [],
  toolChoice: null,
  parallelToolCalls: true,
  responseFormat: null,
  temperature: null,
  topP: null,
  reasoningEffort: null,
  maxOutputTokens: null,
  capabilities: UNKNOWN_CAPABILITIES,
  ...more,
});

/** A request with tools, as most forms need it. */
export const withTools = (more: Partial<ModelRequest> = {}): ModelRequest =>
  modelRequest({ tools: ['get_weather', 'get_time', 'search'].map((name) => tool(name)), ...more });

export interface CollectedTurn {
  parts: ModelPart[];
  text: string;
  refusal: string;
  reasoning: string;
  calls: [name: string, args: string][];
  finish: Extract<ModelPart, { kind: 'finish' }> | null;
  usage: ModelUsage | null;
  turn: ProviderTurn | null;
  /** What the turn threw. */
  error: unknown;
  observed: ModelObservation[];
}

const textOf = (parts: readonly ModelPart[], kind: 'text' | 'refusal' | 'reasoning'): string =>
  parts.map((part) => (part.kind === kind ? part.text : '')).join('');

/** Runs a turn to its end, whatever the end is. */
export const collectTurn = async (
  model: Model,
  request: ModelRequest = modelRequest(),
  controls: Partial<TurnControls> & { onParts?: (parts: readonly ModelPart[]) => void } = {},
): Promise<CollectedTurn> => {
  const parts: ModelPart[] = [];
  const observed: ModelObservation[] = [];
  let error: unknown = null;
  try {
    for await (const batch of model.turn(request, {
      signal: new AbortController().signal,
      deadline: null,
      observe: (what) => void observed.push(what),
      ...controls,
    })) {
      parts.push(...batch);
      controls.onParts?.(batch);
    }
  } catch (thrown) {
    error = thrown;
  }
  const find = <Kind extends ModelPart['kind']>(kind: Kind) =>
    parts.find((part): part is Extract<ModelPart, { kind: Kind }> => part.kind === kind) ?? null;
  return {
    parts,
    text: textOf(parts, 'text'),
    refusal: textOf(parts, 'refusal'),
    reasoning: textOf(parts, 'reasoning'),
    calls: parts.flatMap((part) =>
      part.kind === 'call' ? [[part.name, part.arguments] as [string, string]] : [],
    ),
    finish: find('finish'),
    usage: find('usage')?.usage ?? null,
    turn: find('provider_turn')?.turn ?? null,
    error,
    observed,
  };
};

/** What the turn threw says; '' = it threw nothing. */
export const messageOf = ({ error }: CollectedTurn): string =>
  error === null ? '' : error instanceof Error ? error.message : JSON.stringify(error);

/** A turn in one line: `tool_calls text="…" get_weather{"city":"SF"}`, or `error:too_long`. */
export const outcomeOf = (turn: CollectedTurn): string => {
  if (turn.error !== null)
    return turn.error instanceof ModelError
      ? `error:${turn.error.kind}${turn.error.retryable ? ' retry' : ''}`
      : `thrown:${messageOf(turn)}`;
  return [
    turn.finish?.reason ?? 'no finish',
    ...(turn.text === '' ? [] : [JSON.stringify(turn.text)]),
    ...(turn.refusal === '' ? [] : [`refusal ${JSON.stringify(turn.refusal)}`]),
    ...turn.calls.map(([name, args]) => `${name}(${args})`),
  ].join(' ');
};

/** The rules of the port that every turn keeps, whatever the server did. Throws on the first breach. */
export const checkTurn = ({ parts, error }: CollectedTurn): void => {
  const breach = (what: string): never => {
    throw new Error(`${what}: ${JSON.stringify(parts)}`);
  };
  const finishes = parts.filter(({ kind }) => kind === 'finish');
  if (error === null && (finishes.length !== 1 || parts.at(-1)?.kind !== 'finish'))
    breach('no finish at the end');
  if (error !== null && finishes.length > 0) breach('a finish before an error');
  let begun = 0;
  const pieces = new Map<number, string>();
  const whole = new Set<number>();
  for (const part of parts) {
    if (part.kind === 'call_begun') {
      if (part.call !== begun) breach(`call ${part.call} begins as number ${begun}`);
      begun += 1;
      pieces.set(part.call, '');
    } else if (part.kind === 'call_piece') {
      if (!pieces.has(part.call) || whole.has(part.call)) breach(`a piece of call ${part.call} out of place`);
      pieces.set(part.call, (pieces.get(part.call) ?? '') + part.text);
    } else if (part.kind === 'call') {
      if (!pieces.has(part.call) || whole.has(part.call)) breach(`call ${part.call} told out of place`);
      whole.add(part.call);
    }
  }
  if (error === null && whole.size !== begun) breach('a call that was begun is not told');
};
