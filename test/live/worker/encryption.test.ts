/**
 * Runs whose payloads are encrypted with the built-in codec, on the Temporal server that `runs dev` starts: what is stored,
 * what the Web UI shows with and without the codec endpoint, and what happens where a key is missing.
 */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { defineTools } from '../../../activities/index.ts';
import { openTemporal, type StackTemporal } from '../../../app/temporal.ts';
import { RunsClient } from '../../../client/index.ts';
import { freePorts } from '../../../dev-server/ports.ts';
import { workflowCode } from '../../../worker/bundle.ts';
import { dataConverterOf } from '../../../worker/data-converter.ts';
import {
  oneRound,
  openAssistants,
  waitingCall,
  type AssistantsStack,
} from '../../support/assistants-stack.ts';
import { silent } from '../../support/native-stack.ts';
import { launchBrowser, RunPage } from '../../support/web-ui.ts';

const env = { RUNS_ENCRYPTION_KEYS: `k1:${'1a'.repeat(32)}` };
const tools = defineTools({
  pay: {
    description: 'Pays.',
    parameters: z.object({ iban: z.string() }),
    needsApproval: true,
    execute: ({ iban }) => `canary-paid ${iban}`,
  },
  break_down: {
    description: 'Fails.',
    parameters: z.object({}),
    retry: { maximumAttempts: 1 },
    execute: () => {
      throw new Error('canary-failure');
    },
  },
});
const scripts = {
  pay: oneRound({ id: 'call_p', name: 'pay', arguments: { iban: 'canary-iban' } }),
  fail: oneRound({ id: 'call_f', name: 'break_down', arguments: {} }),
};

let temporal: StackTemporal;
let stack: AssistantsStack;
let browser: Browser;

beforeAll(async () => {
  const [grpc = 0, ui = 0] = await freePorts(2);
  temporal = await openTemporal({
    env,
    taskQueue: 'runs',
    ports: { grpc: [grpc], ui: [ui] },
    log: silent,
    say: () => undefined,
  });
  const converter = await dataConverterOf(env);
  stack = await openAssistants({
    address: temporal.target.address,
    tools,
    scripts,
    ...converter,
    workflows: await workflowCode(converter),
  });
  browser = await launchBrowser();
}, 120_000);
afterAll(async () => {
  await browser?.close();
  await stack?.close();
  await temporal?.stop();
});

const historyText = async (runId: string): Promise<string> => {
  const { history } = await stack.client.temporal.workflowService.getWorkflowExecutionHistory({
    namespace: 'default',
    execution: { workflowId: runId },
  });
  return textOf(history);
};

/** All strings and bytes of a value. */
const textOf = (value: unknown): string => {
  if (typeof value === 'string') return value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('latin1');
  if (typeof value !== 'object' || value === null) return '';
  return Object.entries(value)
    .map(([key, item]) => `${key} ${textOf(item)}`)
    .join('\n');
};

describe('a history', () => {
  test('holds neither arguments nor outputs nor the messages of failures', async () => {
    const runId = await stack.start('fail', { metadata: { note: 'canary-metadata' } });
    const result = await stack.client.result(runId);
    expect(result.status).toBe('completed');
    expect(JSON.stringify(stack.submitted())).toContain('canary-failure');
    const stored = await historyText(runId);
    expect(stored).toContain('binary/encrypted');
    expect(stored).toContain('Encoded failure');
    expect(stored).not.toContain('canary');
  });

  test('can’t be read by a client without the key, which says what it lacks', async () => {
    const runId = await stack.start('pay');
    await stack.until(runId, waitingCall('call_p'));
    const { address, namespace } = temporal.target;
    for (const [keys, words] of [
      [undefined, 'RUNS_ENCRYPTION_KEYS'],
      [`k2:${'2b'.repeat(32)}`, 'key "k1"; RUNS_ENCRYPTION_KEYS has "k2"'],
    ] as const) {
      const stranger = await RunsClient.connect({
        address,
        namespace,
        env: keys === undefined ? {} : { RUNS_ENCRYPTION_KEYS: keys },
      });
      try {
        await expect(stranger.get(runId)).rejects.toThrow(words);
      } finally {
        await stranger.close();
      }
    }
    await stack.client.cancel(runId);
  });
});

