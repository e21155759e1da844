/**
 * `runs deployment show | promote | ramp | drain`: which build of the worker takes new runs, and which builds still hold runs.
 *
 * Rule: a write is refused while it would leave new runs without a worker. Imported by `program.ts`.
 */
import type { Command } from 'commander';
import { setTimeout as pause } from 'node:timers/promises';
import { CliError, EXIT, usageError } from '../../app/exit.ts';
import { nonEmpty } from '../../app/dev-state.ts';
import type { DeploymentBuild, DeploymentRead, DeploymentState, RunsClient } from '../../client/index.ts';
import { defineCommand, type CliIo, type Outcome } from '../command.ts';
import { withClient } from '../connections.ts';
import { shellWord } from '../output/format.ts';

interface Options {
  deployment?: string;
  wait?: boolean;
}

const named = (command: Command): Command =>
  command.option(
    '--deployment <name>',
    'name of the deployment; default RUNS_DEPLOYMENT, or the only one of the namespace',
  );

const q = (value: string): string => JSON.stringify(value);
const placeOf = ({ place: { address, namespace } }: RunsClient): string =>
  `namespace ${q(namespace)} of Temporal at ${q(address)}`;

const deploymentName = async (io: CliIo, client: RunsClient, options: Options): Promise<string> => {
  const given = options.deployment ?? nonEmpty(io.env['RUNS_DEPLOYMENT']);
  if (given !== undefined) return given;
  const { listDeployments } = await import('../../client/index.ts');
  const [first, ...others] = await listDeployments(client);
  if (first === undefined)
    throw new CliError(
      EXIT.notFound,
      'no_deployment',
      `There is no deployment in ${placeOf(client)}: no worker with a build has polled. Start one with RUNS_DEPLOYMENT and RUNS_BUILD_ID.`,
    );
  if (others.length > 0)
    throw usageError(
      `${placeOf(client)} has ${others.length + 1} deployments: ${[first, ...others].map(q).join(', ')}. Name one: --deployment ${shellWord(first)}, or RUNS_DEPLOYMENT.`,
    );
  return first;
};

const read = async (client: RunsClient, name: string): Promise<DeploymentRead> => {
  const { readDeployment } = await import('../../client/index.ts');
  const found = await readDeployment(client, name);
  if (found !== null) return found;
  throw new CliError(
    EXIT.notFound,
    'no_such_deployment',
    `There is no deployment ${q(name)} in ${placeOf(client)}. Check the name, or start a worker of it: RUNS_DEPLOYMENT=${shellWord(name)} RUNS_BUILD_ID=… runs worker.`,
  );
};

const buildOf = (state: DeploymentState, buildId: string): DeploymentBuild => {
  const build = state.builds.find((one) => one.buildId === buildId);
  if (build !== undefined) return build;
  throw new CliError(
    EXIT.notFound,
    'no_such_build',
    `Deployment ${q(state.deployment)} has no build ${q(buildId)}; it has ${state.builds.map((one) => q(one.buildId)).join(', ')}. Start a worker with RUNS_BUILD_ID=${shellWord(buildId)} first.`,
  );
};

const requireWorkers = (state: DeploymentState, { buildId, workers }: DeploymentBuild): void => {
  if (workers.length > 0) return;
  throw new CliError(
    EXIT.unavailable,
    'no_worker',
    `No worker of build ${q(buildId)} polls task queue ${q(state.taskQueue)}: new runs would wait. Start one with RUNS_DEPLOYMENT=${shellWord(state.deployment)} RUNS_BUILD_ID=${shellWord(buildId)}, or set RUNS_TASK_QUEUE to the queue it polls.`,
  );
};

const refused = (message: string): CliError => new CliError(EXIT.refused, 'refused', message);

const POLL_INTERVAL_MS = 500;
const MAX_SETTLE_POLLS = 20;
/** The server knows a build a moment after its first worker says `ready`, which is when a script promotes it. */
const MAX_APPEAR_POLLS = 10;

/** As `read`, and gives a build that was started a moment ago the time to appear. */
const readFor = async (
  client: RunsClient,
  name: string,
  buildId: string,
  signal: AbortSignal,
): Promise<DeploymentRead> => {
  const { readDeployment } = await import('../../client/index.ts');
  for (let look = 1; look < MAX_APPEAR_POLLS; look += 1) {
    const found = await readDeployment(client, name);
    const build = found?.state.builds.find((one) => one.buildId === buildId);
    if (found !== null && build !== undefined && build.workers.length > 0) return found;
    await pause(POLL_INTERVAL_MS, undefined, { signal });
  }
  return read(client, name);
};

/** The state after a write, once every task queue knows it. */
const settled = async (client: RunsClient, name: string, signal: AbortSignal): Promise<DeploymentState> => {
  for (let look = 1; ; look += 1) {
    const { state } = await read(client, name);
    if (state.settled || look === MAX_SETTLE_POLLS) return state;
    await pause(POLL_INTERVAL_MS, undefined, { signal });
  }
};

const shown = async (state: DeploymentState, first: string[] = []): Promise<Outcome> => {
  const { deploymentLines } = await import('../deployment/view.ts');
  return { json: state, lines: [...first, ...deploymentLines(state, Date.now())] };
};

