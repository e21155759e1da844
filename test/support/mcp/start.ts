/** Starts the test server, over stdio or HTTP, as options of a worker name it. Tests only. */
import { serve } from '@hono/node-server';
import { createMcpHandler } from '@modelcontextprotocol/server';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { McpServerOptions } from '../../../activities/index.ts';
import { testMcpServer } from './server.ts';

export const stdioOptions = (ledger: string, env: Record<string, string> = {}): McpServerOptions => ({
  command: process.execPath,
  args: ['--import', 'tsx', fileURLToPath(new URL('stdio.ts', import.meta.url))],
  env: { LEDGER: ledger, ...env },
});

export interface HttpMcpServer {
  url: string;
  port: number;
  /** The next call gets this status, as from a server that does not know its session. */
  refuseCall(status: number): void;
  close(): Promise<void>;
}

/** Answers requests with this bearer token only. */
export const serveMcp = async (ledger: string, token: string, port = 0): Promise<HttpMcpServer> => {
  const handler = createMcpHandler(() => testMcpServer(ledger, () => handler.notify.toolsChanged()));
  let refused: number | null = null;
  const server = serve({
    fetch: async (request: Request) => {
      if (refused !== null && (await request.clone().text()).includes('"tools/call"')) {
        const status = refused;
        refused = null;
        return new Response('no session', { status });
      }
      return request.headers.get('authorization') === `Bearer ${token}`
        ? handler.fetch(request)
        : new Response('no', { status: 401 });
    },
    hostname: '127.0.0.1',
    port,
  });
  await new Promise((resolve) => server.once('listening', resolve));
  const bound = (server.address() as AddressInfo).port;
  return {
    url: `http://127.0.0.1:${bound}/mcp`,
    port: bound,
    refuseCall: (status) => {
      refused = status;
    },
    close: async () => {
      const ended = new Promise((resolve) => server.close(resolve));
      if ('closeAllConnections' in server) server.closeAllConnections();
      await handler.close();
      await ended;
    },
  };
};
