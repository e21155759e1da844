/**
 * Fields that a server refused, learned for each model.
 *
 * Rule: an adjustment is learned when a refusal named the field and the server accepted the request without it. It
 * expires, and lasts longer after each new refusal. Settings of the operator are never learned and never expire. Model
 * names come from callers, so their number is bounded, and limits of one model do not apply to another. Imported within
 * `backends/models/openai-compatible/` and by tests.
 */
import type { LearnedCapability } from '../../../protocol/ports/model.ts';

/** Each says how a request differs from the usual one. Names are labels of metrics: a closed list. */
export const ADJUSTMENTS = [
  /** `max_tokens` in the place of `max_completion_tokens`, or the other way round when `max_tokens` is set. */
  'other_max_tokens_field',
  'no_stream_usage',
  'no_stream',
  'no_stream_with_tools',
  'no_parallel_tool_calls_field',
  /** An answer in JSON is the call of a tool, which becomes text. See `answer-tool.ts`. */
  'no_response_format',
  'no_response_format_with_tools',
  /** The tool of the answer is offered, not forced. */
  'no_forced_answer_tool',
  /** Neighbouring messages of one role are joined, a user's comes first, an assistant's stands between tool and user. */
  'roles_alternate',
  /** A user's message is added when there is none. */
  'user_message',
  /** Instructions stand at the head of the first user's message. */
  'no_system_role',
  /** `content: ""` beside calls, not `null`. */
  'content_string',
  /** Fields of earlier turns are not sent back. */
  'no_provider_fields',
  /** Ids of calls are nine alphanumerics, the server's own too. */
  'short_call_ids',
  /** Calls of other models are sent as text: the server requires fields that only it could have given. */
  'foreign_calls_as_text',
] as const;
export type Adjustment = (typeof ADJUSTMENTS)[number];

export interface CapabilityOptions {
  now?: () => number;
  /** How long the first finding lasts; each further one twice as long. Default 600,000 ms. */
  firstMs?: number;
  /** Default 86,400,000 ms. */
  longestMs?: number;
  /** Models remembered, the least recently used goes first. Default 200. */
  models?: number;
}

interface Finding {
  until: number;
  times: number;
}

interface ModelMemory {
  findings: Map<Adjustment, Finding>;
  /** It has sent a finish reason. */
  sendsReason: boolean;
  /** Answers in a row that ended without a reason and without `[DONE]`. */
  bareEnds: number;
  /** It has begun an answer in something other than JSON, though JSON was asked for. */
  ignoredFormat: boolean;
}

export interface CapabilityMemory {
  /** What to do differently for this model now. */
  active(model: string): Adjustment[];
  learn(model: string, adjustment: Adjustment): 'learned' | 'confirmed';
  /** The server has shown the opposite. */
  forget(model: string, adjustment: Adjustment): void;
  sawReason(model: string): void;
  sawBareEnd(model: string): void;
  /** `ignored`: whether the model's last answer was something other than the JSON that was asked for. */
  sawFormat(model: string, ignored: boolean): void;
  ignoredFormat(model: string): boolean;
  ends(model: string): { sendsReason: boolean; bareEnds: number };
  list(): LearnedCapability[];
}

export const createCapabilityMemory = (options: CapabilityOptions = {}): CapabilityMemory => {
  const now = options.now ?? Date.now;
  const firstMs = options.firstMs ?? 600_000;
  const longestMs = options.longestMs ?? 86_400_000;
  const most = options.models ?? 200;
  const models = new Map<string, ModelMemory>();

  const find = (model: string): ModelMemory | undefined => {
    const memory = models.get(model);
    if (memory === undefined) return undefined;
    // Used last, dropped last.
    models.delete(model);
    models.set(model, memory);
    return memory;
  };
  const memoryOf = (model: string): ModelMemory => {
    const known = find(model);
    if (known !== undefined) return known;
    const made: ModelMemory = {
      findings: new Map(),
      sendsReason: false,
      bareEnds: 0,
      ignoredFormat: false,
    };
    models.set(model, made);
    for (const oldest of models.keys()) {
      if (models.size <= most) break;
      models.delete(oldest);
    }
    return made;
  };

  return {
    active(model) {
      const findings = find(model)?.findings ?? new Map<Adjustment, Finding>();
      return [...findings].filter(([, { until }]) => until > now()).map(([adjustment]) => adjustment);
    },
    learn(model, adjustment) {
      const { findings } = memoryOf(model);
      const known = findings.get(adjustment);
      if (known !== undefined && known.until > now()) return 'confirmed';
      const times = (known?.times ?? 0) + 1;
      findings.set(adjustment, { times, until: now() + Math.min(longestMs, firstMs * 2 ** (times - 1)) });
      return times === 1 ? 'learned' : 'confirmed';
    },
    forget(model, adjustment) {
      find(model)?.findings.delete(adjustment);
    },
    sawReason(model) {
      const memory = memoryOf(model);
      memory.sendsReason = true;
      memory.bareEnds = 0;
    },
    sawBareEnd(model) {
      memoryOf(model).bareEnds += 1;
    },
    sawFormat(model, ignored) {
      if (ignored || find(model) !== undefined) memoryOf(model).ignoredFormat = ignored;
    },
    ignoredFormat: (model) => find(model)?.ignoredFormat ?? false,
    ends: (model) => {
      const { sendsReason, bareEnds } = find(model) ?? { sendsReason: false, bareEnds: 0 };
      return { sendsReason, bareEnds };
    },
    list: () =>
      [...models].flatMap(([model, { findings }]) =>
        [...findings]
          .filter(([, { until }]) => until > now())
          .map(([capability, { until, times }]) => ({ model, capability, until, times })),
      ),
  };
};
