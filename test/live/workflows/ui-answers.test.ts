/**
 * A person answers a waiting run in Temporal's Web UI: the real UI of the dev server, in headless Chromium, against a real
 * worker. What people get wrong comes first, and must neither block nor end the run.
 */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { demoTools } from '../../../cli/demo/tools.ts';
import { mintId } from '../../../protocol/wire/ids.ts';
import { sandboxWorker, type SandboxWorker } from '../../support/sandbox-worker.ts';
import { launchBrowser, RunPage } from '../../support/web-ui.ts';

let browser: Browser;
let running: SandboxWorker;

beforeAll(async () => {
  browser = await launchBrowser();
  running = await sandboxWorker({ tools: demoTools() });
});
afterAll(async () => {
  await running.close();
  await browser.close();
});

const started = async (assistantId: string): Promise<{ runId: string; callId: string; page: RunPage }> => {
  const runId = mintId('run');
  await running.client.start({ runId, backend: 'assistants', assistantId });
  const { callId } = await running.waiting(runId);
  return { runId, callId, page: await RunPage.open(browser, inject('temporalUiUrl'), runId) };
};

/** The first JSON object to paste on a page that has this in it. */
const toPaste = (text: string, mark: string): string => {
  const blocks = text.match(/\{\s*"call_id"[^]*?\n\s*\}/g) ?? [];
  const block = blocks.find((item) => item.includes(mark));
  if (block === undefined) throw new Error(`The page offers nothing with ${mark}:\n${text}`);
  return block;
};

describe('the page of a waiting run', () => {
  test('shows the call, its deadline, and the text to paste; its dialogs offer the answer', async () => {
    const { runId, callId, page } = await started('asst_weather');
    try {
      const text = await page.userMetadata();
      expect(text).toContain('get_current_weather waits for an output');
      expect(text).toContain(callId);
      expect(text).toContain('"location": "San Francisco, CA"');
      expect(text).toMatch(/answer by \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/);
      expect(JSON.parse(toPaste(text, '"output"'))).toMatchObject({ call_id: callId });
      expect(await page.offered('signal')).toMatch(/answer\s+Answer one call/);
      expect(await page.offered('update')).toMatch(/answer\s+Answer one call/);
    } finally {
      await page.close();
      await running.client.cancel(runId);
    }
  });
});

// Opening a page takes seconds on a busy machine, and each message takes a fresh one.
const PATIENCE = { timeout: 180_000 };

describe('the update dialog', PATIENCE, () => {
  test('refuses invalid input with the reason, and accepts the text that the page offers', async () => {
    const { runId, callId, page } = await started('asst_deploy');
    try {
      expect(await page.update({ name: 'answer', input: '' })).toContain('must be a JSON object');
      expect(await page.update({ name: 'answer', input: '"approve"' })).toContain('must be a JSON object');
      expect(
        await page.update({ name: 'answer', input: '{"call_id": "call_nope", "decision": "approve"}' }),
      ).toContain(callId);
      const wrongKind = await page.update({
        name: 'answer',
        input: `{"call_id": "${callId}", "output": "yes"}`,
      });
      expect(wrongKind).toContain('waits for an approval');
      expect((await running.client.get(runId)).unusable.count).toBe(0);

      const answer = toPaste(await page.userMetadata(), '"approve"');
      expect(await page.update({ name: 'answer', input: answer })).toBeNull();
      const result = await running.client.result(runId);
      expect(result.status).toBe('completed');
      expect(result.calls.find((call) => call.callId === callId)).toMatchObject({
        ok: true,
        by: 'your name',
      });
    } finally {
      await page.close();
    }
  });
});

describe('the signal dialog', PATIENCE, () => {
  test('does no harm with an empty input, a wrong shape or a foreign encoding, and then answers', async () => {
    const { runId, callId, page } = await started('asst_weather');
    try {
      await page.signal({ name: 'answer', input: '' });
      await page.signal({ name: 'answer', input: '"12 degrees"' });
      await page.signal({ name: 'answer', input: '["call", 1]' });
      await page.signal({
        name: 'answer',
        input: `{"call_id": "${callId}", "output": "from a stranger"}`,
        encoding: 'json/protobuf',
      });
      const unused = await running.client.get(runId);
      expect(unused).toMatchObject({ status: 'requires_action', unusable: { count: 4 } });
      expect(await page.userMetadata()).toContain('4 signals could not be used');

      const output = 'Twelve degrees, light rain.';
      await page.signal({ name: 'answer', input: JSON.stringify({ call_id: callId, output, by: 'ada' }) });
      const result = await running.client.result(runId);
      expect(result).toMatchObject({ status: 'completed', calls: [{ callId, ok: true, by: 'ada' }] });
      const submitted = running.sandbox.requests.filter(({ path }) => path.endsWith('/submit_tool_outputs'));
      expect(JSON.stringify(submitted.map(({ body }) => body))).toContain(output);
    } finally {
      await page.close();
    }
  });
});
