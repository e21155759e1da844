/**
 * An MCP server with tools that answer, change the list, hang and end their process. By the official SDK. Tests only.
 *
 * Each call leaves a line in the file at `ledger`: the name of the tool and the process id.
 */
import { McpServer } from '@modelcontextprotocol/server';
import { appendFileSync, readFileSync } from 'node:fs';
import { z } from 'zod';

const text = (words: string) => ({ content: [{ type: 'text' as const, text: words }] });
const readOnly = { annotations: { readOnlyHint: true } };

/** What the ledger at this path says, oldest first. */
export const ledgerLines = (ledger: string): string[] => {
  try {
    return readFileSync(ledger, 'utf8').split('\n').filter(Boolean);
  } catch {
    return [];
  }
};

export const testMcpServer = (ledger: string, onAdd: () => void = () => undefined): McpServer => {
  const server = new McpServer({ name: 'test', version: '1.0.0' });
  const note = (tool: string): number => {
    appendFileSync(ledger, `${tool} ${process.pid}\n`);
    return ledgerLines(ledger).filter((line) => line.startsWith(`${tool} `)).length;
  };
  const add = () => {
    server.registerTool('added', { description: 'Came later.', ...readOnly }, () => text('added'));
  };
  if (ledgerLines(ledger).some((line) => line.startsWith('adds '))) add();

  server.registerTool(
    'read',
    { description: 'Reads.', inputSchema: z.object({ what: z.string().min(2) }), ...readOnly },
    ({ what }) => text(`read ${what}, time ${note('read')}`),
  );
  server.registerTool(
    'write',
    { description: 'Writes.', inputSchema: z.object({ what: z.string() }) },
    ({ what }) => text(`wrote ${what}, time ${note('write')}`),
  );
  server.registerTool('key', { description: 'Says the key.', ...readOnly }, ({ mcpReq }) => {
    const { _meta: meta } = mcpReq;
    return text(String(meta?.['durable-runs/idempotency-key']));
  });
  server.registerTool('image', { description: 'An image.', ...readOnly }, () => ({
    content: [
      { type: 'text', text: 'Look:' },
      { type: 'image', data: Buffer.alloc(1_000).toString('base64'), mimeType: 'image/png' },
    ],
  }));
  server.registerTool('huge', { description: 'A long text.', ...readOnly }, () => text('x'.repeat(400_000)));
  server.registerTool('fails', { description: 'Fails.', ...readOnly }, () => ({
    ...text(`no such order, time ${note('fails')}`),
    isError: true,
  }));
  server.registerTool('hangs', { description: 'Never answers.', ...readOnly }, async ({ mcpReq }) => {
    note('hangs');
    await new Promise((resolve) => mcpReq.signal.addEventListener('abort', resolve, { once: true }));
    note('stopped');
    return text('too late');
  });
  server.registerTool('dies_once', { description: 'Ends its process at first.', ...readOnly }, () => {
    if (note('dies_once') === 1) process.exit(9);
    return text('survived');
  });
  server.registerTool('dies', { description: 'Ends its process.' }, () => {
    note('dies');
    process.exit(9);
  });
  server.registerTool('adds', { description: 'Adds a tool.', ...readOnly }, () => {
    note('adds');
    add();
    onAdd();
    return text('one more');
  });
  return server;
};
