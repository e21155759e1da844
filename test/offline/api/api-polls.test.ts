/**
 * Long polls: a GET of the official polling helpers is answered when the run waits for its caller or has ended. Every other GET is
 * answered at once, and what is held is bounded and freed.
 */
import { EventEmitter } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createApi, serveApi } from '../../../api/index.ts';
import type { Api, ApiOptions, RequestLogEntry } from '../../../api/index.ts';
import type { RunsService } from '../../../protocol/ports/runs-service.ts';
import { isPolled } from '../../../protocol/rules/polling.ts';
import type { Run } from '../../../protocol/wire/objects.ts';
import { createSandbox, type Sandbox } from '../../../testing/index.ts';
import { deferred } from '../../support/deferred.ts';
import { caller } from '../../support/http.ts';

let sandbox: Sandbox;
beforeEach(async () => {
  sandbox = await createSandbox({ listen: false });
});
afterEach(() => sandbox.close());

const HELPER = { 'x-stainless-poll-helper': 'true' };

const startRun = async (script: string, tenant = 'default'): Promise<string> => {
  const { run } = await sandbox.engine.createThreadAndRun(
    caller(tenant),
    {},
    { assistant_id: `asst_${script}` },
  );
  return `/v1/threads/${run.thread_id}/runs/${run.id}`;
};

interface Watched {
  api: Api;
  seen: RequestLogEntry[];
  /** Resolves when `count` polls are held. */
  held: (count: number) => Promise<void>;
  /** Polls that wait on the engine now. */
  waiting: () => number;
}

/** An API over the sandbox's engine, whose waits are counted. */
const watchedApi = (more: Partial<ApiOptions> = {}): Watched => {
  const seen: RequestLogEntry[] = [];
  const { engine } = sandbox;
  let waiting = 0;
  const watchers = new Set<() => void>();
  const awaitRun: RunsService['awaitRun'] = async (...args) => {
    waiting += 1;
    for (const watcher of watchers) watcher();
    try {
      return await engine.awaitRun(...args);
    } finally {
      waiting -= 1;
    }
  };
  const api = createApi({
    engine: { ...engine, awaitRun },
    onRequest: (request) => seen.push(request),
    ...more,
  });
  return {
    api,
    seen,
    waiting: () => waiting,
    held: (count) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (waiting < count) return;
          watchers.delete(look);
          resolve();
        };
        watchers.add(look);
        look();
      }),
  };
};

const get = async (api: Api, path: string, headers: Record<string, string> = HELPER, env?: unknown) => {
  const response = await api.fetch(
    new Request(`http://127.0.0.1${path}`, { headers }),
    env as Parameters<Api['fetch']>[1],
  );
  return {
    status: response.status,
    after: response.headers.get('openai-poll-after-ms'),
    run: (await response.json()) as Run,
  };
};

describe('a poll of the helpers', () => {
  test.each([
    ['that comes to wait for its caller', 'weather', 'requires_action'],
    ['that completes', 'chat', 'completed'],
    ['that fails', 'failing', 'failed'],
  ])('of a run %s is answered with that, by one request', async (_, script, status) => {
    const { api, seen, held } = watchedApi();
    const path = await startRun(script);
    const polling = get(api, path);
    await held(1);
    expect(seen).toEqual([]);
    sandbox.clock.advance(60_000);
    expect((await polling).run.status).toBe(status);
    expect(seen).toMatchObject([{ status: 200, held: true }]);
  });

  test('of a run that is cancelled is answered when the cancellation is through', async () => {
    const { api, held } = watchedApi();
    const path = await startRun('hang');
    sandbox.clock.advance(1);
    const polling = get(api, path);
    await held(1);
    const [, , , thread = '', , run = ''] = path.split('/');
    await sandbox.engine.cancelRun(caller(), thread, run);
    sandbox.clock.advance(1);
    expect((await polling).run.status).toBe('cancelled');
  });

  test('of a run that waits or has ended is answered at once', async () => {
    const { api, seen } = watchedApi();
    for (const script of ['weather', 'chat']) {
      const path = await startRun(script);
      sandbox.clock.advance(60_000);
      expect((await get(api, path)).status).toBe(200);
    }
    expect(seen.map(({ held }) => held)).toEqual([false, false]);
  });

  test('is answered with the run as it is when it was held long enough, and may be sent again at once', async () => {
    const { api } = watchedApi({ polls: { maxMs: 5 } });
    const path = await startRun('hang');
    sandbox.clock.advance(60_000);
    expect(await get(api, path)).toMatchObject({ status: 200, after: '10', run: { status: 'in_progress' } });
    // Any other reader of this run is told to come back later.
    expect(Number((await get(api, path, {})).after)).toBeGreaterThan(1_000);
  });

  test('of an unknown run is a 404 at once', async () => {
    const { api, seen } = watchedApi();
    expect((await get(api, '/v1/threads/t/runs/r')).status).toBe(404);
    expect(seen).toMatchObject([{ held: false }]);
  });
});

