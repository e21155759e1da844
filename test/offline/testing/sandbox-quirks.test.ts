/**
 * Quirks that change only how an answer is written: each alone, in JSON and in streams, and none of them by default.
 */
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createSandbox, noQuirks, scriptCatalogue } from '../../../testing/index.ts';
import type { Sandbox } from '../../../testing/index.ts';
import { call, stream } from '../../support/http.ts';

let sandbox: Sandbox;
let path: string;
beforeEach(async () => {
  sandbox = await createSandbox({ listen: false });
  const { body } = await call(sandbox.fetch, 'POST', '/v1/threads/runs', { assistant_id: 'asst_weather' });
  const { id, thread_id: thread } = body as { id: string; thread_id: string };
  path = `/v1/threads/${thread}/runs/${id}`;
});
afterEach(() => sandbox.close());

const run = async (): Promise<Record<string, unknown>> =>
  (await call(sandbox.fetch, 'GET', path)).body as Record<string, unknown>;
const events = () =>
  stream(sandbox.fetch, 'POST', '/v1/threads/runs', { assistant_id: 'asst_chat', stream: true });

describe('the shape of answers', () => {
  test('has times in milliseconds with millisecondTimes', async () => {
    const before = await run();
    sandbox.quirks.millisecondTimes = true;
    expect((await run())['created_at']).toBe(Number(before['created_at']) * 1000);
    const listed = await call(sandbox.fetch, 'GET', path.replace(/\/run_.*$/, ''));
    expect((listed.body as { data: Record<string, unknown>[] }).data[0]?.['created_at']).toBe(
      Number(before['created_at']) * 1000,
    );
    const [first] = await events();
    expect(first).toMatchObject({ data: { created_at: expect.any(Number) } });
    expect(JSON.stringify(first?.data)).toMatch(/"created_at":\d{13}\b/);
  });

  test('may lack required_action, have an empty one, or one of an unknown kind', async () => {
    expect(await run()).toMatchObject({ required_action: null });
    sandbox.quirks.absentRequiredAction = true;
    expect(await run()).not.toHaveProperty('required_action');
    sandbox.quirks.absentRequiredAction = false;
    sandbox.quirks.emptyRequiredAction = true;
    expect(await run()).toMatchObject({ required_action: {} });
    sandbox.quirks.unknownAction = 'submit_tool_approval';
    sandbox.clock.advance(1);
    expect(await run()).toMatchObject({
      status: 'requires_action',
      required_action: { type: 'submit_tool_approval', submit_tool_approval: {} },
    });
  });

  test('has unknownStatus in the place of in_progress, in streams too', async () => {
    sandbox.quirks.unknownStatus = 'daydreaming';
    const statuses = (await events()).map(({ data }) => (data as { status?: string }).status);
    expect(statuses).toContain('daydreaming');
    expect(statuses).toContain('completed');
  });

  test('lacks what noPollHint, noDone and noStreaming name', async () => {
    expect((await call(sandbox.fetch, 'GET', path)).headers.has('openai-poll-after-ms')).toBe(true);
    sandbox.quirks.noPollHint = true;
    expect((await call(sandbox.fetch, 'GET', path)).headers.has('openai-poll-after-ms')).toBe(false);
    sandbox.quirks.noDone = true;
    expect((await events()).map(({ event }) => event)).not.toContain('done');
    sandbox.quirks.noStreaming = true;
    const plain = await call(sandbox.fetch, 'POST', '/v1/threads/runs', {
      assistant_id: 'asst_chat',
      stream: true,
    });
    expect(plain.headers.get('content-type')).toBe('application/json');
    expect(plain.body).toMatchObject({ object: 'thread.run', status: 'queued' });
  });

  test('noRetryRecognition refuses a repeat of an accepted submit like any other', async () => {
    sandbox.clock.advance(1);
    const waiting = (await run()) as {
      required_action: { submit_tool_outputs: { tool_calls: { id: string }[] } };
    };
    const body = {
      tool_outputs: waiting.required_action.submit_tool_outputs.tool_calls.map(({ id }) => ({
        tool_call_id: id,
        output: 'x',
      })),
    };
    const submit = (headers: Record<string, string>) =>
      call(sandbox.fetch, 'POST', `${path}/submit_tool_outputs`, body, headers);
    const retry = { 'x-stainless-retry-count': '1' };
    expect((await submit({})).status).toBe(200);
    expect((await submit(retry)).status).toBe(200);
    expect((await submit({ 'idempotency-key': 'k' })).status).toBe(200);
    expect((await submit({})).body).toMatchObject({
      error: { message: expect.stringMatching(/do not accept tool outputs\.$/) },
    });
    sandbox.quirks.noRetryRecognition = true;
    expect((await submit(retry)).status).toBe(400);
  });

  test('all are off at first', () => {
    expect(sandbox.quirks).toEqual(noQuirks());
    expect(
      Object.values(noQuirks()).every((value) => value === false || value === null || value === 'fresh'),
    ).toBe(true);
  });
});

describe('docs/how-to/test-against-the-sandbox.md', () => {
  const document = readFileSync(
    new URL('../../../docs/how-to/test-against-the-sandbox.md', import.meta.url),
    'utf8',
  );

  test('names every quirk and every built-in script', () => {
    const named = new Set([...document.matchAll(/`(\w+)(?::[^`]*|\[[^`]*)?`/g)].map((match) => match[1]));
    for (const name of [...Object.keys(noQuirks()), ...scriptCatalogue().keys()])
      expect([name, named.has(name)]).toEqual([name, true]);
  });
});
