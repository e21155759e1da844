/**
 * Free TCP ports on the loopback interface.
 *
 * Rule: ports that are asked for together are held together until all are known, so no two of them are
 * equal. Another process may take a port before the server binds it: code that starts a server on a
 * port chosen here must be ready to choose again. Anybody in `cli/` and `test/` may import this.
 */
import { createServer, type Server } from 'node:net';

const LOOPBACK = '127.0.0.1';

/** `count` different ports that were free on 127.0.0.1 a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const held: Server[] = [];
  try {
    for (let i = 0; i < count; i++) held.push(await hold());
    return held.map(portOf);
  } finally {
    await Promise.all(held.map(release));
  }
}

export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  if (port === undefined) throw new Error('No free TCP port on 127.0.0.1: the kernel gave none.');
  return port;
}

function hold(): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host: LOOPBACK, port: 0 }, () => resolve(server));
  });
}

function release(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') {
    throw new Error(`A TCP server has no port: its address is ${JSON.stringify(address)}.`);
  }
  return address.port;
}
