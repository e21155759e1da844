/**
 * The contract of every adapter of the port for models, on its own wire.
 *
 * Rule: an adapter brings a server that plays its wire, by scenario, and a way to build itself; the properties are the
 * same for all. One `describeModelContract` adds a new adapter. Tests only.
 */
import { describe, expect, test } from 'vitest';
import { ANSWER_LIMITS } from '../../protocol/limits.ts';
import type {
  Model,
  ModelContent,
  ModelMessage,
  ModelRequest,
  ProviderTurn,
} from '../../protocol/ports/model.ts';
import { checkTurn, collectTurn, modelRequest, withTools, type CollectedTurn } from './model-turn.ts';

/** What the server is to play for one request. */
export type Scenario =
  | {
      kind: 'text';
      pieces: string[];
      usage: { prompt: number; completion: number; cached: number; reasoning: number };
    }
  | { kind: 'calls'; calls: { name: string; pieces: string[] }[]; signature: string }
  | { kind: 'length' | 'filtered'; text: string }
  /** The text, then nothing more: the connection breaks, or stays open. */
  | { kind: 'cut' | 'stalls'; text: string }
  /** The text, then a well-formed end of the body without the provider's end, or an error in the stream. */
  | { kind: 'ends_early' | 'breaks_inside'; text: string }
  /** The text among events and fields that no adapter knows. */
  | { kind: 'unknown'; text: string }
  /** A JSON text, in the way that the wire answers a request for an object of a schema. */
  | { kind: 'object'; text: string }
  /** One event of so many characters, and no end. */
  | { kind: 'huge'; chars: number }
  | { kind: 'too_long' | 'unauthorized' | 'unavailable' | 'failed' | 'rejected' }
  | { kind: 'rate_limited'; retryAfterSeconds: number };

export interface ModelWire {
  play(...scenarios: Scenario[]): void;
  /** Bodies of the requests so far, parsed. */
  requests(): Record<string, unknown>[];
  /** Resolves when the adapter has closed the connection of the newest request. */
  closed(): Promise<void>;
  create(): Model;
  /** Counts that the wire does not have. */
  uncounted?: readonly ('cachedTokens' | 'reasoningTokens')[];
  /** Where the wire carries what was given back: true when this request repeats `signature` unchanged. */
  repeats: (request: Record<string, unknown>, signature: string) => boolean;
}

/** An image is bytes to every adapter. */
const IMAGE = 'aW1hZ2VieXRlcw==';

const OURS = ['call_aaaaaaaaaaaaaaaaaaaaaaaa', 'call_bbbbbbbbbbbbbbbbbbbbbbbb'];

const answered = (turn: CollectedTurn, providerTurn: ProviderTurn | null): ModelMessage[] => {
  const calls = turn.calls.map(([name, args], index) => ({
    callId: OURS[index] ?? '',
    name,
    arguments: args,
  }));
  return [
    { role: 'user', content: [{ type: 'text', text: 'Weather?' }] },
    { role: 'assistant', text: turn.text, calls, providerTurn },
    ...calls.map(({ callId, name }): ModelMessage => ({
      role: 'tool',
      callId,
      name,
      output: `out ${callId}`,
    })),
  ];
};

const throughJson = (turn: ProviderTurn | null): ProviderTurn | null =>
  JSON.parse(JSON.stringify(turn)) as ProviderTurn | null;

const CALLS: Extract<Scenario, { kind: 'calls' }> = {
  kind: 'calls',
  calls: [
    { name: 'get_weather', pieces: ['{"city":', '"Paris"}'] },
    { name: 'get_time', pieces: ['{}'] },
  ],
  signature: 'c2lnbmF0dXJl',
};

const TEXT: Extract<Scenario, { kind: 'text' }> = {
  kind: 'text',
  pieces: ['Hel', 'lo', ' there'],
  usage: { prompt: 11, completion: 7, cached: 4, reasoning: 2 },
};

