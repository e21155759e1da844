import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { PGlite } from '@electric-sql/pglite';
import { is } from 'drizzle-orm';
import { getTableConfig, PgTable } from 'drizzle-orm/pg-core';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { StoreError } from '../../../protocol/ports/store-error.ts';
import { isDatabaseUnavailable, toStoreError, violatedIndex } from '../../../store/errors.ts';
import { openStore } from '../../../store/index.ts';
import { LOCK_FILE, lockDirectory } from '../../../store/lock-file.ts';
import { migrate, readMigrations } from '../../../store/migrate.ts';
import { openPglite } from '../../../store/pglite.ts';
import { image } from '../../support/store.ts';
import * as approvalsSchema from '../../../store/approvals-schema.ts';
import * as runToolsSchema from '../../../store/run-tools-schema.ts';
import * as schema from '../../../store/schema.ts';
import * as serviceSchema from '../../../store/schema-service.ts';
import * as usageSchema from '../../../store/usage-schema.ts';
import * as webhooksSchema from '../../../store/webhooks-schema.ts';

describe('the lock of a data directory', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'runs-lock-'));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  const path = () => join(dir, LOCK_FILE);
  const own = async (): Promise<Record<string, unknown>> => {
    const lock = await lockDirectory(dir);
    const text = await readFile(path(), 'utf8');
    await lock.release();
    return JSON.parse(text) as Record<string, unknown>;
  };
  const refused = { code: 'config', message: expect.stringContaining('in use') };

  test('is held by one, and free again after release', async () => {
    const lock = await lockDirectory(dir);
    await expect(lockDirectory(dir)).rejects.toMatchObject(refused);
    await lock.release();
    await (await lockDirectory(dir)).release();
  });

  test('is won by exactly one of many that come together, stale lock or not', async () => {
    for (const stale of [false, true]) {
      if (stale) await writeFile(path(), JSON.stringify({ ...(await own()), pid: 2 ** 22 + 1 }));
      const tries = await Promise.allSettled(Array.from({ length: 8 }, () => lockDirectory(dir)));
      const won = tries.filter((one) => one.status === 'fulfilled');
      expect(won).toHaveLength(1);
      await won[0]?.value.release();
    }
  });

  test('of a process that was killed is taken over', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    await once(child, 'spawn');
    const started = (await readFile(`/proc/${child.pid}/stat`, 'utf8')).split(' ')[21];
    await writeFile(
      path(),
      JSON.stringify({ ...(await own()), pid: child.pid, parent: process.pid, started }),
    );
    await expect(lockDirectory(dir)).rejects.toMatchObject(refused);
    child.kill('SIGKILL');
    await once(child, 'exit');
    await (await lockDirectory(dir)).release();
  });

  test('of a process that has ended and was not collected by its parent is taken over', async () => {
    const parent = spawn('sh', ['-c', 'sleep 0 & echo $!; exec sleep 60'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    onTestFinished(() => void parent.kill('SIGKILL'));
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    const zombie = Number(line.toString());
    const stat = async () => readFile(`/proc/${zombie}/stat`, 'utf8');
    while ((await stat()).split(' ')[2] !== 'Z') await nextTurn();
    const started = (await stat()).split(' ')[21];
    await writeFile(path(), JSON.stringify({ ...(await own()), pid: zombie, started }));
    const lock = await lockDirectory(dir);
    expect(JSON.parse(await readFile(path(), 'utf8'))).toMatchObject({ pid: process.pid });
    await lock.release();
  });

  test('of a process whose supervisor was killed is waited for while that process ends', async () => {
    // The supervised process ends when its input does, as ours ends when the channel to its supervisor closes.
    const supervisor = spawn('sh', ['-c', '(read line; sleep 0.5; exit) <&3 & echo $!; exec sleep 60 3<&-'], {
      stdio: ['ignore', 'pipe', 'ignore', 'pipe'],
    });
    onTestFinished(() => void supervisor.kill('SIGKILL'));
    const [line] = (await once(supervisor.stdout as Readable, 'data')) as [Buffer];
    const child = Number(line.toString());
    const started = (await readFile(`/proc/${child}/stat`, 'utf8')).split(' ')[21];
    await writeFile(
      path(),
      JSON.stringify({ ...(await own()), pid: child, parent: supervisor.pid, started }),
    );
    await expect(lockDirectory(dir)).rejects.toMatchObject(refused);
    supervisor.kill('SIGKILL');
    await once(supervisor, 'exit');
    const taken = lockDirectory(dir);
    (supervisor.stdio[3] as Writable).end();
    const lock = await taken;
    expect(JSON.parse(await readFile(path(), 'utf8'))).toMatchObject({ pid: process.pid });
    await lock.release();
  });

  test('of another process that had our pid is taken over', async () => {
    await writeFile(path(), JSON.stringify({ ...(await own()), pid: process.pid, started: '1' }));
    const lock = await lockDirectory(dir);
    expect(JSON.parse(await readFile(path(), 'utf8'))).not.toMatchObject({ started: '1' });
    await lock.release();
  });

  test('of another machine is respected while it is touched, and taken over later', async () => {
    await writeFile(path(), JSON.stringify({ ...(await own()), host: `not-${hostname()}` }));
    await expect(lockDirectory(dir)).rejects.toMatchObject(refused);
    const old = new Date(Date.now() - 3_600_000);
    await utimes(path(), old, old);
    await (await lockDirectory(dir)).release();
  });

  test('keeps a second store out of a directory that survives its owner', async () => {
    // An image in place of a database made anew, which takes seconds of CPU.
    await (await PGlite.create({ dataDir: join(dir, 'pg'), loadDataDir: await image() })).close();
    const first = await openStore({ dataDir: dir });
    await expect(openStore({ dataDir: dir })).rejects.toMatchObject(refused);
    const assistant = await first.createAssistant('t', { model: 'm' }, 1);
    await first.close();
    const second = await openStore({ dataDir: dir });
    expect(await second.getAssistant('t', assistant.id)).toEqual(assistant);
    await second.close();
  }, 120_000);
});

