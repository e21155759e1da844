/** Threads, listed the same by the sandbox and by the store that real runs are in. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApi, keyAuth, type Api } from '../../../api/index.ts';
import { hashKey } from '../../../api/keys.ts';
import type { RunsService } from '../../../protocol/ports/runs-service.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import type { Page, Thread } from '../../../protocol/wire/objects.ts';
import { createRunsService, type Workflows } from '../../../service/index.ts';
import { createSandboxEngine } from '../../../testing/index.ts';
import { call } from '../../support/http.ts';
import { memoryStore } from '../../support/store.ts';

let store: Store;
beforeAll(async () => {
  store = await memoryStore();
}, 60_000);
afterAll(() => store.close());

const ENGINES: readonly [string, () => RunsService][] = [
  ['the sandbox', () => createSandboxEngine()],
  ['the store', () => createRunsService({ store, client: { workflows: {} as Workflows } })],
];

const key = (name: string) => ({ tenant: name, sha256: hashKey(`sk-${name}`), tools: '*' as const });
const bearer = (name: string) => ({ authorization: `Bearer sk-${name}` });
const auth = keyAuth([key('mine'), key('other')]);

describe.each(ENGINES)('%s', (_name, engine) => {
  let api: Api;
  const made: string[] = [];
  const create = async (tenant: string): Promise<string> => {
    const { body } = await call(
      api.fetch,
      'POST',
      '/v1/threads',
      { metadata: { of: tenant } },
      bearer(tenant),
    );
    return (body as Thread).id;
  };
  const list = async (query: string, tenant = 'mine') => {
    const answer = await call(api.fetch, 'GET', `/v1/threads${query}`, undefined, bearer(tenant));
    const { data, ...rest } = answer.body as Page<Thread>;
    return { ids: data.map(({ id }) => id), data, ...rest };
  };
  let foreign = '';
  beforeAll(async () => {
    api = createApi({ engine: engine(), auth });
    made.push(await create('mine'), await create('mine'));
    foreign = await create('other');
    made.push(await create('mine'));
  });

  test('lists the threads of the tenant and no others, newest first', async () => {
    const { ids, data, ...rest } = await list('');
    expect(ids).toEqual(made.toReversed());
    expect(data[0]).toMatchObject({ object: 'thread', metadata: { of: 'mine' }, tool_resources: {} });
    expect(rest).toEqual({ object: 'list', first_id: made[2], last_id: made[0], has_more: false });
    expect((await list('', 'other')).ids).toEqual([foreign]);
  });

  test.each<[string, (ids: string[]) => string, number[], boolean]>([
    ['the first two', () => '?order=asc&limit=2', [0, 1], true],
    ['what comes after one', ([, second]) => `?order=asc&after=${second}`, [2], false],
    ['what comes before one', ([, second]) => `?order=asc&before=${second}`, [0], false],
    ['newest first, after one', ([, second]) => `?after=${second}`, [0], false],
  ])('pages: %s', async (_what, query, places, more) => {
    const { ids, has_more } = await list(query(made));
    expect([ids, has_more]).toEqual([places.map((place) => made[place]), more]);
  });

  test('an unknown cursor is refused, as is one of another tenant', async () => {
    for (const after of ['thread_none', foreign]) {
      const { status } = await call(
        api.fetch,
        'GET',
        `/v1/threads?after=${after}`,
        undefined,
        bearer('mine'),
      );
      expect(status).toBeGreaterThanOrEqual(400);
      expect(status).toBeLessThan(500);
    }
  });

  test('a deleted thread is listed no more', async () => {
    const gone = await create('mine');
    await call(api.fetch, 'DELETE', `/v1/threads/${gone}`, undefined, bearer('mine'));
    expect((await list('')).ids).toEqual(made.toReversed());
  });
});
