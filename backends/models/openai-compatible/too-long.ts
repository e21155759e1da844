/**
 * Recognises the error that the messages do not fit into the model's context window.
 *
 * Rule: the wording of any server counts, with any status. Rate limits (tokens a minute) and a limit of output tokens
 * that the model does not have are other errors: fewer messages would not help. Pure. Imported by the error reader and
 * tests.
 */

/** Codes and types as servers send them. */
const CODES = new Set([
  'context_length_exceeded',
  'context_window_exceeded',
  'contextwindowexceedederror',
  'context_length_error',
  'exceed_context_size_error',
  'model_max_prompt_tokens_exceeded',
  'max_prompt_tokens_exceeded',
  'prompt_too_long',
  'input_too_long',
  'request_too_large',
  'token_limit_exceeded',
  'tokens_exceeded',
  'too_many_input_tokens',
  'model_context_window_exceeded',
  'string_too_long',
  // Zhipu.
  '1261',
]);

const CONTEXT = String.raw`(context|model|sequence|input|prompt|token)[ _-]?(length|window|size|limit)?`;

const TOO_LONG_PATTERNS: readonly RegExp[] = [
  // "maximum context length is 4097 tokens", "model's maximum context length (262144)", "maximum model length"
  /max(imum)?\s+(allowed\s+)?(context|model|input|prompt|sequence)\s*(length|window|size|len)/i,
  /max_(model|seq|sequence|context|input|prompt|total)_(len|length|tokens)/i,
  // "exceeds the context window", "exceeds the available context size", "exceed context limit"
  new RegExp(
    String.raw`exceed(s|ed|ing)?\s+(the\s+|this\s+|its\s+|your\s+)?(model'?s?\s+|available\s+|maximum\s+|max\s+|allowed\s+|configured\s+|total\s+)*${CONTEXT}`,
    'i',
  ),
  /context[ _](length|window|size|limit)[^.]{0,40}(exceed|overflow|too (small|short)|full|reached|has been)/i,
  /(exceed|overflow|larger than|longer than|greater than|beyond|out of|bigger than)[^.]{0,60}context[ _]?(length|window|size|limit)?/i,
  /context[ _]overflow|context too long|conversation (is )?too long/i,
  // "prompt is too long", "Prompt too long: 5152 tokens", "input is too long for requested model", "inputs too long"
  /\b(prompt|input|inputs|message|messages|request|conversation|query|text)s?\s+(is|are|was|were)?\s*too\s+(long|large|many tokens)/i,
  /too\s+(long|large)\s+(a\s+)?(prompt|input|context)/i,
  /too many (input |prompt |total )?tokens/i,
  // "input token count (1200000) exceeds the maximum number of tokens", "prompt token count of 13 exceeds the limit"
  /(token count|number of (input |prompt )?tokens|input length|prompt length|input tokens|prompt tokens|inputs tokens)[^.]{0,80}(exceed|must (be|have)|larger|greater|longer|more than|cannot|can't|over)/i,
  // "the input (400013 tokens) is longer than the model's context length"
  /\btokens?\)?[^.]{0,40}(is|are)?\s*(longer|larger|greater|more|bigger) than (the )?(model|maximum|max|context|allowed)/i,
  // TGI: "`inputs` must have less than 1024 tokens", "`inputs` tokens + `max_new_tokens` must be <= 4096"
  /inputs`?\s+(must have (less|fewer) than|tokens\s*\+)/i,
  // DashScope: "Range of input length should be [1, 30720]"
  /range of input length/i,
  // Kimi: "Your request exceeded model token limit: 262144 (requested: 269030)"
  /exceeded (the )?model token limit/i,
  // Ollama, llama.cpp: "the request exceeds ... n_ctx", "trying to keep the first 5000 tokens when context the overflows"
  /\bn_ctx\b|tokens to keep from the initial prompt|keep the first \d+ tokens/i,
  // xAI: "maximum prompt length is 131072"
  /reduce the length of (the |your )?(messages|prompt|input|conversation)/i,
  /decrease (the )?input length/i,
  // vLLM: "the decoder prompt (length 5000) is longer than the maximum model length"
  /prompt \(length \d+\)/i,
  // MiniMax, Chinese services
  /超长|长度超(过|限|出)|超(过|出)[^。]{0,20}(上下文|最大长度|token)|上下文[^。]{0,12}(超|过长)|输入过长/,
  /длин[аы] контекста/i,
];

/** Rate limits speak of tokens too. */
const RATE =
  /per[ -](minute|min|hour|day|second)|\b(TPM|RPM|TPD|RPD|ITPM)\b|rate[ -]?limit|throttl|please wait|try again (in|later)|quota|每分钟/i;

/** The limit of the answer is what is too large: "max_tokens is too large: 100000. This model supports at most 16384". */
const ANSWER_LIMIT =
  /(max_(completion_|output_|new_)?tokens|maxOutputTokens|max_tokens_to_sample)['"`]?\s*:?\s*(\(?[\w,.'"` ]{0,60}\)?\s*)?(is|are|=|:)?\s*(too (large|big|high)|must be|should be|cannot be|can't be|exceeds|has to be|larger than|greater than|> )/i;
const AT_MOST_COMPLETION = /(supports|allows) at most [\d,]+ (completion|output) tokens/i;

export interface TooLongEvidence {
  message: string;
  codes: readonly string[];
  status: number | null;
}

/** Of what the server says, and what the request asked for. `maxOutputTokens`: null = no limit was asked for. */
export const saysTooLong = (evidence: TooLongEvidence, maxOutputTokens: number | null): boolean => {
  const { message, codes, status } = evidence;
  if (status === 401 || status === 403 || status === 404) return false;
  const named = codes.some((code) => CODES.has(code.toLowerCase()));
  if (saysAnswerLimit(message, maxOutputTokens)) return false;
  if (RATE.test(message) && !named) return false;
  return named || TOO_LONG_PATTERNS.some((wording) => wording.test(message));
};

/**
 * The asked limit of the answer is more than the model can give. Messages that fill the window say the same of a limit that
 * is small: then it is the messages.
 */
export const saysAnswerLimit = (message: string, maxOutputTokens: number | null): boolean => {
  if (maxOutputTokens === null) return false;
  if (AT_MOST_COMPLETION.test(message)) return true;
  if (!ANSWER_LIMIT.test(message)) return false;
  const window = windowOf(message);
  return window === null || maxOutputTokens >= window;
};

/** The model's window as far as the server names it. */
export const windowOf = (message: string): number | null => {
  const found =
    /(?:context (?:length|window|size|limit)|model length|max_model_len)[^\d]{0,24}([\d,_]{3,})/i.exec(
      message,
    )?.[1] ?? /> ([\d,]{3,})/.exec(message)?.[1];
  const number = found === undefined ? Number.NaN : Number(found.replaceAll(/[,_]/g, ''));
  return Number.isFinite(number) && number > 0 ? number : null;
};
