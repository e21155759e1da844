/** What the probe asks of a model server, and what it makes of servers that are not as usual. */
import { afterEach, describe, expect, test } from 'vitest';
import { createOpenAiCompatible } from '../../../backends/models/openai-compatible/index.ts';
import { ModelError } from '../../../protocol/ports/model.ts';
import { json, reply, scriptedHttp, type ScriptedHttp, type Step } from '../../support/scripted-http.ts';

const open: ScriptedHttp[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});

/** A server with these routes below its root; everything else is answered by `otherwise`. */
const probe = async (routes: Record<string, Step>, path: string, otherwise: Step) => {
  const server = await scriptedHttp(
    Array.from({ length: 6 }, () => (request, socket) => {
      const [target = ''] = request.target.split('?');
      return (routes[`${request.method} ${target}`] ?? otherwise)(request, socket);
    }),
  );
  open.push(server);
  const model = createOpenAiCompatible({
    baseUrl: `http://127.0.0.1:${server.port}${path}`,
    apiKey: 'sk-canary-123456',
  });
  try {
    const { detail } = await model.probe(AbortSignal.timeout(5_000));
    return { server, detail, error: null };
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    return { server, detail: null, error };
  } finally {
    await model.dispose();
  }
};

const LIST = json({ object: 'list', data: [{ id: 'small' }, { id: 'large' }] });
const EMPTY_BODY = json({ error: { message: 'model: field required', type: 'invalid_request_error' } }, 400);
const NOT_FOUND = json({ detail: 'Not Found' }, 404);
const PAGE = reply(200, '<!doctype html><title>Welcome</title>', { 'content-type': 'text/html' });

describe('a server', () => {
  test('with a list of models is asked for nothing else', async () => {
    const { server, detail } = await probe({ 'GET /v1/models': LIST }, '/v1', NOT_FOUND);
    expect(detail).toMatch(/answers and has small, large$/);
    expect(server.requests).toHaveLength(1);
  });

  test.each([
    ['404', NOT_FOUND],
    ['405', json({ detail: 'Method Not Allowed' }, 405)],
    ['501', json({}, 501)],
    ['a page', PAGE],
    ['JSON that is no list', json({ hello: 'world' })],
  ])('without GET /models (%s) is in order when it takes chat completions', async (_name, answer) => {
    const { server, detail, error } = await probe(
      { 'GET /v1/models': answer, 'POST /v1/chat/completions': EMPTY_BODY },
      '/v1',
      NOT_FOUND,
    );
    expect(error).toBeNull();
    expect(detail).toMatch(/has no GET \/models, which runs do not need$/);
    expect(server.requests.at(-1)?.body).toBe('{}');
  });

  test.each([422, 429, 500])('that refuses the empty body with %i is in order', async (status) => {
    const { error } = await probe({ 'POST /v1/chat/completions': json({}, status) }, '/v1', NOT_FOUND);
    expect(error).toBeNull();
  });

  test.each([401, 403])('that answers %i refuses the key, in whichever route it says so', async (status) => {
    const refusal = json({ error: { message: 'bad key sk-canary-123456' } }, status);
    for (const routes of [{ 'GET /v1/models': refusal }, { 'POST /v1/chat/completions': refusal }]) {
      const { error } = await probe(routes, '/v1', NOT_FOUND);
      expect(error?.kind).toBe('unauthorized');
      expect(error?.message).not.toContain('canary');
    }
  });
});

describe('a base URL', () => {
  test.each([
    ['with models below /v1', { 'GET /v1/models': LIST }, '', NOT_FOUND],
    ['with completions below /v1 alone', { 'POST /v1/chat/completions': EMPTY_BODY }, '', NOT_FOUND],
    ['with a page at its root', { 'GET /v1/models': LIST }, '/', PAGE],
    ['with JSON for any address', { 'GET /v1/models': LIST }, '', json({ error: 'Unexpected endpoint' })],
    ['with a path', { 'GET /openai/v1/models': LIST }, '/openai?key=canary', NOT_FOUND],
    ['that wants a key below /v1', { 'GET /v1/models': json({}, 401) }, '', NOT_FOUND],
  ])('%s that lacks /v1 is named with the address to set', async (_name, routes, path, otherwise) => {
    const { server, error } = await probe(routes, path, otherwise);
    const root = `http://127.0.0.1:${server.port}${path.split('?')[0]?.replace(/\/$/, '')}`;
    expect(error?.code).toBe('base_url_lacks_version');
    expect(error?.message).toContain(`Set OPENAI_BASE_URL=${root}/v1.`);
    expect(error?.message).not.toContain('canary');
  });

  test('with a version is not tried with another one, and is named as wrong', async () => {
    const { server, error } = await probe({}, '/v1', NOT_FOUND);
    expect(error?.message).toContain('has no /chat/completions below the base URL');
    expect(server.requests.map(({ target }) => target)).toEqual(['/v1/models', '/v1/chat/completions']);
  });

  test('below which nothing is found anywhere is named as wrong', async () => {
    const { error } = await probe({}, '', NOT_FOUND);
    expect(error?.code).toBeNull();
    expect(error?.message).toContain('most servers need a version in it, such as "/v1"');
  });
});
