/**
 * A receiver of webhooks on a socket: it answers as the test says, and keeps what arrived with the verdict of the official
 * verifier. Tests only.
 */
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Webhook } from 'standardwebhooks';
import type { WebhookBody } from '../../protocol/wire/webhooks.ts';

export interface Received {
  id: string;
  path: string;
  body: WebhookBody;
  /** Secrets that verify it, of those the receiver knows. */
  verifiedBy: string[];
}

/** Answers one request; default 204. */
export type Answer = (response: ServerResponse) => void;

export const status =
  (code: number, headers: Record<string, string> = {}): Answer =>
  (response) =>
    void response.writeHead(code, headers).end('an answer that nobody keeps');
export const hang: Answer = () => undefined;

export interface Receiver {
  readonly port: number;
  /** `http://127.0.0.1:port/`. */
  readonly url: string;
  readonly received: Received[];
  /** Answers of the next requests, in order. */
  readonly answers: Answer[];
  readonly secrets: string[];
  /** Of successes only: `1 run.waiting`, in order of arrival. */
  accepted(): string[];
  /** No connection is accepted until `up`. */
  down(): Promise<void>;
  up(): Promise<void>;
  close(): Promise<void>;
}

const verifiers = (secrets: readonly string[], body: string, headers: Record<string, string>): string[] =>
  secrets.filter((secret) => {
    try {
      new Webhook(secret).verify(body, headers);
      return true;
    } catch {
      return false;
    }
  });

export const webhookReceiver = async (): Promise<Receiver> => {
  const received: (Received & { ok: boolean })[] = [];
  const answers: Answer[] = [];
  const secrets: string[] = [];
  const sockets = new Set<Socket>();
  let server: Server | null = null;
  let port = 0;
  const up = async (): Promise<void> => {
    const made = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8');
      request.on('data', (piece: string) => {
        body += piece;
      });
      request.on('end', () => {
        const headers = request.headers as Record<string, string>;
        const answer = answers.shift();
        received.push({
          id: headers['webhook-id'] ?? '',
          path: request.url ?? '',
          body: JSON.parse(body) as WebhookBody,
          verifiedBy: verifiers(secrets, body, headers),
          ok: answer === undefined,
        });
        if (answer === undefined) response.writeHead(204).end();
        else answer(response);
      });
    });
    made.on('connection', (socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    });
    await new Promise<void>((resolve) => void made.listen(port, '127.0.0.1', resolve));
    ({ port } = made.address() as AddressInfo);
    server = made;
  };
  const down = async (): Promise<void> => {
    const closing = server;
    server = null;
    for (const socket of sockets) socket.destroy();
    if (closing !== null) await new Promise((resolve) => void closing.close(resolve));
  };
  await up();
  return {
    port,
    url: `http://127.0.0.1:${port}/`,
    received,
    answers,
    secrets,
    accepted: () => received.filter(({ ok }) => ok).map(({ body }) => `${body.data.sequence} ${body.type}`),
    down,
    up,
    close: down,
  };
};
