/**
 * Any server of chat completions behind the port for models.
 *
 * Rule: a request is sent once. Before any part of an answer has arrived, it may be sent again a few times with an
 * adjustment, when the refusal names a field; an adjustment that helped is remembered for this model
 * (`capabilities.ts`). Imported by the composition root and by tests.
 */
import {
  type Model,
  type ModelPart,
  type ModelRequest,
  type ModelSupport,
  type TurnControls,
} from '../../../protocol/ports/model.ts';
import { createHttpClient, type HttpClientOptions } from '../../http/index.ts';
import { refuseUnsupported } from '../supported-request.ts';
import { withDeadline } from '../turn-deadline.ts';
import { ServerRefusal } from './answer.ts';
import { jsonFormat } from './answer-tool.ts';
import { TurnAttempt, learn, OPENAI_CHAT, COMPLETIONS_ROUTE, type Adapter } from './attempt.ts';
import { createCapabilityMemory, type Adjustment, type CapabilityOptions } from './capabilities.ts';
import { brokenOff, effectiveStatus } from './failures.ts';
import { imagesRefused } from './image-refusal.ts';
import { NotJson } from './json-answer.ts';
import { probeModels } from './probe.ts';
import { adjustmentFor, isCalledFor, type Refusal } from './refusals.ts';
import { decided, type OpenAiCompatibleSettings } from './settings.ts';

export interface OpenAiCompatibleOptions {
  /** Version path included, such as `http://127.0.0.1:8080/v1`. */
  baseUrl: string;
  apiKey?: HttpClientOptions['apiKey'];
  /** Names the service in what is stored with a turn. Default: the origin of the base URL. */
  provider?: string;
  settings?: OpenAiCompatibleSettings;
  /** false = no model of the server can see. Default: the server decides. */
  images?: boolean;
  /** To the first byte of an answer: a large prompt on a small machine takes minutes. Default 600,000 ms. */
  firstByteMs?: number;
  /** Silence within an answer after which it counts as broken off. Default 300,000 ms. */
  gapMs?: number;
  /** How long token counts are awaited after the reason of the end has come. Default 3,000 ms. */
  settleMs?: number;
  capabilities?: CapabilityOptions;
  http?: Pick<
    HttpClientOptions,
    'headers' | 'query' | 'connections' | 'streamConnections' | 'maxBodyBytes' | 'dispatcher'
  >;
}

/** Adjustments that one turn may need before it is given up. */
const MAX_ADJUSTMENTS = 5;

const ADJUSTABLE: ReadonlySet<string> = new Set(['refused', 'rejected', 'unavailable', 'broken_off']);

export const createOpenAiCompatible = (options: OpenAiCompatibleOptions): Model => {
  const http = createHttpClient({ baseUrl: options.baseUrl, apiKey: options.apiKey, ...options.http });
  const capabilities = createCapabilityMemory(options.capabilities);
  const adapter: Adapter = {
    http,
    capabilities,
    settings: options.settings ?? {},
    provider: options.provider ?? http.origin,
    firstByteMs: options.firstByteMs ?? 600_000,
    gapMs: options.gapMs ?? 300_000,
    settleMs: options.settleMs ?? 3_000,
  };
  const supports: ModelSupport = { images: options.images ?? null };
  return {
    provider: adapter.provider,
    dialect: OPENAI_CHAT,
    supports,
    turn: (request, controls) => runTurn(adapter, request, controls, supports),
    probe: (signal) => probeModels(http, options.baseUrl, signal),
    learned: () => capabilities.list(),
    dispose: () => http.close(),
  };
};

/** What is known of the server in one turn. */
interface TurnState {
  active: Set<Adjustment>;
  tried: Adjustment[];
  /** Of those tried: what a request that the server takes confirms. */
  confirmable: Set<Adjustment>;
  fixed: ReadonlySet<Adjustment>;
  /** The server's words of the refusal before. */
  words: string | null;
}

const beginTurn = ({ settings, capabilities }: Adapter, request: ModelRequest): TurnState => {
  const { on, fixed } = decided(settings, request.capabilities);
  const learned = capabilities.active(request.model).filter((one) => !fixed.has(one));
  const state: TurnState = {
    active: new Set<Adjustment>([...on, ...learned]),
    tried: [],
    confirmable: new Set(),
    fixed,
    words: null,
  };
  // The answer before was broken off, since it was no JSON.
  if (jsonFormat(request) !== null && capabilities.ignoredFormat(request.model)) useAnswerTool(state);
  return state;
};

