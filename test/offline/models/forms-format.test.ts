import { describe, expect, test } from 'vitest';
import type { ModelRequest } from '../../../protocol/ports/model.ts';
import {
  body,
  call,
  callStream,
  delta,
  DONE,
  ends,
  fine,
  piece,
  said,
  wholeMessage,
} from '../../support/chat-wire.ts';
import {
  checkTurn,
  collectTurn,
  modelRequest,
  outcomeOf,
  tool,
  withTools,
} from '../../support/model-turn.ts';
import { useModelServer } from '../../support/model-server.ts';
import { sse, type Step } from '../../support/scripted-http.ts';

const server = useModelServer();
const sent = (index: number): Record<string, unknown> => server.sent(index);

const SCHEMA = {
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
  additionalProperties: false,
};
const FORMAT: ModelRequest['responseFormat'] = {
  type: 'json_schema',
  json_schema: { name: 'place', description: 'A place.', schema: SCHEMA, strict: true },
};
const wanted = modelRequest({ responseFormat: FORMAT });
const wantedWithTools = withTools({ responseFormat: FORMAT });

const refuses = (status: number, message: string, more: Record<string, unknown> = {}): Step =>
  body({ error: { message, type: 'invalid_request_error', param: null, code: null, ...more } }, status);
const answers = (args: string, name = 'final_answer'): Step =>
  callStream(piece(call(0, 'id_1', name, '')), piece(call(0, undefined, null, args)));
const PARIS = '{"city":"Paris"}';

const outcome = async (request: ModelRequest): Promise<string> => {
  const turn = await collectTurn(server.model, request);
  checkTurn(turn);
  return outcomeOf(turn);
};

const refusals: [form: string, source: string, refusal: Step, request?: ModelRequest][] = [
  [
    'OpenAI’s older models',
    'openai-dotnet#276',
    refuses(
      400,
      "Invalid parameter: 'response_format' of type 'json_schema' is not supported with model version `gpt-4o`.",
      {
        param: 'response_format',
      },
    ),
  ],
  ['DeepSeek', 'crewAI#6357', refuses(400, 'This response_format type is unavailable now')],
  [
    'LM Studio, of json_object',
    'lmstudio-bug-tracker#189',
    body({ error: "'response_format.type' must be 'json_schema' or 'text'" }, 400),
    modelRequest({ responseFormat: { type: 'json_object' } }),
  ],
  [
    'a validator that knows two of the three types',
    'reference',
    body(
      {
        detail: [
          {
            type: 'literal_error',
            loc: ['body', 'response_format', 'type'],
            msg: "Input should be 'text' or 'json_object'",
          },
        ],
      },
      422,
    ),
  ],
  [
    'TGI’s older wire',
    'reference',
    body({ error: 'Failed to deserialize the JSON body: response_format: missing field `value`' }, 422),
  ],
  ['a 5xx that says so', 'reference', refuses(500, 'structured output is not supported by this backend')],
];

