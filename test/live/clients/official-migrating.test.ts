/**
 * docs/how-to/migrate-a-program.md as it is printed: the lines for the official Node and Python clients, and the changed lines of its examples, run
 * against the server. The lines of the other libraries are in their programs (`test/clients/`).
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';
import { migratingDiffs, migratingRows } from '../../support/migrating.ts';
import { openOfficial, type OfficialServer } from '../../support/official/server.ts';
import { pythonClient, type PythonClient } from '../../support/python.ts';
import { ROOT } from '../../support/sources.ts';
import { openTlsProxy, type TlsProxy } from '../../support/tls-proxy.ts';

guardAgainstLeaks();

const KEY = 'key-of-the-migrated-program-0123456789';

let dir: string;
let server: OfficialServer;
let proxy: TlsProxy;
let python: PythonClient;

// Installing the Python client may take minutes, once.
beforeAll(async () => {
  // Below the checkout, where the imports are found as in a project that has installed them.
  await mkdir(join(ROOT, '.cache'), { recursive: true });
  [dir, python, server] = await Promise.all([
    mkdtemp(join(ROOT, '.cache', 'migrating-')),
    pythonClient(),
    openOfficial({ env: { RUNS_API_KEYS: `migrated:${KEY}` } }),
  ]);
  proxy = await openTlsProxy(server.url);
}, 600_000);
afterAll(async () => {
  await proxy?.close();
  await server?.close();
  await rm(dir, { recursive: true, force: true });
});

/** The server of this test in the place of the printed addresses. */
const addressed = (code: string): string =>
  code.replaceAll('http://127.0.0.1:8787/v1', server.url).replaceAll('https://runs.example', proxy.url);

const run = async (command: string, name: string, lines: readonly string[], env = {}): Promise<string> => {
  const file = join(dir, name);
  await writeFile(file, addressed(lines.join('\n')));
  const { stdout } = await promisify(execFile)(command, [file], {
    env: { PATH: process.env['PATH'] ?? '', RUNS_API_KEY: KEY, ...env },
    timeout: 60_000,
  });
  return stdout.trim();
};

/** A run on the client that the line makes; prints its status. */
const inNode = (line: string, rest = CONVERSE_NODE): Promise<string> =>
  run(process.execPath, 'program.mjs', [
    "import OpenAI from 'openai';",
    `const [URL, KEY] = [${JSON.stringify(server.url)}, ${JSON.stringify(KEY)}];`,
    line,
    rest,
  ]);
const CONVERSE_NODE = `
  const assistant = await client.beta.assistants.create({ model: 'scripted:chat' });
  const run = await client.beta.threads.createAndRunPoll({
    assistant_id: assistant.id,
    thread: { messages: [{ role: 'user', content: 'Hello' }] },
  });
  console.log(run.status);
`;
const inPython = (line: string): Promise<string> =>
  run(
    python.command,
    'program.py',
    [
      'import os',
      'from openai import AzureOpenAI, OpenAI',
      `URL, KEY = ${JSON.stringify(server.url)}, ${JSON.stringify(KEY)}`,
      line,
      'beta = client.beta',
      'assistant = beta.assistants.create(model="scripted:chat")',
      'thread = {"messages": [{"role": "user", "content": "Hello"}]}',
      'run = beta.threads.create_and_run_poll(assistant_id=assistant.id, thread=thread)',
      'print(run.status)',
    ],
    { ...python.env, SSL_CERT_FILE: proxy.certificate },
  );

const rowOf = (language: string): string => {
  const row = migratingRows().find((each) => each.library === 'openai' && each.language === language);
  return row?.code[0] ?? '';
};
const added = (what: string): string =>
  migratingDiffs().find((diff) => diff.added.includes(what))?.added ?? '';

test('the row of the Node client completes a run', async () => {
  expect(await inNode(`const client = ${rowOf('JavaScript')};`)).toBe('completed');
});

test('the row of the Python client completes a run', async () => {
  expect(await inPython(`client = ${rowOf('Python')}`)).toBe('completed');
});

test('the changed line of the Node client completes a run', async () => {
  expect(await inNode(added('new OpenAI('))).toBe('completed');
});

test('the changed line of the Python client completes a run', async () => {
  expect(await inPython(added('client = OpenAI('))).toBe('completed');
});

test('the changed line of the Python client for Azure completes a run through a TLS proxy', async () => {
  expect(await inPython(added('AzureOpenAI('))).toBe('completed');
});

const createTutor = (line = ''): string => `
  const tutor = await client.beta.assistants
    .create({ model: 'scripted:auto', name: 'Math Tutor', ${line} })
    .catch((error) => error);
`;

test("the vendor's example: its tool is refused with the way on, the tool in its place is called", async () => {
  const diff = migratingDiffs().find(({ removed }) => removed.includes('code_interpreter'));
  const client = added('new OpenAI(');
  const refused = await inNode(
    client,
    `${createTutor(diff?.removed)} console.log(tutor.status, tutor.message);`,
  );
  expect(refused).toMatch(/^400 .*'function'.*\/docs\/how-to\/migrate-a-program\.md#what-there-is-not/);
  const called = await inNode(
    client,
    `${createTutor(diff?.added)}
    const run = await client.beta.threads.createAndRunPoll({
      assistant_id: tutor.id,
      thread: { messages: [{ role: 'user', content: 'What is 2 + 2?' }] },
    });
    console.log(run.status, run.required_action.submit_tool_outputs.tool_calls[0].function.name);`,
  );
  expect(called).toBe('requires_action calculate');
});
