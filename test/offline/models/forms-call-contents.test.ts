import { expect, test } from 'vitest';
import {
  call,
  callStream,
  DONE,
  data,
  delta,
  ends,
  piece,
  said,
  whole,
  wholeMessage,
} from '../../support/chat-wire.ts';
import { checkTurn, collectTurn, outcomeOf, withTools } from '../../support/model-turn.ts';
import { useModelServer } from '../../support/model-server.ts';
import { sse, type Step } from '../../support/scripted-http.ts';

const server = useModelServer();

const A = '{"city":"Paris"}';
const B = '{"city":"Rome"}';
const ONE = `tool_calls get_weather(${A})`;
const TWO = `tool_calls get_weather(${A}) get_weather(${B})`;

const forms: [form: string, source: string, answer: Step, outcome: string][] = [
  [
    'arguments as an object',
    'reference',
    callStream(piece(call(0, 'x', 'get_weather', { city: 'Paris' }))),
    ONE,
  ],
  [
    'arguments null',
    'reference',
    callStream(piece(call(0, 'x', 'get_time', null))),
    'tool_calls get_time({})',
  ],
  [
    'no arguments at all',
    'reference',
    callStream(piece(call(0, 'x', 'get_time', undefined))),
    'tool_calls get_time({})',
  ],
  [
    'two heads, then both without arguments',
    'reference',
    callStream(piece(call(0, 'x', 'get_time', '')), piece(call(1, 'y', 'search', ''))),
    'tool_calls get_time({}) search({})',
  ],
  [
    'a name in pieces',
    'reference',
    callStream(
      piece(call(0, 'x', 'get_', undefined)),
      piece(call(0, undefined, 'weather', undefined)),
      piece(call(0, undefined, null, A)),
    ),
    ONE,
  ],
  [
    'a name that grows',
    'hermes-agent#35718',
    callStream(
      piece(call(0, 'x', 'get_', undefined)),
      piece(call(0, 'x', 'get_weather', undefined)),
      piece(call(0, 'x', null, A)),
    ),
    ONE,
  ],
  [
    'name and arguments without `function`',
    'Ollama proxies',
    callStream(piece({ index: 0, id: 'x', name: 'get_weather', arguments: A })),
    ONE,
  ],
  [
    'one call in place of a list',
    'reference',
    callStream(delta({ tool_calls: call(0, 'x', 'get_weather', A) })),
    ONE,
  ],
  [
    '`stop` although there are calls',
    'reference',
    sse([piece(call(0, 'x', 'get_weather', A)), ends('stop'), DONE]),
    ONE,
  ],
  ['`tool_calls` without any', 'reference', sse([said('Hm.'), ends('tool_calls'), DONE]), 'stop "Hm."'],
  [
    'the old single call',
    'reference',
    sse([
      delta({ function_call: { name: 'get_weather', arguments: '' } }),
      delta({ function_call: { arguments: A } }),
      ends('function_call'),
      DONE,
    ]),
    ONE,
  ],
  [
    'an empty piece with the reason',
    'ai#3953',
    sse([
      piece(call(0, 'x', 'get_weather', A)),
      delta({ tool_calls: [{ index: 0, function: { arguments: '' } }] }, 'tool_calls'),
      DONE,
    ]),
    ONE,
  ],
  [
    'text, then calls',
    'OpenAI',
    sse([said('Let me look.'), piece(call(0, 'x', 'get_weather', A)), ends('tool_calls'), DONE]),
    `tool_calls "Let me look." get_weather(${A})`,
  ],
  [
    'a whole message within the stream',
    'reference',
    sse([
      data({
        choices: [
          {
            index: 0,
            message: { content: 'Yes.', tool_calls: [call(undefined, 'x', 'get_weather', A)] },
            finish_reason: 'tool_calls',
          },
        ],
      }),
      DONE,
    ]),
    `tool_calls "Yes." get_weather(${A})`,
  ],
  [
    'a last chunk with the whole message again',
    'reference',
    sse([
      said('Yes.'),
      piece(call(0, 'x', 'get_weather', A)),
      data({
        choices: [
          {
            index: 0,
            message: { content: 'Yes.', tool_calls: [call(undefined, 'x', 'get_weather', A)] },
            finish_reason: 'tool_calls',
          },
        ],
      }),
      DONE,
    ]),
    `tool_calls "Yes." get_weather(${A})`,
  ],
  [
    'a whole answer',
    'OpenAI',
    wholeMessage({ content: null, tool_calls: [call(undefined, 'x', 'get_weather', A)] }, 'tool_calls'),
    ONE,
  ],
  [
    'a whole answer whose calls share one id',
    'nanobot#4059',
    wholeMessage(
      {
        content: null,
        tool_calls: [call(undefined, 'x', 'get_weather', A), call(undefined, 'x', 'get_weather', B)],
      },
      'tool_calls',
    ),
    TWO,
  ],
  [
    'a whole answer whose calls are all numbered 0',
    'plexus#691',
    wholeMessage(
      { content: null, tool_calls: [call(0, '', 'get_weather', A), call(0, '', 'get_weather', B)] },
      'tool_calls',
    ),
    TWO,
  ],
  [
    'a whole answer with the same call twice',
    'reference',
    wholeMessage(
      { tool_calls: [call(0, 'x', 'get_time', '{}'), call(1, 'y', 'get_time', '{}')] },
      'tool_calls',
    ),
    'tool_calls get_time({}) get_time({})',
  ],
  [
    'text in one choice, calls in another',
    'gptel#1284',
    whole([
      { index: 0, message: { content: 'Looking.' }, finish_reason: 'tool_calls' },
      {
        index: 1,
        message: { content: null, tool_calls: [call(undefined, 'x', 'get_weather', A)] },
        finish_reason: 'tool_calls',
      },
    ]),
    `tool_calls "Looking." get_weather(${A})`,
  ],
  [
    'the same call twice under two indexes',
    'OpenAI',
    callStream(piece(call(0, 'x', 'get_time', '{}')), piece(call(1, 'y', 'get_time', '{}'))),
    'tool_calls get_time({}) get_time({})',
  ],
  [
    'arguments that hold braces and quotes in text',
    'reference',
    callStream(
      piece(call(0, 'x', 'search', '{"q":"a}{\\"')),
      piece(call(0, undefined, null, '}"}')),
      piece(call(0, 'y', 'get_time', '{}')),
    ),
    'tool_calls search({"q":"a}{\\"}"}) get_time({})',
  ],
];

test.each(forms)(
  'the contents of a call are read as they were meant: %s (%s)',
  async (_form, _source, answer, outcome) => {
    server.script(answer);
    const turn = await collectTurn(server.model, withTools());
    checkTurn(turn);
    expect(outcomeOf(turn)).toBe(outcome);
  },
);
