/**
 * The adjustment for a refusal.
 *
 * Rule: a refusal counts when its status is 400, 403, 422 or a 5xx, it names the field or the rule in the server's own
 * words, and the adjustment would change this request. Names that the caller chose (model, tools) are removed from the
 * text first, so a caller can't change the learned limits. Pure. Imported within `backends/models/openai-compatible/`
 * and by tests.
 */
import type { ModelRequest } from '../../../protocol/ports/model.ts';
import { answerToolOf } from './answer-tool.ts';
import { type Adjustment, ADJUSTMENTS } from './capabilities.ts';
import type { ErrorReport } from './error-report.ts';
import { asList } from './json-text.ts';
import { isRecord } from '../../../protocol/rules/is-record.ts';
import { maxTokensField } from './request.ts';

export interface Refusal {
  /** 200 for an error inside an answer that names no status of its own. */
  status: number;
  report: ErrorReport;
  request: ModelRequest;
  /** As it was sent. */
  body: Readonly<Record<string, unknown>>;
  active: ReadonlySet<Adjustment>;
}

interface Evidence {
  /** The server's text, without the caller's names. */
  words: string;
  fields: readonly string[];
  refusal: Refusal;
}

const REFUSES =
  /unknown|unrecogni[sz]ed|unsupported|unexpected|extra|forbidden|invalid|illegal|not (yet |currently |be )?(a valid|supported|permitted|allowed|accepted|available|implemented|enabled|recogni[sz]ed|set|used|defined|valid)|(isn|aren|doesn|don|can)['’]?t|does not|do not|cannot|no longer|instead|不支持|无效/i;

const escaped = (name: string): string => name.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);

/** Cuts out what the caller has named: as a whole word, in quotes or not. Only names that occur cost a pass. */
const stripNames = (message: string, names: readonly string[]): string => {
  const text = message.toLowerCase();
  return [...new Set(names)]
    .filter((name) => name.trim() !== '' && text.includes(name.toLowerCase()))
    .toSorted((a, b) => b.length - a.length)
    .slice(0, 500)
    .reduce(
      (words, name) => words.replaceAll(new RegExp(`(?<![\\w.-])${escaped(name)}(?![\\w-])`, 'gi'), '…'),
      message,
    );
};

/** What the caller of the API has named in a request. */
const namesIn = ({ model, tools, responseFormat }: ModelRequest): string[] => {
  const name =
    responseFormat !== null && responseFormat !== 'auto' && responseFormat.type === 'json_schema'
      ? responseFormat.json_schema['name']
      : undefined;
  return [model, ...tools.map((tool) => tool.function.name), ...(typeof name === 'string' ? [name] : [])];
};

/** A server's text without the names that the caller of the API has chosen. */
export const wordsWithoutNames = (message: string, request: ModelRequest): string =>
  stripNames(message, namesIn(request));

const namesField = ({ words, fields }: Evidence, field: string): boolean =>
  fields.some((path) => path === field || path.startsWith(`${field}.`) || path.startsWith(`${field}[`)) ||
  (new RegExp(`(?<![\\w])${escaped(field)}(?![\\w])`).test(words) && REFUSES.test(words));

const messagesOf = ({ refusal }: Evidence): Record<string, unknown>[] =>
  asList(refusal.body['messages']).filter(isRecord);

const has = (evidence: Evidence, wanted: (message: Record<string, unknown>) => boolean): boolean =>
  messagesOf(evidence).some(wanted);

const STREAM_REFUSED =
  /stream(ing|ed|s)?(?!\w)['"`]?\s*(mode|request|requests|response|responses|output|api|calls)?\s*(is|are|was|does|do|for|with|when|together|can|has|have)?[^.;]{0,60}?(not|n['’]t|unsupported|unavailable|disabled|cannot)/i;
