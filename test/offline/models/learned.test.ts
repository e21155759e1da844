import { describe, expect, test } from 'vitest';

import { body, data, fine, streamAs } from '../../support/chat-wire.ts';
import { collectTurn, modelRequest, outcomeOf, tool } from '../../support/model-turn.ts';
import { useModelServer } from '../../support/model-server.ts';
import type { Step } from '../../support/scripted-http.ts';

const server = useModelServer();

const sent = (index: number): Record<string, unknown> => server.sent(index);
const refuses = (status: number, message: string, more: Record<string, unknown> = {}): Step =>
  body({ error: { message, type: 'invalid_request_error', param: null, code: null, ...more } }, status);
const forbids = (field: string): Step =>
  body(
    {
      detail: [
        { type: 'extra_forbidden', loc: ['body', field], msg: 'Extra inputs are not permitted', input: 1 },
      ],
    },
    422,
  );

const LIMITED = modelRequest({ maxOutputTokens: 300 });

const refusal = (): Step => refuses(400, "Unknown parameter: 'stream_options'.");

const formatRefused = (): Step => refuses(400, "Unknown parameter: 'response_format'.");

const inFormat = (name: string) =>
  modelRequest({
    responseFormat: { type: 'json_schema', json_schema: { name, schema: { type: 'object' } } },
  });

