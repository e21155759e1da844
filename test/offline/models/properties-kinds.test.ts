/** Kinds of forms whose members are generated: what goes back, token counts, refused fields, and prompts that are too long. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Adjustment } from '../../../backends/models/openai-compatible/capabilities.ts';
import { readReport } from '../../../backends/models/openai-compatible/error-report.ts';
import { wireMessages } from '../../../backends/models/openai-compatible/messages.ts';
import { adjustmentFor } from '../../../backends/models/openai-compatible/refusals.ts';
import { requestBody } from '../../../backends/models/openai-compatible/request.ts';
import { saysTooLong } from '../../../backends/models/openai-compatible/too-long.ts';
import { mergeUsage } from '../../../backends/models/openai-compatible/usage.ts';
import type { ModelMessage, ModelUsage } from '../../../protocol/ports/model.ts';
import { NINE_ALPHANUMERICS } from '../../support/given-back.ts';
import { withTools } from '../../support/model-turn.ts';

const OWN = { provider: 'p', dialect: 'openai-chat', model: 'm' };
const NONE: ReadonlySet<Adjustment> = new Set();

const ownNames = (value: Record<string, unknown>): string[] =>
  Object.keys(value).filter((name) => name.startsWith('x_'));

describe('what a server has given', () => {
  const field = fc.stringMatching(/^x_[a-z]{3,12}$/);
  const fields = fc.dictionary(field, fc.jsonValue({ maxDepth: 2 }), {
    minKeys: 1,
    maxKeys: 4,
    noNullPrototype: true,
  });
  const call = fc.record({ id: fc.stringMatching(/^[A-Za-z0-9_:.-]{10,40}$/), fields });
  const speaker = fc.record({
    provider: fc.constantFrom('p', 'q'),
    dialect: fc.constantFrom('openai-chat', 'anthropic-messages'),
    model: fc.constantFrom('m', 'n'),
  });

  test('goes back unchanged to the model that gave it, and no trace of it to any other', () => {
    fc.assert(
      fc.property(
        fields,
        fc.uniqueArray(call, { minLength: 1, maxLength: 4, selector: ({ id }) => id }),
        speaker,
        (message, calls, said) => {
          const messages: ModelMessage[] = [
            { role: 'user', content: [{ type: 'text', text: 'Hello' }] },
            {
              role: 'assistant',
              text: '',
              calls: calls.map((_, at) => ({
                callId: `call_${'a'.repeat(23)}${at}`,
                name: 'f',
                arguments: '{}',
              })),
              providerTurn: {
                ...said,
                ids: calls.map(({ id }) => id),
                data: { message, calls: calls.map((one) => one.fields) },
              },
            },
            ...calls.map((_, at): ModelMessage => ({
              role: 'tool',
              callId: `call_${'a'.repeat(23)}${at}`,
              name: 'f',
              output: 'x',
            })),
          ];
          const sent = wireMessages(messages, OWN, NONE) as unknown as Record<string, unknown>[];
          const own = said.provider === 'p' && said.dialect === 'openai-chat' && said.model === 'm';
          const turn = sent[1] ?? {};
          const sentCalls = turn['tool_calls'] as Record<string, unknown>[];
          const outputs = sent.slice(2).map((one) => String(one['tool_call_id']));
          expect(outputs).toEqual(sentCalls.map(({ id }) => id));
          const given = own ? { message, calls } : { message: {}, calls: calls.map(() => ({ fields: {} })) };
          expect(Object.fromEntries(ownNames(turn).map((name) => [name, turn[name]]))).toEqual(given.message);
          for (const [at, one] of sentCalls.entries())
            expect(Object.fromEntries(ownNames(one).map((name) => [name, one[name]]))).toEqual(
              given.calls[at]?.fields,
            );
          const wanted = own
            ? calls.map(({ id }) => id)
            : outputs.filter((id) => NINE_ALPHANUMERICS.test(id));
          expect(outputs).toEqual(wanted);
          expect(new Set(outputs).size).toBe(calls.length);
        },
      ),
    );
  });
});

test('token counts are the largest of those that a server gives, wherever and however it writes them', () => {
  const number = fc.nat(1_000_000);
  const written = fc.record({
    prompt: number,
    completion: number,
    asText: fc.boolean(),
    place: fc.constantFrom('body', 'choice'),
    names: fc.constantFrom(
      ['prompt_tokens', 'completion_tokens'],
      ['input_tokens', 'output_tokens'],
      ['promptTokens', 'completionTokens'],
    ),
  });
  fc.assert(
    fc.property(fc.array(written, { minLength: 1, maxLength: 6 }), (given) => {
      let usage: ModelUsage | null = null;
      for (const { prompt, completion, asText, place, names } of given) {
        const shown = (value: number): unknown => (asText ? String(value) : value);
        const [forPrompt = '', forCompletion = ''] = names;
        const counts = { [forPrompt]: shown(prompt), [forCompletion]: shown(completion) };
        usage =
          place === 'body'
            ? mergeUsage(usage, { usage: counts }, [])
            : mergeUsage(usage, {}, [{ usage: counts }]);
      }
      const largest = (pick: (one: (typeof given)[number]) => number) => Math.max(...given.map(pick));
      expect(usage).toMatchObject({
        promptTokens: largest(({ prompt }) => prompt),
        completionTokens: largest(({ completion }) => completion),
      });
    }),
  );
});

describe('a field that a server refuses', () => {
  const request = withTools({ maxOutputTokens: 300, parallelToolCalls: false });
  const body = requestBody(request, OWN, NONE);
  const refused = fc.constantFrom(
    ['stream_options', 'no_stream_usage'],
    ['max_completion_tokens', 'other_max_tokens_field'],
    ['parallel_tool_calls', 'no_parallel_tool_calls_field'],
  );
  const words = fc.constantFrom<(field: string) => unknown>(
    (field) => ({ error: { message: `Unknown parameter: '${field}'.` } }),
    (field) => ({ error: { message: `Unrecognized request argument supplied: ${field}` } }),
    (field) => ({ error: { message: `${field} is not supported with this model` } }),
    (field) => ({ error: { message: 'Invalid request', param: field } }),
    (field) => ({ message: `property '${field}' is unsupported`, object: 'error' }),
    (field) => ({
      detail: [{ type: 'extra_forbidden', loc: ['body', field], msg: 'Extra inputs are not permitted' }],
    }),
    (field) => [{ error: { code: 400, message: `Invalid JSON payload received. Unknown name "${field}"` } }],
  );
  const adjustment = (status: number, report: unknown, more = {}) =>
    adjustmentFor(
      { status, report: readReport(report), request, body: { ...body, ...more }, active: NONE },
      NONE,
    );

  test('is left out or renamed, in whatever words and with whatever status it is refused', () => {
    fc.assert(
      fc.property(
        refused,
        words,
        fc.constantFrom(400, 403, 422, 500, 503),
        ([field = '', wanted], said, status) => {
          expect(adjustment(status, said(field))).toBe(wanted);
        },
      ),
    );
  });

  test('is nothing where the status says something else, or the field was not sent', () => {
    fc.assert(
      fc.property(
        refused,
        words,
        fc.constantFrom(401, 404, 408, 409, 413, 429),
        ([field = ''], said, status) => {
          expect(adjustment(status, said(field))).toBeNull();
          expect(adjustment(400, said(field), { [field]: undefined })).toBeNull();
        },
      ),
    );
  });
});

describe('a prompt that is too long', () => {
  const limit = fc.integer({ min: 1_000, max: 2_000_000 });
  const words = fc.constantFrom<(limit: number, sent: number) => string>(
    (most, sent) =>
      `This model's maximum context length is ${most} tokens. However, your messages resulted in ${sent} tokens.`,
    (most, sent) => `The decoder prompt (length ${sent}) is longer than the maximum model length of ${most}.`,
    (most, sent) => `prompt is too long: ${sent} tokens > ${most} maximum`,
    (most, sent) => `The input token count (${sent}) exceeds the maximum number of tokens allowed (${most}).`,
    (most, sent) =>
      `request (${sent} tokens) exceeds the available context size (${most} tokens), try increasing it`,
    (most, sent) => `Input length (${sent}) exceeds model's maximum context length (${most}).`,
    () => 'Input is too long for requested model.',
  );
  const around = fc.constantFrom('', 'litellm.BadRequestError: ', 'Error code: 400 - ', 'Upstream said: ');
  const statuses = fc.constantFrom(200, 400, 413, 422, 500, null);
  const small = fc.option(fc.integer({ min: 1, max: 900 }));

  test('is known by its words with any numbers, wrapping and status, whatever answer was asked for', () => {
    fc.assert(
      fc.property(
        words,
        limit,
        fc.nat(1_000_000),
        around,
        statuses,
        small,
        (said, most, more, before, status, answer) => {
          const message = before + said(most, most + 1 + more);
          expect(saysTooLong({ message, codes: [], status }, answer)).toBe(true);
        },
      ),
    );
  });

  test('is not one where the server speaks of a rate', () => {
    const rate = fc.constantFrom(
      ' tokens per minute (TPM)',
      ' Rate limit reached, please wait.',
      ' Try again in 3 s.',
    );
    fc.assert(
      fc.property(words, limit, rate, (said, most, of) => {
        expect(saysTooLong({ message: said(most, most + 1) + of, codes: [], status: 429 }, null)).toBe(false);
      }),
    );
  });
});
