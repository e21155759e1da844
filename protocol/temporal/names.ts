/**
 * Every name that crosses a process boundary: workflow types, messages, activities, failure types,
 * search attributes, metadata keys. A name that is spelled twice is a name that will differ one day.
 *
 * Rule: plain constants only; the workflow sandbox loads this file. Anybody may import it.
 */

/** Workflow types, as they appear in Temporal's UI. */
export const WORKFLOWS = { run: 'run', followUp: 'followUp', workerTools: 'workerTools' } as const;

/** Task queue used when `RUNS_TASK_QUEUE` is not set. */
export const DEFAULT_TASK_QUEUE = 'runs';

/** Signal and update `answer`: a person (or a program in their place) answers one call. */
export const ANSWER = 'answer';
/** Update `submitToolOutputs`: the API's caller answers all open external calls of a round at once. */
export const SUBMIT_TOOL_OUTPUTS = 'submitToolOutputs';
/** Query `run`: the run's distilled state (see `RunSnapshot`). */
export const RUN_QUERY = 'run';
/** Query `decisions`, of both workflows: what was decided about their calls, oldest first. */
export const DECISIONS_QUERY = 'decisions';

/** Activity types. A tool runs as `tool.<name>`, so that it is told apart in the UI and in metrics. */
export const ACTIVITIES = {
  createThread: 'createThread',
  createRun: 'createRun',
  submitToolOutputs: 'submitToolOutputs',
  followRun: 'followRun',
  closeRun: 'closeRun',
  recordAnswers: 'recordAnswers',
  recordDecisions: 'recordDecisions',
  notifyWaiting: 'notifyWaiting',
  notifyEnd: 'notifyEnd',
  startFollowUpRun: 'startFollowUpRun',
  listTools: 'listTools',
} as const;
export const TOOL_ACTIVITY_PREFIX = 'tool.';

/**
 * `ApplicationFailure` types. Code branches on these, never on a message.
 *
 * - `Refused*`: an update's answer to its sender; nothing enters the history.
 * - `Backend*`: what a backend activity could not do; says whether anything may have happened there.
 * - `Tool*`: why a tool call gave no output.
 */
export const FAILURES = {
  /** The payload of an update is not of the documented shape. */
  refusedMalformed: 'RefusedMalformed',
  /** No open call has this id in this run. `details[0]` = ids that are open now. */
  refusedUnknownCall: 'RefusedUnknownCall',
  /** The call was answered before, differently. The first answer stands. */
  refusedConflict: 'RefusedConflict',
  /** The run is past the point where this could be used: ended, ending, or expired. */
  refusedTooLate: 'RefusedTooLate',
  /** The decision does not fit the call: approving an external call, output for an approval. */
  refusedWrongKind: 'RefusedWrongKind',
  /** The key that signed the decision may not decide calls of this tool. */
  refusedNotAllowed: 'RefusedNotAllowed',
  /** The run awaits no outputs now. `details[0]` = `{ status }` as the API would name it. */
  refusedNotWaiting: 'RefusedNotWaiting',
  /** The arguments that the person gave do not fit the tool. `details[0]` = `{ field, problem }`. */
  refusedArguments: 'RefusedArguments',
  /** The decision names no arguments, or others than the call's. `details[0]` = `{ expected, got }`. */
  refusedDigest: 'RefusedDigest',
  /** The set of call ids is not the set that is open. `details[0]` = `{ expected, got }`. */
  refusedCallIds: 'RefusedCallIds',
  /** Bad request to the backend: final, nothing was created or changed there. */
  backendRejected: 'BackendRejected',
  /** 401/403: final until somebody changes the key. */
  backendUnauthorized: 'BackendUnauthorized',
  /** 404 for run, thread or assistant: final. */
  backendNotFound: 'BackendNotFound',
  /** The thread has another live run and the busy policy is `fail`. `details[0]` = `{ threadId, runId }`. */
  backendBusy: 'BackendBusy',
  /** 429, 5xx, reset, timeout: worth another attempt. */
  backendUnavailable: 'BackendUnavailable',
  /** The server answers in a way this project does not know (content type, JSON, status, action type). */
  backendUnsupported: 'BackendUnsupported',
  /** It is unknown whether the request took effect and the server offers no way to find out. */
  backendAmbiguous: 'BackendAmbiguous',
  /** Another writer submitted different outputs for this round. `details[0]` = `{ callIds }`. */
  backendConflict: 'BackendConflict',
  /** The row this workflow was started for does not exist: the start was rolled back. */
  backendNoSuchRow: 'BackendNoSuchRow',
  /** The tool ran out of attempts or failed for good. */
  toolFailed: 'ToolFailed',
  /** The attempt of an at-most-once tool was lost: whether it took effect is unknown. */
  toolOutcomeUnknown: 'ToolOutcomeUnknown',
  /** No such tool on this worker (it was there when the call was planned). Retried: a deploy may bring it back. */
  toolNotRegistered: 'ToolNotRegistered',
} as const;
export type FailureType = (typeof FAILURES)[keyof typeof FAILURES];

/** Custom search attributes, with their Temporal types. All values are plain ids, names and dates: they are never encrypted. */
export const SEARCH_ATTRIBUTES = {
  RunsRunId: 'Keyword',
  RunsThreadId: 'Keyword',
  RunsAssistantId: 'Keyword',
  RunsStatus: 'Keyword',
  RunsWaitingFor: 'KeywordList',
  RunsDeadline: 'Datetime',
} as const;
export type SearchAttributeName = keyof typeof SEARCH_ATTRIBUTES;

/** Memo key under which a cancelled workflow leaves its `RunResult` (Temporal keeps no result for it). */
export const RESULT_MEMO = 'runsResult';

/** Reserved keys of run metadata. At most 16 pairs fit, so callers have 14 left. */
export const METADATA = {
  /** The create token: how a retry recognises the run that an earlier attempt created. */
  token: 'durable_runs_token',
  /** On a linked run: the run whose late answer it carries. */
  followUpOf: 'durable_runs_follow_up_of',
} as const;

/** Prefix of the id of the workflow that waits for the late answers of a run. */
export const followUpWorkflowId = (runId: string): string => `${runId}.follow-up`;
