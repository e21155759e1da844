/**
 * The transport under a request of the sandbox: a socket that can be cut, or none (in process).
 *
 * Rule: faults use this, so the same fault means the same on both: a cut is a reset connection on a socket and a
 * failing fetch or body in process. Imports no other file. Ships with the package.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';

/** As `fetch` reports a connection that broke: a TypeError whose cause has a code. */
export class ConnectionLost extends TypeError {
  override readonly name = 'TypeError';
  constructor() {
    super('fetch failed', { cause: Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }) });
  }
}

export interface SocketEnv {
  incoming: IncomingMessage;
  outgoing: ServerResponse;
}

export type BodyCut = 'reset' | 'close';

/** How long bytes that were written get to leave before the socket is cut under them. */
const FLUSH_MS = 15;

/** Cuts the socket under a request, after what was written has left. */
const cutSocket = ({ incoming, outgoing }: SocketEnv, how: BodyCut): void => {
  const { socket } = incoming;
  const cut = (): void => {
    if (how === 'reset') socket.resetAndDestroy();
    else socket.destroy();
  };
  if (!outgoing.headersSent) cut();
  else setTimeout(cut, FLUSH_MS);
};

/** The response that tells the Node adapter that nothing is left to send. */
const nothingLeft = (): Response => new Response(null, { headers: { 'x-hono-already-sent': '1' } });

/** Breaks the connection instead of answering. */
export const loseConnection = (env: SocketEnv | undefined, how: BodyCut = 'reset'): Response => {
  if (env === undefined) throw new ConnectionLost();
  cutSocket(env, how);
  return nothingLeft();
};

export type BodyEnd = 'end' | 'stall' | BodyCut;

/** A body of these parts that then ends, stalls for ever, or breaks the connection. */
export const bodyOf = (
  parts: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  end: BodyEnd,
  env: SocketEnv | undefined,
): ReadableStream<Uint8Array> => {
  const iterator: AsyncIterator<Uint8Array> | Iterator<Uint8Array> =
    Symbol.asyncIterator in parts ? parts[Symbol.asyncIterator]() : parts[Symbol.iterator]();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await iterator.next();
      if (next.done !== true) {
        controller.enqueue(next.value);
        return;
      }
      switch (end) {
        case 'end':
          controller.close();
          return;
        case 'stall':
          // Never resolved: the reader waits until it gives up. `cancel` still works.
          await new Promise<never>(() => undefined);
          return;
        default:
          if (env === undefined) {
            controller.error(new ConnectionLost());
            return;
          }
          cutSocket(env, end);
          await new Promise<never>(() => undefined);
      }
    },
    async cancel() {
      await iterator.return?.();
    },
  });
};
