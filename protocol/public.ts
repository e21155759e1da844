/**
 * Entry `durable-runs/protocol`: names and shapes that a program shares with runs without the client, such as in a web page.
 *
 * Rule: at most 25 names, each reported in `docs/reference/api/`. Rooms of the project import `index.ts`.
 */
export { showArguments, type ShownArguments } from './rules/show-arguments.ts';
export { parseDuration } from './rules/validation.ts';
export {
  ANSWER,
  DECISIONS_QUERY,
  DEFAULT_TASK_QUEUE,
  FAILURES,
  followUpWorkflowId,
  METADATA,
  RUN_QUERY,
  SEARCH_ATTRIBUTES,
  SUBMIT_TOOL_OUTPUTS,
  WORKFLOWS,
  type FailureType,
  type SearchAttributeName,
} from './temporal/names.ts';
export type { Backend, BackendContext, Logger, Settled } from './ports/backend.ts';
export { BackendError } from './errors.ts';
export type { FunctionTool, RunStatus } from './wire/objects.ts';
