/** Runs that use MCP servers: a child over stdio and an HTTP server, by the official SDK, on a real worker. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { defineTools } from '../../../activities/index.ts';
import {
  oneRound,
  openAssistants,
  waitingCall,
  type AssistantsStack,
} from '../../support/assistants-stack.ts';
import { ledgerLines } from '../../support/mcp/server.ts';
import { serveMcp, stdioOptions, type HttpMcpServer } from '../../support/mcp/start.ts';

const TOKEN = 'secret-of-tests-42';
const SOON = { initialInterval: 100, maximumAttempts: 3 };

let dir: string;
let ledger: string;
let remote: HttpMcpServer;
let stack: AssistantsStack;

const calls = (tool: string): number =>
  ledgerLines(ledger).filter((line) => line.startsWith(`${tool} `)).length;

/** Runs the script to its end: what the model read for the call. */
const outputOf = async (runId: string, callId: string): Promise<string> => {
  const { status } = await stack.client.result(runId);
  expect(status).toBe('completed');
  return stack.submitted().find((outputs) => callId in outputs)?.[callId] ?? '';
};

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'mcp-live-'));
  ledger = join(dir, 'ledger');
  remote = await serveMcp(ledger, TOKEN);
  const gone = await serveMcp(ledger, TOKEN);
  await gone.close();
  const headers = { authorization: `Bearer ${TOKEN}` };
  const mcp = {
    local: {
      ...stdioOptions(ledger, { TOKEN }),
      tools: {
        dies: { needsApproval: false },
        dies_once: { retry: SOON },
        hangs: { timeout: '1s', retry: { maximumAttempts: 1 } },
        huge: { maxOutputBytes: 1_000 },
      },
    },
    remote: { url: remote.url, headers, toolDefaults: { retry: SOON } },
    gone: { url: gone.url, headers },
  };
  const scripts = {
    read: oneRound(
      { id: 'read', name: 'local__read', arguments: { what: 'this' } },
      { id: 'image', name: 'remote__image' },
      { id: 'huge', name: 'local__huge' },
      { id: 'fails', name: 'local__fails' },
      { id: 'wrong', name: 'local__read', arguments: { what: 'x' } },
    ),
    write: oneRound({ id: 'write', name: 'local__write', arguments: { what: 'this' } }),
    dies_once: oneRound({ id: 'dies_once', name: 'local__dies_once' }),
    dies: oneRound({ id: 'dies', name: 'local__dies' }),
    hangs: oneRound({ id: 'hangs', name: 'local__hangs' }),
    gone: oneRound(
      { id: 'gone', name: 'gone__read', arguments: { what: 'this' } },
      { id: 'none', name: 'local__none' },
    ),
    away: oneRound({ id: 'away', name: 'remote__read', arguments: { what: 'this' } }),
    adds: oneRound({ id: 'adds', name: 'local__adds' }),
  };
  stack = await openAssistants({
    address: inject('temporalAddress'),
    tools: defineTools({}, { mcp }),
    scripts,
    declares: [
      ...['read', 'write', 'huge', 'fails', 'dies_once', 'dies', 'hangs', 'none', 'adds'].map(
        (name) => `local__${name}`,
      ),
      'remote__image',
      'remote__read',
      'gone__read',
    ],
  });
});
afterAll(async () => {
  await stack.close();
  await remote.close();
  await rm(dir, { recursive: true, force: true });
});

test('read-only tools run at once, and the model reads text, losses and errors', async () => {
  const runId = await stack.start('read');
  expect(await outputOf(runId, 'read')).toBe('read this, time 1');
  expect(await outputOf(runId, 'image')).toBe('Look:\n[image left out: "image/png", 1000 bytes]');
  expect(await outputOf(runId, 'huge')).toMatch(/^x{900,}\n\[truncated: the first \d+ of 400000 bytes\]$/);
  expect(await outputOf(runId, 'fails')).toContain('no such order, time 1');
  expect(await outputOf(runId, 'wrong')).toContain('invalid_arguments');
  expect(calls('fails')).toBe(1);
});

test('a tool that is not marked read-only waits for an approval, then runs', async () => {
  const runId = await stack.start('write');
  await stack.until(runId, waitingCall('write'));
  expect(calls('write')).toBe(0);
  await stack.client.answer(runId, { call_id: 'write', decision: 'approve' });
  expect(await outputOf(runId, 'write')).toBe('wrote this, time 1');
});

test('a server that dies in the midst of a call is started again, and a repeatable call with it', async () => {
  expect(await outputOf(await stack.start('dies_once'), 'dies_once')).toBe('survived');
  expect(calls('dies_once')).toBe(2);
});

test('a call that may have had an effect is not repeated when its server dies', async () => {
  const output = await outputOf(await stack.start('dies'), 'dies');
  expect(output).toContain('outcome_unknown');
  expect(calls('dies')).toBe(1);
});

test('a server that hangs costs the time of one attempt', async () => {
  expect(await outputOf(await stack.start('hangs'), 'hangs')).toContain('tool_failed');
});

test('a server that never came, and a tool that it does not have, are errors that the model reads', async () => {
  const runId = await stack.start('gone');
  expect(await outputOf(runId, 'gone')).toMatch(/\\"gone\\" is not connected.*ECONNREFUSED/);
  expect(await outputOf(runId, 'none')).toMatch(/has no tool \\"local__none\\"/);
});

test('a changed list is offered from then on', async () => {
  await outputOf(await stack.start('adds'), 'adds');
  await expect
    .poll(async () => (await stack.client.tools()).map(({ definition }) => definition.function.name), {
      timeout: 15_000,
    })
    .toContain('local__added');
});

test('a server that goes away fails its calls after their retries, and is listed as away', async () => {
  await remote.close();
  const output = await outputOf(await stack.start('away'), 'away');
  expect(output).toMatch(/\\"remote\\" .*(ECONNREFUSED|not connected)/);
  const { servers } = await stack.client.toolList();
  expect(servers.find(({ name }) => name === 'remote')).toMatchObject({ tools: 10 });
  expect(servers.find(({ name }) => name === 'remote')?.problem).toContain('ECONNREFUSED');
  expect(stack.logged()).not.toContain(TOKEN);
});
