/** Properties of the native wires: any order of blocks goes back as it came, and no cut stream is an answer. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openModel, type ModelKind } from '../../../backends/models/open-model.ts';
import {
  anthropicBlock,
  anthropicCall,
  anthropicEnd,
  anthropicEvent,
  anthropicStart,
  anthropicStep,
  anthropicText,
  anthropicThinking,
} from '../../support/anthropic-wire.ts';
import { googleChunk } from '../../support/google-wire.ts';
import { MISTRAL_USAGE, mistralCall, mistralChunk } from '../../support/mistral-wire.ts';
import { collectTurn, withTools } from '../../support/model-turn.ts';
import { useWire } from '../../support/model-wire.ts';
import {
  responsesCall,
  responsesEnd,
  responsesReasoning,
  responsesStart,
  responsesText,
} from '../../support/responses-wire.ts';
import { sse } from '../../support/scripted-http.ts';
import { propertyRuns } from '../../support/property-runs.ts';
import type { ModelMessage, ProviderTurn } from '../../../protocol/ports/model.ts';

const RUNS = { numRuns: propertyRuns(40) };

const word = fc.stringMatching(/^[A-Za-z0-9 äß€😀"\\]{1,12}$/u);
const token = fc.stringMatching(/^[A-Za-z0-9+/]{4,24}$/);

type Block =
  | { type: 'thinking'; thinking: string; signature: string }
  | { type: 'redacted_thinking'; data: string }
  | { type: 'text'; text: string }
  | { type: 'tool_use'; id: string; name: string; input: Record<string, unknown> };

const block: fc.Arbitrary<Block> = fc.oneof(
  fc.record({ type: fc.constant('thinking' as const), thinking: word, signature: token }),
  fc.record({ type: fc.constant('redacted_thinking' as const), data: token }),
  fc.record({ type: fc.constant('text' as const), text: word }),
);
const call = (id: string): fc.Arbitrary<Block> =>
  fc.record({
    type: fc.constant('tool_use' as const),
    id: fc.constant(id),
    name: fc.constantFrom('get_weather', 'get_time'),
    input: fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), word, { maxKeys: 3 }),
  });

/** Thinking and text, then calls: the library sorts other orders. */
const answer = fc
  .tuple(
    fc.array(block, { maxLength: 4 }),
    call('toolu_first'),
    fc.option(call('toolu_second'), { nil: null }),
  )
  .map(([blocks, one, two]) => [...blocks, one, ...(two === null ? [] : [two])]);

const halves = (text: string): string[] => [
  text.slice(0, Math.floor(text.length / 2)),
  text.slice(Math.floor(text.length / 2)),
];

const eventsOf = (one: Block, at: number): string[] => {
  if (one.type === 'thinking') return anthropicThinking(at, one.thinking, one.signature);
  if (one.type === 'text') return anthropicText(at, ...halves(one.text));
  if (one.type === 'tool_use')
    return anthropicCall(at, one.id, one.name, ...halves(JSON.stringify(one.input)));
  return anthropicBlock(at, one, []);
};

const stored = (turn: ProviderTurn | null): ProviderTurn | null =>
  JSON.parse(JSON.stringify(turn)) as ProviderTurn | null;

