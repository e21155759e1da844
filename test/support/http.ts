/** Small helpers for tests that speak HTTP to a `fetch` function or a socket. */
import type { Caller } from '../../protocol/ports/runs-service.ts';

export type Fetch = (request: Request) => Response | Promise<Response>;

export interface Answer {
  status: number;
  headers: Headers;
  body: unknown;
}

/** One JSON request. `body` is sent as JSON unless it is a string. */
export const call = async (
  fetch: Fetch,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> => {
  const response = await fetch(
    new Request(`http://127.0.0.1${path}`, {
      method,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    }),
  );
  const text = await response.text();
  let parsed: unknown = text;
  try {
    parsed = JSON.parse(text);
  } catch {
    // Not JSON: the text itself is what the test looks at.
  }
  return { status: response.status, headers: response.headers, body: parsed };
};

export interface Frame {
  event: string | null;
  data: unknown;
  id: string | null;
}

/** A whole stream, as frames; comments are left out. */
export const framesOfText = (text: string): Frame[] =>
  text
    .split('\n\n')
    .filter((block) => /^(?:event|data|id):/m.test(block))
    .map((block) => {
      const field = (name: string): string | null =>
        new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1] ?? null;
      const data = field('data');
      return {
        event: field('event'),
        id: field('id'),
        data: data === null || data === '[DONE]' ? data : JSON.parse(data),
      };
    });

export const stream = async (
  fetch: Fetch,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Frame[]> => {
  const response = await fetch(
    new Request(`http://127.0.0.1${path}`, {
      method,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }),
  );
  return framesOfText(await response.text());
};

export const caller = (tenant = 'default'): Caller => ({
  tenant,
  requestId: 'req_test',
  isRetry: false,
  idempotencyKey: null,
  verified: false,
  groups: [],
});
