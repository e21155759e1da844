/**
 * The client as other rooms import it; programs import `public.ts`.
 *
 * Rule: what a room needs of the client is named here, and nothing else is.
 */
export { RunsClient } from './runs-client.ts';
export { requireNamespace, temporalTarget, unreachable, type TemporalTarget } from './connect.ts';
export {
  checkSearchAttributes,
  ensureSearchAttributes,
  registerCommand,
  type SearchAttributeState,
} from './search-attributes.ts';
export {
  isDrained,
  listDeployments,
  promoteBuild,
  rampBuild,
  readDeployment,
  runsOfBuild,
  type BuildStatus,
  type DeploymentBuild,
  type DeploymentRead,
  type DeploymentState,
} from './deployments.ts';
export {
  readHistoryExport,
  readTrace,
  type RunTrace,
  type TraceActivity,
  type TraceFailure,
} from './run-trace.ts';
export { readPollers, type QueuePoller, type QueueState } from './pollers.ts';
export type {
  CallOptions,
  ConnectOptions,
  LateAnswerRun,
  HistoryCall,
  HistoryRound,
  ListOptions,
  RunListItem,
  RunOrigin,
  RunsClientOptions,
  StartedRun,
  StartOptions,
  WaitOptions,
} from './types.ts';
