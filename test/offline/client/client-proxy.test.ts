/** Proxies that the environment names: Temporal is reached without them. */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import { openConnection, temporalTarget } from '../../../client/connect.ts';

const NAMES = ['grpc_proxy', 'http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY'];

afterEach(() => void vi.unstubAllEnvs());

/** Accepts connections, says nothing, and counts them. */
const silentServer = async (): Promise<{ server: Server; port: number; sockets: Socket[] }> => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    sockets.push(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port, sockets };
};

test('a connection goes to Temporal itself, with any proxy in the environment', async () => {
  const [temporal, proxy] = await Promise.all([silentServer(), silentServer()]);
  for (const name of NAMES) vi.stubEnv(name, `http://127.0.0.1:${proxy.port}`);
  const reached = once(temporal.server, 'connection');
  const opening = openConnection(temporalTarget({ address: `127.0.0.1:${temporal.port}`, env: {} }), {
    timeoutMs: 500,
  }).catch((error: unknown) => error);
  await reached;
  expect(await opening).toMatchObject({ code: 'temporal_unavailable' });
  expect(proxy.sockets).toHaveLength(0);
  for (const { server, sockets } of [temporal, proxy]) {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  }
});
