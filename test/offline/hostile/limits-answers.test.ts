/**
 * A model's answer of any shape: rows of docs/contributing/faults.md about hostile servers.
 *
 * Proves: everything that is kept of an answer is counted before it is kept, an answer over a maximum ends the attempt with an
 * error that is not retried, and calls without end are given up early. Does not prove: times
 * and memory (`npm run bench`).
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { AnswerLimitError, AnswerMeter } from '../../../backends/answer-meter.ts';
import { inTurns } from '../../../backends/loop-turns.ts';
import { createOpenAiCompatible } from '../../../backends/models/openai-compatible/index.ts';
import { CompletionReader } from '../../../backends/models/openai-compatible/completion-reader.ts';
import { BackendError } from '../../../protocol/errors.ts';
import { ANSWER_LIMITS } from '../../../protocol/limits.ts';
import type { Backend } from '../../../protocol/ports/backend.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import { FAILURES } from '../../../protocol/temporal/names.ts';
import { fakeContext } from '../../support/backend-context.ts';
import { chatOnServer } from '../../support/chat-backend.ts';
import { chunk, DONE } from '../../support/chat-server.ts';
import { collectTurn, modelRequest } from '../../support/model-turn.ts';
import { json, scriptedHttp, sse, type ScriptedHttp, type Step } from '../../support/scripted-http.ts';
import { createRequest, memoryStore, startedRun } from '../../support/store.ts';

const limitOf = (work: () => void): string | null => {
  try {
    work();
  } catch (error) {
    if (error instanceof AnswerLimitError) return error.what;
    throw error;
  }
  return null;
};

describe('the meter', () => {
  const count: Record<string, (meter: AnswerMeter, units: number) => void> = {
    streamBytes: (meter, units) => meter.bytes(units),
    streamChars: (meter, units) => meter.event(units),
    events: (meter, units) => {
      for (let at = 0; at < units; at += 1) meter.event(1);
    },
    textChars: (meter, units) => meter.text('x'.repeat(units)),
    calls: (meter, units) => {
      for (let at = 0; at < units; at += 1) meter.call();
    },
    argumentsChars: (meter, units) => meter.arguments(units, units),
    allArgumentsChars: (meter, units) => {
      meter.name(1);
      for (let at = 1; at < units; at += 1) meter.arguments(1, 1);
    },
  };

  test.each(Object.keys(count))('allows as many %s as its limit says, and no more', (what) => {
    expect(limitOf(() => count[what]?.(new AnswerMeter({ [what]: 10 }), 10))).toBe(null);
    expect(limitOf(() => count[what]?.(new AnswerMeter({ [what]: 10 }), 11))).toBe(what);
  });
});

const delta = (value: unknown) => ({ choices: [{ delta: value }] });
const callPiece = (index: number, more: object = {}) => ({ index, function: { name: 'f', ...more } });

const message = (value: object) => json({ choices: [{ message: value, finish_reason: 'stop' }] });
const emptyObjects = (count: number) => Array.from({ length: count }, () => ({}));

test('text is counted as it is written in JSON', () => {
  expect(limitOf(() => new AnswerMeter({ textChars: 8 }).text('a\u0001\n'))).toBe('textChars');
  expect(limitOf(() => new AnswerMeter({ textChars: 9 }).text('a\u0001\n'))).toBe(null);
});

describe('the reader', () => {
  test('gives thirty thousand calls in one chunk up when it has made five hundred of them', () => {
    const reader = new CompletionReader({ tools: [], meter: new AnswerMeter() });
    const pieces = Array.from({ length: 30_000 }, (_, index) => callPiece(index));
    expect(limitOf(() => void reader.chunk(delta({ tool_calls: pieces })))).toBe('calls');
    reader.endCalls();
    expect(reader.turn().calls).toHaveLength(ANSWER_LIMITS.calls);
  });

  test.each([
    ['text', { content: 'x'.repeat(11) }, 'textChars'],
    ['parts of text', { content: [{ text: 'x'.repeat(6) }, { text: 'x'.repeat(5) }] }, 'textChars'],
    ['a refusal', { refusal: 'x'.repeat(11) }, 'textChars'],
    ['a name', { tool_calls: [{ index: 0, function: { name: 'x'.repeat(11) } }] }, 'allArgumentsChars'],
    ['arguments', { tool_calls: [callPiece(0, { arguments: 'x'.repeat(11) })] }, 'argumentsChars'],
    [
      'arguments as an object',
      { tool_calls: [callPiece(0, { arguments: { a: '12345' } })] },
      'argumentsChars',
    ],
    ['an old call', { function_call: { name: 'f', arguments: 'x'.repeat(11) } }, 'argumentsChars'],
  ])('counts %s before keeping it', (_name, value, what) => {
    const meter = new AnswerMeter({ textChars: 10, argumentsChars: 9, allArgumentsChars: 10 });
    const reader = new CompletionReader({ tools: [], meter });
    expect(limitOf(() => void reader.chunk(delta(value)))).toBe(what);
    const { calls } = reader.turn();
    expect(calls.map((call) => call.name).join('')).toMatch(/^f?$/);
  });

  test('names that grow piece by piece are counted in all', () => {
    const reader = new CompletionReader({ tools: [], meter: new AnswerMeter({ allArgumentsChars: 10 }) });
    const grow = (name: string) => reader.chunk(delta({ tool_calls: [{ index: 0, function: { name } }] }));
    expect(
      limitOf(() => {
        for (const name of 'abcdefghij') grow(name);
      }),
    ).toBe(null);
    expect(limitOf(() => void grow('k'))).toBe('allArgumentsChars');
  });
});

describe('the backend', () => {
  let store: Store;
  let server: ScriptedHttp;
  let backend: Backend & { dispose(): Promise<void> };
  const NOW = 1_800_000_000_000;

  beforeAll(async () => {
    store = await memoryStore();
  }, 60_000);
  afterAll(() => store.close());
  beforeEach(async () => {
    server = await scriptedHttp();
    backend = chatOnServer({ store, baseUrl: `${server.url}/v1`, flushMs: 1 });
  });
  afterEach(async () => {
    await backend.dispose();
    await server.close();
  });

  const megabyte = 'x'.repeat(1_000_000);
  const manyCalls = Array.from({ length: 600 }, (_, index) => callPiece(index));
  const answers: [string, Step, string][] = [
    ['600 calls in one chunk', sse([chunk({ tool_calls: manyCalls })]), '512 tool calls'],
    ['600 calls in a whole answer', message({ tool_calls: manyCalls }), '512 tool calls'],
    [
      '3 MB of text',
      sse(Array.from({ length: 3 }, () => chunk({ content: megabyte }))),
      'characters of text',
    ],
    [
      '3 MB of refusal',
      sse(Array.from({ length: 3 }, () => chunk({ refusal: megabyte }))),
      'characters of text',
    ],
    [
      '5 MB of arguments',
      sse([0, 1, 2, 3, 4].map(() => chunk({ tool_calls: [callPiece(0, { arguments: megabyte })] }))),
      'arguments of one tool call',
    ],
    [
      '9 MB of arguments in nine calls',
      sse(
        [0, 1, 2, 3, 4, 5, 6, 7, 8].map((index) =>
          chunk({ tool_calls: [callPiece(index, { arguments: megabyte })] }),
        ),
      ),
      'arguments of all tool calls',
    ],
    ['an event of 5 MB', sse([`data: "${'x'.repeat(5_000_000)}"\n\n`]), '4194304 characters'],
    [
      'an event without an end',
      sse(Array.from({ length: 60 }, () => `data: ${'x'.repeat(100_000)}\n`)),
      '4194304 characters',
    ],
    [
      'an event of empty lines',
      sse(Array.from({ length: 6 }, () => 'data:\n'.repeat(100_000))),
      '4194304 characters',
    ],
    [
      'an event of a million values',
      sse([chunk({ tool_calls: emptyObjects(1_000_000) })]),
      '20000 values in one event',
    ],
    [
      'a whole answer of a million values',
      message({ tool_calls: emptyObjects(1_000_000) }),
      'more than 20000 values',
    ],
    ['an event of 200 levels', sse([`data: {"choices":${'['.repeat(200)}\n\n`]), 'levels of nesting'],
    ['a whole answer of 9 MB', message({ content: 'x'.repeat(9_000_000) }), 'more than 4194304 bytes'],
    [
      'comments without end',
      sse(Array.from({ length: 140 }, () => `: ${'x'.repeat(1_000_000)}\n`)),
      'bytes of stream',
    ],
  ];
  const rows = answers.map(([name, step, words]) => ({ name, step, words }));

  test.each(rows)('ends the attempt for good with $name', async ({ step, words }) => {
    const { runId, ...run } = await startedRun(store, 'tenant', NOW);
    server.script.push(step);
    const ended = await backend
      .create(createRequest({ runId, ...run }, NOW), fakeContext({ now: () => NOW + 1 }))
      .catch((error: unknown) => error);
    expect(ended).toBeInstanceOf(BackendError);
    expect(ended).toMatchObject({
      type: FAILURES.backendUnsupported,
      retryable: false,
      message: expect.stringContaining(words),
    });
    expect(String(ended).length).toBeLessThan(300);
    expect(server.requests).toHaveLength(1);
  });
});

describe('a stream of which much has arrived', () => {
  test('is read in small pieces, with a turn of the event loop between them', async () => {
    const bytes = Buffer.from('data: {}\n\n'.repeat(20_000));
    let turns = 0;
    let reading = true;
    const count = (): void => {
      turns += 1;
      if (reading) setImmediate(count);
    };
    setImmediate(count);
    const pieces: Uint8Array[] = [];
    for await (const piece of inTurns(arrived(bytes), 0)) pieces.push(piece);
    reading = false;
    expect(Buffer.concat(pieces).equals(bytes)).toBe(true);
    expect(Math.max(...pieces.map(({ byteLength }) => byteLength))).toBeLessThanOrEqual(8_192);
    expect(turns).toBeGreaterThanOrEqual(pieces.length);
  });

  test('gives its words in batches, however large the pieces are in which they come', async () => {
    const server = await scriptedHttp();
    server.script.push(sse([chunk({ content: 'x ' }).repeat(5_000) + chunk({}, 'stop') + DONE]));
    const model = createOpenAiCompatible({ baseUrl: `${server.url}/v1`, settleMs: 30 });
    const batches: number[] = [];
    const turn = await collectTurn(model, modelRequest(), {
      onParts: (parts) => void batches.push(parts.length),
    });
    await model.dispose();
    await server.close();
    expect(turn.text).toHaveLength(10_000);
    expect(Math.max(...batches)).toBeLessThanOrEqual(8_192 / chunk({ content: 'x ' }).length + 1);
  });
});

async function* arrived(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