describe('a server that refuses response_format', () => {
  test.each(refusals)('is asked by a tool: %s (%s)', async (_form, _source, refusal, request = wanted) => {
    server.script(refusal, answers(PARIS), answers(PARIS));
    expect(await outcome(request)).toBe(`stop ${JSON.stringify(PARIS)}`);
    expect(sent(1)).toMatchObject({
      tool_choice: 'required',
      tools: [{ function: { name: 'final_answer' } }],
    });
    expect(sent(1)['response_format']).toBeUndefined();
    expect(server.model.learned()).toMatchObject([{ capability: 'no_response_format', times: 1 }]);
    expect(await outcome(request)).toBe(`stop ${JSON.stringify(PARIS)}`);
    expect(server.http.requests).toHaveLength(3);
  });

  test('gets the schema, its description and strict as the tool’s', async () => {
    server.script(refuses(400, 'This response_format type is unavailable now'), answers(PARIS));
    await outcome(wanted);
    expect(sent(1)['tools']).toEqual([
      {
        type: 'function',
        function: {
          name: 'final_answer',
          description: expect.stringContaining('A place.') as unknown,
          parameters: SCHEMA,
          strict: true,
        },
      },
    ]);
  });

  test('is told nothing of the answer’s call in the turns to come', async () => {
    const model = server.another({ settings: { jsonSchema: false } });
    server.script(answers(PARIS));
    const turn = await collectTurn(model, wanted);
    expect(turn.turn).toMatchObject({ ids: [], data: null });
    expect(turn.calls).toEqual([]);
  });

  test('with tools only, it still gets the field without them', async () => {
    server.script(
      refuses(400, "Function calling with a response mime type: 'application/json' is unsupported"),
      answers(PARIS),
      sse([said(PARIS), ends(), DONE]),
    );
    expect(await outcome(wantedWithTools)).toBe(`stop ${JSON.stringify(PARIS)}`);
    expect(await outcome(wanted)).toBe(`stop ${JSON.stringify(PARIS)}`);
    expect(sent(2)['response_format']).toEqual(FORMAT);
    expect(server.model.learned()).toMatchObject([{ capability: 'no_response_format_with_tools' }]);
  });

  test('and a forced tool, is offered the tool', async () => {
    server.script(
      refuses(400, 'This response_format type is unavailable now'),
      refuses(400, 'deepseek-reasoner does not support this tool_choice'),
      answers(PARIS),
    );
    expect(await outcome(wanted)).toBe(`stop ${JSON.stringify(PARIS)}`);
    expect(sent(2)['tool_choice']).toBeUndefined();
  });

  test('for the caller’s own mistake in the schema, fails the turn, and nothing is learned', async () => {
    for (const refusal of [
      refuses(
        400,
        "Invalid schema for response_format 'place': In context=(), 'additionalProperties' is required",
        {
          param: 'response_format',
        },
      ),
      refuses(400, "'response_format.json_schema.schema' must be an object"),
      refuses(
        400,
        "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
        {
          param: 'messages',
        },
      ),
      body(
        {
          detail: [
            {
              loc: ['body', 'response_format', 'json_schema', 'name'],
              msg: 'String should match pattern',
              type: 'pattern',
            },
          ],
        },
        422,
      ),
      refuses(400, "Tool 'response_format' is not supported"),
    ]) {
      server.script(refusal);
      expect(await outcome({ ...wanted, tools: [tool('response_format')] })).toMatch(
        /^error:(rejected|refused)$/,
      );
    }
    expect(server.http.requests).toHaveLength(5);
    expect(server.model.learned()).toEqual([]);
  });
});

describe('a server that ignores response_format', () => {
  const ignores: [form: string, step: Step][] = [
    ['prose', sse([said('The city '), said('is Paris.'), ends(), DONE])],
    ['prose after white space', sse([said('\n\n'), said('Paris'), ends(), DONE])],
    ['prose in a whole answer', wholeMessage({ content: 'Paris.' })],
    [
      'an empty answer',
      wholeMessage({ content: '' }, 'stop', { usage: { prompt_tokens: 3, completion_tokens: 1 } }),
    ],
    ['a list in the place of an object', sse([said('["Paris"]'), ends(), DONE])],
  ];

  test.each(ignores)('is asked by a tool before a reader has seen anything: %s', async (_form, step) => {
    server.script(step, answers(PARIS));
    expect(await outcome(wanted)).toBe(`stop ${JSON.stringify(PARIS)}`);
    expect(server.model.learned()).toMatchObject([{ capability: 'no_response_format' }]);
  });

  test('is not believed to do so before the tool has brought an answer in JSON', async () => {
    server.script(ignores[0]?.[1] ?? fine(), sse([said('Paris, again.'), ends(), DONE]));
    expect(await outcome(wanted)).toBe('error:broken_off retry');
    expect(server.model.learned()).toEqual([]);
  });

  test('ends the turn when the beginning was JSON, and the next attempt uses the tool', async () => {
    server.script(sse([said('{"city":'), said(' Paris}'), ends(), DONE]), answers(PARIS));
    expect(await outcome(wanted)).toBe('error:broken_off retry');
    expect(await outcome(wanted)).toBe(`stop ${JSON.stringify(PARIS)}`);
    expect(sent(1)['response_format']).toBeUndefined();
    expect(server.model.learned()).toMatchObject([{ capability: 'no_response_format' }]);
  });

  test('and writes words after the JSON, or a fence around it, is understood', async () => {
    server.script(
      sse([said('{"city":"Pa'), said('ris"}\nThis JSON'), said(' object has a city.'), ends(), DONE]),
      sse([said('```json\n'), said(`${PARIS}\n`), said('```'), ends(), DONE]),
    );
    expect(await outcome(wanted)).toBe(`stop ${JSON.stringify(PARIS)}`);
    expect(await outcome(wanted)).toBe(`stop ${JSON.stringify(PARIS)}`);
    expect(server.http.requests).toHaveLength(2);
  });

  test('is not blamed for a refusal, a limit, a filter, or words before calls', async () => {
    server.script(
      sse([delta({ refusal: 'I can’t.' }), ends(), DONE]),
      sse([said('{"city":"Pa'), ends('length'), DONE]),
      sse([said('{"city":"Pa'), ends('content_filter'), DONE]),
      callStream(said('Let me look. '), piece(call(0, 'id_1', 'get_weather', '{}'))),
    );
    expect(await outcome(wanted)).toBe('stop refusal "I can’t."');
    expect(await outcome(wanted)).toBe('length "{\\"city\\":\\"Pa"');
    expect(await outcome(wanted)).toBe('content_filter "{\\"city\\":\\"Pa"');
    expect(await outcome(wantedWithTools)).toBe('tool_calls "Let me look. " get_weather({})');
    expect(server.http.requests).toHaveLength(4);
  });
});

