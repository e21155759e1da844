import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AnswerMeter } from '../../../backends/answer-meter.ts';
import { readReport } from '../../../backends/models/openai-compatible/error-report.ts';
import { errorOf } from '../../../backends/models/openai-compatible/failures.ts';
import { reasonClass } from '../../../backends/models/openai-compatible/finish-reasons.ts';
import { FrameReader, type AnswerFrame } from '../../../backends/models/openai-compatible/framing.ts';
import { adjustmentFor } from '../../../backends/models/openai-compatible/refusals.ts';
import { requestBody } from '../../../backends/models/openai-compatible/request.ts';
import { modelRequest, tool } from '../../support/model-turn.ts';

test('finish reasons mean the same in every spelling', () => {
  const spellings = {
    stop: ['stop', 'end_turn', 'eos_token', 'tool_use'],
    length: ['length', 'max_tokens', 'model_length'],
    content_filter: ['content_filter', 'safety', 'prohibited_content'],
    broken: ['network_error', 'insufficient_system_resource', 'abort'],
  };
  const words = fc.constantFrom(
    ...Object.entries(spellings).flatMap(([meaning, list]) => list.map((word) => [meaning, word] as const)),
  );
  fc.assert(
    fc.property(
      words,
      fc.constantFrom('', 'finish_reason_', 'FinishReason.'),
      fc.constantFrom('_', '-', ' '),
      fc.boolean(),
      ([meaning, word], prefix, gap, upper) => {
        const spelled = prefix + word.replaceAll('_', gap);
        expect(reasonClass(upper ? spelled.toUpperCase() : spelled)).toBe(meaning);
      },
    ),
  );
});

describe('frames', () => {
  const event = fc.record({
    text: fc.string({ maxLength: 12 }),
    noise: fc.constantFrom('', ': comment\n\n', 'data:\n\n', 'event: ping\ndata: now\n\n', 'data: ping\n\n'),
  });

  test('are the same however the bytes are cut, with any line end and any heartbeat', () => {
    fc.assert(
      fc.property(
        fc.array(event, { minLength: 1, maxLength: 8 }),
        fc.constantFrom('\n', '\r\n', '\r'),
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 9 }),
        (events, end, steps) => {
          const text =
            events
              .map(({ text: content, noise }) => `${noise}data: ${JSON.stringify({ content })}\n\n`)
              .join('') + 'data: [DONE]\n\n';
          const bytes = Buffer.from(text.replaceAll('\n', end));
          const reader = new FrameReader(new AnswerMeter());
          const frames: AnswerFrame[] = [];
          for (let at = 0, step = 0; at < bytes.length; step += 1) {
            const size = steps[step % steps.length] ?? 1;
            frames.push(...reader.push(bytes.subarray(at, at + size)));
            at += size;
          }
          frames.push(...reader.end());
          expect(frames).toEqual([
            ...events.map(({ text: content }) => ({ kind: 'chunk', value: { content } })),
            { kind: 'done' },
          ]);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('of bytes that are nothing throw nothing', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 5 }), (pieces) => {
        const reader = new FrameReader(new AnswerMeter());
        const frames = [...pieces.flatMap((piece) => reader.push(piece)), ...reader.end()];
        expect(frames.every(({ kind }) => kind !== 'chunk')).toBe(true);
      }),
    );
  });
});

const facts = (value: unknown, status: number) => ({
  where: 'POST /x at http://h',
  status,
  retryAfterMs: null,
  shouldRetry: null,
  report: readReport(value),
  begun: false,
  heldMs: 0,
  maxOutputTokens: null,
});

test('an error is the same error however it is wrapped', () => {
  const wrap = fc.constantFrom<(inner: unknown) => unknown>(
    (inner) => ({ error: inner }),
    (inner) => [{ error: inner }],
    (inner) => ({ detail: inner }),
    (inner) => ({ error: { message: JSON.stringify({ error: inner }) } }),
    (inner) => ({ error: { message: 'Provider returned error', metadata: { raw: JSON.stringify(inner) } } }),
    (inner) => ({ object: 'error', message: JSON.stringify(inner) }),
  );
  fc.assert(
    fc.property(
      fc.array(wrap, { minLength: 1, maxLength: 2 }),
      fc.constantFrom(200, 400, 422, 500),
      (wraps, status) => {
        const body = wraps.reduce<unknown>((inner, one) => one(inner), {
          message: 'prompt is too long: 9000 tokens > 8192 maximum',
        });
        expect(errorOf(facts(body, status)).kind).toBe('too_long');
      },
    ),
  );
});

test('names that a caller chose never change the learned limits', () => {
  const name = fc.oneof(
    fc.constantFrom(
      'stream',
      'stream_options',
      'max_completion_tokens',
      'parallel_tool_calls',
      'tool_call_id',
      'streaming',
      'system',
    ),
    fc.stringMatching(/^[A-Za-z0-9_.*+()[\]-]{1,20}$/),
  );
  const said = fc.constantFrom<(name: string) => string>(
    (one) => `Invalid tool name '${one}'`,
    (one) => `The tool ${one} is not supported.`,
    (one) => `Model "${one}" does not exist or is not available`,
    (one) => `unknown function: ${one}`,
    (one) => `'${one}' is not a valid value`,
  );
  fc.assert(
    fc.property(name, said, fc.boolean(), (one, message, asModel) => {
      const request = modelRequest({
        ...(asModel ? { model: one } : { tools: [tool(one)] }),
        maxOutputTokens: 5,
        parallelToolCalls: false,
        messages: [
          { role: 'system', text: 'Be brief.' },
          { role: 'user', content: [{ type: 'text', text: 'a' }] },
        ],
      });
      const active = new Set<never>();
      const body = requestBody(request, { provider: 'p', dialect: 'd', model: request.model }, active);
      expect(
        adjustmentFor(
          { status: 400, report: readReport({ error: { message: message(one) } }), request, body, active },
          active,
        ),
      ).toBeNull();
    }),
    { numRuns: 1_000 },
  );
});