const memoryDatabase = async () => openPglite({ memory: true, image: await image() });

describe('migrations', () => {
  test('make exactly the tables, columns and indexes that the schema describes, once', async () => {
    const db = await memoryDatabase();
    const migrations = await readMigrations();
    expect(await migrate(db, migrations)).toEqual(migrations.map(({ tag }) => tag));
    expect(await migrate(db, migrations)).toEqual([]);
    const columns = await db.query<{ table_name: string; column_name: string; is_nullable: string }>(
      "select table_name, column_name, is_nullable from information_schema.columns where table_schema = 'public' and table_name <> 'runs_migrations'",
    );
    const indexes = await db.query<{ indexname: string }>(
      "select indexname from pg_indexes where schemaname = 'public' and indexname not like '%\\_pk%' and indexname not like '%\\_pkey'",
    );
    const tables = Object.values<unknown>({
      ...schema,
      ...serviceSchema,
      ...approvalsSchema,
      ...usageSchema,
      ...webhooksSchema,
      ...runToolsSchema,
    }).filter((value): value is PgTable => is(value, PgTable));
    const described = tables.map((table) => getTableConfig(table));
    expect(new Set(columns.map((one) => `${one.table_name}.${one.column_name}.${one.is_nullable}`))).toEqual(
      new Set(
        described.flatMap((table) =>
          table.columns.map((column) => `${table.name}.${column.name}.${column.notNull ? 'NO' : 'YES'}`),
        ),
      ),
    );
    expect(new Set(indexes.map(({ indexname }) => indexname))).toEqual(
      new Set(described.flatMap((table) => table.indexes.map(({ config }) => config.name))),
    );
    await db.close();
  });

  test('of a newer version are refused, and a failing one leaves nothing', async () => {
    const db = await memoryDatabase();
    const [first] = await readMigrations();
    if (first === undefined) throw new Error('no migration');
    const broken = {
      tag: '0001_broken',
      text: 'create table x (id int);--> statement-breakpoint\nselect nope',
    };
    await expect(migrate(db, [first, broken])).rejects.toThrow('nope');
    expect(await migrate(db, [first])).toEqual([first.tag]);
    await expect(migrate(db, [])).rejects.toMatchObject({
      code: 'config',
      message: expect.stringContaining(first.tag),
    });
    await db.close();
  });
});

const coded = (code: string) => Object.assign(new Error('x'), { code });

describe('errors of drivers', () => {
  test.each([
    [coded('ECONNREFUSED'), true],
    [coded('ECONNRESET'), true],
    [coded('57P01'), true],
    [coded('57P03'), true],
    [coded('08006'), true],
    [coded('53300'), true],
    [coded('40001'), true],
    [coded('40P01'), true],
    [coded('55P03'), true],
    [coded('57014'), true],
    [new Error('Connection terminated unexpectedly'), true],
    [new Error('timeout exceeded when trying to connect'), true],
    [new AggregateError([coded('ECONNREFUSED'), coded('ECONNREFUSED')]), true],
    [coded('23505'), false],
    [coded('42P01'), false],
    [coded('22021'), false],
    [new AggregateError([coded('ECONNREFUSED'), coded('42P01')]), false],
    [new TypeError('x'), false],
    ['text', false],
  ])('%o: unavailable %s', (error, expected) => {
    expect(isDatabaseUnavailable(error)).toBe(expected);
    const told = toStoreError(error);
    expect(told === error).toBe(!expected);
    expect(told instanceof StoreError && told.code === 'unavailable' && told.cause === error).toBe(expected);
  });

  test('a unique violation names its index', () => {
    expect(violatedIndex(Object.assign(coded('23505'), { constraint: 'runs_live' }))).toBe('runs_live');
    expect(violatedIndex(coded('23503'))).toBeNull();
  });
});
