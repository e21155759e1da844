/** `GET /v1/models`: the model server's list within bounds, at most one request a minute, else what is configured. */
import { afterEach, describe, expect, test } from 'vitest';
import { createApi } from '../../../api/index.ts';
import { createModelList, MODEL_LIST, modelsFrom } from '../../../api/models.ts';
import { openModels, type ModelServer } from '../../../app/models.ts';
import { createSandboxEngine, createSandbox, type Sandbox } from '../../../testing/index.ts';
import { call } from '../../support/http.ts';
import { json, scriptedHttp, type ScriptedHttp, type Step } from '../../support/scripted-http.ts';

const known = (id: string, created = 0, owned_by = 'unknown') => ({ id, object: 'model', created, owned_by });

describe('the list in an answer', () => {
  test.each<[string, unknown, unknown]>([
    [
      'of the vendor',
      { object: 'list', data: [{ id: 'm', object: 'model', created: 7, owned_by: 'me' }] },
      [known('m', 7, 'me')],
    ],
    ['without the other fields', { data: [{ id: 'm' }] }, [known('m')]],
    ['with fields of other types', { data: [{ id: 'm', created: '7', owned_by: 1 }] }, [known('m')]],
    [
      'with times that are none',
      {
        data: [
          { id: 'm', created: -1 },
          { id: 'n', created: 1.5 },
        ],
      },
      [known('m'), known('n')],
    ],
    ['that is a bare array', [{ id: 'm' }], [known('m')]],
    [
      'names one twice',
      {
        data: [
          { id: 'm', created: 1 },
          { id: 'm', created: 2 },
        ],
      },
      [known('m', 1)],
    ],
    [
      'has entries that are none',
      { data: [null, 'm', {}, { id: '' }, { id: 5 }, { id: 'm\0' }, { id: 'n' }] },
      [known('n')],
    ],
    ['has a name too long', { data: [{ id: 'x'.repeat(MODEL_LIST.idChars + 1) }] }, null],
    ['is empty', { data: [] }, null],
    ['is no array', { data: { id: 'm' } }, null],
    ['is absent', { error: 'no' }, null],
    ['is no object', 'models', null],
    ['is null', null, null],
  ])('%s', (_what, body, models) => {
    expect(modelsFrom(body)).toEqual(models);
  });

  test('is cut after the thousandth model', () => {
    const data = Array.from({ length: MODEL_LIST.count + 5 }, (_, index) => ({ id: `m${index}` }));
    expect(modelsFrom({ data })).toHaveLength(MODEL_LIST.count);
  });
});

describe('the cache', () => {
  test('asks once for all concurrent requests, and again after a minute', async () => {
    let asked = 0;
    let at = 0;
    const list = createModelList({
      read: async () => ({ data: [{ id: `m${(asked += 1)}` }] }),
      configured: [],
      now: () => at,
    });
    expect(await Promise.all([list(), list(), list()])).toEqual([
      [known('m1')],
      [known('m1')],
      [known('m1')],
    ]);
    at = MODEL_LIST.keptMs - 1;
    expect(await list()).toEqual([known('m1')]);
    at = MODEL_LIST.keptMs;
    expect(await list()).toEqual([known('m2')]);
    expect(asked).toBe(2);
  });

  test('a server that fails is not asked again within the minute', async () => {
    let asked = 0;
    let at = 0;
    const list = createModelList({
      read: () => ((asked += 1) === 1 ? Promise.reject(new Error('away')) : Promise.resolve([{ id: 'm' }])),
      configured: ['mine'],
      now: () => at,
    });
    const mine = [known('mine', 0, 'configured')];
    expect([await list(), await list(), asked]).toEqual([mine, mine, 1]);
    at = MODEL_LIST.keptMs;
    expect(await list()).toEqual([known('m')]);
  });

  test('without a server, the configured model is listed', async () => {
    expect(await createModelList({ read: null, configured: ['mine'] })()).toEqual([
      known('mine', 0, 'configured'),
    ]);
    expect(await createModelList({ read: null, configured: [] })()).toEqual([]);
  });
});

const at = (baseUrl: string | null, more: Partial<ModelServer> = {}): ModelServer => ({
  baseUrl,
  apiKey: null,
  apiVersion: null,
  model: 'mine',
  ...more,
});

describe('from a server on a socket', () => {
  const closing: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
  });
  const listed = (server: ModelServer | null) => {
    const models = openModels(server);
    closing.push(models.close);
    const api = createApi({ engine: createSandboxEngine(), models: models.list });
    return (path: string) => call(api.fetch, 'GET', path);
  };
  const serving = async (...script: Step[]): Promise<ScriptedHttp> => {
    const server = await scriptedHttp(script);
    closing.push(() => server.close());
    return server;
  };

  test('the list, one model and a model that is not there', async () => {
    const server = await serving(json({ data: [{ id: 'meta/llama', created: 7 }, { id: 'b' }] }));
    const get = listed(at(server.url, { apiKey: 'sk-model', apiVersion: '2024-10-21' }));
    expect((await get('/v1/models')).body).toEqual({
      object: 'list',
      data: [known('meta/llama', 7), known('b')],
    });
    expect((await get('/v1/models/meta%2Fllama')).body).toEqual(known('meta/llama', 7));
    expect(await get('/v1/models/mine')).toMatchObject({
      status: 404,
      body: { error: { type: 'invalid_request_error', param: 'model', code: 'model_not_found' } },
    });
    expect(
      server.requests.map(({ method, target, headers }) => [method, target, headers['authorization']]),
    ).toEqual([['GET', expect.stringMatching(/\/models\?api-version=2024-10-21$/), 'Bearer sk-model']]);
  });

  test.each([
    ['an error', json({ data: [{ id: 'm' }] }, 500)],
    ['no list', json({ models: [] })],
    ['more than four megabytes', json({ data: [{ id: 'm', text: 'x'.repeat(4_200_000) }] })],
  ])('%s: what is configured, after one request', async (_what, step) => {
    const server = await serving(step);
    const get = listed(at(server.url));
    expect((await get('/v1/models')).body).toEqual({
      object: 'list',
      data: [known('mine', 0, 'configured')],
    });
    expect((await get('/v1/models/mine')).status).toBe(200);
    expect(server.requests).toHaveLength(1);
  });

  test('with no server and no key configured, none is asked', async () => {
    expect((await listed(at(null))('/v1/models/mine')).status).toBe(200);
    expect((await listed(null)('/v1/models')).body).toEqual({ object: 'list', data: [] });
  });

  test('of the sandbox has its scripts, on the model face and on the API face', async () => {
    const sandbox: Sandbox = await createSandbox();
    closing.push(() => sandbox.close());
    const weather = { id: 'weather', object: 'model', owned_by: 'sandbox' };
    const get = listed(at(sandbox.modelUrl, { model: null }));
    expect((await get('/v1/models/weather')).body).toMatchObject(weather);
    expect(await (await fetch(`${sandbox.url}/models/weather`)).json()).toMatchObject(weather);
  });
});
