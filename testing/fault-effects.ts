/**
 * Applies a fault to one request.
 *
 * Rule: the caller sees the fault and nothing else: unprocessed = the server never received it, processed = its effect
 * is there. Only the sandbox imports it.
 */
import { gzipSync } from 'node:zlib';
import type { ManualClock } from './clock.ts';
import type { FaultAction } from './faults.ts';
import { bytesOf, framesOf, injectStreamFault } from './frames.ts';
import { bodyOf, loseConnection } from './wire.ts';
import type { BodyEnd, SocketEnv } from './wire.ts';

export interface FaultContext {
  clock: ManualClock;
  env: SocketEnv | undefined;
  /** Lets the request through. */
  process: () => Promise<Response>;
  /** Rejects when the caller gives up or the sandbox closes. */
  forever: () => Promise<never>;
  /** The run of this request `back` states ago; null when it is no read of a run or has no such past. */
  staleRun: (back: number) => unknown;
}

const encoder = new TextEncoder();

const withBody = (
  response: Response,
  body: ReadableStream<Uint8Array> | string | null,
  headers = response.headers,
): Response => {
  const copy = new Headers(headers);
  copy.delete('content-length');
  return new Response(body, { status: response.status, headers: copy });
};

const pause = (clock: ManualClock, ms: number): Promise<void> =>
  new Promise((resolve) => clock.setTimeout(resolve, ms));

function* repeated(part: Uint8Array, bytes: number): Generator<Uint8Array> {
  for (let left = bytes; left > 0; left -= part.byteLength)
    yield left < part.byteLength ? part.subarray(0, left) : part;
}

const MEGABYTE = 1024 * 1024;

/** A gzip stream may have many members: one packed megabyte, over and over, unpacks to any size. */
const compressionBomb = (bytes: number): Iterable<Uint8Array> => {
  const member = gzipSync(Buffer.alloc(MEGABYTE, 0x20));
  return Array.from({ length: Math.ceil(bytes / MEGABYTE) }, () => member);
};

/** Half of a character of several bytes: what a cut inside one leaves. */
const BROKEN_CHARACTER = Uint8Array.of(...encoder.encode('data: {"text":"caf'), 0xc3);

const cutBody = async function* (
  body: ReadableStream<Uint8Array>,
  action: Extract<FaultAction, { kind: 'cut' }>,
): AsyncGenerator<Uint8Array> {
  yield* bytesOf(injectStreamFault(framesOf(body), action));
  if (action.inside === 'character') yield BROKEN_CHARACTER;
};

function* slices(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += size) yield bytes.subarray(at, at + size);
}

async function* dribbled(body: ReadableStream<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  for await (const frame of framesOf(body)) {
    for (const part of slices(encoder.encode(frame), size)) {
      yield part;
      // Apart in time, or the kernel would glue them together again.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

const answerOf = (action: Extract<FaultAction, { kind: 'status' }>): Response => {
  const { status, headers = {}, body } = action;
  const text =
    typeof body === 'string'
      ? body
      : JSON.stringify(
          body ?? {
            error: {
              message: `A fault of the sandbox answers ${status}.`,
              type: status >= 500 ? 'server_error' : 'invalid_request_error',
              param: null,
              code: null,
            },
          },
        );
  return new Response(text, { status, headers: { 'content-type': 'application/json', ...headers } });
};

export const applyFault = async (action: FaultAction, context: FaultContext): Promise<Response> => {
  const { env, clock } = context;
  switch (action.kind) {
    case 'reset':
      if (action.when === 'after') await (await context.process()).body?.cancel();
      return loseConnection(env);
    case 'hang':
      if (action.when === 'after') await (await context.process()).body?.cancel();
      return context.forever();
    case 'delay': {
      if (action.when !== 'after') {
        await pause(clock, action.ms);
        return context.process();
      }
      const response = await context.process();
      await pause(clock, action.ms);
      return response;
    }
    case 'status':
      if (action.processed === true) await (await context.process()).body?.cancel();
      return answerOf(action);
    case 'big_body': {
      const filler = encoder.encode(' '.repeat(65_536));
      return new Response(bodyOf(repeated(filler, action.bytes), 'end', env), {
        status: 200,
        headers: { 'content-type': 'application/json' },
      });
    }
    case 'gzip_bomb':
      return new Response(bodyOf(compressionBomb(action.bytes), 'end', env), {
        status: 200,
        headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      });
    default:
      return injectFault(await context.process(), action, context);
  }
};

const injectFault = async (
  response: Response,
  action: FaultAction,
  { env, staleRun }: FaultContext,
): Promise<Response> => {
  const { body } = response;
  if (body === null) return response;
  const framed = (end: BodyEnd): Response =>
    withBody(response, bodyOf(bytesOf(injectStreamFault(framesOf(body), action)), end, env));
  switch (action.kind) {
    case 'headers': {
      const headers = new Headers(response.headers);
      for (const [name, value] of Object.entries(action.headers)) headers.set(name, value);
      return withBody(response, body, headers);
    }
    case 'content_type': {
      const headers = new Headers(response.headers);
      headers.set('content-type', action.value);
      return withBody(response, body, headers);
    }
    case 'body':
      await body.cancel();
      return withBody(response, action.text);
    case 'truncate_json': {
      const text = await response.text();
      return withBody(response, text.slice(0, Math.floor(text.length / 2)));
    }
    case 'stall_body': {
      const bytes = encoder.encode(await response.text());
      return withBody(
        response,
        bodyOf([bytes.subarray(0, action.bytes ?? Math.floor(bytes.length / 2))], 'stall', env),
      );
    }
    case 'stale': {
      const run = staleRun(action.back ?? 1);
      if (run === null) return response;
      await body.cancel();
      return withBody(response, JSON.stringify(run));
    }
    case 'dribble':
      return withBody(response, bodyOf(dribbled(body, action.bytes ?? 3), 'end', env));
    case 'cut':
      return withBody(response, bodyOf(cutBody(body, action), action.how ?? 'close', env));
    case 'stall_stream':
      return framed('stall');
    default:
      return framed('end');
  }
};
