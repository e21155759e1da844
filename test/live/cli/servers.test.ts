/** The servers that all live tests stand on: a red test here explains every other red one. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { Client } from 'pg';
import { SEARCH_ATTRIBUTES } from '../../../protocol/temporal/names.ts';
import { freshDatabase, startPostgres } from '../../support/postgres.ts';
import { liveTemporal, privateTemporal, timeSkipping, type LiveTemporal } from '../../support/temporal.ts';

describe('the shared dev server', () => {
  let temporal: LiveTemporal;
  beforeAll(async () => {
    temporal = await liveTemporal();
  });
  afterAll(() => temporal.close());

  test('knows our search attributes by name and type', async () => {
    const { customAttributes } = await temporal.connection.operatorService.listSearchAttributes({
      namespace: temporal.namespace,
    });
    // Numbers of the protocol's IndexedValueType.
    const types = { Keyword: 2, Datetime: 6, KeywordList: 7 };
    const wanted = Object.entries(SEARCH_ATTRIBUTES).map(([name, type]) => [name, types[type]]);
    expect(customAttributes).toMatchObject(Object.fromEntries(wanted));
  });

  test('serves its HTTP API and its Web UI', async () => {
    const info = await fetch(`${inject('temporalHttpUrl')}/api/v1/namespaces/default`);
    expect(await info.json()).toMatchObject({ namespaceInfo: { name: 'default' } });
    const ui = await fetch(inject('temporalUiUrl'));
    expect(ui.headers.get('content-type')).toContain('text/html');
  });
});

test('a dev server on disk keeps its state over kill -9', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'durable-runs-disk-'));
  onTestFinished(() => rm(dir, { recursive: true }));
  const dbFilename = join(dir, 'temporal.db');
  const first = await privateTemporal({ dbFilename });
  const before = await liveTemporal(first.address);
  const { workflowId } = await before.client.workflow.start('nobodyRunsThis', {
    taskQueue: 'none',
    workflowId: 'kept',
  });
  await before.close();
  first.kill();
  await first.exited;
  const second = await privateTemporal({ dbFilename });
  const after = await liveTemporal(second.address);
  const found = await after.client.workflow.getHandle(workflowId).describe();
  expect(found.status.name).toBe('RUNNING');
  await after.close();
  await second.stop();
});

test('the time-skipping server moves its clock', async () => {
  const env = await timeSkipping();
  const before = await env.currentTimeMs();
  await env.sleep('1 day');
  expect((await env.currentTimeMs()) - before).toBeGreaterThanOrEqual(86_400_000);
  await env.teardown();
});

test('two fresh databases know nothing of each other', async () => {
  const one = await freshDatabase();
  const other = await freshDatabase();
  await inDatabase(one.url, (client) => client.query('create table only_here (id int)'));
  const tables = await inDatabase(other.url, (client) =>
    client.query(`select 1 from pg_tables where tablename = 'only_here'`),
  );
  expect(tables.rowCount).toBe(0);
  await one.drop();
  await other.drop();
  await expect(inDatabase(one.url, (client) => client.query('select 1'))).rejects.toMatchObject({
    code: '3D000',
  });
});

test('a PostgreSQL of its own comes back after kill -9 with every acknowledged row', async () => {
  const server = await startPostgres();
  await inDatabase(server.url, async (client) => {
    await client.query('create table kept (id int)');
    await client.query('insert into kept values (7)');
  });
  const pid = server.pid();
  await server.kill();
  await server.restart();
  expect(server.pid()).not.toBe(pid);
  const rows = await inDatabase(server.url, (client) => client.query('select id from kept'));
  expect(rows.rows).toEqual([{ id: 7 }]);
  await server.remove();
});

async function inDatabase<T>(url: string, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}
