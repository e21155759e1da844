/**
 * deploy/kubernetes without a cluster: the files are right for the API server, and their commands, environment and probes are run here.
 *
 * What this does not prove: that the image exists, that pods are scheduled, that the metrics adapter has the metric.
 */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { freePorts } from '../../../dev-server/ports.ts';
import { VARIABLES } from '../../../worker/variables.ts';
import { cacheOf, fillOnce, runBuild } from '../../support/prepared.ts';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.ts';
import { ROOT } from '../../support/sources.ts';
import { uniqueName } from '../../support/temporal.ts';
import { spawnWorker, type WorkerProcess } from '../../support/worker-process.ts';

/** Carries the schemas of the API server, of each minor version. */
const VALIDATE = 'kubernetes-validate==1.37.0';
/** The oldest that has everything the files use, and a later one. */
const VERSIONS = ['1.27', '1.34'];
const DIR = join(ROOT, 'deploy', 'kubernetes');
const FILES = readdirSync(DIR);

interface Probe {
  httpGet: { path: string; port: string };
}
interface Container {
  image: string;
  args: string[];
  env?: { name: string; value: string }[];
  ports?: { name: string; containerPort: number }[];
  startupProbe?: Probe;
  readinessProbe?: Probe;
  livenessProbe?: Probe;
}
interface Resource {
  kind: string;
  metadata: { name: string };
  data?: Record<string, string>;
  stringData?: Record<string, string>;
  spec?: { template?: { spec: { containers: [Container] } } };
}

const resources = FILES.flatMap((file) =>
  parseAllDocuments(readFileSync(join(DIR, file), 'utf8')).map((document) => document.toJS() as Resource),
);
const find = (kind: string, name: string): Resource => {
  const found = resources.find((one) => one.kind === kind && one.metadata.name === name);
  if (found === undefined) throw new Error(`deploy/kubernetes has no ${kind} ${JSON.stringify(name)}.`);
  return found;
};
const containerOf = ({ metadata, spec }: Resource): Container => {
  const container = spec?.template?.spec.containers[0];
  if (container === undefined) throw new Error(`${metadata.name} has no container.`);
  return container;
};
const MIGRATIONS = resources.find(({ kind }) => kind === 'Job');
const containers = resources.filter(({ spec }) => spec?.template !== undefined).map(containerOf);
const configured = {
  ...find('ConfigMap', 'durable-runs').data,
  ...find('Secret', 'durable-runs').stringData,
};

let dir: string;
let database: FreshDatabase;
const processes: WorkerProcess[] = [];
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'durable-runs-kubernetes-'));
  database = await freshDatabase();
});
afterAll(async () => {
  for (const one of processes) one.signal('SIGKILL');
  await Promise.all(processes.map(({ exited }) => exited));
  await database.drop();
  await rm(dir, { recursive: true, force: true });
});

test.each(VERSIONS)(
  'the API server of Kubernetes %s takes each resource, without a field that it does not know',
  async (version) => {
    const place = cacheOf(VALIDATE);
    await fillOnce(place, async (work) => {
      const flags = ['--quiet', '--disable-pip-version-check', '--no-input', '--target', work];
      await runBuild('python3', ['-m', 'pip', 'install', ...flags, VALIDATE], work);
    });
    const validate = async (...files: string[]): Promise<string> => {
      const args = ['-m', 'kubernetes_validate', '--strict', '-k', version, ...files];
      const env = { ...process.env, PYTHONPATH: place, PYTHONDONTWRITEBYTECODE: '1' };
      return (await promisify(execFile)('python3', args, { env, cwd: DIR })).stdout;
    };
    const passed = await validate(...FILES);
    for (const { kind, metadata } of resources)
      expect(passed).toContain(`passed for resource ${kind.toLowerCase()}/${metadata.name} `);
    await expect(validate(join(ROOT, 'docker-compose.yml'))).rejects.toThrow(/docker-compose.yml/);
  },
  300_000,
);

test('each variable of ours is one that the product reads, and each image is that of docker-compose.yml', () => {
  const known: readonly string[] = VARIABLES;
  const named = [
    ...Object.keys(configured),
    ...containers.flatMap(({ env = [] }) => env.map(({ name }) => name)),
  ];
  expect(named.filter((name) => name.startsWith('RUNS_') && !known.includes(name))).toEqual([]);
  const compose = parse(readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8'), { merge: true }) as {
    services: { serve: { image: string } };
  };
  expect(new Set(containers.map(({ image }) => image))).toEqual(new Set([compose.services.serve.image]));
});

/** The container's environment, with the addresses of this machine. */
const envOf = ({ env = [] }: Container, here: Record<string, string>): Record<string, string> => ({
  ...configured,
  ...Object.fromEntries(env.map(({ name, value }) => [name, value])),
  ...here,
});

const probed = async ({ ports = [], ...container }: Container, portOf: (port: number) => number) => {
  const probes = [container.startupProbe, container.readinessProbe, container.livenessProbe];
  for (const probe of probes.filter((one) => one !== undefined)) {
    const { path, port } = probe.httpGet;
    const found = ports.find(({ name }) => name === port)?.containerPort ?? 0;
    const answer = await fetch(`http://127.0.0.1:${portOf(found)}${path}`);
    await answer.body?.cancel();
    expect(`${path} ${answer.status}`).toBe(`${path} 200`);
  }
};

test('the job applies the migrations once, then worker and server start with the same settings and answer their probes', async () => {
  const [http = 0, workerMetrics = 0, serverMetrics = 0] = await freePorts(3);
  const here = {
    DATABASE_URL: database.url,
    TEMPORAL_ADDRESS: inject('temporalAddress'),
    RUNS_TASK_QUEUE: uniqueName('kubernetes'),
    RUNS_DATA_DIR: dir,
    RUNS_API_KEYS: 'acme:a-key-of-the-program',
    HOST: '127.0.0.1',
    PORT: String(http),
  };
  const run = (container: Container, more: Record<string, string> = {}): WorkerProcess => {
    const made = spawnWorker(envOf(container, { ...here, ...more }), container.args);
    processes.push(made);
    return made;
  };
  if (MIGRATIONS === undefined) throw new Error('deploy/kubernetes has no Job.');
  const job = containerOf(MIGRATIONS);
  const first = run(job);
  expect(await first.exited).toMatchObject({ code: 0 });
  expect(first.printed()).toMatch(/^applied 0000/m);
  const second = run(job);
  expect(await second.exited).toMatchObject({ code: 0 });
  expect(second.printed()).toMatch(/^nothing to apply/m);

  const worker = containerOf(find('Deployment', 'durable-runs-worker'));
  const serve = containerOf(find('Deployment', 'durable-runs-serve'));
  await Promise.all([
    run(worker, { RUNS_METRICS_PORT: String(workerMetrics) }).ready,
    run(serve, { RUNS_METRICS_ADDRESS: `127.0.0.1:${serverMetrics}` }).ready,
  ]);
  await probed(worker, () => workerMetrics);
  await probed(serve, (port) => (port === 8787 ? http : serverMetrics));
  // What the workers scale by, and the annotations' path on the server.
  expect(await (await fetch(`http://127.0.0.1:${workerMetrics}/metrics`)).text()).toContain(
    '# TYPE runs_schedule_to_start_seconds histogram',
  );
  expect((await fetch(`http://127.0.0.1:${serverMetrics}/metrics`)).status).toBe(200);
});