describe('the Web UI', { timeout: 180_000 }, () => {
  test('decrypts a waiting run by the endpoint of "runs dev", and encrypts the answer that is typed there', async () => {
    const runId = await stack.start('pay');
    await stack.until(runId, waitingCall('call_p'));
    const page = await RunPage.open(browser, temporal.uiUrl ?? '', runId);
    try {
      const text = await page.userMetadata();
      expect(text).toMatch(/pay waits for (?:an )?approval/);
      expect(text).toContain('canary-iban');
      expect(await page.offered('update')).toMatch(/answer\s+Answer one call/);
      const [paste = ''] = text.match(/\{\s*"call_id"[^]*?\n\s*\}/g) ?? [];
      expect(await page.update({ name: 'answer', input: paste })).toBeNull();
      const result = await stack.client.result(runId);
      expect(result).toMatchObject({ status: 'completed', calls: [{ callId: 'call_p', ok: true }] });
      const stored = await historyText(runId);
      expect(stored).not.toContain('canary');
      // The name that the pasted answer holds, and no other payload.
      expect(stored).not.toContain('your name');
    } finally {
      await page.close();
    }
  });

  test('says in plain words where the details are, when it has no endpoint', async () => {
    const runId = await stack.start('pay');
    await stack.until(runId, waitingCall('call_p'));
    const context = await browser.newContext();
    await context.route(/\/api\/v1\/settings/, async (route) => {
      const response = await route.fetch();
      const settings = (await response.json()) as Record<string, unknown>;
      await route.fulfill({ response, json: { ...settings, Codec: null } });
    });
    const page = await RunPage.open(context, temporal.uiUrl ?? '', runId);
    try {
      const text = await page.userMetadata();
      expect(text).toContain('These details are encrypted');
      expect(text).not.toContain('canary');
      expect(await page.offered('update')).toContain('answer');
      await page.update({ name: 'answer', input: '{"call_id": "call_p", "decision": "deny", "by": "ann"}' });
      expect(await stack.client.result(runId)).toMatchObject({
        calls: [{ callId: 'call_p', ok: false, by: 'ann' }],
      });
    } finally {
      await context.close();
    }
  });
});

test('a run waits on a worker without the key, and goes on where it is', { timeout: 60_000 }, async () => {
  const { address } = temporal.target;
  const started = await openAssistants({
    address,
    tools,
    scripts,
    ...(await dataConverterOf(env)),
    worker: false,
  });
  const lacking = await openAssistants({
    address,
    tools,
    scripts,
    taskQueue: started.taskQueue,
    ...(await dataConverterOf({ RUNS_ENCRYPTION_KEYS: `k2:${'2b'.repeat(32)}` })),
  });
  try {
    const runId = await started.start('pay');
    const handle = started.client.temporal.workflow.getHandle(runId);
    const hasFailedTask = async (): Promise<boolean> => {
      const { events } = await handle.fetchHistory();
      return (events ?? []).some((event) => event.workflowTaskFailedEventAttributes != null);
    };
    // In the history the message is encrypted with k2.
    await expect.poll(hasFailedTask, { timeout: 20_000 }).toBe(true);
    expect(lacking.logged()).toContain('"keyId":"k1"');
    await lacking.close();
    await started.startWorker();
    await started.until(runId, waitingCall('call_p'));
    await started.client.answer(runId, { call_id: 'call_p', decision: 'deny', by: 'ann' });
    expect((await started.client.result(runId)).status).toBe('completed');
  } finally {
    await started.close();
  }
});
