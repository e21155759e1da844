/**
 * Streams that take long, through the stream helpers of every official client: one that is silent for longer than the
 * server's keep-alive interval of 15 s, and one that drips for longer than it.
 *
 * Rule: all streams run at the same time, so that the file takes as long as the slowest one. A reader below the clients
 * shows that the keep-alive was sent; without it the test would prove nothing.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';
import { officialClients, type OpenAI } from '../../support/official/clients.ts';
import { openOfficial, type OfficialServer } from '../../support/official/server.ts';
import { PYTHON_RELEASES, pythonClient, pythonTitle, type PythonRelease } from '../../support/python.ts';

guardAgainstLeaks({ ignore: ['TCPSocketWrap', 'Timeout'] });

const SLOW = [
  { name: 'silent for 17 s', model: 'scripted:words:2x17000', words: 2, keptAlive: true },
  { name: 'dripping for 20 s', model: 'scripted:words:21x1000', words: 21, keptAlive: false },
];
const PYTHON_CLIENTS = ['blocking', 'asynchronous'];
const program = fileURLToPath(new URL('../../support/official/slow_streams.py', import.meta.url));
const { clients } = await officialClients();

interface Outcome {
  text: string;
  status: string;
  error?: string | null;
}

let server: OfficialServer;
const outcomes = new Map<string, Outcome>();
const raw = new Map<string, string>();

const wordsOf = (count: number): string =>
  Array.from({ length: count }, (_, index) => `word${index + 1}`).join(' ');

const post = async (path: string, body: unknown): Promise<Response> =>
  fetch(`${server.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

const readRaw = async (model: string): Promise<void> => {
  const { id } = (await (await post('/assistants', { model })).json()) as { id: string };
  raw.set(model, await (await post('/threads/runs', { assistant_id: id, stream: true })).text());
};

const streamNode = async (name: string, Api: typeof OpenAI, model: string): Promise<void> => {
  const openai = new Api({ baseURL: server.url, apiKey: 'not-needed', maxRetries: 0 });
  const assistant = await openai.beta.assistants.create({ model });
  let text = '';
  const stream = openai.beta.threads
    .createAndRunStream({ assistant_id: assistant.id })
    .on('textDelta', (delta) => {
      text += delta.value ?? '';
    });
  const { status } = await stream.finalRun();
  outcomes.set(`${name} ${model}`, { text, status });
};

const streamPython = async (release: PythonRelease): Promise<void> => {
  const python = await pythonClient(release);
  const models = SLOW.map(({ model }) => model);
  const { stdout } = await promisify(execFile)(python.command, [program, ...models], {
    env: {
      PATH: process.env['PATH'] ?? '',
      ...python.env,
      OPENAI_BASE_URL: server.url,
      PYTHONWARNINGS: 'ignore',
    },
    timeout: 120_000,
  });
  for (const line of stdout.trim().split('\n')) {
    const { name, ...outcome } = JSON.parse(line) as Outcome & { name: string };
    outcomes.set(`${pythonTitle(release)} ${name}`, outcome);
  }
};

// Installing the Python clients may take minutes, once.
beforeAll(async () => {
  await Promise.all(PYTHON_RELEASES.map((release) => pythonClient(release)));
  server = await openOfficial();
  await Promise.all([
    ...SLOW.flatMap(({ model }) => [
      readRaw(model),
      ...clients.map(({ name, Api }) => streamNode(name, Api, model)),
    ]),
    ...PYTHON_RELEASES.map(streamPython),
  ]);
}, 600_000);
afterAll(() => server.close());

const titles = [
  ...clients.map(({ name }) => name),
  ...PYTHON_RELEASES.flatMap((release) =>
    PYTHON_CLIENTS.map((client) => `${pythonTitle(release)} ${client}`),
  ),
];

describe.each(SLOW)('a stream that is $name', ({ model, words, keptAlive }) => {
  test('carries a keep-alive comment only when it is silent for longer than the interval', () => {
    expect(raw.get(model)).toContain('event: done');
    expect(raw.get(model)?.includes('\n: keep-alive\n')).toBe(keptAlive);
  });

  test.each(titles)('reaches its end in %s', (title) => {
    expect(outcomes.get(`${title} ${model}`)).toMatchObject({ text: wordsOf(words), status: 'completed' });
  });
});
