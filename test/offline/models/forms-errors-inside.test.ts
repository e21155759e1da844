import { expect, test } from 'vitest';
import { body, data, DONE, said, streamAs } from '../../support/chat-wire.ts';
import { checkTurn, collectTurn, messageOf, outcomeOf } from '../../support/model-turn.ts';
import { useModelServer } from '../../support/model-server.ts';
import { type Step } from '../../support/scripted-http.ts';

const server = useModelServer({ apiKey: 'sk-canary-123456' });

const stream = (text: string): Step => streamAs('text/event-stream', text);

const forms: [form: string, source: string, answer: Step, outcome: string][] = [
  // Inside a 200.
  [
    'an error with a code as the whole body',
    'OpenRouter',
    body({
      error: {
        message: 'Network connection lost.',
        code: 502,
        metadata: { error_type: 'provider_unavailable' },
      },
    }),
    'error:unavailable retry',
  ],
  [
    'a rate limit as the whole body',
    'aider#3550',
    body({ error: { message: 'Rate limit exceeded: free-models-per-day', code: 429 }, user_id: 'u' }),
    'error:rate_limited retry',
  ],
  [
    'a chunk with an error before anything',
    'OmniRoute#8210',
    stream(
      data({
        choices: [],
        error: { message: 'Worker local total request limit reached (33/32)', code: 502 },
      }) + DONE,
    ),
    'error:unavailable retry',
  ],
  [
    'a chunk with an error and the reason `error`',
    'local-operator#223',
    stream(
      said('Half') +
        data({
          error: { code: 502, message: 'Provider disconnected' },
          choices: [{ index: 0, delta: {}, finish_reason: 'error' }],
        }) +
        DONE,
    ),
    'error:broken_off retry',
  ],
  [
    'an error in the choice',
    'OpenRouter',
    stream(
      said('Half') +
        data({
          choices: [{ index: 0, delta: {}, finish_reason: 'error', error: { code: 502, message: 'gone' } }],
        }),
    ),
    'error:broken_off retry',
  ],
  [
    '`object: error` in the stream',
    'vLLM',
    stream(
      said('Half') +
        data({ object: 'error', message: 'Internal server error', type: 'InternalServerError', code: 500 }) +
        DONE,
    ),
    'error:broken_off retry',
  ],
  [
    'a stream field `error:`',
    'llama.cpp#16109',
    stream('error: {"code":500,"message":"slot unavailable","type":"server_error"}\n\ndata: [DONE]\n\n'),
    'error:unavailable retry',
  ],
  [
    '`event: error` with JSON',
    'lmstudio-bug-tracker#2322',
    stream(
      'event: error\ndata: {"error":{"message":"The model has crashed without additional information."}}\n\n',
    ),
    'error:unavailable retry',
  ],
  [
    '`event: error` with text',
    'reference',
    stream(`${said('Half')}event: error\ndata: out of memory\n\n`),
    'error:broken_off retry',
  ],
  [
    'an overload by its type',
    'Anthropic proxies',
    stream(
      `event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n`,
    ),
    'error:unavailable retry',
  ],
  [
    'an error that is a string',
    'Ollama',
    body({ error: 'model runner has unexpectedly stopped' }),
    'error:unavailable retry',
  ],
  [
    'an error in a list',
    'Gemini',
    body([{ error: { code: 503, message: 'The model is overloaded.', status: 'UNAVAILABLE' } }]),
    'error:unavailable retry',
  ],
  [
    '`success: false`',
    'Zhipu',
    body({ code: 500, msg: 'internal failure', success: false }),
    'error:unavailable retry',
  ],
  [
    '`base_resp` with a spent balance',
    'MiniMax',
    body({ choices: null, base_resp: { status_code: 1008, status_msg: 'insufficient balance' } }),
    'error:rate_limited',
  ],
  [
    'a refusal inside of the stream',
    'sglang#12081',
    stream(
      data({
        error: { object: 'error', message: 'schema is not valid', type: 'BadRequestError', code: 400 },
      }) + DONE,
    ),
    'error:rejected',
  ],
  [
    '`{"message": …}` alone',
    'Bedrock gateways',
    body({ message: 'The server encountered an internal error.' }),
    'error:unavailable retry',
  ],
];

test.each(forms)(
  'an error inside an answer of 200 is an error: %s (%s)',
  async (_form, _source, answer, outcome) => {
    server.script(answer);
    const before = server.http.requests.length;
    const turn = await collectTurn(server.model);
    checkTurn(turn);
    expect(outcomeOf(turn)).toBe(outcome);
    expect(server.http.requests.length - before).toBe(1);
    expect(messageOf(turn)).not.toContain('sk-canary');
  },
);
