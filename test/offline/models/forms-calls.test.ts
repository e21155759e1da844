import { describe, expect, test } from 'vitest';
import { call, callStream, piece } from '../../support/chat-wire.ts';
import { checkTurn, collectTurn, outcomeOf, withTools } from '../../support/model-turn.ts';
import { useModelServer } from '../../support/model-server.ts';
import { type Step } from '../../support/scripted-http.ts';

const server = useModelServer();

const A = '{"city":"Paris"}';
const B = '{"city":"Rome"}';
const ONE = `tool_calls get_weather(${A})`;
const TWO = `tool_calls get_weather(${A}) get_weather(${B})`;
const MIXED = `tool_calls get_weather(${A}) get_time({})`;

const forms: [form: string, source: string, answer: Step, outcome: string][] = [
  [
    'the documented form',
    'OpenAI',
    callStream(
      piece(call(0, 'x', 'get_weather', '')),
      piece(call(0, undefined, null, '{"city"')),
      piece(call(0, undefined, null, ':"Paris"}')),
    ),
    ONE,
  ],
  [
    'two calls, interleaved',
    'Qwen-Agent#943',
    callStream(
      piece(call(0, 'x', 'get_weather', '')),
      piece(call(1, 'y', 'get_weather', '')),
      piece(call(0, undefined, null, '{"city":')),
      piece(call(1, undefined, null, '{"city":')),
      piece(call(0, undefined, null, '"Paris"}')),
      piece(call(1, undefined, null, '"Rome"}')),
    ),
    TWO,
  ],
  [
    'parallel calls all numbered 0, own ids',
    'dynamo#4723',
    callStream(piece(call(0, 'x', 'get_weather', A)), piece(call(0, 'y', 'get_weather', B))),
    TWO,
  ],
  [
    'parallel calls all numbered 0, empty ids',
    'gcli2api#406',
    callStream(piece(call(0, '', 'get_weather', A)), piece(call(0, '', 'get_weather', B))),
    TWO,
  ],
  [
    'parallel calls all numbered 0, no ids',
    'smolagents#1958',
    callStream(piece(call(0, undefined, 'get_weather', A)), piece(call(0, undefined, 'get_weather', B))),
    TWO,
  ],
  [
    'parallel calls all numbered 0, null ids, two tools',
    'hermes-agent#62937',
    callStream(piece(call(0, null, 'get_weather', A)), piece(call(0, null, 'get_time', '{}'))),
    MIXED,
  ],
  [
    'parallel calls all numbered 0 in one chunk',
    'plexus#691',
    callStream(piece(call(0, 'x', 'get_weather', A), call(0, 'y', 'get_weather', B))),
    TWO,
  ],
  [
    'parallel calls all numbered 0, arguments in pieces',
    'plexus#691',
    callStream(
      piece(call(0, 'x', 'get_weather', '')),
      piece(call(0, undefined, null, '{"city":"Par')),
      piece(call(0, undefined, null, 'is"}')),
      piece(call(0, 'y', 'get_weather', '')),
      piece(call(0, undefined, null, '{"city":"Ro')),
      piece(call(0, undefined, null, 'me"}')),
    ),
    TWO,
  ],
  [
    'a new id with every piece, the name repeated',
    'litellm#28223',
    callStream(
      piece(call(0, 'a', 'get_weather', '')),
      piece(call(0, 'b', 'get_weather', '{"city"')),
      piece(call(0, 'c', 'get_weather', ':"Paris"}')),
    ),
    ONE,
  ],
  [
    'a new id with every piece, no index',
    'vllm#23522',
    callStream(
      piece(call(undefined, 'a', 'get_weather', '{"ci')),
      piece(call(undefined, 'b', 'get_weather', 'ty":"Paris"')),
      piece(call(undefined, 'c', 'get_weather', '}')),
    ),
    ONE,
  ],
  [
    'a trailing piece that repeats the name',
    'vllm#23522',
    callStream(piece(call(0, 'a', 'get_weather', A)), piece(call(0, 'a', 'get_weather', ''))),
    ONE,
  ],
  [
    '`{}` before the arguments',
    'litellm#4537',
    callStream(piece(call(0, 'x', 'get_weather', '{}')), piece(call(0, undefined, null, A))),
    ONE,
  ],
  [
    '`{}` before arguments in pieces',
    'litellm#4537',
    callStream(
      piece(call(0, 'x', 'get_weather', '{}')),
      piece(call(0, undefined, null, '{"city":')),
      piece(call(0, undefined, null, '"Paris"}')),
    ),
    ONE,
  ],
  [
    '`null` before the arguments',
    'litellm#4537',
    callStream(piece(call(0, 'x', 'get_weather', 'null')), piece(call(0, undefined, null, A))),
    ONE,
  ],
  [
    'the last chunk repeats the whole call',
    'vllm#51697',
    callStream(
      piece(call(0, 'x', 'get_weather', '{"city":')),
      piece(call(0, undefined, null, '"Paris"}')),
      piece(call(0, 'x', 'get_weather', A)),
    ),
    ONE,
  ],
  [
    'the last chunk repeats the arguments, spaced otherwise',
    'opencode#17339',
    callStream(piece(call(0, 'x', 'get_weather', A)), piece(call(0, undefined, null, '{"city": "Paris"}'))),
    ONE,
  ],
  [
    'every piece repeats all arguments so far',
    'hermes-agent#35718',
    callStream(
      piece(call(0, 'x', 'get_weather', '')),
      piece(call(0, undefined, null, '{"ci')),
      piece(call(0, undefined, null, '{"city":"Par')),
      piece(call(0, undefined, null, A)),
      piece(call(0, undefined, null, A)),
    ),
    ONE,
  ],
  [
    'one call at several indexes under one id',
    'LocalAI#9722',
    callStream(
      piece(call(0, 'x', 'get_weather', A)),
      piece(call(1, 'x', 'get_weather', A)),
      piece(call(2, 'x', 'get_weather', A)),
    ),
    ONE,
  ],
  [
    'distinct calls that share one id',
    'nanobot#4059',
    callStream(piece(call(0, 'x', 'get_weather', A)), piece(call(1, 'x', 'get_weather', B))),
    TWO,
  ],
  [
    'index absent, told apart by id',
    'reference',
    callStream(
      piece(call(undefined, 'x', 'get_weather', '{"city":')),
      piece(call(undefined, 'x', null, '"Paris"}')),
      piece(call(undefined, 'y', 'get_time', '{}')),
    ),
    MIXED,
  ],
  [
    'index and id absent',
    'reference',
    callStream(
      piece(call(undefined, undefined, 'get_weather', '{"city":')),
      piece(call(undefined, undefined, null, '"Paris"}')),
      piece(call(undefined, undefined, 'get_time', '{}')),
    ),
    MIXED,
  ],
  [
    'index as a string',
    'reference',
    callStream(piece(call('0', 'x', 'get_weather', A)), piece(call('1', 'y', 'get_time', '{}'))),
    MIXED,
  ],
  [
    'index from 1',
    'reference',
    callStream(
      piece(call(1, 'x', 'get_weather', '{"city":')),
      piece(call(1, undefined, null, '"Paris"}')),
      piece(call(2, 'y', 'get_time', '{}')),
    ),
    MIXED,
  ],
];

describe('calls are read as they were meant', () => {
  test.each(forms)('%s (%s)', async (_form, _source, answer, outcome) => {
    server.script(answer);
    const turn = await collectTurn(server.model, withTools());
    checkTurn(turn);
    expect(outcomeOf(turn)).toBe(outcome);
  });

  test('when 150 are interleaved (reference)', async () => {
    const numbers = Array.from({ length: 150 }, (_, index) => index);
    server.script(
      callStream(
        ...numbers.map((index) => piece(call(index, `id${index}`, 'search', ''))),
        ...numbers.map((index) => piece(call(index, undefined, null, `{"n":`))),
        ...numbers.map((index) => piece(call(index, undefined, null, `${index}}`))),
      ),
    );
    const turn = await collectTurn(server.model, withTools());
    checkTurn(turn);
    expect(turn.calls).toEqual(numbers.map((index) => ['search', `{"n":${index}}`]));
  });

  test('more calls than an answer can have end the turn for good', async () => {
    server.script(
      callStream(
        ...Array.from({ length: 1_001 }, (_, index) => piece(call(index, `id${index}`, 'search', '{}'))),
      ),
    );
    expect(outcomeOf(await collectTurn(server.model, withTools()))).toBe('error:rejected');
  });
});
