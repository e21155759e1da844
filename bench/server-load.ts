/**
 * Load from a separate process, as cheap as a socket allows, so that it takes little CPU of the measured machine:
 * closed-loop GETs over kept-alive connections, and many open streams that are only counted.
 */
import { connect, type Socket } from 'node:net';
import { quantile } from './usage.ts';

export interface GetLoad {
  /** One connection for each, as long as there are `connections`. */
  urls: string[];
  headers: Record<string, string>;
  connections: number;
  ms: number;
}
export interface GetResult {
  perSecond: number;
  p50: number;
  p99: number;
}
export type LoadCommand =
  | { kind: 'get'; ticket: number; load: GetLoad }
  /** Opens one stream for each URL; answers when each has its first event. */
  | { kind: 'hold'; ticket: number; urls: string[]; headers: Record<string, string> }
  /** Sends one request to each URL; answers when each is on its way, without waiting for the answers. */
  | { kind: 'poll'; ticket: number; urls: string[]; headers: Record<string, string> }
  /** Answers how many of those held were done since (a stream: `[DONE]`; a poll: any answer), and closes the others. */
  | { kind: 'release'; ticket: number };

const requestText = (url: string, headers: Record<string, string>): string => {
  const { host, pathname, search } = new URL(url);
  const lines = Object.entries({ host, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${pathname}${search} HTTP/1.1\r\n${lines.join('')}\r\n`;
};

const open = (url: string): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), noDelay: true }, () => resolve(socket));
    socket.once('error', reject);
  });

/** One connection's loop: ask, read the whole answer, ask again, until the time is over. */
const loop = async (request: string, url: string, until: number, times: number[]): Promise<void> => {
  const socket = await open(url);
  await new Promise<void>((resolve, reject) => {
    let held = '';
    let began = performance.now();
    socket.setEncoding('latin1');
    socket.once('error', reject);
    socket.on('data', (piece: string) => {
      held += piece;
      const head = held.indexOf('\r\n\r\n');
      if (head < 0) return;
      const length = /content-length: (\d+)/i.exec(held)?.[1];
      if (!held.startsWith('HTTP/1.1 200') || length === undefined)
        return reject(new Error(`The load got an answer it can't use: ${held.slice(0, 200)}`));
      if (held.length < head + 4 + Number(length)) return;
      held = '';
      const now = performance.now();
      times.push(now - began);
      began = now;
      if (now >= until) resolve();
      else socket.write(request);
    });
    socket.write(request);
  }).finally(() => socket.destroy());
};

const gets = async (load: GetLoad): Promise<GetResult> => {
  const times: number[] = [];
  const began = performance.now();
  await Promise.all(
    Array.from({ length: load.connections }, (_, index) => {
      const url = load.urls[index % load.urls.length] ?? '';
      return loop(requestText(url, load.headers), url, began + load.ms, times);
    }),
  );
  const seconds = (performance.now() - began) / 1000;
  return { perSecond: times.length / seconds, p50: quantile(times, 0.5), p99: quantile(times, 0.99) };
};

interface Held {
  socket: Socket;
  done: boolean;
}
const held: Held[] = [];

/** What a stream of a run, or of approvals, begins with. */
const FIRST_EVENT = /^event: (?:thread\.run\.|approvals\.ready)/m;

/** Resolves with the stream's first event. */
const follow = async (url: string, headers: Record<string, string>): Promise<void> => {
  const socket = await open(url);
  const stream: Held = { socket, done: false };
  held.push(stream);
  socket.setEncoding('latin1');
  await new Promise<void>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`No event came from ${url} within 60 s.`)), 60_000);
    let tail = '';
    socket.on('data', (piece: string) => {
      tail = (tail + piece).slice(-4096);
      if (FIRST_EVENT.test(tail)) {
        clearTimeout(late);
        resolve();
      }
      if (tail.includes('data: [DONE]')) stream.done = true;
    });
    socket.write(requestText(url, headers));
  });
};

/** Resolves when the request has left. */
const poll = async (url: string, headers: Record<string, string>): Promise<void> => {
  const socket = await open(url);
  const one: Held = { socket, done: false };
  held.push(one);
  socket.on('data', () => {
    one.done = true;
  });
  await new Promise<void>((resolve) => {
    socket.write(requestText(url, headers), () => resolve());
  });
};

/** Fifty at a time: a listen queue is not what is measured. */
const holdAll = async (
  hold: (url: string, headers: Record<string, string>) => Promise<void>,
  urls: readonly string[],
  headers: Record<string, string>,
): Promise<void> => {
  let next = 0;
  await Promise.all(
    Array.from({ length: 50 }, async () => {
      for (let url = urls[next++]; url !== undefined; url = urls[next++]) await hold(url, headers);
    }),
  );
};

const release = (): { done: number; held: number } => {
  const all = held.splice(0);
  for (const { socket } of all) socket.destroy();
  return { done: all.filter(({ done }) => done).length, held: all.length };
};

const carriedOut = async (command: LoadCommand): Promise<unknown> => {
  if (command.kind === 'get') return gets(command.load);
  if (command.kind === 'hold') return holdAll(follow, command.urls, command.headers);
  if (command.kind === 'poll') return holdAll(poll, command.urls, command.headers);
  return release();
};

process.on('message', (command: LoadCommand) => {
  carriedOut(command).then(
    (result) => process.send?.({ ticket: command.ticket, result }),
    (error: unknown) => process.send?.({ ticket: command.ticket, problem: String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));
process.send?.({ ready: true });
