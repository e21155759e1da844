/** Workers with a build: new runs begin on the current one, wherever they are created, and `runs deployment` says what it refuses. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { RunsClient, temporalTarget } from '../../../client/index.ts';
import { createSandbox, type Sandbox } from '../../../testing/index.ts';
import { makeAssistants } from '../../../worker/backends.ts';
import { configFromEnv } from '../../../worker/config.ts';
import { startWorker } from '../../../worker/start-worker.ts';
import { cli } from '../../support/cli.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';
import { uniqueName, workflowBundle } from '../../support/temporal.ts';

guardAgainstLeaks();

const address = inject('temporalAddress');
const deployment = uniqueName('shop');
const ends: (() => Promise<void>)[] = [];
let sandbox: Sandbox;
let env: Record<string, string>;
let client: RunsClient;

beforeAll(async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'durable-runs-builds-'));
  ends.push(() => rm(dataDir, { recursive: true, force: true }));
  sandbox = await createSandbox({ scripts: { talk: [{ text: 'hello' }] } });
  ends.push(() => sandbox.close());
  env = {
    TEMPORAL_ADDRESS: address,
    RUNS_TASK_QUEUE: uniqueName('queue'),
    RUNS_BACKEND: 'assistants',
    OPENAI_BASE_URL: sandbox.url,
    RUNS_DATA_DIR: dataDir,
    RUNS_DEPLOYMENT: deployment,
  };
  client = await RunsClient.connect({ env });
  ends.push(() => client.close());
});
afterAll(async () => {
  for (const end of ends.toReversed()) await end();
});

const worker = async (buildId: string) => {
  const config = configFromEnv({ ...env, RUNS_BUILD_ID: buildId });
  const made = await makeAssistants(config);
  const started = await startWorker(config, {
    temporal: temporalTarget({ env }),
    backends: { assistants: made.backend },
    workflows: workflowBundle(),
  });
  ends.push(async () => {
    await started.stop();
    await made.dispose();
  });
  return started;
};

const deploymentCommand = (...args: string[]) => cli(['deployment', ...args, '--json'], env);
const problemOf = async (result: ReturnType<typeof cli>) => {
  const ended = await result;
  const { error } = ended.json() as { error: { code: string; message: string } };
  return { exit: ended.code, code: error.code, message: error.message };
};

describe('builds', { timeout: 120_000 }, () => {
  test('commands name unknown builds, and refuse changes that would leave runs without a worker', async () => {
    expect(await problemOf(deploymentCommand('show'))).toMatchObject({
      exit: 3,
      code: 'no_such_deployment',
      message: expect.stringContaining(`There is no deployment "${deployment}" in namespace "default"`),
    });
    await worker('v1');
    // Known a moment after the worker is ready.
    await expect.poll(async () => (await deploymentCommand('show')).code).toBe(0);
    expect(await problemOf(deploymentCommand('promote', 'v9'))).toMatchObject({
      exit: 3,
      code: 'no_such_build',
      message: expect.stringContaining('it has "v1"'),
    });
    expect(await problemOf(deploymentCommand('ramp', 'v1', '10'))).toMatchObject({
      exit: 4,
      message: expect.stringContaining('has no current build'),
    });
    const elsewhere = cli(['deployment', 'promote', 'v1', '--json'], {
      ...env,
      RUNS_TASK_QUEUE: 'elsewhere',
    });
    expect(await problemOf(elsewhere)).toMatchObject({
      exit: 5,
      code: 'no_worker',
      message: expect.stringContaining('task queue "elsewhere"'),
    });
    const sick = await cli(['doctor', '--only', 'deployment'], env);
    expect(sick.stdout).toContain(`fix: runs deployment promote v1 --deployment ${deployment}`);
    expect(sick.code).toBe(7);
  });

  test('a run that a worker of another build creates begins on the current build', async () => {
    const promoted = await deploymentCommand('promote', 'v1');
    expect(promoted.json()).toMatchObject({ currentBuild: 'v1', settled: true });
    const other = await worker('v2');
    const { runId } = await other.client.start({ backend: 'assistants', assistantId: 'asst_talk' });
    await client.result(runId);
    const { raw } = await client.temporal.workflow.getHandle(runId).describe();
    expect(raw.workflowExecutionInfo?.versioningInfo?.deploymentVersion?.buildId).toBe('v1');

    expect(await problemOf(deploymentCommand('ramp', 'v1', '10'))).toMatchObject({
      exit: 4,
      code: 'refused',
    });
    expect(await problemOf(deploymentCommand('drain', 'v1'))).toMatchObject({ exit: 4, code: 'refused' });
    expect((await deploymentCommand('ramp', 'v2', '100')).json()).toMatchObject({
      currentBuild: 'v1',
      builds: [{ buildId: 'v2', status: 'ramping', rampPercent: 100 }, { buildId: 'v1' }],
    });
    expect((await deploymentCommand('ramp', 'v2', '0')).json()).toMatchObject({
      builds: [
        { buildId: 'v2', status: 'retired' },
        { buildId: 'v1', status: 'current' },
      ],
    });
    expect((await cli(['doctor', '--only', 'deployment', '--only', 'queue'], env)).code).toBe(0);
  });
});
