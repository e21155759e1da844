/**
 * `GET /v1/models` through the official clients, against `runs serve` whose model server lists its models, has no such page, or is
 * down: list, retrieve, and a model that does not exist.
 */
import { execFile } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../../dev-server/ports.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';
import { failureOf, officialClients } from '../../support/official/clients.ts';
import { openOfficial, type OfficialServer } from '../../support/official/server.ts';
import { PYTHON_RELEASES, pythonClient, pythonTitle, type PythonRelease } from '../../support/python.ts';

guardAgainstLeaks({ ignore: ['TCPSocketWrap', 'Timeout'] });

const CONFIGURED = { id: 'configured-model', object: 'model', created: 0, owned_by: 'configured' };
const SERVED = [
  { id: 'org/one:7b', object: 'model', created: 1_700_000_000, owned_by: 'library' },
  { id: 'two', object: 'model', created: 1_700_000_001, owned_by: 'library' },
];
const SITUATIONS = [
  { name: 'that lists its models', models: SERVED },
  { name: 'without such a page', models: [CONFIGURED] },
  { name: 'that is down', models: [CONFIGURED] },
];

const program = fileURLToPath(new URL('../../support/official/models.py', import.meta.url));
const { clients } = await officialClients();
const pythons = PYTHON_RELEASES.map((release) => [pythonTitle(release), release] as const);

let server: OfficialServer;
const modelServers: Server[] = [];
/** Situation → base URL of a `runs serve` in it. */
const urls = new Map<string, string>();

const modelServer = async (models: object[] | null): Promise<string> => {
  const made = createServer((request, response) => {
    const found = models !== null && request.url === '/v1/models';
    response
      .writeHead(found ? 200 : 404, { 'content-type': 'application/json' })
      .end(JSON.stringify(found ? { object: 'list', data: models } : { detail: 'Not Found' }));
  });
  modelServers.push(made);
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(made.address() as AddressInfo).port}/v1`;
};

// Installing the Python clients may take minutes, once.
beforeAll(async () => {
  await Promise.all(PYTHON_RELEASES.map((release) => pythonClient(release)));
  server = await openOfficial({ workers: 0, env: { RUNS_MODEL: CONFIGURED.id } });
  const addresses = [
    await modelServer(SERVED),
    await modelServer(null),
    `http://127.0.0.1:${await freePort()}/v1`,
  ];
  for (const [index, { name }] of SITUATIONS.entries())
    urls.set(name, (await server.startApi({ OPENAI_BASE_URL: addresses[index] ?? '' })).url);
}, 600_000);
afterAll(async () => {
  await server?.close();
  for (const made of modelServers) made.close();
});

describe.each(SITUATIONS)('with a model server $name', ({ name, models }) => {
  test.each(clients)(
    '$name lists and retrieves each model, and gets NotFoundError for another',
    async (client) => {
      const api = new client.Api({ baseURL: urls.get(name), apiKey: 'not-needed', maxRetries: 0 });
      const listed = [];
      for await (const model of api.models.list()) listed.push(model);
      expect(listed).toEqual(models);
      for (const model of models) expect(await api.models.retrieve(model.id)).toEqual(model);
      const failure = await failureOf(api.models.retrieve('no-such-model'));
      expect(failure).toBeInstanceOf(client.Api.NotFoundError);
      expect(failure).toMatchObject({ code: 'model_not_found', param: 'model' });
    },
  );

  test.each(pythons)(
    '%s lists and retrieves each model, and gets NotFoundError for another',
    async (_title, release: PythonRelease) => {
      const python = await pythonClient(release);
      const { stdout } = await promisify(execFile)(python.command, [program], {
        env: {
          PATH: process.env['PATH'] ?? '',
          ...python.env,
          OPENAI_BASE_URL: urls.get(name),
          OPENAI_API_KEY: 'not-needed',
        },
      });
      expect(JSON.parse(stdout)).toEqual({
        listed: models.map(({ id }) => id),
        retrieved: models,
        missing: { status: 404, code: 'model_not_found' },
      });
    },
  );
});
