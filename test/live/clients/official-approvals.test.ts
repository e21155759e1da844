/**
 * A run that waits for a person in the middle of its stream, through the stream helpers of every official client: the event
 * that says so is a second `thread.run.in_progress` with a field that these clients do not know.
 *
 * Rule: a reader below the clients shows that the event was sent; without it the test would prove nothing.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { ApprovalsClient } from '../../../client/http/public.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import { defineTools, openNative, type NativeStack } from '../../support/native-stack.ts';
import { officialClients } from '../../support/official/clients.ts';
import { PYTHON_RELEASES, pythonClient, pythonTitle } from '../../support/python.ts';
import { memoryStore } from '../../support/store.ts';
import { liveTemporal, type LiveTemporal } from '../../support/temporal.ts';

const MODEL = 'scripted:gated';
const program = fileURLToPath(new URL('../../support/official/slow_streams.py', import.meta.url));
const { clients } = await officialClients();

let temporal: LiveTemporal;
let store: Store;
let stack: NativeStack;
const stop = new AbortController();

beforeAll(async () => {
  await Promise.all(PYTHON_RELEASES.map((release) => pythonClient(release)));
  [temporal, store] = await Promise.all([liveTemporal(), memoryStore()]);
  stack = await openNative({
    temporal,
    store,
    engine: { offerTools: 'all' },
    sandbox: {
      scripts: {
        gated: (turn) =>
          turn.round === 0 ? { calls: [{ name: 'pay', arguments: {} }] } : { text: 'It is paid.' },
      },
    },
    tools: defineTools({
      pay: { description: 'Pays', parameters: z.object({}), approval: true, execute: () => 'paid' },
    }),
  });
  const approvals = new ApprovalsClient({ url: stack.url });
  void (async () => {
    for await (const { event, data } of approvals.events({ signal: stop.signal }))
      if (event === 'approval.waiting') await approvals.decide(data.id, { decision: 'approve' });
  })();
}, 600_000);
afterAll(async () => {
  stop.abort();
  await stack.close();
  await store.close();
  await temporal.close();
});

const post = async (path: string, body: unknown): Promise<string> =>
  (
    await fetch(`${stack.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  ).text();

test('the stream itself tells twice that the run is in progress: with what it waits for, and without', async () => {
  const { id } = JSON.parse(await post('/assistants', { model: MODEL })) as { id: string };
  const raw = await post('/threads/runs', { assistant_id: id, stream: true });
  const shown = [...raw.matchAll(/^event: thread\.run\.in_progress\ndata: (.*)$/gm)].map(
    ([, data = '{}']) => (JSON.parse(data) as { awaiting?: unknown[] }).awaiting,
  );
  expect(shown).toEqual([
    undefined,
    [
      {
        call_id: expect.any(String),
        tool: 'pay',
        kind: 'approval',
        on_deadline: 'fail',
        answer_by: expect.any(Number),
      },
    ],
    undefined,
  ]);
});

test.each(clients)('$name streams the run to its end', async ({ Api }) => {
  const openai = new Api({ baseURL: stack.url, apiKey: 'not-needed', maxRetries: 0 });
  const assistant = await openai.beta.assistants.create({ model: MODEL });
  let text = '';
  const stream = openai.beta.threads
    .createAndRunStream({ assistant_id: assistant.id })
    .on('textDelta', (delta) => {
      text += delta.value ?? '';
    });
  expect([(await stream.finalRun()).status, text]).toEqual(['completed', 'It is paid.']);
});

test.each(PYTHON_RELEASES)(
  'openai-python, the %s release, streams the run to its end',
  async (release) => {
    const python = await pythonClient(release);
    const { stdout } = await promisify(execFile)(python.command, [program, MODEL], {
      env: {
        PATH: process.env['PATH'] ?? '',
        ...python.env,
        OPENAI_BASE_URL: stack.url,
        PYTHONWARNINGS: 'ignore',
      },
      timeout: 120_000,
    });
    const outcomes = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(outcomes).toHaveLength(2);
    for (const outcome of outcomes)
      expect([pythonTitle(release), outcome]).toMatchObject([
        pythonTitle(release),
        { text: 'It is paid.', status: 'completed', error: null },
      ]);
  },
  180_000,
);