describe('anthropic', () => {
  const wire = useWire({
    stepOf: anthropicStep,
    create: (url) => openModel('anthropic', { baseUrl: `${url}/v1` }),
    repeats: () => true,
  });

  test('blocks of any kind and number go back as they came, whatever else is in the stream', async () => {
    await fc.assert(
      fc.asyncProperty(answer, fc.array(token, { maxLength: 3 }), async (blocks, strange) => {
        wire().http.requests.length = 0;
        wire().http.script.length = 0;
        const between = strange.map((kind) => anthropicEvent(`new_${kind}`, { kind }));
        wire().http.script.push(
          sse([
            anthropicStart(),
            ...between,
            ...blocks.flatMap((one, at) => [...eventsOf(one, at), ...between]),
            ...anthropicEnd('tool_use'),
          ]),
          anthropicStep({ kind: 'length', text: 'x' }),
        );
        const turn = await collectTurn(wire().create(), withTools());
        expect(turn.error).toBeNull();
        const calls = turn.calls.map(([name, args], at) => ({ callId: `call_${at}`, name, arguments: args }));
        const messages: ModelMessage[] = [
          { role: 'user', content: [{ type: 'text', text: 'Go' }] },
          { role: 'assistant', text: turn.text, calls, providerTurn: stored(turn.turn) },
          ...calls.map(({ callId, name }): ModelMessage => ({ role: 'tool', callId, name, output: 'done' })),
        ];
        await collectTurn(wire().create(), withTools({ messages }));
        const [, second] = wire().requests();
        const sent = second?.['messages'] as { content: Block[] }[];
        const needed = blocks.some(({ type }) => type === 'thinking' || type === 'redacted_thinking');
        // Neighbouring texts are one text where nothing has to go back as it came.
        const kept = (all: readonly Block[]): readonly Block[] =>
          needed ? all : all.filter(({ type }) => type === 'tool_use');
        expect(kept(sent[1]?.content ?? [])).toEqual(kept(blocks));
      }),
      RUNS,
    );
  });
});

const STREAMS: Partial<Record<ModelKind, { path: string; events: string[] }>> = {
  anthropic: {
    path: '/v1',
    events: [
      anthropicStart(),
      ...anthropicThinking(0, 'Hm.', 'c2ln'),
      ...anthropicText(1, 'I ', 'look.'),
      ...anthropicCall(2, 'toolu_1', 'get_weather', '{"city":', '"Paris"}'),
      ...anthropicEnd('tool_use'),
    ],
  },
  'openai-responses': {
    path: '/v1',
    events: [
      responsesStart(),
      ...responsesReasoning(0, 'ZW5j', 'Hm.'),
      ...responsesText(1, 'I ', 'look.'),
      ...responsesCall(2, 'call_1', 'get_weather', '{"city":', '"Paris"}'),
      responsesEnd(),
    ],
  },
  google: {
    path: '/v1beta',
    events: [
      googleChunk([{ text: 'Hm.', thought: true }]),
      googleChunk([{ text: 'I look.' }]),
      googleChunk([
        { functionCall: { name: 'get_weather', args: { city: 'Paris' } }, thoughtSignature: 's' },
      ]),
      googleChunk([], 'STOP'),
    ],
  },
  mistral: {
    path: '/v1',
    events: [
      mistralChunk({ content: 'I ' }),
      mistralChunk({ content: 'look.' }),
      mistralChunk({ tool_calls: [mistralCall(0, 'abcdefghi', 'get_weather', '{"city":"Paris"}')] }),
      mistralChunk({ content: '' }, 'tool_calls', MISTRAL_USAGE),
    ],
  },
};

describe.each(Object.entries(STREAMS))('%s', (kind, { path, events }) => {
  const wire = useWire({
    stepOf: anthropicStep,
    create: (url) => openModel(kind as ModelKind, { baseUrl: `${url}${path}` }),
    repeats: () => true,
  });

  test('a stream that is cut anywhere is no answer, and whole it is one in any pieces', async () => {
    const bytes = Buffer.from(events.join(''));
    const lastEvent = bytes.length - Buffer.byteLength(events.at(-1) ?? '');
    await fc.assert(
      fc.asyncProperty(
        fc.nat(lastEvent),
        fc.constantFrom('end' as const, 'cut' as const),
        fc.integer({ min: 1, max: 400 }),
        async (at, how, size) => {
          wire().http.script.length = 0;
          const pieces: Buffer[] = [];
          for (let from = 0; from < bytes.length; from += size)
            pieces.push(bytes.subarray(from, from + size));
          wire().http.script.push(
            sse(
              [bytes.subarray(0, at)].filter(({ length }) => length > 0),
              how,
            ),
            sse(pieces),
          );
          const cut = await collectTurn(wire().create(), withTools());
          expect(cut.finish).toBeNull();
          expect(cut.error).toMatchObject({ name: 'ModelError', retryable: true });
          const whole = await collectTurn(wire().create(), withTools());
          expect(whole).toMatchObject({
            text: 'I look.',
            calls: [['get_weather', '{"city":"Paris"}']],
            finish: { reason: 'tool_calls' },
          });
        },
      ),
      RUNS,
    );
  });
});
