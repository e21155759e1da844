/**
 * An MCP server over HTTP whose call streams can be resumed, as servers of the first SDK line send them. Its tool `hangs`
 * never answers. Tests only.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';

interface Request {
  id?: number;
  method: string;
  params?: { protocolVersion?: string };
}

const TOOL = { name: 'hangs', inputSchema: { type: 'object' }, annotations: { readOnlyHint: true } };

const resultOf = ({ method, params }: Request): object | null => {
  if (method === 'tools/list') return { tools: [TOOL] };
  if (method !== 'initialize') return null;
  return {
    protocolVersion: params?.protocolVersion ?? '2025-06-18',
    capabilities: { tools: {} },
    serverInfo: { name: 'resumable', version: '1.0.0' },
  };
};

/** `calls` counts the calls that hang; `kill` ends server and connections at once. */
export const serveResumable = async () => {
  let calls = 0;
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (request.method !== 'POST') return void response.writeHead(405).end();
    const message = (await json(request)) as Request;
    if (message.id === undefined) return void response.writeHead(202).end();
    if (message.method === 'tools/call') {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'mcp-session-id': 's1' });
      // An event with an id and no data: from here on the client resumes a broken stream instead of giving the call up.
      response.write('id: 1\ndata:\n\n');
      calls += 1;
      return;
    }
    const result = resultOf(message);
    const body =
      result === null ? { error: { code: -32601, message: `no method ${message.method}` } } : { result };
    response.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 's1' });
    response.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, ...body }));
  };
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    calls: () => calls,
    async kill(): Promise<void> {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
};
