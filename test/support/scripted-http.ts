/**
 * A server of raw sockets that answers each request by the next step of a script: well, badly, half, or not at all.
 *
 * Rule: transport faults are made on a real socket, since a mock can't reset one in the middle of a body. The server
 * records every request; a request beyond the script is answered 599 and counted in `overrun`, so that a test sees it.
 * Tests only.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

export interface ScriptedRequest {
  method: string;
  /** Path and query as sent. */
  target: string;
  headers: Record<string, string>;
  body: string;
}

export type Step = (request: ScriptedRequest, socket: Socket) => void | Promise<void>;

export interface ScriptedHttp {
  url: string;
  port: number;
  requests: ScriptedRequest[];
  /** Steps still to come; push more at any time. */
  script: Step[];
  overrun: number;
  connections: number;
  /** Resolves when `count` requests have arrived in total. */
  arrived(count: number): Promise<void>;
  close(): Promise<void>;
}

const head = (status: number, headers: Record<string, string | number>): string =>
  [
    `HTTP/1.1 ${status} Scripted`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    '',
    '',
  ].join('\r\n');

export const reply =
  (status: number, body: string | Buffer, headers: Record<string, string | number> = {}): Step =>
  (_request, socket) => {
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    socket.write(head(status, { 'content-length': bytes.length, ...headers }));
    socket.write(bytes);
  };

export const json = (body: unknown, status = 200, headers: Record<string, string | number> = {}): Step =>
  reply(status, JSON.stringify(body), { 'content-type': 'application/json', ...headers });

/** An SSE answer of the given pieces, then `end` the body well, `cut` the connection, or `hold` it open. */
export const sse =
  (pieces: readonly (string | Buffer)[], then: 'end' | 'cut' | 'hold' = 'end'): Step =>
  async (_request, socket) => {
    socket.write(head(200, { 'content-type': 'text/event-stream', 'transfer-encoding': 'chunked' }));
    for (const piece of pieces) {
      const bytes = typeof piece === 'string' ? Buffer.from(piece) : piece;
      socket.write(`${bytes.length.toString(16)}\r\n`);
      socket.write(bytes);
      await new Promise<void>((resolve) => void socket.write('\r\n', () => resolve()));
    }
    if (then === 'end') socket.write('0\r\n\r\n');
    if (then === 'cut') socket.resetAndDestroy();
  };

/** Bytes as they are, then the end of the connection (`end`), a reset (`cut`), or nothing (`hold`). */
export const raw =
  (bytes: string | Buffer, then: 'end' | 'cut' | 'hold' = 'end'): Step =>
  async (_request, socket) => {
    await new Promise<void>((resolve) => void socket.write(bytes, () => resolve()));
    if (then === 'end') socket.end();
    if (then === 'cut') socket.resetAndDestroy();
  };

/** The request was read; the answer is a reset. */
export const reset: Step = (_request, socket) => void socket.resetAndDestroy();
/** The request was read; nothing is ever answered. */
export const hang: Step = () => undefined;

const takeRequest = (buffered: string): { request: ScriptedRequest; rest: string } | undefined => {
  const end = buffered.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const [first = '', ...lines] = buffered.slice(0, end).split('\r\n');
  const [method = '', target = ''] = first.split(' ');
  const headers = Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const length = Number(headers['content-length'] ?? 0);
  const from = end + 4;
  if (buffered.length < from + length) return undefined;
  const body = Buffer.from(buffered.slice(from, from + length), 'latin1').toString('utf8');
  return { request: { method, target, headers, body }, rest: buffered.slice(from + length) };
};

export const scriptedHttp = async (script: readonly Step[] = []): Promise<ScriptedHttp> => {
  const sockets = new Set<Socket>();
  const waiters: { count: number; resolve: () => void }[] = [];
  const scripted: ScriptedHttp = {
    url: '',
    port: 0,
    requests: [],
    script: [...script],
    overrun: 0,
    connections: 0,
    arrived: (count) =>
      new Promise((resolve) => {
        if (scripted.requests.length >= count) resolve();
        else waiters.push({ count, resolve });
      }),
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
  const server: Server = createServer((socket) => {
    scripted.connections++;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
    // latin1 keeps one character per byte, so that content-length can be counted on the text.
    let buffered = '';
    socket.on('data', (bytes) => {
      buffered += bytes.toString('latin1');
      for (let taken = takeRequest(buffered); taken !== undefined; taken = takeRequest(buffered)) {
        buffered = taken.rest;
        const { request } = taken;
        scripted.requests.push(request);
        const step = scripted.script.shift();
        if (step === undefined) scripted.overrun++;
        void (step ?? reply(599, 'beyond the script'))(request, socket);
        for (const waiter of waiters) if (scripted.requests.length >= waiter.count) waiter.resolve();
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  scripted.port = (server.address() as AddressInfo).port;
  scripted.url = `http://127.0.0.1:${scripted.port}`;
  return scripted;
};
