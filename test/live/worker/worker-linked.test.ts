/** Late answers start linked runs; a data converter reaches everything that is stored. Real server, real worker. */
import { METADATA_ENCODING_KEY, type PayloadCodec } from '@temporalio/common';
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { describe, expect, inject, test } from 'vitest';
import { z } from 'zod';
import { defineTools } from '../../../activities/index.ts';
import { METADATA, followUpWorkflowId, type FollowUpResult } from '../../../protocol/index.ts';
import { oneRound, openAssistants, waitingCall } from '../../support/assistants-stack.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';

guardAgainstLeaks();

const tools = defineTools({
  ask: {
    description: 'Asks.',
    parameters: z.object({ q: z.string() }),
    external: true,
    onDeadline: 'follow-up',
  },
});
const scripts = { ask: oneRound({ id: 'call_a', name: 'ask', arguments: { q: 'canary-argument' } }) };

test(
  'an answer that comes after the deadline starts a linked run that carries it',
  { timeout: 120_000 },
  async () => {
    // The margin before the expiry is when the run goes on without the answer.
    const stack = await openAssistants({
      address: inject('temporalAddress'),
      tools,
      scripts: {
        ask: ({ round, messages }) =>
          round > 0 || messages.some(({ text }) => text.includes('late but true'))
            ? { text: 'fine' }
            : { calls: [{ id: 'call_a', name: 'ask', arguments: { q: 'still there?' } }] },
      },
      expiresInSeconds: 12,
    });
    try {
      const runId = await stack.start('ask', { metadata: { tenant: 'a' } });
      await stack.until(runId, waitingCall('call_a'));
      const result = await stack.client.result(runId);
      expect(result).toMatchObject({ status: 'completed', followUp: followUpWorkflowId(runId) });

      const reply = await stack.client.answer(runId, {
        call_id: 'call_a',
        output: 'late but true',
        by: 'ann',
      });
      expect(reply).toMatchObject({ call_id: 'call_a', result: 'accepted' });
      const handle = stack.client.temporal.workflow.getHandle(followUpWorkflowId(runId));
      const { linkedRuns, unanswered } = (await handle.result()) as FollowUpResult;
      expect(unanswered).toEqual([]);
      expect(linkedRuns).toHaveLength(1);
      // The reply names the run that carries it, and so does the ended run afterwards.
      expect(reply.follow_up_run_id).toBe(linkedRuns[0]);
      expect(await stack.client.followUpRuns(runId)).toEqual([
        { callId: 'call_a', runId: linkedRuns[0], started: true },
      ]);
      expect(await stack.client.followUpRuns(linkedRuns[0] ?? '')).toEqual([]);
      expect(await stack.client.origin(linkedRuns[0] ?? '')).toEqual({ runId, callIds: ['call_a'] });
      expect(await stack.client.origin(runId)).toBeNull();
      const linked = await stack.client.result(linkedRuns[0] ?? '');
      expect(linked).toMatchObject({ status: 'completed', threadId: result.threadId });
      const created = stack.sandbox.requests.findLast(
        ({ method, path }) => method === 'POST' && path.endsWith('/runs'),
      );
      expect(created?.body).toMatchObject({
        metadata: { tenant: 'a', [METADATA.followUpOf]: runId },
        additional_messages: [{ role: 'user', content: expect.stringContaining('late but true') as string }],
      });
    } finally {
      await stack.close();
    }
  },
);

/** AES-256-GCM over whole payloads, as users write it. */
const codec = (key: Buffer): PayloadCodec => ({
  encode: async (payloads) =>
    payloads.map((payload) => {
      const iv = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', key, iv);
      const text = JSON.stringify({
        metadata: Object.entries(payload.metadata ?? {}).map(([name, value]) => [
          name,
          Buffer.from(value).toString('base64'),
        ]),
        data: Buffer.from(payload.data ?? []).toString('base64'),
      });
      const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
      return {
        metadata: { [METADATA_ENCODING_KEY]: Buffer.from('binary/encrypted') },
        data: Buffer.concat([iv, cipher.getAuthTag(), body]),
      };
    }),
  decode: async (payloads) =>
    payloads.map((payload) => {
      const bytes = Buffer.from(payload.data ?? []);
      if (Buffer.from(payload.metadata?.[METADATA_ENCODING_KEY] ?? []).toString() !== 'binary/encrypted')
        return payload;
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12));
      decipher.setAuthTag(bytes.subarray(12, 28));
      const text = Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString('utf8');
      const parsed = JSON.parse(text) as { metadata: [string, string][]; data: string };
      return {
        metadata: Object.fromEntries(
          parsed.metadata.map(([name, value]) => [name, Buffer.from(value, 'base64')]),
        ),
        data: Buffer.from(parsed.data, 'base64'),
      };
    }),
});

describe('a data converter on worker and client', () => {
  test('encrypts arguments, answers and results wherever Temporal keeps them', async () => {
    const stack = await openAssistants({
      address: inject('temporalAddress'),
      tools,
      scripts,
      dataConverter: { payloadCodecs: [codec(randomBytes(32))] },
    });
    try {
      const runId = await stack.start('ask', { metadata: { note: 'canary-metadata' } });
      const waiting = await stack.until(runId, waitingCall('call_a'));
      expect(waiting.calls[0]?.arguments).toContain('canary-argument');
      await stack.client.answer(runId, { call_id: 'call_a', output: 'canary-output' });
      const result = await stack.client.result(runId);
      expect(result.status).toBe('completed');
      expect(stack.submitted()).toEqual([{ call_a: 'canary-output' }]);

      const history = await stack.client.temporal.workflowService.getWorkflowExecutionHistory({
        namespace: 'default',
        execution: { workflowId: runId },
      });
      const stored = textOf(history.history);
      expect(stored).toContain('binary/encrypted');
      expect(stored).not.toContain('canary');
    } finally {
      await stack.close();
    }
  });
});

/** All strings and bytes of a history, as whoever reads the database would see them. */
const textOf = (value: unknown): string => {
  if (typeof value === 'string') return value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('latin1');
  if (typeof value !== 'object' || value === null) return '';
  return Object.entries(value)
    .map(([key, item]) => `${key} ${textOf(item)}`)
    .join('\n');
};
