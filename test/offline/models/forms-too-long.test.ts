import { describe, expect, test } from 'vitest';
import { body, data, DONE, streamAs } from '../../support/chat-wire.ts';
import { collectTurn, modelRequest, outcomeOf } from '../../support/model-turn.ts';
import { useModelServer } from '../../support/model-server.ts';
import type { Step } from '../../support/scripted-http.ts';

const server = useModelServer();

/** Wordings of public reports, reduced to the part that decides. */
const wordings: [source: string, message: string][] = [
  [
    'OpenAI',
    "This model's maximum context length is 4097 tokens. However, your messages resulted in 5000 tokens. Please reduce the length of the messages.",
  ],
  [
    'OpenAI, Responses',
    'Your input exceeds the context window of this model. Please adjust your input and try again.',
  ],
  ['vLLM', 'The decoder prompt (length 5000) is longer than the maximum model length of 4096.'],
  [
    'vLLM, newer',
    'This model’s maximum context length is 4096 tokens. However, your request has 5000 input tokens.',
  ],
  [
    'SGLang, billion-context#493',
    "The input (400013 tokens) is longer than the model's context length (262144 tokens).",
  ],
  ['SGLang', 'Requested token count exceeds the model’s maximum context length of 8192 tokens.'],
  [
    'llama.cpp',
    'the request exceeds the available context size. try increasing the context size or enable context shift',
  ],
  [
    'llama.cpp#19774',
    'request (4390 tokens) exceeds the available context size (4096 tokens), try increasing it',
  ],
  ['llama.cpp#19774, with 500', 'Context size has been exceeded.'],
  [
    'LM Studio',
    'Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens.',
  ],
  [
    'LM Studio, older',
    'The number of tokens to keep from the initial prompt is greater than the context length.',
  ],
  ['Ollama', 'input length exceeds maximum context length'],
  ['TGI', 'Input validation error: `inputs` must have less than 1024 tokens. Given: 2000'],
  [
    'TGI, both',
    'Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 20 `max_new_tokens`',
  ],
  ['Gemini', 'The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).'],
  [
    'Vertex',
    'Unable to submit request because the input token count is 40000 but model only supports up to 32768. Reduce the input token count: input token count exceeds the limit.',
  ],
  ['Bedrock', 'Input is too long for requested model.'],
  ['Anthropic', 'prompt is too long: 228307 tokens > 200000 maximum'],
  [
    'Anthropic, openclaw#20539',
    'input length and `max_tokens` exceed context limit: 170636 + 34048 > 200000, decrease input length or `max_tokens` and try again',
  ],
  [
    'Mistral',
    'Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length',
  ],
  ['Cohere', 'too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 5000.'],
  ['xAI', 'This model’s maximum prompt length is 131072 but the request contains 200000 tokens.'],
  ['Groq', 'Please reduce the length of the messages or completion.'],
  ['Together', 'Input validation error: inputs tokens + max_new_tokens must be <= 8193'],
  ['Fireworks', 'The prompt is too long: 9000, model maximum context length: 8192'],
  ['Poolside, pi#4943', 'Input length 131393 exceeds the maximum allowed input length of 131040 tokens.'],
  ['pi#5677', "Input length (265330) exceeds model's maximum context length (262144)."],
  [
    'Atlas, inference-atlas#186',
    'Prompt too long: 5152 tokens exceeds max_seq_len 2048 (leave room for output tokens)',
  ],
  ['DashScope, opencode#45834', 'Range of input length should be [1, 30720]'],
  [
    'Kimi, octo-agent#2124',
    'Invalid request: Your request exceeded model token limit: 262144 (requested: 269030)',
  ],
  ['Zhipu, octo-agent#2124', 'Prompt 超长'],
  ['Copilot', 'prompt token count of 130000 exceeds the limit of 128000'],
  ['NVIDIA NIM', 'This model maximum context length is 8192 tokens, the conversation is too long'],
  ['Cerebras', 'Please reduce the length of the messages. Current length is 10000 while limit is 8192'],
  [
    'DeepSeek',
    "This model's maximum context length is 65536 tokens. However, you requested 70000 tokens (70000 in the messages, 0 in the completion).",
  ],
  ['Perplexity', 'The messages are too long: number of tokens must be less than 127000'],
];

