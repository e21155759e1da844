/** What `runs deployment` and `runs doctor` make of a deployment's state. */
import { describe, expect, test } from 'vitest';
import {
  isDrained,
  listDeployments,
  type DeploymentBuild,
  type DeploymentState,
  type RunsClient,
} from '../../../client/index.ts';
import { stateOf } from '../../../client/deployments.ts';
import { deploymentFindings } from '../../../cli/deployment/findings.ts';
import { deploymentLines, drainedBuilds, drainLines } from '../../../cli/deployment/view.ts';
import { backlogFinding, workerFinding } from '../../../cli/doctor/queue-checks.ts';
import { cli } from '../../support/cli.ts';

const NOW = 1_800_000_000_000;

const build = (buildId: string, more: Partial<DeploymentBuild> = {}): DeploymentBuild => ({
  buildId,
  status: 'retired',
  rampPercent: null,
  liveRuns: 0,
  lateAnswers: 0,
  workers: ['1@host'],
  retiredAt: NOW - 60_000,
  ...more,
});

const current = (buildId: string, more: Partial<DeploymentBuild> = {}): DeploymentBuild =>
  build(buildId, { status: 'current', retiredAt: null, ...more });

const state = (builds: DeploymentBuild[], more: Partial<DeploymentState> = {}): DeploymentState => ({
  deployment: 'shop',
  taskQueue: 'runs',
  currentBuild: builds.find(({ status }) => status === 'current')?.buildId ?? null,
  builds,
  unversionedWorkers: [],
  settled: true,
  ...more,
});

const version = (buildId: string, more: object = {}): object => ({
  deploymentVersion: { deploymentName: 'shop', buildId },
  ...more,
});
const at = (ms: number): object => ({ seconds: ms / 1_000 });

describe('the state of a deployment', () => {
  test('tells new, current, ramping and retired builds apart, with their runs and workers', () => {
    const raw = {
      name: 'shop',
      versionSummaries: [
        version('v4'),
        version('v3', { firstActivationTime: at(NOW - 2_000) }),
        version('v2', { firstActivationTime: at(NOW - 5_000) }),
        version('v1', { firstActivationTime: at(NOW - 9_000), lastDeactivationTime: at(NOW - 5_000) }),
      ],
      routingConfig: {
        currentDeploymentVersion: { deploymentName: 'shop', buildId: 'v2' },
        rampingDeploymentVersion: { deploymentName: 'shop', buildId: 'v3' },
        rampingVersionPercentage: 25,
      },
      routingConfigUpdateState: 1,
    } as object;
    const pollers = [
      { identity: 'a', deployment: 'shop', buildId: 'v1' },
      { identity: 'b', deployment: 'shop', buildId: 'v2' },
      { identity: 'c', deployment: 'other', buildId: 'v2' },
      { identity: 'd', deployment: null, buildId: null },
    ];
    expect(stateOf(raw, 'runs', pollers, new Map([['v1', { liveRuns: 2, lateAnswers: 1 }]]))).toEqual({
      deployment: 'shop',
      taskQueue: 'runs',
      currentBuild: 'v2',
      settled: false,
      unversionedWorkers: ['d'],
      builds: [
        build('v4', { status: 'new', workers: [], retiredAt: null }),
        build('v3', { status: 'ramping', rampPercent: 25, workers: [], retiredAt: null }),
        build('v2', { status: 'current', workers: ['b'], retiredAt: null }),
        build('v1', { liveRuns: 2, lateAnswers: 1, workers: ['a'], retiredAt: NOW - 5_000 }),
      ],
    });
  });

  test.each<[string, DeploymentBuild, boolean]>([
    ['a retired build without runs', build('v1'), true],
    ['one with a run', build('v1', { liveRuns: 1 }), false],
    ['one whose ended run awaits late answers', build('v1', { lateAnswers: 1 }), false],
    ['one that retired a moment ago', build('v1', { retiredAt: NOW - 1_000 }), false],
    ['the current build', current('v1'), false],
    ['a ramping build', build('v1', { status: 'ramping' }), false],
    ['a build that has never taken runs', build('v1', { status: 'new' }), false],
  ])('%s may be stopped: %#', (_name, one, may) => {
    expect(isDrained(one, NOW)).toBe(may);
  });
});

const problems = (of: DeploymentState) => deploymentFindings(of, NOW).problems;

describe('the problems of a deployment', () => {
  test('no current build is named with the command that mends it', () => {
    expect(problems(state([build('v1', { status: 'new', retiredAt: null })]))).toEqual([
      {
        detail: 'deployment "shop" has no current build: new runs on task queue "runs" stay queued',
        fix: 'runs deployment promote v1 --deployment shop',
      },
    ]);
  });

  test('no current build is right while workers without a build take new runs', () => {
    expect(problems(state([build('v1', { status: 'new' })], { unversionedWorkers: ['2@host'] }))).toEqual([]);
  });

  test('a current build without workers is named with both ways out', () => {
    const [found, ...others] = problems(state([build('v1'), current('v2', { workers: [] })]));
    expect(others).toEqual([]);
    expect(found?.detail).toBe(
      'build "v2" of deployment "shop" is current, and no worker of it polls task queue "runs": new runs stay queued',
    );
    expect(found?.fix).toBe(
      'start a worker with RUNS_DEPLOYMENT=shop RUNS_BUILD_ID=v2, or let build "v1" take new runs: runs deployment promote v1 --deployment shop',
    );
  });

  test('runs on a build whose workers have gone are named', () => {
    const [found] = problems(
      state([current('v2'), build('v1', { workers: [], liveRuns: 2, lateAnswers: 1 })]),
    );
    expect(found).toEqual({
      detail:
        '2 runs and 1 ended run that awaits late answers on build "v1" of deployment "shop", and no worker of it polls task queue "runs": they wait for a worker',
      fix: 'start a worker with RUNS_DEPLOYMENT=shop RUNS_BUILD_ID=v1',
    });
  });

  test('a build without runs whose workers still poll may be stopped', () => {
    const found = deploymentFindings(state([current('v2'), build('v1'), build('v0', { workers: [] })]), NOW);
    expect(found.problems).toEqual([]);
    expect(found.mayStop.map(({ buildId }) => buildId)).toEqual(['v1']);
  });
});

