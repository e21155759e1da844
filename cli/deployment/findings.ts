/**
 * What is wrong with a deployment, and which of its builds may be stopped. Pure.
 *
 * Rule: a problem names the build, the state and the command that mends it. Imported by `runs deployment` and `runs doctor`.
 */
import { isDrained, type DeploymentBuild, type DeploymentState } from '../../client/index.ts';
import { oneLine, shellWord } from '../output/format.ts';

export interface DeploymentFindings {
  problems: { detail: string; fix: string }[];
  /** Builds whose workers poll and have no work left. */
  mayStop: DeploymentBuild[];
}

export const counted = (count: number, one: string, many: string): string =>
  `${count} ${count === 1 ? one : many}`;

/** What a worker of the build is started with. */
export const buildEnvironment = (deployment: string, buildId: string): string =>
  `RUNS_DEPLOYMENT=${shellWord(deployment)} RUNS_BUILD_ID=${shellWord(buildId)}`;

/** How a command names this deployment, for a shell that may know another one. */
const promote = ({ deployment }: DeploymentState, buildId: string): string =>
  `runs deployment promote ${shellWord(buildId)} --deployment ${shellWord(deployment)}`;

const quoted = (name: string): string => JSON.stringify(oneLine(name, 120));

const withWorkers = (state: DeploymentState): DeploymentBuild | undefined =>
  state.builds.find(({ workers }) => workers.length > 0);

const currentProblems = (state: DeploymentState): DeploymentFindings['problems'] => {
  const name = `deployment ${quoted(state.deployment)}`;
  const queue = `task queue ${quoted(state.taskQueue)}`;
  const ready = withWorkers(state);
  if (state.currentBuild === null) {
    // Workers without a build take new runs: nothing waits, as in a first deploy of builds.
    if (state.unversionedWorkers.length > 0 || ready === undefined) return [];
    return [
      {
        detail: `${name} has no current build: new runs on ${queue} stay queued`,
        fix: promote(state, ready.buildId),
      },
    ];
  }
  const current = state.builds.find(({ status }) => status === 'current');
  if (current === undefined || current.workers.length > 0) return [];
  const start = `start a worker with ${buildEnvironment(state.deployment, current.buildId)}`;
  return [
    {
      detail: `build ${quoted(current.buildId)} of ${name} is current, and no worker of it polls ${queue}: new runs stay queued`,
      fix:
        ready === undefined
          ? start
          : `${start}, or let build ${quoted(ready.buildId)} take new runs: ${promote(state, ready.buildId)}`,
    },
  ];
};

const orphaned = (state: DeploymentState): DeploymentFindings['problems'] =>
  state.builds
    .filter(
      ({ status, workers, liveRuns, lateAnswers }) =>
        status !== 'current' && workers.length === 0 && liveRuns + lateAnswers > 0,
    )
    .map(({ buildId, liveRuns, lateAnswers }) => ({
      detail: `${held({ liveRuns, lateAnswers })} on build ${quoted(buildId)} of deployment ${quoted(state.deployment)}, and no worker of it polls task queue ${quoted(state.taskQueue)}: they wait for a worker`,
      fix: `start a worker with ${buildEnvironment(state.deployment, buildId)}`,
    }));

/** `2 runs and 1 ended run that awaits late answers`; empty when there are none. */
export const held = ({ liveRuns, lateAnswers }: Pick<DeploymentBuild, 'liveRuns' | 'lateAnswers'>): string =>
  [
    liveRuns > 0 ? counted(liveRuns, 'run', 'runs') : '',
    lateAnswers > 0
      ? counted(lateAnswers, 'ended run that awaits late answers', 'ended runs that await late answers')
      : '',
  ]
    .filter((part) => part !== '')
    .join(' and ');

export const deploymentFindings = (state: DeploymentState, now: number): DeploymentFindings => ({
  problems: [...currentProblems(state), ...orphaned(state)],
  mayStop: state.builds.filter((build) => build.workers.length > 0 && isDrained(build, now)),
});
