import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AnswerMeter } from '../../../backends/answer-meter.ts';
import { CompletionReader } from '../../../backends/models/openai-compatible/completion-reader.ts';

import type { ModelPart } from '../../../protocol/ports/model.ts';
import { checkTurn } from '../../support/model-turn.ts';
import { propertyRuns } from '../../support/property-runs.ts';

const TOOLS = ['get_weather', 'get_time', 'search'];
const BEFORE = { sendsReason: false, bareEnds: 0 };

interface Call {
  name: string;
  args: string;
}
const calls = fc
  .array(
    fc.record({
      name: fc.constantFrom(...TOOLS),
      args: fc
        .dictionary(fc.string({ maxLength: 6 }), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3 })
        .map((value) => JSON.stringify(value)),
    }),
    { minLength: 1, maxLength: 5 },
  )
  // A call that equals the one before it is a repetition to every rule; servers that mean two number them apart.
  .filter((list) =>
    list.every(
      (call, at) => at === 0 || call.args !== list[at - 1]?.args || call.name !== list[at - 1]?.name,
    ),
  );

interface Dialect {
  index: 'own' | 'zero' | 'absent' | 'text' | 'from one';
  id: 'own' | 'empty' | 'absent' | 'null' | 'new with every piece';
  name: 'first' | 'every';
  args: 'pieces' | 'cumulative' | 'whole' | 'object';
  head: boolean;
  placeholder: boolean;
  repeated: boolean;
  cuts: number[];
}
const dialect: fc.Arbitrary<Dialect> = fc.record({
  index: fc.constantFrom('own', 'zero', 'absent', 'text', 'from one'),
  id: fc.constantFrom('own', 'empty', 'absent', 'null', 'new with every piece'),
  name: fc.constantFrom('first', 'every'),
  args: fc.constantFrom('pieces', 'cumulative', 'whole', 'object'),
  head: fc.boolean(),
  placeholder: fc.boolean(),
  repeated: fc.boolean(),
  cuts: fc.array(fc.nat({ max: 40 }), { maxLength: 4 }),
});

const piecesOf = ({ args }: Call, { args: how, cuts }: Dialect): unknown[] => {
  if (how === 'object') return [JSON.parse(args)];
  if (how === 'whole') return [args];
  const places = [...new Set(cuts.map((cut) => 3 + (cut % Math.max(1, args.length))))]
    .filter((at) => at < args.length)
    .toSorted((a, b) => a - b);
  const ends = [...places, args.length];
  return how === 'cumulative'
    ? ends.map((end) => args.slice(0, end))
    : ends.map((end, at) => args.slice(at === 0 ? 0 : ends[at - 1], end));
};

/** What a server of this dialect sends for the calls, one after the other. */
const chunksOf = (list: readonly Call[], how: Dialect): unknown[] => {
  let pieces = 0;
  return list.flatMap((call, at) => {
    const index = { own: at, zero: 0, absent: undefined, text: String(at), 'from one': at + 1 }[how.index];
    const idOf = (first: boolean): unknown => {
      pieces += 1;
      if (how.id === 'own') return first ? `id_${at}` : undefined;
      return { empty: '', absent: undefined, null: null, 'new with every piece': `id_${pieces}` }[how.id];
    };
    const piece = (args: unknown, first: boolean): unknown => ({
      choices: [
        {
          index: 0,
          delta: {
            tool_calls: [
              {
                ...(index === undefined ? {} : { index }),
                id: idOf(first),
                function: { ...(first || how.name === 'every' ? { name: call.name } : {}), arguments: args },
              },
            ],
          },
        },
      ],
    });
    const bodies = piecesOf(call, how);
    const heads = how.head ? [piece('', true)] : [];
    // A placeholder is told from arguments by what follows without a name, and from a repetition by what came before.
    const previous = list[at - 1];
    const placeholders =
      how.placeholder &&
      how.name === 'first' &&
      how.id !== 'new with every piece' &&
      call.args !== '{}' &&
      previous?.args !== '{}'
        ? [piece('{}', heads.length === 0)]
        : [];
    const before = heads.length + placeholders.length;
    const args = bodies.map((value, part) => piece(value, before === 0 && part === 0));
    const again = how.repeated ? [piece(call.args, true)] : [];
    return [...heads, ...placeholders, ...args, ...again];
  });
};