export const describeModelContract = (name: string, wire: () => ModelWire): void => {
  describe(`the contract of a model, by ${name}`, () => {
    const turnOf = async (
      scenario: Scenario,
      request = withTools(),
      controls = {},
    ): Promise<CollectedTurn> => {
      wire().play(scenario);
      const turn = await collectTurn(wire().create(), request, controls);
      checkTurn(turn);
      return turn;
    };

    test('text comes in order, with its token counts, and ends with the reason and the server’s own word', async () => {
      const turn = await turnOf(TEXT);
      expect(turn).toMatchObject({ text: 'Hello there', calls: [], error: null, finish: { reason: 'stop' } });
      expect(turn.finish?.raw).toEqual(expect.any(String));
      expect(turn.usage).toEqual({
        promptTokens: 11,
        completionTokens: 7,
        totalTokens: 18,
        cachedTokens: 4,
        reasoningTokens: 2,
        ...Object.fromEntries((wire().uncounted ?? []).map((count) => [count, null])),
      });
      expect(wire().requests()).toHaveLength(1);
    });

    test('calls come begun, in pieces, and whole', async () => {
      const turn = await turnOf(CALLS);
      expect(turn.calls).toEqual([
        ['get_weather', '{"city":"Paris"}'],
        ['get_time', '{}'],
      ]);
      expect(turn.finish?.reason).toBe('tool_calls');
    });

    test('what must be given back survives JSON and another process, for this model only', async () => {
      const turn = await turnOf(CALLS);
      const messages = answered(turn, throughJson(turn.turn));
      await turnOf(TEXT, withTools({ messages }));
      await turnOf(TEXT, withTools({ messages, model: 'model-b' }));
      await turnOf(TEXT, withTools({ messages: answered(turn, null) }));
      const [, own, other, without] = wire().requests();
      expect([own, other, without].map((one) => wire().repeats(one ?? {}, CALLS.signature))).toEqual([
        true,
        false,
        false,
      ]);
      for (const id of OURS) expect(JSON.stringify(own)).toContain(`out ${id}`);
    });

    test.each(['length', 'filtered'] as const)('an answer that ends by %s says so', async (kind) => {
      const turn = await turnOf({ kind, text: 'Half' });
      expect(turn.finish?.reason).toBe(kind === 'length' ? 'length' : 'content_filter');
      expect(turn.text).toBe('Half');
    });

    test.each([
      [{ kind: 'too_long' }, { kind: 'too_long', retryable: false }],
      [{ kind: 'unauthorized' }, { kind: 'unauthorized', retryable: false }],
      [{ kind: 'rejected' }, { kind: 'rejected', retryable: false, cost: 'nothing' }],
      [{ kind: 'unavailable' }, { kind: 'unavailable', retryable: true }],
      [{ kind: 'failed' }, { kind: 'unavailable', retryable: true }],
      [
        { kind: 'ends_early', text: 'Half' },
        { kind: 'broken_off', retryable: true, cost: 'turn' },
      ],
      [
        { kind: 'breaks_inside', text: 'Half' },
        { retryable: true, cost: 'turn' },
      ],
      [
        { kind: 'huge', chars: ANSWER_LIMITS.eventChars + 10 },
        { kind: 'rejected', retryable: false, cost: 'turn' },
      ],
      [
        { kind: 'rate_limited', retryAfterSeconds: 7 },
        { kind: 'rate_limited', retryable: true, retryAfterMs: 7_000, cost: 'nothing' },
      ],
      [
        { kind: 'cut', text: 'Half' },
        { kind: 'broken_off', retryable: true, cost: 'turn' },
      ],
    ] as [Scenario, Record<string, unknown>][])('%j is an error of the list', async (scenario, expected) => {
      const turn = await turnOf(scenario);
      expect(turn.error).toMatchObject({ name: 'ModelError', ...expected });
      expect(wire().requests()).toHaveLength(1);
    });

    test('events and fields that are not known change nothing', async () => {
      const turn = await turnOf({ kind: 'unknown', text: 'Hello' });
      expect(turn).toMatchObject({ text: 'Hello', error: null, finish: { reason: 'stop' } });
    });

    test('an image of a data URL is sent as it is', async () => {
      const content: ModelContent[] = [
        { type: 'text', text: 'What is it?' },
        { type: 'image', url: `data:image/png;base64,${IMAGE}` },
      ];
      const turn = await turnOf(TEXT, modelRequest({ messages: [{ role: 'user', content }] }));
      expect(turn.error).toBeNull();
      expect(JSON.stringify(wire().requests())).toContain(IMAGE);
    });

    test('an answer by a JSON schema is text of that schema', async () => {
      const schema = {
        type: 'object',
        properties: { capital: { type: 'string' } },
        required: ['capital'],
        additionalProperties: false,
      };
      const turn = await turnOf(
        { kind: 'object', text: '{"capital":"Paris"}' },
        modelRequest({ responseFormat: { type: 'json_schema', json_schema: { name: 'city', schema } } }),
      );
      expect(turn).toMatchObject({ text: '{"capital":"Paris"}', calls: [], finish: { reason: 'stop' } });
      expect(JSON.stringify(wire().requests())).toContain('"capital"');
    });

    test('a model that the operator says to take no format answers in JSON by a tool, and no call is seen', async () => {
      const schema = { type: 'object', properties: { capital: { type: 'string' } }, required: ['capital'] };
      const request = modelRequest({
        responseFormat: { type: 'json_schema', json_schema: { name: 'city', schema } },
        capabilities: { images: null, jsonSchema: false, tools: null },
      });
      const asked = withTools({ ...request, tools: withTools().tools });
      const answer = { name: 'final_answer', pieces: ['{"capital":', '"Paris"}'] };
      const byTool: Scenario = { ...CALLS, calls: [answer] };
      expect(await turnOf(byTool, request)).toMatchObject({
        text: '{"capital":"Paris"}',
        calls: [],
        finish: { reason: 'stop' },
      });
      // With tools of the run the turn may go on first: its calls are passed on, and the answer comes later.
      const both = await turnOf({ ...CALLS, calls: [...CALLS.calls, answer] }, asked);
      expect(both.calls.map(([called]) => called)).toEqual(['get_weather', 'get_time']);
      expect(both.finish?.reason).toBe('tool_calls');
      const messages = answered(both, throughJson(both.turn));
      expect(await turnOf(byTool, { ...asked, messages })).toMatchObject({ text: '{"capital":"Paris"}' });
      const sent = wire().requests();
      expect(sent.map((one) => JSON.stringify(one).includes('final_answer'))).toEqual([true, true, true]);
      expect(JSON.stringify(sent)).not.toMatch(/json_schema|responseSchema|responseJsonSchema|output_format/);
    });

    test('what the operator says that a model can not do is refused before it is sent', async () => {
      const image: ModelContent[] = [{ type: 'image', url: `data:image/png;base64,${IMAGE}` }];
      const can = { images: null, jsonSchema: null, tools: null };
      const refused: [string, ModelRequest][] = [
        [
          'messages.0.content',
          modelRequest({
            messages: [{ role: 'user', content: image }],
            capabilities: { ...can, images: false },
          }),
        ],
        ['tools', withTools({ capabilities: { ...can, tools: false } })],
        [
          'response_format',
          modelRequest({
            responseFormat: { type: 'json_object' },
            capabilities: { images: null, jsonSchema: false, tools: false },
          }),
        ],
      ];
      for (const [field, request] of refused)
        expect((await collectTurn(wire().create(), request)).error).toMatchObject({
          kind: 'refused',
          field,
          retryable: false,
          cost: 'nothing',
        });
      expect(wire().requests()).toEqual([]);
    });

    test('an abort ends the turn at once with its own reason, and closes the connection', async () => {
      const controller = new AbortController();
      const reason = new Error('given up');
      const turn = await turnOf({ kind: 'stalls', text: 'Half' }, modelRequest(), {
        signal: controller.signal,
        onParts: () => controller.abort(reason),
      });
      expect(turn.error).toBe(reason);
      await wire().closed();
    });

    test('a signal that is aborted before sends nothing', async () => {
      const reason = new Error('too late');
      const turn = await collectTurn(wire().create(), modelRequest(), { signal: AbortSignal.abort(reason) });
      expect(turn.error).toBe(reason);
      expect(wire().requests()).toHaveLength(0);
    });

    test('a deadline ends a turn that stalls', async () => {
      const turn = await turnOf({ kind: 'stalls', text: 'Half' }, modelRequest(), {
        deadline: Date.now() + 100,
      });
      expect(turn.error).toMatchObject({ kind: 'broken_off', code: 'deadline', retryable: false });
      await wire().closed();
    });

    test('a consumer that leaves closes the connection', async () => {
      wire().play({ kind: 'stalls', text: 'Half' });
      const signal = new AbortController().signal;
      for await (const _ of wire().create().turn(modelRequest(), { signal, deadline: null })) break;
      await expect(wire().closed()).resolves.toBeUndefined();
    });

    test('what was sent is told once for each request', async () => {
      const { observed } = await turnOf(TEXT);
      expect(observed.filter(({ kind }) => kind === 'request')).toMatchObject([
        { method: 'POST', status: 200 },
      ]);
    });
  });
};
