/**
 * A request's body → JSON, within limits of size and depth.
 *
 * Rule: nothing is parsed before its size and nesting are known to be bounded; `__proto__` keys are dropped, so that no
 * later spread or assignment can be steered by them. Imports protocol only.
 */
import { ApiError } from '../protocol/errors.ts';
import { quote } from '../protocol/rules/validation.ts';

export interface BodyLimits {
  /** Bytes of one body. Default 8 MiB. */
  maxBytes: number;
  /** Nesting of objects and arrays. Default 64. */
  maxDepth: number;
}

export const DEFAULT_BODY_LIMITS: BodyLimits = { maxBytes: 8 * 1024 * 1024, maxDepth: 64 };

const tooLarge = (limit: number): ApiError =>
  new ApiError(400, `The request body is too large: at most ${limit} bytes are accepted.`, {
    code: 'request_too_large',
  });

/** Reads a body of unknown length without ever holding more than the limit. */
const readBounded = async (body: ReadableStream<Uint8Array>, limit: number): Promise<string> => {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    size += value.byteLength;
    if (size > limit) {
      await reader.cancel().catch(() => undefined);
      throw tooLarge(limit);
    }
    text += decoder.decode(value, { stream: true });
  }
};

/** Deepest nesting of a JSON text, strings skipped; stops counting above `limit`. */
export const jsonDepth = (text: string, limit: number): number => {
  let depth = 0;
  let deepest = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 34) {
      at += 1;
      while (at < text.length && text.charCodeAt(at) !== 34) at += text.charCodeAt(at) === 92 ? 2 : 1;
    } else if (code === 123 || code === 91) {
      depth += 1;
      if (depth > deepest) deepest = depth;
      if (deepest > limit) return deepest;
    } else if (code === 125 || code === 93) depth -= 1;
  }
  return deepest;
};

const dropProto = (key: string, value: unknown): unknown => (key === '__proto__' ? undefined : value);

export const readJson = async (request: Request, limits: BodyLimits): Promise<unknown> => {
  const { headers } = request;
  const length = headers.get('content-length');
  if (length !== null && Number(length) > limits.maxBytes) throw tooLarge(limits.maxBytes);
  let text: string;
  if (length === null) text = request.body === null ? '' : await readBounded(request.body, limits.maxBytes);
  else text = await request.text();
  if (text.length > limits.maxBytes) throw tooLarge(limits.maxBytes);
  if (text.trim() === '') return {};
  const type = headers.get('content-type');
  if (type === null || !/^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(type))
    throw new ApiError(
      400,
      `Unsupported Content-Type ${quote(type)}: send the body as JSON with the header 'Content-Type: application/json'.`,
      { code: 'invalid_content_type' },
    );
  if (jsonDepth(text, limits.maxDepth) > limits.maxDepth)
    throw new ApiError(
      400,
      `The request body is nested too deeply: at most ${limits.maxDepth} levels are accepted.`,
      {
        code: 'invalid_json',
      },
    );
  try {
    // A reviver costs about ten times a plain parse: only bodies that can hold the key pay for it.
    return text.includes('__proto__') || text.includes('\\u')
      ? JSON.parse(text, dropProto)
      : JSON.parse(text);
  } catch (error) {
    throw new ApiError(
      400,
      `We could not parse the JSON body of your request: ${error instanceof Error ? error.message : 'malformed JSON'}.`,
      { code: 'invalid_json' },
    );
  }
};
