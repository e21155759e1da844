/** What a native adapter remembers of refusals: of those turns alone, for a while, and for a bounded number of them. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createRefusedData } from '../../../backends/models/ai-sdk/refused-data.ts';
import type { ModelMessage, ProviderTurn } from '../../../protocol/ports/model.ts';

const turn = (model: string, signature: number): ProviderTurn => ({
  provider: 'p',
  dialect: 'd',
  model,
  ids: [],
  data: { signature },
});
const said = (providerTurn: ProviderTurn | null): ModelMessage => ({
  role: 'assistant',
  text: 'Hi',
  calls: [],
  providerTurn,
});
const kept = (messages: readonly ModelMessage[]): boolean[] =>
  messages.map((message) => message.role === 'assistant' && message.providerTurn !== null);

test('the data of exactly the refused turns is left out, until the finding expires', () => {
  const models = fc.constantFrom('a', 'b', '__proto__');
  const turns = fc.array(fc.record({ model: models, signature: fc.nat(3), refused: fc.boolean() }));
  fc.assert(
    fc.property(turns, (given) => {
      let now = 1_000;
      const memory = createRefusedData({ now: () => now, firstMs: 100, longestMs: 100 });
      for (const { model, signature } of given.filter(({ refused }) => refused))
        memory.refused(model, [turn(model, signature)]);
      const gone = new Set(
        given
          .filter(({ refused }) => refused)
          .map(({ model, signature }) => JSON.stringify([model, signature])),
      );
      const messages = given.map(({ model, signature }) => said(turn(model, signature)));
      const expected = given.map(({ model, signature }) => !gone.has(JSON.stringify([model, signature])));
      expect(kept(memory.without(messages))).toEqual(expected);
      expect(new Set(memory.list().map(({ model }) => model))).toEqual(
        new Set(given.filter(({ refused }) => refused).map(({ model }) => model)),
      );
      now += 100;
      expect(kept(memory.without(messages))).toEqual(given.map(() => true));
      expect(memory.list()).toEqual([]);
    }),
  );
});

test('turns without data, and messages of others, are never changed', () => {
  const memory = createRefusedData();
  memory.refused('a', [turn('a', 1)]);
  const messages: ModelMessage[] = [
    { role: 'user', content: [{ type: 'text', text: 'Hello' }] },
    said(null),
    said({ ...turn('a', 1), data: null }),
  ];
  expect(memory.without(messages)).toEqual(messages);
});

test('the number of remembered turns is bounded, and the oldest goes first', () => {
  const memory = createRefusedData();
  for (let at = 0; at <= 5_000; at += 1) memory.refused('a', [turn('a', at)]);
  expect(kept(memory.without([said(turn('a', 0)), said(turn('a', 1)), said(turn('a', 5_000))]))).toEqual([
    true,
    false,
    false,
  ]);
});
