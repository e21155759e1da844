/** Real MCP servers, made with the official SDK: a child over stdio, and streamable HTTP with a bearer token. No Temporal. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  defineTools,
  MadeOutcome,
  NoAnswerError,
  type McpServerOptions,
  type McpServers,
  type ToolContext,
} from '../../../activities/index.ts';
import { makeLog } from '../../../worker/log.ts';
import { startMcpServers, type McpServersHandle } from '../../../worker/mcp/start-servers.ts';
import { serveResumable } from '../../support/mcp/resumable.ts';
import { ledgerLines } from '../../support/mcp/server.ts';
import { serveMcp, stdioOptions } from '../../support/mcp/start.ts';

let dir: string;
let ledger: string;
let log: string[];
const open: { close(): Promise<void> }[] = [];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'mcp-'));
  ledger = join(dir, 'ledger');
  log = [];
});
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close();
  await rm(dir, { recursive: true, force: true });
});

const start = async (mcp: McpServers): Promise<McpServersHandle> => {
  const started = await startMcpServers(defineTools({}, { mcp }), mcp, {
    log: makeLog('debug', { write: (line) => void log.push(line) }),
  });
  open.push(started);
  return started;
};

const call = async (
  { tools }: McpServersHandle,
  name: string,
  args: Record<string, unknown> = {},
  more: Partial<ToolContext> = {},
): Promise<unknown> => {
  const context: ToolContext = {
    idempotencyKey: 'run_1:call_1',
    signal: new AbortController().signal,
    attempt: 1,
    deadline: null,
    heartbeat: () => undefined,
    previous: undefined,
    run: 'run_1',
    thread: 'thread_1',
    assistant: 'asst_1',
    metadata: {},
    ...more,
  };
  return await tools.get(name)?.execute?.(args, context);
};

const started = (): number[] =>
  ledgerLines(ledger)
    .filter((line) => line.startsWith('started '))
    .map((line) => Number(line.split(' ')[1]));

const lives = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

const TOKEN = 'secret-of-tests-42';

describe.each(['stdio', 'http'] as const)('a server over %s', (kind) => {
  const options = async (): Promise<McpServerOptions> => {
    if (kind === 'stdio') return stdioOptions(ledger, { TOKEN });
    const server = await serveMcp(ledger, TOKEN);
    open.push(server);
    return { url: server.url, headers: { authorization: `Bearer ${TOKEN}` } };
  };

  test('its tools are called and their results read as text, with the loss said', async () => {
    const handle = await start({ it: await options() });
    expect(handle.status()).toEqual([{ name: 'it', problem: null, tools: 10, notes: [] }]);
    expect(await call(handle, 'it__read', { what: 'it' })).toBe('read it, time 1');
    expect(await call(handle, 'it__image')).toBe('Look:\n[image left out: "image/png", 1000 bytes]');
    expect(await call(handle, 'it__key')).toBe('run_1:call_1');
    expect(String(await call(handle, 'it__huge'))).toHaveLength(400_000);
    const failed = await call(handle, 'it__fails');
    expect(failed).toBeInstanceOf(MadeOutcome);
    expect((failed as MadeOutcome).outcome).toMatchObject({ ok: false, notes: ['tool_failed'] });
  });

  test('a tool without the read-only mark needs an approval and is called once only', async () => {
    const { tools } = await start({ it: await options() });
    expect(tools.get('it__read')).toMatchObject({ needsApproval: false, policy: { atMostOnce: false } });
    expect(tools.get('it__write')).toMatchObject({
      needsApproval: true,
      policy: { atMostOnce: true, maximumAttempts: 1 },
    });
    expect(tools.get('it__read')?.parameters.safeParse({ what: 'x' }).success).toBe(false);
  });

  test('a tool that comes later is offered, without a restart', async () => {
    const handle = await start({ it: await options() });
    const before = handle.tools.definitions();
    expect(await call(handle, 'it__adds')).toBe('one more');
    await expect.poll(() => handle.tools.names, { timeout: 10_000 }).toContain('it__added');
    expect(handle.tools.definitions()).toHaveLength(before.length + 1);
    expect(await call(handle, 'it__added')).toBe('added');
  });

  test('a call that hangs ends with its signal, and the server is notified', async () => {
    const handle = await start({ it: await options() });
    const stop = new AbortController();
    const hanging = call(handle, 'it__hangs', {}, { signal: stop.signal });
    await expect.poll(() => ledgerLines(ledger).some((line) => line.startsWith('hangs'))).toBe(true);
    stop.abort(new Error('the time is over'));
    await expect(hanging).rejects.toThrow(/time is over|abort/i);
    await expect.poll(() => ledgerLines(ledger).some((line) => line.startsWith('stopped'))).toBe(true);
    expect(await call(handle, 'it__read', { what: 'it' })).toContain('read it');
  });

  test('no secret of its options is in the log', async () => {
    const handle = await start({ it: await options() });
    await call(handle, 'it__read', { what: 'it' });
    expect(log.join('')).toContain('MCP server connected');
    expect(log.join('')).not.toContain(TOKEN);
    expect(log.join('').includes('the token is ***')).toBe(kind === 'stdio');
  });
});

describe('a stdio server that dies', () => {
  test('in the midst of a call, leaves the call without an answer and is started again for the next', async () => {
    const handle = await start({ it: stdioOptions(ledger) });
    await expect(call(handle, 'it__dies_once')).rejects.toBeInstanceOf(NoAnswerError);
    expect(handle.tools.names).toContain('it__dies_once');
    await expect.poll(() => handle.status()[0]?.problem, { timeout: 10_000 }).toBeNull();
    expect(await call(handle, 'it__dies_once')).toBe('survived');
    expect(started()).toHaveLength(2);
  });

  test('between two calls, is started again by the second one', async () => {
    const handle = await start({ it: stdioOptions(ledger) });
    const [pid = 0] = started();
    process.kill(pid, 'SIGKILL');
    await expect.poll(() => handle.status()[0]?.problem).not.toBeNull();
    expect(await call(handle, 'it__read', { what: 'it' })).toBe('read it, time 1');
  });

  test('ends with its worker, also when that is killed', async () => {
    const program = `
      const { startMcpServers } = await import(${JSON.stringify(new URL('../../../worker/mcp/start-servers.ts', import.meta.url).href)});
      const { noTools } = await import(${JSON.stringify(new URL('../../../activities/index.ts', import.meta.url).href)});
      const none = () => undefined;
      await startMcpServers(noTools(), { it: ${JSON.stringify(stdioOptions(ledger))} }, { log: { debug: none, info: none, warn: none, error: none } });
      console.log('ready');
    `;
    const worker = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
      cwd: fileURLToPath(new URL('../../..', import.meta.url)),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => worker.stdout.once('data', resolve));
    const [pid = 0] = started();
    expect(lives(pid)).toBe(true);
    worker.kill('SIGKILL');
    await expect.poll(() => lives(pid), { timeout: 10_000 }).toBe(false);
  });

  test('ends when the servers are closed', async () => {
    const handle = await start({ it: stdioOptions(ledger) });
    const [pid = 0] = started();
    await handle.close();
    expect(lives(pid)).toBe(false);
    await expect(call(handle, 'it__read', { what: 'it' })).rejects.toThrow(/not connected/);
  });
});

describe('an HTTP server that is away', () => {
  test('at the start, is connected when it comes', async () => {
    const first = await serveMcp(ledger, TOKEN);
    await first.close();
    const handle = await start({
      it: { url: first.url, headers: () => ({ authorization: `Bearer ${TOKEN}` }) },
    });
    expect(handle.status()).toEqual([
      { name: 'it', problem: "it can't be reached (ECONNREFUSED)", tools: 0, notes: [] },
    ]);
    expect(handle.tools.unavailable?.('it__read')).toMatch(/"it" is not connected.*ECONNREFUSED/);
    open.push(await serveMcp(ledger, TOKEN, first.port));
    await expect.poll(() => handle.tools.names, { timeout: 15_000 }).toContain('it__read');
    expect(await call(handle, 'it__read', { what: 'it' })).toBe('read it, time 1');
  });

  test('later, fails the calls of the tools that it had, until it is back', async () => {
    const server = await serveMcp(ledger, TOKEN);
    const handle = await start({ it: { url: server.url, headers: { authorization: `Bearer ${TOKEN}` } } });
    await server.close();
    await expect(call(handle, 'it__read', { what: 'it' })).rejects.toThrow(/ECONNREFUSED.*was not sent/);
    expect(handle.tools.names).toContain('it__read');
    open.push(await serveMcp(ledger, TOKEN, server.port));
    await expect
      .poll(() => call(handle, 'it__read', { what: 'it' }).catch(() => null), { timeout: 15_000 })
      .toBe('read it, time 1');
  });

  test('in the midst of a call, leaves the call without an answer', async () => {
    const server = await serveMcp(ledger, TOKEN);
    const handle = await start({ it: { url: server.url, headers: { authorization: `Bearer ${TOKEN}` } } });
    const hanging = call(handle, 'it__hangs').catch((error: unknown) => error);
    await expect.poll(() => ledgerLines(ledger).some((line) => line.startsWith('hangs'))).toBe(true);
    await server.close();
    expect(await hanging).toBeInstanceOf(NoAnswerError);
  });

  test('whose broken stream the client would resume, ends the call as soon as the server is known to be gone', async () => {
    const server = await serveResumable();
    const handle = await start({ it: { url: server.url } });
    const hanging = call(handle, 'it__hangs').catch((error: unknown) => error);
    await expect.poll(() => server.calls()).toBe(1);
    await server.kill();
    expect(await hanging).toBeInstanceOf(NoAnswerError);
  }, 10_000);

  test.each([400, 404])('for this session (%d), gets the call once more in a new one', async (status) => {
    const server = await serveMcp(ledger, TOKEN);
    open.push(server);
    const handle = await start({ it: { url: server.url, headers: { authorization: `Bearer ${TOKEN}` } } });
    server.refuseCall(status);
    expect(await call(handle, 'it__write', { what: 'it' })).toBe('wrote it, time 1');
  });

  test('for this token, says so', async () => {
    const server = await serveMcp(ledger, TOKEN);
    open.push(server);
    const handle = await start({ it: { url: server.url, headers: { authorization: 'Bearer another' } } });
    expect(handle.status()[0]?.problem).toBe('it refuses the credentials (HTTP 401)');
  });
});
