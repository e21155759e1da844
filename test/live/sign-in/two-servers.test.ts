/** Sessions on a real PostgreSQL: two servers, one database, and a restart between. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serveApi, type ServedApi } from '../../../api/index.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import type { ConsoleSessionObject } from '../../../protocol/wire/console-session.ts';
import { openStore } from '../../../store/index.ts';
import { ALICE_KEY, openDoor } from '../../support/console-door.ts';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.ts';

interface Server {
  store: Store;
  served: ServedApi;
  origin: string;
}

let database: FreshDatabase;
const running: Server[] = [];

const start = async (): Promise<Server> => {
  const store = await openStore({ databaseUrl: database.url });
  const served = await serveApi(openDoor(store));
  const server = { store, served, origin: new URL(served.url).origin };
  running.push(server);
  return server;
};
const stop = async ({ served, store }: Server): Promise<void> => {
  await served.close();
  await store.close();
};

beforeAll(async () => {
  database = await freshDatabase();
}, 60_000);
afterAll(async () => {
  for (const server of running) await stop(server);
  await database.drop();
}, 60_000);

/** Signs alice in at a server. */
const signIn = async ({ origin }: Server): Promise<{ cookie: string; csrf: string }> => {
  const response = await fetch(`${origin}/console/session`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ key: ALICE_KEY }),
  });
  const { csrf_token: csrf } = (await response.json()) as ConsoleSessionObject;
  return { cookie: response.headers.getSetCookie()[0]?.split(';')[0] ?? '', csrf };
};

const statusOf = async ({ origin }: Server, cookie: string): Promise<number> =>
  (await fetch(`${origin}/v1/approvals`, { headers: { cookie } })).status;

test('a session holds on both and after a restart; its end holds on both and ends open streams', async () => {
  const [first, second] = [await start(), await start()];
  const { cookie, csrf } = await signIn(first);
  expect(await statusOf(second, cookie)).toBe(200);
  running.splice(running.indexOf(first), 1);
  await stop(first);
  const restarted = await start();
  expect(await statusOf(restarted, cookie)).toBe(200);

  const stream = await fetch(`${second.origin}/v1/approvals/events`, { headers: { cookie } });
  expect(stream.status).toBe(200);
  const rest = stream.text();
  const ended = await fetch(`${restarted.origin}/console/sessions`, {
    method: 'DELETE',
    headers: { cookie, 'x-csrf-token': csrf },
  });
  expect(await ended.json()).toMatchObject({ ended: 1 });
  expect(await rest).toMatch(/event: error\ndata: .*"session_ended"/);
  expect(await statusOf(second, cookie)).toBe(401);
  expect(await statusOf(restarted, cookie)).toBe(401);
}, 120_000);

test('sign-ins at the same time on both servers are sessions of their own', async () => {
  const [one, other] = [await start(), await start()];
  const sessions = await Promise.all(
    Array.from({ length: 20 }, (_, index) => signIn(index % 2 === 0 ? one : other)),
  );
  expect(new Set(sessions.map(({ cookie }) => cookie)).size).toBe(20);
  for (const { cookie } of sessions) expect(await statusOf(other, cookie)).toBe(200);
}, 120_000);
