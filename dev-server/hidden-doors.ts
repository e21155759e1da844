/**
 * Takes the dev server's HTTP API and its Web UI away from pages that a browser on this machine may show.
 *
 * Rule: neither can be turned off without losing the Web UI, so the HTTP API allows one host name that is not known
 * outside this process, and the UI gets an address of the 16 million loopback addresses where the system has them.
 * Imported by `temporal-server.ts`.
 */
import { randomInt, randomUUID } from 'node:crypto';
import { createServer } from 'node:net';

/** Dynamic configuration: every request to the HTTP API has the wrong `Host`. */
export const closedHttpApi = (): Readonly<Record<string, unknown>> => ({
  'frontend.httpAllowedHosts': [`${randomUUID()}.invalid`],
});

/** A random address of 127.0.0.0/8; `127.0.0.1` where the system has no other (macOS). */
export const unguessableLoopback = async (): Promise<string> => {
  const address = `127.${randomInt(1, 255)}.${randomInt(1, 255)}.${randomInt(1, 255)}`;
  return (await canListenAt(address)) ? address : '127.0.0.1';
};

const canListenAt = (host: string): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host, port: 0 }, () => server.close(() => resolve(true)));
  });
