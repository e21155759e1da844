/** The contract of models by Bedrock's Converse, and what only this wire has. */
import { afterEach, expect, test, vi } from 'vitest';
import { awsEvents } from '../../../backends/models/ai-sdk/wire-events.ts';
import { regionOf } from '../../../backends/models/bedrock/index.ts';
import { openModel } from '../../../backends/models/open-model.ts';
import {
  bedrockCall,
  bedrockEnd,
  bedrockEvent,
  bedrockException,
  bedrockFrames,
  bedrockStep,
  bedrockThinking,
} from '../../support/bedrock-wire.ts';
import { weatherAnswered } from '../../support/given-back.ts';
import { describeModelContract } from '../../support/model-contract.ts';
import { collectTurn, modelRequest, withTools } from '../../support/model-turn.ts';
import { useWire } from '../../support/model-wire.ts';

const wire = useWire({
  stepOf: bedrockStep,
  create: (url) => openModel('bedrock', { baseUrl: url, apiKey: 'key-1', body: { top_k: 3 } }),
  uncounted: ['reasoningTokens'],
  repeats: (request, signature) => {
    const text = JSON.stringify(request);
    return (
      text.includes(`"signature":"${signature}"`) &&
      text.includes('"tooluse_0"') &&
      text.includes('"tooluse_1"')
    );
  },
});

describeModelContract('bedrock', wire);

afterEach(() => vi.unstubAllEnvs());

const CLAUDE = 'eu.anthropic.claude-sonnet-4-5-v1:0';

test('thinking goes back with its signature, and extra fields are the model’s own', async () => {
  wire().script(
    bedrockFrames([
      ...bedrockThinking(0, 'First.', 'c2lnMQ=='),
      ...bedrockCall(1, 'tooluse_own', 'get_weather', '{"city":', '"Paris"}'),
      ...bedrockEnd('tool_use'),
    ]),
    bedrockStep({ kind: 'length', text: 'x' }),
  );
  const request = { model: CLAUDE, reasoningEffort: 'low' };
  const turn = await collectTurn(wire().create(), withTools(request));
  expect(turn).toMatchObject({ reasoning: 'First.', error: null });
  await collectTurn(wire().create(), withTools({ ...request, messages: weatherAnswered(turn) }));
  const [first, second] = wire().requests();
  expect(first).toMatchObject({
    additionalModelRequestFields: { top_k: 3, thinking: { type: 'enabled', budget_tokens: 2_048 } },
  });
  expect(second?.['messages']).toMatchObject([
    { role: 'user' },
    {
      role: 'assistant',
      content: [
        { reasoningContent: { reasoningText: { text: 'First.', signature: 'c2lnMQ==' } } },
        { toolUse: { toolUseId: 'tooluse_own', input: { city: 'Paris' } } },
      ],
    },
    { role: 'user', content: [{ toolResult: { toolUseId: 'tooluse_own' } }] },
  ]);
  const [{ target, headers } = { target: '', headers: {} }] = wire().http.requests;
  expect(target).toBe(`/model/${encodeURIComponent(CLAUDE)}/converse-stream`);
  expect(headers).toMatchObject({ authorization: 'Bearer key-1' });
});

test('an exception within the stream is the error that it names', async () => {
  wire().script(bedrockFrames([bedrockException('throttlingException', 'Too many tokens, please wait.')]));
  expect(await collectTurn(wire().create(), modelRequest())).toMatchObject({
    error: { kind: 'rate_limited', code: 'throttlingException' },
  });
});

test('a refusal has the name that AWS gives it in a header', async () => {
  wire().play({ kind: 'rate_limited', retryAfterSeconds: 7 });
  expect(await collectTurn(wire().create(), modelRequest())).toMatchObject({
    error: { kind: 'rate_limited', code: 'ThrottlingException', retryAfterMs: 7_000 },
  });
});

test('without a key the request is signed, and sent as it was signed', async () => {
  vi.stubEnv('AWS_REGION', 'eu-central-1');
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIDEXAMPLE');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret-1');
  vi.stubEnv('AWS_BEARER_TOKEN_BEDROCK', '');
  wire().play({ kind: 'length', text: 'Half' });
  const model = await openModel('bedrock', { baseUrl: wire().http.url });
  try {
    expect(await collectTurn(model, modelRequest())).toMatchObject({ text: 'Half', error: null });
    const [request] = wire().http.requests;
    expect(request?.headers['authorization']).toMatch(
      /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-central-1\/bedrock\/aws4_request/,
    );
    expect(JSON.stringify(request)).not.toContain('secret-1');
  } finally {
    await model.dispose();
  }
});

test('an address of AWS names its region', () => {
  expect(regionOf('https://bedrock-runtime.eu-west-1.amazonaws.com')).toBe('eu-west-1');
  expect(regionOf('https://proxy.example/bedrock')).toBeNull();
});

test('frames are read in any pieces, and broken ones are an error', () => {
  const bytes = Buffer.concat([bedrockEvent('messageStart', { a: 1 }), ...bedrockEnd('end_turn')]);
  for (let size = 1; size < bytes.length; size += 7) {
    const events = awsEvents();
    const names: string[] = [];
    for (let from = 0; from < bytes.length; from += size)
      names.push(...events.push(bytes.subarray(from, from + size)).map(({ name }) => name));
    expect(names).toEqual(['messageStart', 'messageStop', 'metadata']);
  }
  expect(() => awsEvents().push(Buffer.alloc(32))).toThrow('a frame is shorter than its own frame');
  const cut = Buffer.from(bytes.subarray(0, bytes.readUInt32BE(0)));
  cut.writeUInt32BE(cut.length * 2, 4);
  expect(() => awsEvents().push(cut)).toThrow('headers are longer than the frame');
});
