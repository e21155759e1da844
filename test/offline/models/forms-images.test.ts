import { describe, expect, test } from 'vitest';
import { ModelError, type ModelRequest } from '../../../protocol/ports/model.ts';
import { body, fine } from '../../support/chat-wire.ts';
import { collectTurn, modelRequest, outcomeOf } from '../../support/model-turn.ts';
import { useModelServer } from '../../support/model-server.ts';
import { json } from '../../support/scripted-http.ts';

const server = useModelServer();

const PIXEL = 'data:image/png;base64,iVBORw0KGgo=';
const seeing = (more: Partial<ModelRequest> = {}): ModelRequest =>
  modelRequest({
    messages: [
      { role: 'system', text: 'Be brief.' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'What is this?' },
          { type: 'image', url: PIXEL, detail: 'low' },
          { type: 'image', url: 'https://example.org/cat.png' },
        ],
      },
    ],
    ...more,
  });

test('images are sent by URL and as data', async () => {
  server.script(fine());
  await collectTurn(server.model, seeing());
  expect(server.sent(0)['messages']).toEqual([
    { role: 'system', content: 'Be brief.' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'What is this?' },
        { type: 'image_url', image_url: { url: PIXEL, detail: 'low' } },
        { type: 'image_url', image_url: { url: 'https://example.org/cat.png' } },
      ],
    },
  ]);
});

const refusals: [server: string, source: string, status: number, answer: unknown][] = [
  [
    'llama.cpp, commit 0c1e570',
    'tried',
    500,
    {
      error: {
        code: 500,
        message:
          'image input is not supported - hint: if this is unexpected, you may need to provide the mmproj',
        type: 'server_error',
      },
    },
  ],
  [
    'OpenAI',
    'awesome-openai-vision-api-experiments#11',
    400,
    {
      error: {
        message: 'Invalid content type. image_url is only supported by certain models.',
        type: 'invalid_request_error',
        param: 'messages.[1].content.[1].type',
        code: null,
      },
    },
  ],
  [
    'DeepSeek',
    'next-ai-draw-io#55',
    400,
    {
      error: {
        message:
          'Failed to deserialize the JSON body into the target type: messages[1]: unknown variant `image_url`, expected `text` at line 1 column 90',
        type: 'invalid_request_error',
      },
    },
  ],
  [
    'LM Studio',
    'lmstudio-bug-tracker#473',
    400,
    { error: 'Model does not support images. Please use a model that does.' },
  ],
  [
    'vLLM',
    'reference',
    400,
    { object: 'error', message: 'model-x is not a multimodal model', type: 'BadRequestError', code: 400 },
  ],
  [
    'vLLM, by its limit',
    'reference',
    400,
    {
      error: {
        message: 'At most 0 image(s) may be provided in one prompt.',
        type: 'BadRequestError',
        code: 400,
      },
    },
  ],
  [
    'Ollama',
    'reference',
    500,
    { error: { message: 'this model is missing data required for image input', type: 'api_error' } },
  ],
  [
    'OpenRouter',
    'reference',
    404,
    { error: { message: 'No endpoints found that support image input', code: 404 } },
  ],
  [
    'a server that takes texts only',
    'reference',
    400,
    { error: { message: "'messages.1.content' must be a string", type: 'invalid_request_error' } },
  ],
];

describe('a server whose model can’t see', () => {
  test.each(refusals)(
    'fails the turn at once, and the error names the model: %s (%s)',
    async (_server, _source, status, answer) => {
      server.script(json(answer, status));
      const { error } = await collectTurn(server.model, seeing());
      expect(error).toBeInstanceOf(ModelError);
      expect(error).toMatchObject({
        kind: 'refused',
        retryable: false,
        cost: 'nothing',
        code: 'images_unsupported',
        field: 'messages.1.content',
      });
      expect(String(error)).toContain('model "model-a" can\'t see images');
      expect(server.http.requests).toHaveLength(1);
      expect(server.model.learned()).toEqual([]);
    },
  );

  test('is not what refuses an image that is wrong, or a request without one', async () => {
    const wrong = [
      'Invalid image data: could not decode base64',
      'Unsupported image format: the model supports png, jpeg, webp and gif only',
      'Failed to download image from https://example.org/cat.png: not allowed',
      'The image is too large and not accepted',
      "Model 'vision' is not supported",
    ];
    for (const message of wrong) {
      server.script(body({ error: { message } }, 400));
      const { error } = await collectTurn(server.model, seeing({ model: 'vision' }));
      expect(error).toMatchObject({ kind: 'rejected', code: null });
    }
    server.script(body({ error: { message: 'image input is not supported' } }, 400));
    expect(outcomeOf(await collectTurn(server.model, modelRequest()))).toBe('error:rejected');
  });
});
