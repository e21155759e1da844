/** A deployment as lines for a person. Pure; imported by `runs deployment`. */
import { isDrained, type DeploymentBuild, type DeploymentState } from '../../client/index.ts';
import { oneLine, table } from '../output/format.ts';
import { counted, deploymentFindings, held } from './findings.ts';

const STATUS: Record<DeploymentBuild['status'], string> = {
  new: 'new: takes no runs yet',
  current: 'current: takes new runs',
  ramping: 'ramping',
  retired: 'takes no new runs',
};

const statusText = ({ status, rampPercent }: DeploymentBuild): string =>
  status === 'ramping' ? `ramping: takes ${rampPercent} % of new runs` : STATUS[status];

export const deploymentLines = (state: DeploymentState, now: number): string[] => {
  const rows = state.builds.map((build) => [
    oneLine(build.buildId, 64),
    statusText(build),
    String(build.liveRuns),
    String(build.lateAnswers),
    build.workers.length === 0 ? 'none' : build.workers.map((name) => oneLine(name, 40)).join(', '),
  ]);
  const { problems, mayStop } = deploymentFindings(state, now);
  return [
    `deployment ${oneLine(state.deployment, 64)} · task queue ${oneLine(state.taskQueue, 64)}`,
    ...table([['BUILD', 'STATUS', 'RUNS', 'LATE', 'WORKERS'], ...rows]),
    ...(state.unversionedWorkers.length === 0
      ? []
      : [
          `${counted(state.unversionedWorkers.length, 'worker', 'workers')} without a build on the same task queue`,
        ]),
    ...problems.flatMap(({ detail, fix }) => [`PROBLEM ${detail}`, `        fix: ${fix}`]),
    ...mayStop.map(
      ({ buildId }) => `no runs are left on build ${oneLine(buildId, 64)}: its workers may be stopped`,
    ),
  ];
};

/** A build that takes no new runs, and the runs that keep it. */
export interface DrainedBuild {
  build: DeploymentBuild;
  mayStop: boolean;
  /** The first of its runs. */
  runs: string[];
}

export const drainLines = (builds: readonly DrainedBuild[]): string[] =>
  builds.length === 0
    ? ['No build drains: all builds take new runs, or none has taken any.']
    : builds.map(({ build, mayStop, runs }) => {
        const name = `build ${oneLine(build.buildId, 64)}`;
        if (mayStop)
          return `${name}: no runs are left, ${build.workers.length === 0 ? 'and it has no workers' : 'its workers may be stopped'}`;
        const left = held(build);
        if (left === '')
          return `${name}: no runs are counted yet, because it stopped taking runs a moment ago; run this again in 10 s`;
        const ids = runs.map((id) => oneLine(id, 80)).join(', ');
        return `${name}: ${left}, its workers are still needed (${ids}${runs.length < build.liveRuns + build.lateAnswers ? ', …' : ''})`;
      });

/** In the order of the deployment. `runs`: by build id. */
export const drainedBuilds = (
  state: DeploymentState,
  only: string | undefined,
  runs: ReadonlyMap<string, string[]>,
  now: number,
): DrainedBuild[] =>
  state.builds
    .filter(({ buildId, status }) => status === 'retired' && (only === undefined || only === buildId))
    .map((build) => ({ build, mayStop: isDrained(build, now), runs: runs.get(build.buildId) ?? [] }));
