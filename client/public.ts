/**
 * Entry `durable-runs`: what a program needs to drive runs.
 *
 * Rule: at most 25 names, each reported in `docs/reference/api/`. Rooms of the project import `index.ts`.
 */
export { RunsClient } from './runs-client.ts';
export { RunHandle } from './run-handle.ts';
export { ensureSearchAttributes, type SearchAttributeState } from './search-attributes.ts';
export type {
  CallOptions,
  ConnectOptions,
  HistoryCall,
  HistoryRound,
  LateAnswerRun,
  ListOptions,
  RunListItem,
  RunOrigin,
  RunsClientOptions,
  StartedRun,
  StartOptions,
  WaitOptions,
} from './types.ts';
export {
  RunsError,
  type AnswerPayload,
  type AnswerReply,
  type CallSnapshot,
  type Decision,
  type RunResult,
  type RunSnapshot,
  type RunsErrorCode,
  type SubmitPayload,
} from '../protocol/index.ts';
