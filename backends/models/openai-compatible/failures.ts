/**
 * Maps failures of a server or the network to errors of the port, and a filter's refusal to the end of a turn.
 *
 * Rule: conservative and total. The order is filter, rate, length, field, status, since texts of the later kinds occur
 * in errors of the earlier ones. In doubt a failure is transient (worth a retry). Pure. Imported within
 * `backends/models/openai-compatible/` and by tests.
 */
import { ModelError, type ModelErrorKind } from '../../../protocol/ports/model.ts';
import type { ErrorReport } from './error-report.ts';
import { saysAnswerLimit, saysTooLong } from './too-long.ts';

export interface RefusalFacts {
  /** `POST /chat/completions at https://host`. */
  where: string;
  /** Of the answer; 200 for an error inside of one. */
  status: number;
  /** Of the headers; null = none. */
  retryAfterMs: number | null;
  /** `x-should-retry`. */
  shouldRetry: boolean | null;
  report: ErrorReport;
  /** Parts of the answer have come: the answer broke off. */
  begun: boolean;
  /** From the request to the failure, in milliseconds. */
  heldMs: number;
  maxOutputTokens: number | null;
}

/** Statuses by the words that servers use in place of a number. */
const STATUS_WORDS: readonly (readonly [RegExp, number])[] = [
  [
    /^(authentication_?error|unauthenticated|invalid_api_key|invalid_authentication(_error)?|unauthorized)$/i,
    401,
  ],
  [/^(permission_?(error|denied)|access_?denied(_?exception)?|forbidden)$/i, 403],
  [/^(not_found(_error)?|model_not_found|resource_?not_?found(_?exception)?|no_such_model)$/i, 404],
  [
    /^(rate_?limit(_?(error|exceeded|reached))?|too_?many_?requests(_?exception)?|throttl(ed|ing)(_?exception)?|resource_?exhausted|tokens|requests|slow_?down)$/i,
    429,
  ],
  [
    /^(insufficient_quota|quota_exceeded|insufficient_balance|billing_(error|hard_limit_reached|not_active)|account_deactivated|payment_required|credit_.*|service_?quota_?exceeded_?exception)$/i,
    402,
  ],
  [
    /^(overloaded(_error)?|engine_overloaded(_error)?|unavailable|service_?unavailable(_?(error|exception))?|provider_unavailable|model_?not_?ready_?exception|capacity_exceeded)$/i,
    503,
  ],
  [/^(deadline_?exceeded|(gateway_?)?timeout(_?error)?|model_?timeout_?exception)$/i, 504],
  [
    /^(api_error|server_?error|internal(_?server)?(_?error)?(_?exception)?|model_?(stream_?)?error_?exception|upstream_error)$/i,
    500,
  ],
  [
    /^(invalid_?request(_?error)?|bad_?request(_?error)?|invalid_?argument|validation_?(error|exception)|unprocessable_entity|invalid_parameter(_error)?|unsupported_(parameter|value)|unknown_parameter)$/i,
    400,
  ],
];

const statusOfWords = (codes: readonly string[]): number | null => {
  for (const code of codes) {
    const found = STATUS_WORDS.find(([words]) => words.test(code));
    if (found !== undefined) return found[1];
  }
  return null;
};

/** The status that decides: that of the response, or the status in an error inside a 200. null = none. */
export const effectiveStatus = ({ status, report }: Pick<RefusalFacts, 'status' | 'report'>): number | null =>
  status >= 300 ? status : (report.status ?? statusOfWords(report.codes));

const FILTER_CODES =
  /^(content_?filter(ed)?|content_?policy(_?violation)?|responsible_?ai_?policy_?violation|data_?inspection_?failed|sensitive(_words?_detected)?|moderation(_blocked)?|content_?moderation|safety|prompt_?blocked|1301|risk_?control)$/i;
const FILTER_TEXT =
  /content management policy|content exists risk|flagged (by|as|for)|(input|prompt|request|content) (was|has been|is|were) (flagged|blocked|filtered)|blocked by (the )?(content|safety|guardrail)|data_inspection_failed|inappropriate content|safety (system|filter|settings)|敏感|违规/i;

/** A filter found something in the messages: there will be no answer, and that is the answer. */
export const isContentFilter = (facts: RefusalFacts): boolean => {
  const status = effectiveStatus(facts);
  if (status !== null && status !== 400 && status !== 403 && status !== 422 && status !== 451) return false;
  return facts.report.codes.some((code) => FILTER_CODES.test(code)) || FILTER_TEXT.test(facts.report.message);
};

const QUOTA_TEXT =
  /insufficient[_ ](quota|balance|credits?|funds)|(exceeded|out of|used up) (your )?(current )?(quota|credits?)|billing (hard )?limit|hard limit|payment required|(account|credit) balance|top[ -]?up|arrearage|余额不足|欠费/i;
const RATE_TEXT =
  /rate[ _-]?limit|tokens per (min|minute|hour|day)|requests per (min|minute|hour|day)|\b[TR]P[MDH]\b|too many requests|throttl|每分钟/i;

type Rate = { retryable: boolean } | null;

/** "Limit 6000, Requested 14810": this request will never pass. */
const neverFits = (message: string): boolean => {
  const [, limit, requested] =
    /limit:? ([\d,]+),?(?: used:? [\d,]+,?)? requested:? ([\d,]+)/i.exec(message) ?? [];
  return (
    limit !== undefined &&
    requested !== undefined &&
    Number(requested.replaceAll(',', '')) > Number(limit.replaceAll(',', ''))
  );
};

