/** The registry of kinds: settings reach the adapter, a proxy carries the requests, and blind providers refuse images. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { openModel, type ModelProviderSettings } from '../../../backends/models/open-model.ts';
import type { Model } from '../../../protocol/ports/model.ts';
import { DONE, ends, said } from '../../support/chat-wire.ts';
import { collectTurn, modelRequest } from '../../support/model-turn.ts';
import { scriptedHttp, sse, type ScriptedHttp } from '../../support/scripted-http.ts';

const closings: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closings.splice(0).toReversed()) await close();
});

const fine = sse([said('Hello'), ends(), DONE]);

const opened = async (settings: ModelProviderSettings): Promise<{ server: ScriptedHttp; model: Model }> => {
  const server = await scriptedHttp([fine]);
  closings.push(() => server.close());
  const model = await openModel('openai-compatible', { baseUrl: `${server.url}/v1`, ...settings });
  closings.push(() => model.dispose());
  return { server, model };
};

const WITH_IMAGE = modelRequest({
  messages: [{ role: 'user', content: [{ type: 'image', url: 'https://example.com/a.png' }] }],
});

test('settings that are null or left out change nothing', async () => {
  const { server, model } = await opened({
    apiKey: null,
    provider: null,
    headers: null,
    query: null,
    body: null,
    proxy: null,
    images: null,
    firstByteMs: null,
    gapMs: null,
    compatible: null,
  });
  expect(await collectTurn(model, modelRequest())).toMatchObject({ text: 'Hello', error: null });
  expect(model).toMatchObject({ provider: server.url, supports: { images: null } });
  expect(server.requests[0]).toMatchObject({ target: '/v1/chat/completions' });
  expect(server.requests[0]?.headers).not.toHaveProperty('authorization');
});

test('key, headers, query and body extras are in the request', async () => {
  const { server, model } = await opened({
    apiKey: 'key-1',
    provider: 'house',
    headers: { 'x-team': 'shop' },
    query: { 'api-version': '1' },
    body: { top_k: 3 },
    compatible: { maxTokensField: 'max_tokens' },
  });
  await collectTurn(model, modelRequest({ maxOutputTokens: 9 }));
  const [request] = server.requests;
  expect(model.provider).toBe('house');
  expect(request).toMatchObject({
    target: '/v1/chat/completions?api-version=1',
    headers: { authorization: 'Bearer key-1', 'x-team': 'shop' },
  });
  expect(JSON.parse(request?.body ?? '')).toMatchObject({ top_k: 3, max_tokens: 9 });
});

test('an image for a provider that can’t see is refused before a request', async () => {
  const { server, model } = await opened({ images: false });
  expect(await collectTurn(model, WITH_IMAGE)).toMatchObject({
    error: { kind: 'refused', field: 'messages.0.content', code: 'images_unsupported', retryable: false },
  });
  expect(server.requests).toEqual([]);
});

test('a proxy carries the requests', async () => {
  const asked: string[] = [];
  const proxy = createServer();
  proxy.on('connect', (request, socket) => {
    asked.push(request.url ?? '');
    socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  closings.push(() => new Promise((resolve) => proxy.close(() => resolve())));
  const { server, model } = await opened({
    proxy: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
  });
  expect(await collectTurn(model, modelRequest())).toMatchObject({ error: { kind: 'unavailable' } });
  expect(asked).toEqual([new URL(server.url).host]);
  expect(server.requests).toEqual([]);
});
