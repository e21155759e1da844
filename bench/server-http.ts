/**
 * The measuring client: requests to the runs server and to the model server, with the moment of every piece that arrives.
 * undici's `Pool.request`, the cheapest client there is; its own time is in every figure, on both sides.
 */
import type { ChildProcess } from 'node:child_process';
import { Pool } from 'undici';
import type { GetResult, LoadCommand } from './server-load.ts';
import { wallClock } from './usage.ts';

export interface Streamed {
  /** From sending the request, milliseconds. */
  firstTokenMs: number;
  wholeMs: number;
  /** For every piece that the model said: until it was read from the socket here. */
  lagsMs: number[];
  /** Of the last event that told of the run; empty where there is none. */
  status: string;
  runId: string;
}

/** An answer that is no success. */
export class RefusedRequest extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface Http {
  get(path: string): Promise<string>;
  post<T>(path: string, body: unknown): Promise<T>;
  stream(path: string, body: unknown): Promise<Streamed>;
  close(): Promise<void>;
}

const STAMP = /\d{13}\.\d\d(?= )/g;

export const openHttp = (baseUrl: string, headers: Record<string, string>): Http => {
  const { origin, pathname } = new URL(baseUrl);
  const pool = new Pool(origin, { connections: 128, bodyTimeout: 0, headersTimeout: 0 });
  const send = (method: 'GET' | 'POST', path: string, body?: unknown) =>
    pool.request({
      method,
      path: `${pathname}${path}`,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  const whole = async (method: 'GET' | 'POST', path: string, body?: unknown): Promise<string> => {
    const answer = await send(method, path, body);
    const text = await answer.body.text();
    if (answer.statusCode !== 200)
      throw new Error(`${method} ${path} was answered ${answer.statusCode}: ${text.slice(0, 300)}`);
    return text;
  };
  return {
    get: (path) => whole('GET', path),
    post: async <T>(path: string, body: unknown) => JSON.parse(await whole('POST', path, body)) as T,
    async stream(path, body) {
      const began = wallClock();
      const answer = await send('POST', path, body);
      if (answer.statusCode !== 200)
        throw new RefusedRequest(
          answer.statusCode,
          `POST ${path} was answered ${answer.statusCode}: ${(await answer.body.text()).slice(0, 300)}`,
        );
      const lagsMs: number[] = [];
      let firstAt: number | null = null;
      let held = '';
      let status = '';
      let runId = '';
      answer.body.setEncoding('utf8');
      for await (const piece of answer.body as AsyncIterable<string>) {
        const now = wallClock();
        held += piece;
        const end = held.lastIndexOf('\n\n');
        if (end < 0) continue;
        for (const frame of held.slice(0, end).split('\n\n')) {
          const event = /^event: (\S+)$/m.exec(frame)?.[1] ?? 'chunk';
          if (event.startsWith('thread.run.') && !event.startsWith('thread.run.step.')) {
            status = event.slice('thread.run.'.length);
            runId = /"id":"([^"]+)"/.exec(frame)?.[1] ?? runId;
          }
          if (event !== 'thread.message.delta' && event !== 'chunk') continue;
          const stamps = frame.match(STAMP) ?? [];
          if (stamps.length > 0) firstAt ??= now;
          lagsMs.push(...stamps.map((stamp) => now - Number(stamp)));
        }
        held = held.slice(end + 2);
      }
      return {
        firstTokenMs: (firstAt ?? Number.NaN) - began,
        wholeMs: wallClock() - began,
        lagsMs,
        status,
        runId,
      };
    },
    close: () => pool.close(),
  };
};

type Sent<C> = C extends unknown ? Omit<C, 'ticket'> : never;

export interface Load {
  ask(command: Extract<Sent<LoadCommand>, { kind: 'get' }>): Promise<GetResult>;
  ask(command: Extract<Sent<LoadCommand>, { kind: 'hold' | 'poll' }>): Promise<undefined>;
  ask(command: Extract<Sent<LoadCommand>, { kind: 'release' }>): Promise<{ done: number; held: number }>;
}

/** Asks the load process for something and waits for what came of it. */
export const loadOf = (child: ChildProcess): Load => {
  let serial = 0;
  return {
    ask: (command: Sent<LoadCommand>): Promise<never> =>
      new Promise((resolve, reject) => {
        const ticket = ++serial;
        const hear = (message: { ticket?: number; result?: never; problem?: string }): void => {
          if (message.ticket !== ticket) return;
          child.off('message', hear);
          if (message.problem === undefined) resolve(message.result as never);
          else reject(new Error(message.problem));
        };
        child.on('message', hear);
        child.send({ ...command, ticket });
      }),
  };
};