const queue = (more: object) => ({
  workflows: [],
  activities: [],
  backlog: 0,
  backlogAgeMs: 0,
  routedTo: null,
  ...more,
});

describe('the task queue', () => {
  const worker = { identity: '1@host', deployment: 'shop', buildId: 'v1' };

  test('workers are shown with their builds', () => {
    expect(workerFinding(queue({ workflows: [worker], activities: [worker] }), 'runs')).toEqual({
      state: 'ok',
      detail: '1 on task queue "runs" (1@host of build v1)',
    });
    expect(workerFinding(queue({ workflows: [worker] }), 'runs').state).toBe('problem');
  });

  test('without workers the fix names the build that takes new runs', () => {
    const routedTo = { deployment: 'shop', buildId: 'v2' };
    expect(workerFinding(queue({ routedTo }), 'runs').fix).toMatch(
      /of the current build: RUNS_DEPLOYMENT=shop RUNS_BUILD_ID=v2$/,
    );
    expect(workerFinding(queue({}), 'runs').fix).not.toContain('build');
  });

  test.each([
    [0, 0, 'ok'],
    [3, 2_000, 'ok'],
    [3, 720_000, 'problem'],
  ])('of %i tasks, the oldest %i ms old, is %s', (backlog, backlogAgeMs, expected) => {
    expect(backlogFinding(queue({ backlog, backlogAgeMs }), 'runs').state).toBe(expected);
  });

  test('old tasks are shown with their age', () => {
    expect(backlogFinding(queue({ backlog: 3, backlogAgeMs: 720_000 }), 'runs').detail).toBe(
      '3 tasks of runs wait for a worker on task queue "runs", the oldest for 12 m: queued runs are delayed',
    );
  });
});

describe('the lines', () => {
  test('show has a row for each build, problems with their fixes, and builds that may be stopped', () => {
    expect(
      deploymentLines(
        state([current('v2', { liveRuns: 12, workers: [] }), build('v1', { workers: ['7@old'] })]),
        NOW,
      ),
    ).toEqual([
      'deployment shop · task queue runs',
      'BUILD  STATUS                   RUNS  LATE  WORKERS',
      'v2     current: takes new runs  12    0     none',
      'v1     takes no new runs        0     0     7@old',
      'PROBLEM build "v2" of deployment "shop" is current, and no worker of it polls task queue "runs": new runs stay queued',
      '        fix: start a worker with RUNS_DEPLOYMENT=shop RUNS_BUILD_ID=v2, or let build "v1" take new runs: runs deployment promote v1 --deployment shop',
      'no runs are left on build v1: its workers may be stopped',
    ]);
  });

  test('drain says of each build what it holds', () => {
    const builds = [
      current('v5'),
      build('v4', { liveRuns: 2 }),
      build('v3', { lateAnswers: 9 }),
      build('v2', { retiredAt: NOW - 500 }),
      build('v1'),
      build('v0', { workers: [] }),
    ];
    const runs = new Map([
      ['v4', ['run_a', 'run_b']],
      ['v3', ['run_c.follow-up']],
    ]);
    expect(drainLines(drainedBuilds(state(builds), undefined, runs, NOW))).toEqual([
      'build v4: 2 runs, its workers are still needed (run_a, run_b)',
      'build v3: 9 ended runs that await late answers, its workers are still needed (run_c.follow-up, …)',
      'build v2: no runs are counted yet, because it stopped taking runs a moment ago; run this again in 10 s',
      'build v1: no runs are left, its workers may be stopped',
      'build v0: no runs are left, and it has no workers',
    ]);
    expect(drainLines(drainedBuilds(state([current('v5')]), undefined, new Map(), NOW))).toEqual([
      'No build drains: all builds take new runs, or none has taken any.',
    ]);
  });
});

test('a server without worker deployments is named, with what it takes', async () => {
  const unimplemented = Object.assign(new Error('12 UNIMPLEMENTED'), { code: 12, details: '', metadata: {} });
  const old = {
    place: { address: 'old:7233', namespace: 'default', taskQueue: 'runs' },
    call: () => Promise.reject(unimplemented),
  } as unknown as RunsClient;
  await expect(listDeployments(old)).rejects.toMatchObject({
    code: 'config',
    message: expect.stringContaining(
      'Temporal at "old:7233" has no worker deployments. They need a Temporal server 1.28',
    ),
  });
});

describe('the command line', () => {
  test.each(['-1', '101', 'half', ''])('ramp refuses %j with the value', async (percent) => {
    const { code, stderr } = await cli(['deployment', 'ramp', '--', 'v1', percent], {
      TEMPORAL_ADDRESS: '127.0.0.1:9',
    });
    expect(code).toBe(2);
    expect(stderr).toContain(`got ${JSON.stringify(percent)}`);
  });
});