const NO_STREAMING =
  /(not|n['’]t|cannot|unable to|unsupported|without|no)\b[^.;]{0,60}?\bstream(ing|ed|s)?\b|\bstream(ing)?\b[^.;]{0,40}?(not (yet )?(supported|allowed|available|implemented)|unsupported)/i;
const WITH_TOOLS = /\btools?\b|tool[ _-](use|call)|function[ _-]call/i;

const streamRefused = (evidence: Evidence): boolean =>
  evidence.refusal.body['stream'] === true &&
  (evidence.fields.includes('stream') || /['"`]stream['"`]/.test(evidence.words)
    ? REFUSES.test(evidence.words) || evidence.fields.includes('stream')
    : STREAM_REFUSED.test(evidence.words) || NO_STREAMING.test(evidence.words));

const FORMAT =
  /response[ _-]?(format|mime[ _-]?type)|json[ _-]?(schema|object|mode|output|format)|structured[ _-]?(output|response|decoding)|(guided|constrained)[ _-]?(decoding|json|grammar)/i;
const FORMAT_REFUSED =
  /must be|expected|unavailable|missing field|only (supports?|accepts?|allows?)|cannot be (combined|used)|incompatible|mutually exclusive/i;
/** The schema that the caller wrote is wrong, or the words that the format needs are missing: the caller's to mend. */
const SCHEMA_WRONG =
  /invalid (json )?schema|schema (is|was|has|must|should|contains|exceeds)|(in|with|of|for) (the |your |this )?schema|schema for|keyword|additionalproperties|\$ref|must contain the word|in context=|json_schema\W+(name|description|schema|strict)\b/i;
const INSIDE_SCHEMA = /^response_format\W(json_schema|schema)\W/;

const formatRefused = ({ words, fields, refusal }: Evidence): boolean =>
  refusal.body['response_format'] !== undefined &&
  !SCHEMA_WRONG.test(words) &&
  !fields.some((path) => INSIDE_SCHEMA.test(path)) &&
  (fields.some((path) => /^response_format(\W|$)/.test(path)) ||
    (FORMAT.test(words) && (REFUSES.test(words) || FORMAT_REFUSED.test(words))));

/** Fields that stand in earlier turns and that only the server itself can have given. */
const providerFields = (evidence: Evidence): string[] => {
  const names = new Set<string>();
  const collect = (value: unknown, known: ReadonlySet<string>): void => {
    if (!isRecord(value)) return;
    for (const [name, inner] of Object.entries(value)) {
      if (known.has(name)) continue;
      names.add(name);
      if (isRecord(inner)) collect(inner, new Set());
    }
  };
  for (const message of messagesOf(evidence)) {
    if (message['role'] !== 'assistant') continue;
    collect(message, new Set(['role', 'content', 'tool_calls']));
    for (const call of asList(message['tool_calls'])) {
      collect(call, new Set(['id', 'type', 'function']));
      if (isRecord(call)) collect(call['function'], new Set(['name', 'arguments']));
    }
  }
  return [...names];
};

const plain = (value: string): string => value.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
const MISSING =
  /(must|need(s)? to|has to|should) be (passed|sent|included|returned|provided)|is missing|missing (a |the )?|is required/i;

/** For each adjustment: the text of a refusal and the part of the request that it needs. */
const ADJUSTMENT_EVIDENCE: Readonly<Record<Adjustment, (evidence: Evidence) => boolean>> = {
  other_max_tokens_field: (evidence) => {
    const field = maxTokensField(evidence.refusal.active);
    return evidence.refusal.body[field] !== undefined && namesField(evidence, field);
  },
  no_stream_usage: (evidence) =>
    evidence.refusal.body['stream_options'] !== undefined &&
    (namesField(evidence, 'stream_options') || namesField(evidence, 'include_usage')),
  no_stream_with_tools: (evidence) =>
    evidence.refusal.request.tools.length > 0 && streamRefused(evidence) && WITH_TOOLS.test(evidence.words),
  no_stream: streamRefused,
  no_parallel_tool_calls_field: (evidence) =>
    evidence.refusal.body['parallel_tool_calls'] !== undefined && namesField(evidence, 'parallel_tool_calls'),
  no_response_format_with_tools: (evidence) =>
    evidence.refusal.request.tools.length > 0 &&
    formatRefused(evidence) &&
    /\b(tools?|functions?)\b|(tool|function)[ _-]?(use|call)/i.test(evidence.words),
  no_response_format: formatRefused,
  no_forced_answer_tool: (evidence) =>
    answerToolOf(evidence.refusal.request, evidence.refusal.active) !== null &&
    evidence.refusal.body['tool_choice'] === 'required' &&
    (namesField(evidence, 'tool_choice') ||
      (/tool[ _-]?choice/i.test(evidence.words) &&
        (REFUSES.test(evidence.words) || FORMAT_REFUSED.test(evidence.words)))),
  roles_alternate: ({ words }) =>
    /roles?\b[^.]{0,60}\balternat|alternat\w+ (between|user|roles)|consecutive (user|assistant|messages)|(expected|unexpected) (last )?role|first (non-system )?message (must|should|has to|needs to)|(last|final) message (must|should|cannot|can['’]t|has to)|same role/i.test(
      words,
    ),
  user_message: (evidence) =>
    !has(evidence, ({ role }) => role === 'user') &&
    /no user (query|message|input|prompt)|(at least one|contain a|include a|have a|requires? a|must be a) (non-system |user |message)|user (message|query|prompt|input) (is )?(required|missing|expected)|messages?['"`]? (must not|cannot|should not|can['’]t) be empty|messages? (array |list )?is empty/i.test(
      evidence.words,
    ),
  no_system_role: (evidence) =>
    has(evidence, ({ role }) => role === 'system') &&
    /system (role|message|prompt|instruction)s?[^.]{0,40}(not|n['’]t|unsupported|forbidden)|does not support ['"`]?system|only user (and|or|,) ?assistant|(unsupported|invalid|unknown|unexpected) (message )?role:? ?['"`(]*system|['"`]?system['"`]? (is|role)[^.]{0,30}(not|n['’]t)|developer instruction is not enabled|system_instruction is not supported/i.test(
      evidence.words,
    ),
  content_string: (evidence) =>
    has(evidence, ({ content, tool_calls: calls }) => content === null && Array.isArray(calls)) &&
    (evidence.fields.some((path) => /(^|\.)content(\.|$)/.test(path.replaceAll(/[[\]]/g, '.'))) ||
      (/\bcontent\b/i.test(evidence.words) &&
        /null|none|string|required|missing|nil|undefined|empty/i.test(evidence.words))),
  no_provider_fields: (evidence) => {
    const fields = providerFields(evidence);
    const said = plain(`${evidence.words} ${evidence.fields.join(' ')}`);
    return (
      fields.some((name) => name.length >= 4 && said.includes(plain(name))) && !MISSING.test(evidence.words)
    );
  },
  short_call_ids: (evidence) =>
    has(evidence, ({ tool_calls: calls }) => Array.isArray(calls)) &&
    (/(tool[ _]?call|function call)[ _-]?(id|identifier)s?\b/i.test(evidence.words) ||
      evidence.fields.some((path) =>
        /tool_call_id$|tool_calls\.\d+\.id$/.test(path.replaceAll(/\[(\d+)\]/g, '.$1')),
      )) &&
    /must be|length|invalid|pattern|alphanumeric|format|expected|characters/i.test(evidence.words),
  foreign_calls_as_text: (evidence) =>
    has(evidence, ({ tool_calls: calls }) => Array.isArray(calls)) &&
    MISSING.test(evidence.words) &&
    /reasoning|thinking|thought[ _]?signature|signature/i.test(evidence.words),
};

/** Most telling first: a refusal that speaks of tools and streams is not one of streams. */
const ORDER: readonly Adjustment[] = [
  'no_stream_usage',
  'other_max_tokens_field',
  'no_parallel_tool_calls_field',
  'no_forced_answer_tool',
  'no_response_format_with_tools',
  'no_response_format',
  'short_call_ids',
  'foreign_calls_as_text',
  'no_provider_fields',
  'no_system_role',
  'roles_alternate',
  'user_message',
  'content_string',
  'no_stream_with_tools',
  'no_stream',
  ...ADJUSTMENTS,
];

const COUNTS = (status: number): boolean =>
  status === 200 || status === 400 || status === 403 || status === 422 || (status >= 500 && status < 600);

export const isCalledFor = (adjustment: Adjustment, refusal: Refusal): boolean => {
  if (!COUNTS(refusal.status)) return false;
  const words = wordsWithoutNames(refusal.report.message, refusal.request);
  return ADJUSTMENT_EVIDENCE[adjustment]({ words, fields: refusal.report.fields, refusal });
};

/** The adjustment to try, or null when none would change this request. */
export const adjustmentFor = (refusal: Refusal, fixed: ReadonlySet<Adjustment>): Adjustment | null =>
  ORDER.find(
    (adjustment) =>
      !fixed.has(adjustment) && !refusal.active.has(adjustment) && isCalledFor(adjustment, refusal),
  ) ?? null;