test.each([
  ['without the header', {}],
  ['with another value of it', { 'x-stainless-poll-helper': 'false' }],
])('a GET %s is answered at once', async (_, headers) => {
  const { api, seen } = watchedApi();
  const path = await startRun('hang');
  expect((await get(api, path, headers)).run.status).toBe('queued');
  expect(seen).toMatchObject([{ held: false }]);
});

describe('held polls', () => {
  test('is bounded for each tenant; one poll more is answered at once', async () => {
    const auth = {
      open: false,
      authenticate: (headers: Headers) => ({
        tenant: headers.get('tenant') ?? '',
        name: null,
        roles: ['caller' as const],
        grantedTools: null,
        verified: false,
        groups: [],
      }),
    };
    const { api, held, seen } = watchedApi({ auth, polls: { maxPerTenant: 2 } });
    const paths = { a: await startRun('hang', 'a'), b: await startRun('hang', 'b') };
    const as = (tenant: 'a' | 'b') => get(api, paths[tenant], { ...HELPER, tenant });
    const polls = [as('a'), as('a')];
    await held(2);
    expect((await as('a')).run.status).toBe('queued');
    expect(seen).toMatchObject([{ tenant: 'a', held: false }]);
    polls.push(as('b'));
    await held(3);
    api.shutdown();
    expect((await Promise.all(polls)).map(({ status }) => status)).toEqual([200, 200, 200]);
  });

  test('makes room again when it is answered', async () => {
    const { api, held } = watchedApi({ polls: { maxPerTenant: 1 } });
    for (let count = 0; count < 3; count += 1) {
      const polling = get(api, await startRun('chat'));
      await held(1);
      sandbox.clock.advance(60_000);
      expect((await polling).run.status).toBe('completed');
    }
  });

  test('ends with its connection, and leaves no listener on it', async () => {
    const { api, held, waiting } = watchedApi();
    const path = await startRun('hang');
    const outgoing = Object.assign(new EventEmitter(), { destroyed: false });
    const polling = get(api, path, HELPER, { outgoing });
    await held(1);
    outgoing.emit('close');
    await polling;
    expect(waiting()).toBe(0);
    expect(outgoing.listenerCount('close')).toBe(0);
  });

  test('is nothing when the connection has closed before', async () => {
    const { api, seen } = watchedApi();
    const path = await startRun('hang');
    await get(api, path, HELPER, { outgoing: Object.assign(new EventEmitter(), { destroyed: true }) });
    expect(seen).toMatchObject([{ held: false }]);
  });

  test('is nothing when its socket closes while the run is read', async () => {
    const { engine } = sandbox;
    const [asked, closed] = [deferred(), deferred()];
    const { api, seen } = watchedApi({
      polls: { maxMs: 50 },
      engine: {
        ...engine,
        getRun: async (...args) => {
          asked.resolve();
          await closed.promise;
          return engine.getRun(...args);
        },
      },
    });
    const path = await startRun('hang');
    const answered = deferred();
    const served = await serveApi({
      ...api,
      fetch: async (request, env) => {
        const outgoing = env?.outgoing;
        outgoing?.once('close', () => closed.resolve());
        const response = await api.fetch(request, env);
        answered.resolve();
        return response;
      },
    });
    const socket = connect(served.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Stainless-Poll-Helper: true\r\n\r\n`);
    await asked.promise;
    socket.destroy();
    await answered.promise;
    expect(seen).toMatchObject([{ held: false }]);
    await served.close();
  });

  test('ends with its socket', async () => {
    const { api, held, seen } = watchedApi();
    const path = await startRun('hang');
    const answered = deferred();
    const served = await serveApi({
      ...api,
      fetch: async (request, env) => {
        const response = await api.fetch(request, env);
        answered.resolve();
        return response;
      },
    });
    const socket = connect(served.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Stainless-Poll-Helper: true\r\nConnection: close\r\n\r\n`,
    );
    await held(1);
    socket.destroy();
    await answered.promise;
    expect(seen).toMatchObject([{ held: true }]);
    await served.close();
  });

  test('is answered when the server shuts down, and what comes then is not held', async () => {
    const { api, held, seen } = watchedApi();
    const path = await startRun('hang');
    const served = await serveApi(api);
    const polling = fetch(`${served.url.replace('/v1', '')}${path}`, { headers: HELPER });
    await held(1);
    await served.close();
    const answer = await polling;
    expect(answer.status).toBe(200);
    expect(isPolled(((await answer.json()) as Run).status)).toBe(true);
    expect((await get(api, path)).status).toBe(200);
    expect(seen.map(({ held: wasHeld }) => wasHeld)).toEqual([true, false]);
  });
});