const readAll = (
  chunks: readonly unknown[],
  reason = 'tool_calls',
): { reader: CompletionReader; parts: ModelPart[] } => {
  const reader = new CompletionReader({ tools: TOOLS, meter: new AnswerMeter() });
  const parts = chunks.flatMap((chunk) => reader.chunk(chunk));
  if (reason !== '') reader.chunk({ choices: [{ index: 0, delta: {}, finish_reason: reason }] });
  return { reader, parts: [...parts, ...reader.endCalls()] };
};

const wholeCalls = (parts: readonly ModelPart[]): Call[] =>
  parts.flatMap((part) => (part.kind === 'call' ? [{ name: part.name, args: part.arguments }] : []));
const sameCalls = (list: readonly Call[]): unknown[] =>
  list.map(({ name, args }) => [name, JSON.parse(args)]);

describe('calls', () => {
  test('are the same calls in every dialect', () => {
    fc.assert(
      fc.property(calls, dialect, (list, how) => {
        const { parts } = readAll(chunksOf(list, how));
        expect(sameCalls(wholeCalls(parts))).toEqual(sameCalls(list));
        checkTurn({
          parts: [...parts, { kind: 'finish', reason: 'tool_calls', raw: null }],
          error: null,
        } as never);
      }),
      { numRuns: propertyRuns(3_000) },
    );
  });

  test('interleaved under their own numbers are the same calls', () => {
    fc.assert(
      fc.property(calls, fc.array(fc.nat(), { minLength: 40, maxLength: 40 }), (list, order) => {
        const how: Dialect = {
          index: 'own',
          id: 'own',
          name: 'first',
          args: 'pieces',
          head: false,
          placeholder: false,
          repeated: false,
          cuts: [1, 5, 9],
        };
        const queues = list.map((call, at) =>
          chunksOf([...list.slice(0, at).map(() => ({ name: 'x', args: '{}' })), call], { ...how }).slice(at),
        );
        const heads = queues.flatMap((queue) => queue.splice(0, 1));
        const rest: unknown[] = [];
        for (const pick of order) {
          const open = queues.filter((queue) => queue.length > 0);
          const queue = open[pick % Math.max(1, open.length)];
          if (queue !== undefined) rest.push(...queue.splice(0, 1));
        }
        const { parts } = readAll([...heads, ...rest, ...queues.flat()]);
        expect(sameCalls(wholeCalls(parts))).toEqual(sameCalls(list));
      }),
      { numRuns: propertyRuns(500) },
    );
  });

  test('that arrive in pieces add up, unless the server repeats their arguments', () => {
    fc.assert(
      fc.property(calls, dialect, (list, how) => {
        const { parts } = readAll(chunksOf(list, { ...how, placeholder: false }));
        const told = new Map<number, string>();
        for (const part of parts)
          if (part.kind === 'call_piece') told.set(part.call, (told.get(part.call) ?? '') + part.text);
        const whole = parts.filter((part) => part.kind === 'call');
        expect(whole.map((part) => told.get(part.call) ?? '{}')).toEqual(whole.map((part) => part.arguments));
      }),
    );
  });
});

test('reading any JSON of a server does not throw, and keeps the rules of the port', () => {
  const piece = fc.record(
    {
      index: fc.option(fc.oneof(fc.nat({ max: 3 }), fc.constant('1')), { nil: undefined }),
      id: fc.option(fc.constantFrom('x', 'y', ''), { nil: undefined }),
      function: fc.record(
        {
          name: fc.constantFrom('get_weather', 'get_', 'time', ''),
          arguments: fc.oneof(fc.constantFrom('', '{', '}', '{}', 'null'), fc.jsonValue()),
        },
        { requiredKeys: [] },
      ),
    },
    { requiredKeys: [] },
  );
  const delta = fc.oneof(
    fc.array(piece, { maxLength: 3 }).map((tool_calls) => ({ tool_calls })),
    fc.string().map((content) => ({ content })),
    fc.jsonValue(),
  );
  const chunk = fc.oneof(
    fc.jsonValue(),
    delta.map((value) => ({ choices: [{ delta: value }] })),
    delta.map((value) => ({ choices: [{ message: value }] })),
  );
  fc.assert(
    fc.property(fc.array(chunk, { maxLength: 20 }), (chunks) => {
      const { parts, reader } = readAll(chunks, '');
      checkTurn({ parts: [...parts, { kind: 'finish', reason: 'stop', raw: null }], error: null } as never);
      expect(['finish', 'broken', 'too_long']).toContain(reader.ending('done', BEFORE, 10).kind);
      expect(reader.turn().calls).toHaveLength(wholeCalls(parts).length);
    }),
    { numRuns: propertyRuns(2_000) },
  );
});