const asked = async (request: ModelRequest, ...steps: Step[]): Promise<string> => {
  server.script(...steps);
  const turn = await collectTurn(server.another({ settings: { jsonSchema: false } }), request);
  checkTurn(turn);
  return outcomeOf(turn);
};

describe('with the setting that the server does not know response_format', () => {
  test('the run’s tools stay, a call is required, and the name is free', async () => {
    const request = withTools({ responseFormat: FORMAT, tools: [tool('final_answer'), tool('search')] });
    expect(await asked(request, answers(PARIS, 'final_answer_2'))).toBe(`stop ${JSON.stringify(PARIS)}`);
    expect(sent(0)['tool_choice']).toBe('required');
    expect((sent(0)['tools'] as { function: { name: string } }[]).map((one) => one.function.name)).toEqual([
      'final_answer',
      'search',
      'final_answer_2',
    ]);
  });

  test('a turn that has to call a tool is sent as it is, without the format', async () => {
    const choice = { type: 'function', function: { name: 'search' } } as const;
    expect(
      await asked(
        { ...wantedWithTools, toolChoice: choice },
        callStream(piece(call(0, 'i', 'search', '{}'))),
      ),
    ).toBe('tool_calls search({})');
    expect(sent(0)).toMatchObject({ tool_choice: choice });
    expect(sent(0)['response_format']).toBeUndefined();
    expect(JSON.stringify(sent(0)['tools'])).not.toContain('final_answer');
  });

  test('a run that may call nothing is offered the answer alone', async () => {
    expect(await asked({ ...wantedWithTools, toolChoice: 'none' }, answers(PARIS))).toBe(
      `stop ${JSON.stringify(PARIS)}`,
    );
    expect(sent(0)['tools']).toHaveLength(1);
  });

  test('calls of the run’s tools count, and an answer after them does not', async () => {
    const both = callStream(
      piece(call(0, 'a', 'get_weather', '{"c":1}')),
      piece(call(1, 'b', 'final_answer', PARIS)),
      piece(call(2, 'c', 'search', '{}')),
    );
    expect(await asked(wantedWithTools, both)).toBe('tool_calls get_weather({"c":1}) search({})');
    const turn = await collectTurn(server.another({ settings: { jsonSchema: false } }), wantedWithTools);
    expect(turn.error).not.toBeNull();
  });

  test('words before the answer are dropped, words before other calls are not', async () => {
    const words = said('Here it is: ');
    expect(await asked(wanted, callStream(words, piece(call(0, 'a', 'final_answer', PARIS))))).toBe(
      `stop ${JSON.stringify(PARIS)}`,
    );
    expect(await asked(wantedWithTools, callStream(words, piece(call(0, 'a', 'search', '{}'))))).toBe(
      'tool_calls "Here it is: " search({})',
    );
  });

  test('JSON that the model says in text is the answer', async () => {
    expect(await asked(wanted, sse([said(PARIS), ends(), DONE]))).toBe(`stop ${JSON.stringify(PARIS)}`);
  });

  test('an answer that a limit cuts off is passed on as far as it came', async () => {
    const cut = sse([piece(call(0, 'a', 'final_answer', '{"city":"Pa')), ends('length'), DONE]);
    expect(await asked(wanted, cut)).toBe('length "{\\"city\\":\\"Pa"');
  });

  test('arguments that are no JSON are no answer', async () => {
    expect(await asked(wanted, answers('{"city":'))).toBe('error:broken_off retry');
  });

  test('the answer is streamed', async () => {
    server.script(
      callStream(
        piece(call(0, 'a', 'final_answer', '{"city"')),
        piece(call(0, undefined, null, ':"Pa')),
        piece(call(0, undefined, null, 'ris"}')),
      ),
    );
    const turn = await collectTurn(server.another({ settings: { jsonSchema: false } }), wanted);
    expect(turn.parts.filter(({ kind }) => kind === 'text')).toHaveLength(3);
    expect(turn.finish).toMatchObject({ reason: 'stop', raw: 'tool_calls' });
  });
});

test('with the setting that the server knows response_format, its refusal is final', async () => {
  server.script(refuses(400, 'This response_format type is unavailable now'));
  const model = server.another({ settings: { jsonSchema: true } });
  expect(outcomeOf(await collectTurn(model, wanted))).toBe('error:rejected');
  expect(server.http.requests).toHaveLength(1);
});