/** A command that changes the deployment; `change` returns the first line of its output. */
const changing = async (
  io: CliIo,
  options: Options,
  buildId: string,
  change: (client: RunsClient, found: DeploymentRead) => Promise<string>,
): Promise<Outcome> =>
  withClient(io, async (client) => {
    const name = await deploymentName(io, client, options);
    const line = await change(client, await readFor(client, name, buildId, io.signal));
    return shown(await settled(client, name, io.signal), [line]);
  });

export const showDeployment = defineCommand<Options>({
  name: 'deployment show',
  isDefault: true,
  summary: 'show the builds of the worker: which one takes new runs, and how many runs each holds',
  configure: named,
  run: async ({ io }, _args, options) =>
    withClient(io, async (client) =>
      shown((await read(client, await deploymentName(io, client, options))).state),
    ),
});

export const promoteCommand = defineCommand<Options>({
  name: 'deployment promote',
  summary: 'let a build take all new runs; existing runs stay on their build',
  configure: (command) => named(command.argument('<build>', 'RUNS_BUILD_ID of its workers')),
  run: async ({ io }, [buildId = ''], options) =>
    changing(io, options, buildId, async (client, found) => {
      const build = buildOf(found.state, buildId);
      if (build.status === 'current') return `build ${buildId} is current already`;
      requireWorkers(found.state, build);
      const { promoteBuild } = await import('../../client/index.ts');
      await promoteBuild(client, found, buildId);
      return `build ${buildId} is current: new runs begin on it`;
    }),
});

const percentOf = (text: string): number => {
  const percent = /^\d+(\.\d+)?%?$/.test(text) ? Number.parseFloat(text) : NaN;
  if (percent >= 0 && percent <= 100) return percent;
  throw usageError(
    `ramp takes a percentage from 0 to 100, got ${q(text)}. Give one, such as "runs deployment ramp BUILD 10"; 0 ends the ramp.`,
  );
};

export const rampCommand = defineCommand<Options>({
  name: 'deployment ramp',
  summary: 'let a build take a part of the new runs; 0 ends that',
  configure: (command) =>
    named(
      command
        .argument('<build>', 'RUNS_BUILD_ID of its workers')
        .argument('<percent>', 'share of new runs, from 0 to 100'),
    ),
  run: async ({ io }, [buildId = '', text = ''], options) => {
    const percent = percentOf(text);
    return changing(io, options, buildId, async (client, found) => {
      const { state } = found;
      const build = buildOf(state, buildId);
      if (build.status === 'current')
        throw refused(
          `Build ${q(buildId)} of deployment ${q(state.deployment)} is current: it takes all new runs that do not ramp to another. Name the other build.`,
        );
      if (percent === 0 && build.status !== 'ramping') return `build ${buildId} does not ramp`;
      if (percent > 0) requireWorkers(state, build);
      if (state.currentBuild === null && percent > 0 && state.unversionedWorkers.length === 0)
        throw refused(
          `Deployment ${q(state.deployment)} has no current build: the other new runs would wait. Promote one first: runs deployment promote BUILD.`,
        );
      const { rampBuild } = await import('../../client/index.ts');
      await rampBuild(client, found, buildId, percent);
      return percent === 0
        ? `build ${buildId} no longer ramps`
        : `build ${buildId} takes ${percent} % of new runs`;
    });
  },
});

const DRAIN_EVERY_MS = 2_000;
const RUNS_NAMED = 5;

const drainOutcome = async (client: RunsClient, name: string, only: string | undefined) => {
  const { runsOfBuild } = await import('../../client/index.ts');
  const { drainedBuilds, drainLines } = await import('../deployment/view.ts');
  const { state } = await read(client, name);
  const build = only === undefined ? undefined : buildOf(state, only);
  if (build !== undefined && build.status !== 'retired')
    throw refused(
      `Build ${q(build.buildId)} of deployment ${q(name)} ${build.status === 'new' ? 'has never taken runs' : 'takes new runs'}: it does not drain. Promote another build first: runs deployment promote BUILD.`,
    );
  const runs = new Map(
    await Promise.all(
      state.builds
        .filter(({ status, liveRuns, lateAnswers }) => status === 'retired' && liveRuns + lateAnswers > 0)
        .map(async ({ buildId }): Promise<[string, string[]]> => [
          buildId,
          await runsOfBuild(client, name, buildId, RUNS_NAMED),
        ]),
    ),
  );
  const builds = drainedBuilds(state, only, runs, Date.now());
  const drained = builds.every(({ mayStop }) => mayStop);
  return {
    drained,
    json: {
      deployment: name,
      drained,
      builds: builds.map((one) => ({ ...one.build, mayStop: one.mayStop, runs: one.runs })),
    },
    lines: drainLines(builds),
  };
};

export const drainCommand = defineCommand<Options>({
  name: 'deployment drain',
  summary: 'list the builds that still hold runs, and those that may be stopped',
  configure: (command) =>
    named(
      command
        .argument('[build]', 'only this build')
        .option('--wait', 'wait until no runs are left on builds that take no new ones'),
    ),
  run: async ({ io, say }, [only], options) =>
    withClient(io, async (client) => {
      const name = await deploymentName(io, client, options);
      let before = '';
      for (;;) {
        const { drained, json, lines } = await drainOutcome(client, name, only);
        if (drained || options.wait !== true) return { json, lines };
        const text = lines.join('\n');
        if (text !== before) say(text);
        before = text;
        await pause(DRAIN_EVERY_MS, undefined, { signal: io.signal });
      }
    }),
});
