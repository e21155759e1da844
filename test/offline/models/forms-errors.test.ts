import { describe, expect, test } from 'vitest';
import { body, data, DONE, ends, said, streamAs } from '../../support/chat-wire.ts';
import { checkTurn, collectTurn, modelRequest, messageOf, outcomeOf } from '../../support/model-turn.ts';
import { useModelServer } from '../../support/model-server.ts';
import { hang, reset, sse, type Step } from '../../support/scripted-http.ts';

const server = useModelServer({ apiKey: 'sk-canary-123456' });

const stream = (text: string): Step => streamAs('text/event-stream', text);
const error = (value: unknown, status: number, headers: Record<string, string> = {}): Step =>
  body({ error: value }, status, headers);

const forms: [form: string, source: string, answer: Step, outcome: string][] = [
  // By status.
  [
    '401',
    'OpenAI',
    error({ message: 'Incorrect API key provided: sk-canary-123456.', code: 'invalid_api_key' }, 401),
    'error:unauthorized',
  ],
  [
    '403',
    'OpenAI',
    error({ message: 'Country not supported', code: 'unsupported_country_region_territory' }, 403),
    'error:unauthorized',
  ],
  [
    '402',
    'DeepSeek',
    error({ message: 'Insufficient Balance', code: 'invalid_request_error' }, 402),
    'error:rate_limited',
  ],
  [
    '404',
    'OpenAI',
    error({ message: 'The model does not exist', code: 'model_not_found' }, 404),
    'error:rejected',
  ],
  ['408', 'reference', error({ message: 'timeout' }, 408), 'error:unavailable retry'],
  [
    '429',
    'OpenAI',
    error({ message: 'Rate limit reached', code: 'rate_limit_exceeded' }, 429),
    'error:rate_limited retry',
  ],
  [
    '429 with a spent quota',
    'OpenAI',
    error(
      {
        message: 'You exceeded your current quota, please check your plan and billing details.',
        type: 'insufficient_quota',
        code: 'insufficient_quota',
      },
      429,
    ),
    'error:rate_limited',
  ],
  [
    '429 of a quota that comes back',
    'Gemini',
    body(
      [
        {
          error: {
            code: 429,
            message: 'You exceeded your current quota. Please retry in 36.5s.',
            status: 'RESOURCE_EXHAUSTED',
            details: [{ retryDelay: '36s' }],
          },
        },
      ],
      429,
    ),
    'error:rate_limited retry',
  ],
  [
    '413 of tokens a minute that never fit',
    'continue#10218',
    error(
      {
        message:
          'Request too large for model `m` on tokens per minute (TPM): Limit 12000, Requested 14137, please reduce your message size and try again.',
        type: 'tokens',
        code: 'rate_limit_exceeded',
      },
      413,
    ),
    'error:rate_limited',
  ],
  [
    '429 of tokens a minute that fit later',
    'eliza#4040',
    error(
      {
        message:
          'Rate limit reached for model `m` on tokens per minute (TPM): Limit 6000, Used 5034, Requested 1443. Please try again in 4.77s.',
        code: 'rate_limit_exceeded',
      },
      429,
    ),
    'error:rate_limited retry',
  ],
  [
    'throttling in words',
    'Bedrock gateways',
    body(
      { __type: 'ThrottlingException', message: 'Too many tokens, please wait before trying again.' },
      400,
    ),
    'error:rate_limited retry',
  ],
  ['500', 'OpenAI', error({ message: 'The server had an error' }, 500), 'error:unavailable retry'],
  [
    '500 that is not worth a retry',
    'OpenAI',
    error({ message: 'no' }, 500, { 'x-should-retry': 'false' }),
    'error:unavailable',
  ],
  [
    '503 with a page',
    'proxies',
    body('<html>503 Service Temporarily Unavailable</html>', 503),
    'error:unavailable retry',
  ],
  [
    '529',
    'Anthropic proxies',
    error({ type: 'overloaded_error', message: 'Overloaded' }, 529),
    'error:unavailable retry',
  ],
  ['501', 'reference', error({ message: 'not implemented' }, 501), 'error:rejected'],
  ['400 without a field', 'reference', error({ message: 'bad request' }, 400), 'error:rejected'],
  [
    '400 with a field',
    'OpenAI',
    error({ message: 'Invalid schema', param: 'response_format', code: 'invalid_value' }, 400),
    'error:refused',
  ],
  [
    '422 of a validator',
    'Mistral',
    body(
      {
        object: 'error',
        message: {
          detail: [
            {
              type: 'less_than_equal',
              loc: ['body', 'temperature'],
              msg: 'Input should be less than or equal to 1.5',
              input: 2,
            },
          ],
        },
      },
      422,
    ),
    'error:refused',
  ],
  // A filter's refusal is an answer.
  [
    'a filtered prompt',
    'Azure',
    error(
      {
        message: 'The response was filtered due to the prompt triggering content management policy.',
        code: 'content_filter',
        innererror: { code: 'ResponsibleAIPolicyViolation' },
      },
      400,
    ),
    'content_filter',
  ],
  [
    'a filtered prompt in words',
    'DeepSeek',
    error({ message: 'Content Exists Risk', type: 'invalid_request_error' }, 400),
    'content_filter',
  ],
  [
    'a flagged prompt with 403',
    'OpenRouter',
    error({ code: 403, message: 'Your input was flagged', metadata: { reasons: ['violence'] } }, 403),
    'content_filter',
  ],
  [
    'a filter in the middle',
    'reference',
    stream(
      said('Half') +
        data({ error: { message: 'no', code: 'content_filter', type: 'invalid_request_error' } }),
    ),
    'content_filter "Half"',
  ],
  [
    'a failed inspection',
    'DashScope',
    error({ message: 'Input data may contain inappropriate content.', code: 'data_inspection_failed' }, 400),
    'content_filter',
  ],
  // Of the network.
  ['a reset', 'reference', reset, 'error:unavailable retry'],
];

