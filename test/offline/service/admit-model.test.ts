/** A run's model is checked when the run is created: unknown names and models of other tenants are refused. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApi, listConfiguredModels, keyAuth } from '../../../api/index.ts';
import { hashKey } from '../../../api/keys.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import { createRunsService } from '../../../service/index.ts';
import { parseModels } from '../../../worker/models/models-file.ts';
import { textOf } from '../../support/sources.ts';
import { memoryStore } from '../../support/store.ts';
import { takingWorkflows } from '../../support/taking-workflows.ts';

/** The file of the how-to. */
const documented = (): string => {
  const page = textOf('docs/how-to/use-several-providers.md');
  const file = /```yaml\n([\s\S]*?)```/.exec(page)?.[1];
  if (file === undefined) throw new Error('the how-to has no file');
  return file;
};

const KEYS = { shop: 'key-of-the-shop-1', other: 'key-of-another-one' };
let store: Store;
let post: (
  key: keyof typeof KEYS,
  path: string,
  body?: unknown,
) => Promise<{ status: number; body: Record<string, unknown> }>;

beforeAll(async () => {
  store = await memoryStore();
  const unable = `  plain: {provider: local, model: plain, capabilities: {tools: false, json_schema: false}}`;
  const parsed = await parseModels(
    documented()
      .replace('\nmodels:\n', `\nmodels:\n${unable}\n`)
      .replace('models: [fast, smart]', 'models: [fast, smart, plain]'),
  );
  if ('problems' in parsed) throw new Error(parsed.problems.join('\n'));
  const api = createApi({
    engine: createRunsService({
      store,
      client: { workflows: takingWorkflows() },
      models: parsed.config,
    }),
    models: listConfiguredModels(parsed.config),
    auth: keyAuth(
      Object.entries(KEYS).map(([tenant, key]) => ({ tenant, sha256: hashKey(key), tools: [] as string[] })),
    ),
  });
  post = async (key, path, body) => {
    const response = await api.fetch(
      new Request(`http://127.0.0.1/v1${path}`, {
        method: body === undefined ? 'GET' : 'POST',
        headers: {
          authorization: `Bearer ${KEYS[key]}`,
          'content-type': 'application/json',
          'openai-beta': 'assistants=v2',
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    );
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
}, 60_000);
afterAll(() => store.close());

const create = async (key: keyof typeof KEYS, assistantModel: string, model?: string) => {
  const assistant = await post(key, '/assistants', { model: assistantModel });
  return await post(key, '/threads/runs', {
    assistant_id: assistant.body['id'],
    ...(model === undefined ? {} : { model }),
  });
};

describe('a new run', () => {
  test.each([
    ['shop', 'fast', undefined],
    ['shop', 'default', undefined],
    ['shop', 'gpt-4o-mini', undefined],
    ['shop', 'local/qwen2.5:3b', undefined],
    ['shop', 'nothing', 'smart'],
    ['other', 'fast', undefined],
  ] as const)('of %s on %j with the model %j is queued', async (key, assistantModel, model) => {
    expect(await create(key, assistantModel, model)).toMatchObject({
      status: 200,
      body: { status: 'queued', model: model ?? assistantModel },
    });
  });

  test.each([
    ['shop', 'nothing', undefined, 400],
    ['shop', 'fast', 'unknown/model', 400],
    ['shop', 'fast', 'stream_options', 400],
    ['shop', 'fast', 'local/other', 403],
    ['other', 'smart', undefined, 403],
    ['other', 'fast', 'hosted/gpt-4o', 403],
  ] as const)(
    'of %s on %j with the model %j is refused with %d',
    async (key, assistantModel, model, status) => {
      expect(await create(key, assistantModel, model)).toMatchObject({
        status,
        body: {
          error: {
            param: 'model',
            code: 'model_not_found',
            message: expect.stringContaining(`'${model ?? assistantModel}'`),
          },
        },
      });
    },
  );

  test.each([
    ['tools', { tools: [{ type: 'function', function: { name: 'weather' } }] }],
    ['response_format', { response_format: { type: 'json_object' } }],
  ])('with %s is refused with 400 by a model that the operator says to be unable', async (param, more) => {
    const assistant = await post('shop', '/assistants', { model: 'plain' });
    const run = { assistant_id: assistant.body['id'] };
    expect((await post('shop', '/threads/runs', run)).status).toBe(200);
    expect(await post('shop', '/threads/runs', { ...run, ...more })).toMatchObject({
      status: 400,
      body: {
        error: { param, code: 'unsupported_value', message: expect.stringContaining('"plain" can\'t') },
      },
    });
  });

  test('that is refused leaves no row, whichever way it is created', async () => {
    const assistant = await post('shop', '/assistants', { model: 'nothing' });
    const thread = await post('shop', '/threads', {});
    const path = `/threads/${String(thread.body['id'])}/runs`;
    for (let time = 0; time < 2; time += 1)
      expect((await post('shop', path, { assistant_id: assistant.body['id'] })).status).toBe(400);
    expect((await post('shop', path)).body['data']).toEqual([]);
  });
});

test('the list has the names that a key may ask for, and no others', async () => {
  const ids = async (key: keyof typeof KEYS) =>
    ((await post(key, '/models')).body['data'] as { id: string; owned_by: string }[]).map(
      ({ id, owned_by }) => `${owned_by}: ${id}`,
    );
  expect(await ids('shop')).toEqual(['local: plain', 'local: fast', 'local: gpt-4o-mini', 'hosted: smart']);
  expect(await ids('other')).toEqual(['local: fast', 'local: gpt-4o-mini']);
  expect((await post('other', '/models/smart')).status).toBe(404);
  expect((await post('other', '/models/fast')).body).toMatchObject({ id: 'fast', object: 'model' });
});