/** false = the answer tool is in use, or the operator rules it out. */
const useAnswerTool = ({ active, tried, fixed }: TurnState): boolean => {
  if (active.has('no_response_format') || fixed.has('no_response_format')) return false;
  active.add('no_response_format');
  tried.push('no_response_format');
  return true;
};

async function* runTurn(
  adapter: Adapter,
  request: ModelRequest,
  controls: TurnControls,
  supports: ModelSupport,
): AsyncGenerator<ModelPart[], void, undefined> {
  refuseUnsupported(request, supports);
  const { signal, stop } = withDeadline(controls);
  const state = beginTurn(adapter, request);
  const { active, tried, confirmable } = state;
  const confirm = (): void => learn(adapter, request.model, [...confirmable], controls);
  try {
    for (;;) {
      const attempt = new TurnAttempt(adapter, request, active, controls, signal, confirm);
      try {
        yield* attempt.run();
        sawFormat(attempt, state, controls);
        return;
      } catch (error) {
        if (!goesOn(error, attempt, state)) throw ofAttempt(error, attempt);
        const last = tried.at(-1);
        if (last !== undefined) controls.observe?.({ kind: 'fallback', reason: last });
      }
    }
  } finally {
    stop();
  }
}

/** A whole answer shows whether the server keeps the format. */
const sawFormat = (
  { format, adapter, request: { model } }: TurnAttempt,
  { tried, confirmable }: TurnState,
  controls: TurnControls,
): void => {
  if (format === null) return;
  if (format === 'tool' && tried.includes('no_response_format') && !confirmable.has('no_response_format'))
    learn(adapter, model, ['no_response_format'], controls);
  adapter.capabilities.sawFormat(model, false);
};

/** The error that the caller of the turn gets. */
const ofAttempt = (error: unknown, { adapter, request }: TurnAttempt): unknown => {
  if (error instanceof NotJson)
    return brokenOff(`POST ${COMPLETIONS_ROUTE} at ${adapter.http.origin}`, error.message, { status: 200 });
  return error instanceof ServerRefusal ? (imagesRefused(error.facts, request) ?? error.error) : error;
};

/** Adds the adjustment for the failed attempt to `state`; false = there is none. */
const goesOn = (error: unknown, attempt: TurnAttempt, state: TurnState): boolean => {
  if (error instanceof NotJson) {
    // Readers have seen the beginning: the next attempt of the turn uses the tool.
    if (attempt.begun)
      attempt.adapter.capabilities.sawFormat(attempt.request.model, attempt.format === 'field');
    return !attempt.begun && useAnswerTool(state);
  }
  if (!(error instanceof ServerRefusal) || attempt.begun || state.tried.length >= MAX_ADJUSTMENTS)
    return false;
  // No other form of the request shows an image to a model that can't see.
  if (imagesRefused(error.facts, attempt.request) !== null) return false;
  return adjust(error, attempt, state);
};

const adjust = ({ facts, error }: ServerRefusal, attempt: TurnAttempt, state: TurnState): boolean => {
  const { active, tried, fixed, confirmable } = state;
  const forbidden = error.kind === 'unauthorized' && error.status === 403;
  if (!ADJUSTABLE.has(error.kind) && !forbidden) return false;
  const refusal: Refusal = {
    status: effectiveStatus(facts) ?? facts.status,
    report: facts.report,
    request: attempt.request,
    body: attempt.body,
    active,
  };
  // The same words again: what was tried last did not help.
  const last = tried.at(-1);
  if (last !== undefined && facts.report.message === state.words) confirmable.delete(last);
  state.words = facts.report.message;
  // The field that helped before is the one that is refused now.
  const back = 'other_max_tokens_field';
  if (active.has(back) && !fixed.has(back) && !tried.includes(back) && isCalledFor(back, refusal)) {
    active.delete(back);
    attempt.adapter.capabilities.forget(attempt.request.model, back);
    return true;
  }
  const next = adjustmentFor(refusal, new Set([...fixed, ...tried]));
  if (next === null) return false;
  active.add(next);
  tried.push(next);
  confirmable.add(next);
  return true;
};
