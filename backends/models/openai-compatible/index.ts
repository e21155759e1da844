/**
 * Any server of chat completions behind the port for models.
 *
 * Rule: a request is sent once. It is sent again at most a few times, adjusted, before anything of an answer has come, when
 * the server refused it for a field that it names; what helped is remembered for this model. See `capabilities.ts`.
 * Imported by the composition root and by tests.
 */
import {
  ModelError,
  type Model,
  type ModelPart,
  type ModelRequest,
  type ModelSupport,
  type TurnControls,
} from '../../../protocol/ports/model.ts';
import { createHttpClient, type HttpClientOptions } from '../../http/index.ts';
import { refuseUnseenImages } from '../image-support.ts';
import { ServerRefusal } from './answer.ts';
import { TurnAttempt, learn, OPENAI_CHAT, type Adapter } from './attempt.ts';
import { createCapabilityMemory, type Adjustment, type CapabilityOptions } from './capabilities.ts';
import { effectiveStatus } from './failures.ts';
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

/** The caller's signal, and the deadline as an error of the port. */
const withDeadline = ({ signal, deadline }: TurnControls): { signal: AbortSignal; stop: () => void } => {
  if (deadline === null) return { signal, stop: () => undefined };
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  // Longer timers would fire at once.
  const ms = Math.min(Math.max(0, deadline - Date.now()), 2_147_483_647);
  const timer = setTimeout(
    () =>
      controller.abort(
        new ModelError('broken_off', 'The answer did not come before its deadline.', {
          code: 'deadline',
          retryable: false,
        }),
      ),
    ms,
  );
  return {
    signal: controller.signal,
    stop: () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    },
  };
};

async function* runTurn(
  adapter: Adapter,
  request: ModelRequest,
  controls: TurnControls,
  supports: ModelSupport,
): AsyncGenerator<ModelPart[], void, undefined> {
  refuseUnseenImages(request, supports);
  const { signal, stop } = withDeadline(controls);
  const { on, fixed } = decided(adapter.settings);
  const active = new Set<Adjustment>([
    ...on,
    ...adapter.capabilities.active(request.model).filter((one) => !fixed.has(one)),
  ]);
  const tried: Adjustment[] = [];
  try {
    for (;;) {
      const attempt = new TurnAttempt(adapter, request, active, controls, signal, () =>
        learn(adapter, request.model, tried, controls),
      );
      try {
        yield* attempt.run();
        return;
      } catch (error) {
        if (!(error instanceof ServerRefusal)) throw error;
        if (
          attempt.begun ||
          tried.length >= MAX_ADJUSTMENTS ||
          !adjust(error, attempt, { active, tried, fixed })
        )
          throw error.error;
        const last = tried.at(-1);
        if (last !== undefined) controls.observe?.({ kind: 'fallback', reason: last });
      }
    }
  } finally {
    stop();
  }
}

/** Changes `active` by what the refusal calls for; false = it calls for nothing. */
const adjust = (
  { facts, error }: ServerRefusal,
  attempt: TurnAttempt,
  state: { active: Set<Adjustment>; tried: Adjustment[]; fixed: ReadonlySet<Adjustment> },
): boolean => {
  const { active, tried, fixed } = state;
  const forbidden = error.kind === 'unauthorized' && error.status === 403;
  if (!ADJUSTABLE.has(error.kind) && !forbidden) return false;
  const refusal: Refusal = {
    status: effectiveStatus(facts) ?? facts.status,
    report: facts.report,
    request: attempt.request,
    body: attempt.body,
    active,
  };
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
  return true;
};
