/**
 * A caller of the runs server that repeats requests: one without a response, or with a 5xx, is sent again as a retry.
 *
 * Rule: a request that may have been processed carries an idempotency key or the client's retry count, as the server's
 * documentation requires. Only a 2xx response is an acknowledgement.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { FAILURES } from '../../../protocol/temporal/names.ts';
import { RunsError } from '../../../protocol/errors.ts';
import type { Answering } from '../person.ts';

const ANSWER_MS = 15_000;
const AGAIN_MS = 150;
/** A caller waits longer than anything in a drill stays down. */
const PATIENCE_MS = 90_000;

export interface Reply {
  status: number;
  body: unknown;
}

export interface Door {
  /** One request. Throws when the connection broke. */
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Reply>;
  /** Until the answer is a 2xx; throws on a 4xx, and when patience is over. */
  insist<T>(method: string, path: string, body?: unknown, key?: string): Promise<T>;
}

/** `url` may change: a server may come back elsewhere. */
export const openDoor = (url: () => string): Door => {
  const ask: Door['ask'] = async (method, path, body, headers = {}) => {
    const response = await fetch(`${url()}${path}`, {
      method,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? null : (JSON.parse(text) as unknown) };
  };
  return {
    ask,
    async insist<T>(method: string, path: string, body?: unknown, key?: string): Promise<T> {
      const deadline = Date.now() + PATIENCE_MS;
      for (let count = 0; ; count += 1) {
        const headers: Record<string, string> = {
          ...(key === undefined ? {} : { 'idempotency-key': key }),
          ...(count === 0 ? {} : { 'x-stainless-retry-count': String(count) }),
        };
        const reply = await ask(method, path, body, headers).catch((error: unknown) => error);
        if (isReply(reply) && reply.status < 300) return reply.body as T;
        if ((isReply(reply) && reply.status < 500) || Date.now() > deadline)
          throw new Error(
            `${method} ${path}: ${isReply(reply) ? JSON.stringify(reply) : String(reply)}, after ${count + 1} tries`,
          );
        await pause(AGAIN_MS);
      }
    },
  };
};

const isReply = (value: unknown): value is Reply =>
  typeof value === 'object' && value !== null && 'status' in value && 'body' in value;

/**
 * People who answer through the server. `threadOf` knows a run's thread; `submits`: an output goes as a round of its own
 * where the round has no other open call, else, and for decisions, to `/answers`.
 */
export const answerByHttp = (
  door: Door,
  threadOf: (runId: string) => string,
  submits: (runId: string, callId: string) => boolean,
): Answering => {
  const tried = new Map<string, number>();
  const send = async (runId: string, path: string, body: unknown, what: string): Promise<Reply> => {
    const count = tried.get(what) ?? 0;
    tried.set(what, count + 1);
    const run = `/threads/${threadOf(runId)}/runs/${runId}`;
    let reply: Reply;
    try {
      const headers: Record<string, string> = count === 0 ? {} : { 'x-stainless-retry-count': String(count) };
      reply = await door.ask('POST', `${run}${path}`, body, headers);
    } catch (error) {
      throw new RunsError('temporal_unavailable', 'The server gave no answer.', { cause: error });
    }
    if (reply.status < 300) return reply;
    if (reply.status >= 500) throw new RunsError('temporal_unavailable', JSON.stringify(reply.body));
    // Whether it came too early or too late is known by whether the call is still open.
    throw new RunsError('refused', JSON.stringify(reply.body), { failure: FAILURES.refusedUnknownCall });
  };
  const answer: Answering['answer'] = async (runId, payload) => {
    const { call_id: callId, output } = payload;
    const what = `${runId} ${callId} ${JSON.stringify(output ?? payload.decision)}`;
    if (typeof output === 'string' && submits(runId, callId)) {
      const body = { tool_outputs: [{ tool_call_id: callId, output }] };
      return await send(runId, '/submit_tool_outputs', body, what);
    }
    return await send(runId, '/answers', payload, what);
  };
  return {
    answer,
    // The server has no unacknowledged way in: said twice, it is a repeat.
    signalAnswer: async (runId, payload) => {
      await answer(runId, payload).catch((error: unknown) => {
        if (!(error instanceof RunsError)) throw error;
      });
    },
  };
};
