/**
 * Parses a request's body as JSON, within limits of size, depth and number of values.
 *
 * Rule: a body is scanned while it arrives and refused at its first excess; parsing starts when the whole body is known
 * to be within limits, and no step blocks the event loop for long. All requests together are limited too. `__proto__`
 * keys are dropped, so that no later spread or assignment changes a prototype. Imports protocol only.
 */
import { setImmediate as immediate } from 'node:timers/promises';
import { ApiError } from '../protocol/errors.ts';
import { dropProtoKeys, JsonScan, mayHoldProto, type JsonExcess } from '../protocol/json-scan.ts';
import { BODY_BYTES, JSON_LIMITS } from '../protocol/limits.ts';
import { quote } from '../protocol/rules/validation.ts';
import type { BodyBudget, BodyShare } from './body-budget.ts';

export interface BodyLimits {
  /** Bytes of one body. */
  maxBytes: number;
  /** Nesting of objects and arrays. Default 64. */
  maxDepth: number;
  /** Values in it. Default 20,000. */
  maxValues: number;
}

export const DEFAULT_BODY_LIMITS: BodyLimits = {
  maxBytes: BODY_BYTES.large,
  maxDepth: JSON_LIMITS.depth,
  maxValues: JSON_LIMITS.values,
};

/** Bodies up to this size are read in one piece and not counted: reading a stream costs more. */
const MAX_UNCOUNTED_BODY_BYTES = 65_536;

const tooLarge = (limit: number): ApiError =>
  new ApiError(400, `The request body is too large: at most ${limit} bytes are accepted.`, {
    code: 'request_too_large',
  });

const excessive = ({ what, limit }: JsonExcess): ApiError =>
  new ApiError(
    400,
    what === 'depth'
      ? `The request body is nested too deeply: at most ${limit} levels are accepted.`
      : `The request body holds too many values: at most ${limit} objects, arrays, strings, numbers and literals are accepted.`,
    { code: 'invalid_json' },
  );

const unsupportedType = (type: string | null): ApiError =>
  new ApiError(
    400,
    `Unsupported Content-Type ${quote(type)}: send the body as JSON with the header 'Content-Type: application/json'.`,
    { code: 'invalid_content_type' },
  );

/** Compressed bodies are refused: their size is known only after decompression. */
const refuseEncoded = (encoding: string | null): void => {
  if (encoding === null || /^\s*(?:identity)?\s*$/i.test(encoding)) return;
  throw new ApiError(
    415,
    `Unsupported Content-Encoding ${quote(encoding)}: send the body as it is, without compressing it and without this header.`,
    { code: 'unsupported_content_encoding' },
  );
};

const isJson = (type: string | null): boolean =>
  type !== null && /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(type);

/** Reads a body of any length without holding more than the limit, and releases bytes as it decodes them. */
const readPieces = async (
  body: ReadableStream<Uint8Array>,
  limits: BodyLimits,
  share: BodyShare | null,
): Promise<string> => {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const scan = new JsonScan({ depth: limits.maxDepth, values: limits.maxValues });
  const pieces: string[] = [];
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        pieces.push(decoder.decode());
        return pieces.join('');
      }
      size += value.byteLength;
      if (size > limits.maxBytes) throw tooLarge(limits.maxBytes);
      share?.grow(value.byteLength);
      const excess = scan.bytes(value);
      if (excess !== null) throw excessive(excess);
      pieces.push(decoder.decode(value, { stream: true }));
    }
  } catch (error) {
    await reader.cancel().catch(() => undefined);
    throw error;
  }
};

const readWhole = async (request: Request, limits: BodyLimits): Promise<string> => {
  const text = await request.text();
  if (text.length > limits.maxBytes) throw tooLarge(limits.maxBytes);
  const excess = new JsonScan({ depth: limits.maxDepth, values: limits.maxValues }).text(text);
  if (excess !== null) throw excessive(excess);
  return text;
};

const parsed = (text: string): unknown => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ApiError(
      400,
      `We could not parse the JSON body of your request: ${error instanceof Error ? error.message : 'malformed JSON'}.`,
      { code: 'invalid_json' },
    );
  }
  if (mayHoldProto(text)) dropProtoKeys(value);
  return value;
};

const isBlank = (text: string): boolean => text.length < MAX_UNCOUNTED_BODY_BYTES && text.trim() === '';

/**
 * `budget`: shared by all request bodies; absent = only this body is limited. Throws `ApiError` 400, or 429 and 503
 * when the budget is used up.
 */
export const readJson = async (
  request: Request,
  limits: BodyLimits,
  budget: { of: BodyBudget; tenant: string } | null = null,
): Promise<unknown> => {
  const { headers } = request;
  const length = headers.get('content-length');
  if (length !== null && Number(length) > limits.maxBytes) throw tooLarge(limits.maxBytes);
  refuseEncoded(headers.get('content-encoding'));
  const type = headers.get('content-type');
  if (length !== null && Number(length) <= MAX_UNCOUNTED_BODY_BYTES) {
    const text = await readWhole(request, limits);
    if (isBlank(text)) return {};
    if (!isJson(type)) throw unsupportedType(type);
    return parsed(text);
  }
  if (request.body === null) return {};
  const share = budget === null ? null : budget.of.open(budget.tenant);
  try {
    const text = await readPieces(request.body, limits, share);
    if (isBlank(text)) return {};
    if (!isJson(type)) throw unsupportedType(type);
    // Yields to the event loop between reading and parsing.
    await immediate();
    return parsed(text);
  } finally {
    share?.close();
  }
};