test.each(forms)('a failure has its kind and its words: %s (%s)', async (_form, _source, answer, outcome) => {
  server.script(answer);
  const before = server.http.requests.length;
  const turn = await collectTurn(server.model);
  checkTurn(turn);
  expect(outcomeOf(turn)).toBe(outcome);
  expect(server.http.requests.length - before).toBe(1);
  expect(messageOf(turn)).not.toContain('sk-canary');
});

describe('a wait that the server asks for is told', () => {
  test.each([
    ['in a header', error({ message: 'slow down' }, 429, { 'retry-after': '7' }), 7_000],
    ['in a header, in milliseconds', error({ message: 'slow down' }, 429, { 'retry-after-ms': '250' }), 250],
    ['in words', error({ message: 'Please try again in 1m2.5s.' }, 429), 62_500],
    ['in milliseconds in words', error({ message: 'Please try again in 120ms.' }, 429), 120],
    [
      'in the details',
      body(
        [
          {
            error: {
              code: 429,
              status: 'RESOURCE_EXHAUSTED',
              message: 'no',
              details: [{ '@type': 'x/RetryInfo', retryDelay: '36s' }],
            },
          },
        ],
        429,
      ),
      36_000,
    ],
    ['nowhere', error({ message: 'slow down' }, 429), null],
  ])('%s', async (_where, answer, retryAfterMs) => {
    server.script(answer);
    expect((await collectTurn(server.model)).error).toMatchObject({ kind: 'rate_limited', retryAfterMs });
  });
});

test('an error that a router passes on is read', async () => {
  server.script(
    error(
      {
        message: 'Provider returned error',
        code: 400,
        metadata: {
          raw: '{"error":{"message":"prompt is too long: 228307 tokens > 200000 maximum"}}',
          provider_name: 'Anthropic',
        },
      },
      400,
    ),
  );
  const turn = await collectTurn(server.model);
  expect(turn.error).toMatchObject({ kind: 'too_long', message: expect.stringContaining('228307 tokens') });
});

test.each([
  ['nothing was sent', null, 'nothing'],
  ['the server refused', error({ message: 'bad' }, 400), 'nothing'],
  ['the server failed', error({ message: 'oops' }, 500), 'nothing'],
  ['a proxy gave up waiting', error({ message: 'oops' }, 504), 'turn'],
  ['the answer broke off', sse([said('Half')], 'cut'), 'turn'],
])('what a retry may cost when %s', async (_what, answer, cost) => {
  if (answer !== null) server.script(answer);
  const used = answer === null ? server.another({ baseUrl: 'http://127.0.0.1:9/v1' }) : server.model;
  expect((await collectTurn(used)).error).toMatchObject({ cost });
});

test('a deadline ends a turn that hangs', async () => {
  server.script(hang);
  const turn = await collectTurn(server.model, modelRequest(), { deadline: Date.now() + 50 });
  expect(turn.error).toMatchObject({ kind: 'broken_off', code: 'deadline', retryable: false });
});

test('a key that a header can’t carry is an unauthorized turn, without the key in its message', async () => {
  const bad = server.another({ apiKey: 'sk-canary\n1' });
  const turn = await collectTurn(bad);
  expect(outcomeOf(turn)).toBe('error:unauthorized');
  expect(String(turn.error)).not.toContain('canary');
});

test('the reason after an error that came first is not believed', async () => {
  server.script(sse([data({ error: { message: 'crashed' } }), ends(), DONE]));
  expect(outcomeOf(await collectTurn(server.model))).toBe('error:unavailable retry');
});