const said = (message: string): unknown => ({
  error: { message, type: 'invalid_request_error', code: null },
});

test.each(wordings)('a prompt that is too long is known by the words of %s: %s', async (_source, message) => {
  for (const answer of [
    body(said(message), 400),
    body(said(message), 500),
    streamAs('text/event-stream', data(said(message)) + DONE),
  ]) {
    server.script(answer);
    expect(outcomeOf(await collectTurn(server.model))).toBe('error:too_long');
  }
});

const forms: [form: string, source: string, answer: Step][] = [
  ['by its code alone', 'OpenAI', body({ error: { message: 'no', code: 'context_length_exceeded' } }, 400)],
  [
    'by its type, with 500 inside',
    'llama.cpp#15780',
    body({ error: { code: 500, message: 'no', type: 'exceed_context_size_error', n_ctx: 256 } }, 500),
  ],
  [
    'in a list',
    'Gemini',
    body([{ error: { code: 400, message: wordings[14]?.[1], status: 'INVALID_ARGUMENT' } }], 400),
  ],
  ['with 422', 'TGI', body({ error: wordings[12]?.[1], error_type: 'validation' }, 422)],
  [
    'with 413',
    'Groq',
    body(said('Request Entity Too Large: Please reduce the length of the messages or completion.'), 413),
  ],
  ['as a body without an error', 'Bedrock', body({ message: 'Input is too long for requested model.' }, 400)],
  [
    'with 200, as an event',
    'LM Studio',
    streamAs(
      'text/event-stream',
      `event: error\ndata: ${JSON.stringify({ error: { message: wordings[9]?.[1] } })}\n\n`,
    ),
  ],
  [
    'with 200, under a field of its own',
    'llama.cpp#16109',
    streamAs('text/event-stream', `error: ${JSON.stringify({ code: 400, message: wordings[6]?.[1] })}\n\n`),
  ],
  [
    'with 200, in the stream, the code a number',
    'sglang#12081',
    streamAs('text/event-stream', data({ error: { object: 'error', message: wordings[4]?.[1], code: 400 } })),
  ],
  [
    'wrapped by a router',
    'LiteLLM',
    body(
      { error: { message: `litellm.ContextWindowExceededError: ${wordings[17]?.[1]}`, code: '400' } },
      400,
    ),
  ],
  ['by Zhipu’s number', 'Zhipu', body({ error: { code: '1261', message: 'no' } }, 400)],
];

test.each(forms)('a prompt that is too long is known %s (%s)', async (_form, _source, answer) => {
  server.script(answer);
  expect(outcomeOf(await collectTurn(server.model))).toBe('error:too_long');
});

describe('errors that do not mean too long', () => {
  test.each([
    [
      'a limit of the answer that the model does not have',
      'max_tokens is too large: 100000. This model supports at most 16384 completion tokens, whereas you provided 100000.',
      100_000,
      'error:refused',
    ],
    [
      'a limit of the answer larger than the window',
      "'max_tokens' or 'max_completion_tokens' is too large: 5000. This model's maximum context length is 4096 tokens and your request has 300 input tokens.",
      5_000,
      'error:refused',
    ],
    [
      'a limit of the answer that Anthropic has not',
      'max_tokens: 100000 > 8192, which is the maximum allowed number of output tokens for this model',
      100_000,
      'error:refused',
    ],
    [
      'a tool’s description',
      "Invalid 'tools[0].function.description': string too long.",
      null,
      'error:rejected',
    ],
    ['a bad schema', 'Invalid schema for response_format', null, 'error:rejected'],
  ])('%s', async (_what, message, maxOutputTokens, outcome) => {
    server.script(body(said(message), 400));
    expect(outcomeOf(await collectTurn(server.model, modelRequest({ maxOutputTokens })))).toBe(outcome);
  });

  test('but messages that leave no room for a small limit of the answer are', async () => {
    server.script(
      body(
        said(
          "'max_tokens' or 'max_completion_tokens' is too large: 500. This model's maximum context length is 4096 tokens and your request has 3900 input tokens.",
        ),
        400,
      ),
    );
    expect(outcomeOf(await collectTurn(server.model, modelRequest({ maxOutputTokens: 500 })))).toBe(
      'error:too_long',
    );
  });
});