const rateOf = (status: number | null, { message, codes, retryAfterMs }: ErrorReport): Rate => {
  const byCode = statusOfWords(codes);
  const spent =
    status === 402 ||
    byCode === 402 ||
    codes.some((code) => QUOTA_TEXT.test(code)) ||
    (QUOTA_TEXT.test(message) && retryAfterMs === null);
  const limited =
    status === 429 ||
    status === 402 ||
    byCode === 429 ||
    byCode === 402 ||
    (status === 413 && RATE_TEXT.test(message));
  if (!limited && !(spent && (status === null || (status >= 400 && status < 500)))) return null;
  return { retryable: !spent && !neverFits(message) };
};

const sentence = (facts: RefusalFacts, what: string): string => {
  const { report, status, where } = facts;
  const said = report.message === '' ? '.' : `: ${JSON.stringify(report.message.slice(0, 600))}`;
  return `${where}: ${what}${status >= 300 ? `, HTTP ${status}` : ''}${said}`;
};

/** The field of the request that the server refuses; null = the refusal names none. */
export const refusedField = (report: ErrorReport): string | null => report.fields[0] ?? null;

const RETRYABLE_4XX_COST: Readonly<Record<number, 'nothing' | 'turn'>> = {
  408: 'turn',
  409: 'turn',
  425: 'nothing',
};

/** Longer than this, a server that then fails has most likely been generating. Milliseconds. */
export const GENERATING_AFTER_MS = 5_000;

/** A proxy gave up waiting for a server that was at work. */
const GATEWAY_TIMEOUTS: ReadonlySet<number | null> = new Set([504, 524]);

const costOfFailure = ({ status, begun, heldMs }: RefusalFacts): 'nothing' | 'turn' =>
  begun || GATEWAY_TIMEOUTS.has(status) || (status < 300 && heldMs >= GENERATING_AFTER_MS)
    ? 'turn'
    : 'nothing';

/** A wrong request under a status of the server's own failure: another attempt meets the same answer. */
const REJECTED_CODES: ReadonlySet<string> = new Set(['invalid_prompt', 'model_not_found']);

interface Decision {
  kind: ModelErrorKind;
  what: string;
  retryable?: boolean;
  cost?: 'nothing' | 'turn';
}

const decide = (facts: RefusalFacts, status: number | null): Decision => {
  const { report, begun, maxOutputTokens, shouldRetry } = facts;
  const rate = rateOf(status, report);
  if (status === 401) return { kind: 'unauthorized', what: 'the server does not accept the key' };
  if (rate !== null)
    return {
      kind: 'rate_limited',
      what: rate.retryable ? 'the rate limit is reached' : 'the quota does not cover this request',
      retryable: rate.retryable && shouldRetry !== false,
      cost: begun ? 'turn' : 'nothing',
    };
  if (saysTooLong({ message: report.message, codes: report.codes, status }, maxOutputTokens))
    return {
      kind: 'too_long',
      what: 'the messages do not fit into the model’s window',
      cost: begun ? 'turn' : 'nothing',
    };
  if (status === 403) return { kind: 'unauthorized', what: 'the key may not do this' };
  if (status !== null && status >= 400 && status < 500) {
    const cost = RETRYABLE_4XX_COST[status];
    if (cost !== undefined || (status !== 400 && status !== 404 && shouldRetry === true))
      return {
        kind: 'unavailable',
        what: 'the server can’t answer now',
        retryable: shouldRetry !== false,
        cost: cost ?? 'nothing',
      };
    if (status === 404) return { kind: 'rejected', what: 'there is no such model or address' };
    if (saysAnswerLimit(report.message, maxOutputTokens))
      return { kind: 'refused', what: 'the limit of output tokens is higher than the model allows' };
    return refusedField(report) === null
      ? { kind: 'rejected', what: 'the server does not accept the request' }
      : { kind: 'refused', what: `the server does not accept ${JSON.stringify(refusedField(report))}` };
  }
  if (status !== null && status >= 300 && status < 400)
    return {
      kind: 'rejected',
      what: 'the server redirects; redirects are not followed, because they would send the key to another address',
    };
  if (status === 501 || status === 505)
    return { kind: 'rejected', what: 'the server does not support this request' };
  if (report.codes.some((code) => REJECTED_CODES.has(code)))
    return { kind: 'rejected', what: 'the server does not accept the request' };
  if (begun) return { kind: 'broken_off', what: 'the server broke off its answer', cost: 'turn' };
  return {
    kind: 'unavailable',
    what: 'the server failed',
    retryable: facts.status < 500 || shouldRetry !== false,
    cost: costOfFailure(facts),
  };
};

/** Of an answer with an error status, or of an error inside an answer. */
export const errorOf = (facts: RefusalFacts): ModelError => {
  const status = effectiveStatus(facts);
  const { kind, what, ...more } = decide(facts, status);
  const field =
    kind === 'refused' && refusedField(facts.report) === null && facts.maxOutputTokens !== null
      ? 'max_tokens'
      : refusedField(facts.report);
  return new ModelError(kind, sentence(facts, what), {
    ...more,
    retryAfterMs: facts.retryAfterMs ?? facts.report.retryAfterMs,
    status: status ?? facts.status,
    code: facts.report.codes[0] ?? null,
    field,
  });
};

/** A response that is not an answer, or not a complete one. */
export const brokenOff = (
  where: string,
  what: string,
  more: { code?: string; status?: number } = {},
): ModelError => new ModelError('broken_off', `${where}: ${what}.`, { cost: 'turn', ...more });

/** Something answers there that is no server of this dialect. */
export const foreign = (where: string, what: string): ModelError =>
  new ModelError(
    'rejected',
    `${where}: ${what}. Check that the base URL is that of an API and includes its version path.`,
    {
      status: 200,
      cost: 'turn',
    },
  );
