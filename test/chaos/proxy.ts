/**
 * A TCP proxy on loopback between a worker and a server, to break connections the way networks do.
 *
 * Rule: it knows bytes, not requests; a mode holds from the moment it is set, for open connections and new ones alike,
 * and everything it holds ends with `close`.
 */
import { createServer, connect, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

export type ProxyMode =
  | { kind: 'pass' }
  /** Open connections are reset, new ones too, as soon as they are there. */
  | { kind: 'reset' }
  /** Nothing answers: connections are taken, bytes are swallowed in both directions, nobody is told. */
  | { kind: 'half-open' }
  /** Requests go through, answers are swallowed: what was asked is done, and nobody hears of it. */
  | { kind: 'deaf' }
  /** Each piece is late by this many milliseconds. */
  | { kind: 'delay'; ms: number };

export interface Proxy {
  /** Base URL with the path of the target. */
  url: string;
  mode: ProxyMode;
  set(mode: ProxyMode): void;
  /** Resets what is open now, and goes on as before. */
  cut(): number;
  close(): Promise<void>;
}

const send = (socket: Socket, bytes: Buffer): void => {
  if (socket.writable) socket.write(bytes);
};

export const openProxy = async (target: string): Promise<Proxy> => {
  const to = new URL(target);
  const sockets = new Set<Socket>();
  const timers = new Set<NodeJS.Timeout>();
  let mode: ProxyMode = { kind: 'pass' };

  const hold = (socket: Socket): void => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('close', () => sockets.delete(socket));
    // The other side hears of it by its own socket.
    socket.on('error', () => undefined);
  };
  const forward = (from: Socket, into: Socket, direction: 'request' | 'answer'): void => {
    from.on('data', (bytes: Buffer) => {
      if (mode.kind === 'half-open' || (mode.kind === 'deaf' && direction === 'answer')) return;
      if (mode.kind !== 'delay') return send(into, bytes);
      const timer = setTimeout(() => {
        timers.delete(timer);
        send(into, bytes);
      }, mode.ms);
      timers.add(timer);
    });
    from.on('close', () => {
      // A swallowed goodbye is what makes a connection half-open.
      if (mode.kind === 'half-open' || mode.kind === 'deaf') return;
      into.destroySoon();
    });
  };
  const cut = (): number => {
    const count = sockets.size;
    for (const socket of sockets) socket.resetAndDestroy();
    return count;
  };

  const server = createServer((client) => {
    hold(client);
    if (mode.kind === 'reset') {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect({ host: to.hostname, port: Number(to.port) });
    hold(upstream);
    forward(client, upstream, 'request');
    forward(upstream, client, 'answer');
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: '127.0.0.1', port: 0 }, resolve);
  });
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://127.0.0.1:${port}${to.pathname}`,
    get mode() {
      return mode;
    },
    set(next) {
      // What was swallowed never comes: a connection that lost bytes can only be broken.
      const lossy = mode.kind === 'half-open' || mode.kind === 'deaf';
      mode = next;
      if (next.kind === 'reset' || lossy) cut();
    },
    cut,
    async close() {
      for (const timer of timers) clearTimeout(timer);
      cut();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
};