describe('learned limits', () => {
  test('are none when the request without the field is refused, too', async () => {
    server.script(refusal(), refuses(400, 'bad request'), fine());
    expect(outcomeOf(await collectTurn(server.model))).toBe('error:rejected');
    await collectTurn(server.model);
    expect(sent(2)['stream_options']).toEqual({ include_usage: true });
    expect(server.model.learned()).toEqual([]);
  });

  test('are for one model, and shown', async () => {
    server.script(refusal(), fine(), fine());
    await collectTurn(server.model);
    await collectTurn(server.model, modelRequest({ model: 'model-b' }));
    expect(sent(2)['stream_options']).toEqual({ include_usage: true });
    expect(server.model.learned()).toMatchObject([
      { model: 'model-a', capability: 'no_stream_usage', times: 1 },
    ]);
  });

  test('expire, and last twice as long when they are shown again', async () => {
    let now = 0;
    const aging = server.another({ capabilities: { now: () => now, firstMs: 1_000 } });
    server.script(refusal(), fine(), refusal(), fine(), fine());
    const observed = [];
    observed.push(...(await collectTurn(aging)).observed);
    now = 1_001;
    observed.push(...(await collectTurn(aging)).observed);
    expect(sent(2)['stream_options']).toEqual({ include_usage: true });
    now = 2_500;
    await collectTurn(aging);
    expect(sent(4)['stream_options']).toBeUndefined();
    expect(observed.filter(({ kind }) => kind === 'capability')).toEqual([
      { kind: 'capability', capability: 'no_stream_usage', change: 'learned' },
      { kind: 'capability', capability: 'no_stream_usage', change: 'confirmed' },
    ]);
  });

  test('are remembered for a bounded number of models', async () => {
    const small = server.another({ capabilities: { models: 2 } });
    for (const name of ['a', 'b', 'c']) {
      server.script(refusal(), fine());
      await collectTurn(small, modelRequest({ model: name }));
    }
    expect(small.learned().map((one) => one.model)).toEqual(['b', 'c']);
  });

  test('are taken back when the field that helped is the one refused', async () => {
    server.script(forbids('max_completion_tokens'), fine());
    await collectTurn(server.model, LIMITED);
    server.script(
      refuses(
        400,
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
      ),
      fine(),
    );
    expect(outcomeOf(await collectTurn(server.model, LIMITED))).toBe('stop "ok"');
    expect(sent(3)['max_completion_tokens']).toBe(300);
    expect(server.model.learned()).toEqual([]);
  });

  test('are never what a caller has named', async () => {
    const named = [
      refuses(400, "Invalid tool name 'stream'"),
      refuses(400, "Tool 'stream' is not supported"),
      refuses(400, 'The model `stream_options` is not supported'),
      refuses(404, "Model 'stream' not found"),
      refuses(400, 'model stream_options does not support streaming of stream_options', { param: 'model' }),
    ];
    for (const refusalOfName of named) {
      server.script(refusalOfName, fine());
      await collectTurn(
        server.model,
        modelRequest({ model: 'stream_options', tools: [tool('stream'), tool('streaming')] }),
      );
      server.http.script.length = 0;
    }
    expect(server.model.learned()).toEqual([]);
    server.script(fine());
    await collectTurn(server.model);
    expect(sent(server.http.requests.length - 1)).toMatchObject({
      stream: true,
      stream_options: { include_usage: true },
    });
  });

  test('are never what a caller has named in a format', async () => {
    for (const name of ['stream_options', 'stream', 'response_format', 'json_schema', 'tool_choice']) {
      server.script(refuses(400, `The format '${name}' is not supported`), fine('{}'));
      await collectTurn(server.model, inFormat(name));
      server.http.script.length = 0;
    }
    expect(server.model.learned()).toEqual([]);
  });

  test('are never what left the server’s words as they were', async () => {
    const words = "Unknown parameter: 'stream_options'. Unsupported parameter: 'max_completion_tokens'.";
    server.script(refuses(400, words), refuses(400, words), fine());
    expect(outcomeOf(await collectTurn(server.model, LIMITED))).toBe('stop "ok"');
    expect(server.model.learned().map(({ capability }) => capability)).toEqual(['other_max_tokens_field']);
  });

  test('are none of a 404, of a rate limit, or of an answer that had begun', async () => {
    for (const answer of [
      refuses(404, "Unknown parameter: 'stream_options'"),
      refuses(429, "Unknown parameter: 'stream_options'"),
      streamAs(
        'text/event-stream',
        data({ choices: [{ delta: { content: 'Half' } }] }) +
          data({ error: { code: 400, message: "Unknown parameter: 'stream_options'" } }),
      ),
    ]) {
      server.script(answer);
      expect(outcomeOf(await collectTurn(server.model))).toMatch(/^error/);
    }
    expect(server.http.requests).toHaveLength(3);
  });

  test('are never what a setting decides', async () => {
    const fixed = server.another({ settings: { streamUsage: true, stream: 'always' } });
    server.script(refusal());
    expect(outcomeOf(await collectTurn(fixed))).toMatch(/^error/);
    expect(server.http.requests).toHaveLength(1);
  });

  test('are never what the operator has said of the model’s formats', async () => {
    const withFormat = (jsonSchema: boolean, model: string) => ({
      ...inFormat('city'),
      model,
      capabilities: { images: null, jsonSchema, tools: null },
    });
    server.script(formatRefused());
    expect(outcomeOf(await collectTurn(server.model, withFormat(true, 'says-yes')))).toMatch(/^error/);
    expect(server.http.requests).toHaveLength(1);
    expect(server.model.learned()).toEqual([]);
    // Another model of the same server is learned as before.
    server.script(formatRefused(), fine('{}'));
    await collectTurn(server.model, inFormat('city'));
    expect(server.model.learned()).toMatchObject([{ model: 'model-a', capability: 'no_response_format' }]);
    // The operator's word wins over what was learned before, and over a setting of the server.
    server.script(fine('{}'), fine('{}'));
    await collectTurn(server.model, withFormat(true, 'model-a'));
    expect(sent(3)['response_format']).toBeDefined();
    const set = server.another({ settings: { jsonSchema: false } });
    await collectTurn(set, withFormat(true, 'model-a'));
    expect(sent(4)['response_format']).toBeDefined();
  });

  test('never ask a model without tools by the answer tool', async () => {
    server.script(formatRefused());
    const request = { ...inFormat('city'), capabilities: { images: null, jsonSchema: null, tools: false } };
    expect(outcomeOf(await collectTurn(server.model, request))).toMatch(/^error/);
    expect(server.http.requests).toHaveLength(1);
  });
});
