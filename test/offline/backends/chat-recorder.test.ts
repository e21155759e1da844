/** What a turn adds up to, and what of it is shown: from parts of a model to deltas. */
import { expect, test } from 'vitest';
import { createTurnRecorder } from '../../../backends/chat/turn-recorder.ts';
import type { ModelPart } from '../../../protocol/ports/model.ts';

const record = (parts: readonly ModelPart[]) => {
  let next = 0;
  const recorder = createTurnRecorder(() => `call_${next++}`);
  return { news: recorder.take(parts), turn: recorder.turn() };
};

test('calls get ids of this project, and a complete call wins over the sum of its pieces', () => {
  const { news, turn } = record([
    { kind: 'text', text: 'Let me ' },
    { kind: 'call_begun', call: 0, name: 'a' },
    { kind: 'call_piece', call: 0, text: '{"x' },
    { kind: 'call_begun', call: 1, name: 'b' },
    { kind: 'call', call: 0, name: 'a', arguments: '{"y":1}' },
    { kind: 'call', call: 1, name: 'b', arguments: '{}' },
    { kind: 'finish', reason: 'tool_calls', raw: 'tool_calls' },
  ]);
  expect(news).toEqual([
    { kind: 'text', value: 'Let me ' },
    { kind: 'call', call: 0, callId: 'call_0', name: 'a' },
    { kind: 'arguments', call: 0, value: '{"x' },
    { kind: 'call', call: 1, callId: 'call_1', name: 'b' },
  ]);
  expect(turn).toMatchObject({
    text: 'Let me ',
    calls: [
      { callId: 'call_0', name: 'a', arguments: '{"y":1}' },
      { callId: 'call_1', name: 'b', arguments: '{}' },
    ],
    finish: 'tool_calls',
  });
});

test('reasoning is not shown, and the part that must go back to the model is kept', () => {
  const turn = { provider: 'p', dialect: 'd', model: 'm', ids: [], data: { x: 1 } };
  const recorded = record([
    { kind: 'reasoning', text: 'Hm.' },
    { kind: 'refusal', text: 'No.' },
    { kind: 'provider_turn', turn },
  ]);
  expect(recorded.news).toEqual([{ kind: 'refusal', value: 'No.' }]);
  expect(recorded.turn).toMatchObject({ text: '', refusal: 'No.', providerTurn: turn, finish: null });
});
