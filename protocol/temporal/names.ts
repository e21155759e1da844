/**
 * Every name that crosses a process boundary: workflow types, messages, activities, failure types, search attributes,
 * metadata keys.
 *
 * Rule: each name is spelled once, here. Plain constants only; the workflow sandbox loads this file. Any room may
 * import it.
 */

/** Workflow types, as they appear in Temporal's UI. */
export const WORKFLOWS = {
  run: 'run',
  followUp: 'followUp',
  workerTools: 'workerTools',
  webhookDelivery: 'webhookDelivery',
} as const;

/** Task queue used when `RUNS_TASK_QUEUE` is not set. */
export const DEFAULT_TASK_QUEUE = 'runs';

/** Signal and update `answer`: a person (or a program in their place) answers one call. */
export const ANSWER = 'answer';
/** Update `submitToolOutputs`: the API's caller answers all open external calls of a round at once. */
export const SUBMIT_TOOL_OUTPUTS = 'submitToolOutputs';
/** Query `run`: the run's state in short (see `RunSnapshot`). */
export const RUN_QUERY = 'run';
/** Query `decisions`, of both workflows: the decisions about their calls, oldest first. */
export const DECISIONS_QUERY = 'decisions';

/** Signal of the workflow `webhookDelivery`: deliveries were added. */
export const WEBHOOK_WAKE = 'wake';

/** Activity types. A tool runs as `tool.<name>`, so that the UI and metrics tell tools apart. */
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
  nextWebhookDelivery: 'nextWebhookDelivery',
  sendWebhook: 'sendWebhook',
  endWebhookDelivery: 'endWebhookDelivery',
} as const;
export const TOOL_ACTIVITY_PREFIX = 'tool.';

/**
 * `ApplicationFailure` types. Code branches on these, never on a message.
 *
 * - `Refused*`: the reply to a rejected update; nothing enters the history.
 * - `Backend*`: what a backend activity could not do; says whether the request may have had an effect.
 * - `Tool*`: why a tool call has no output.
 */
export const FAILURES = {
  /** The payload of an update does not have the documented shape. */
  refusedMalformed: 'RefusedMalformed',
  /** No open call has this id in this run. `details[0]` = ids that are open now. */
  refusedUnknownCall: 'RefusedUnknownCall',
  /** The call was answered before, differently. The first answer stands. */
  refusedConflict: 'RefusedConflict',
  /** The call's policy gives the sender no vote now. `details[0]` = `{ policy, requestedBy }`. */
  refusedNoVote: 'RefusedNoVote',
  /** The run can no longer use this: it has ended, is ending, or has expired. */
  refusedTooLate: 'RefusedTooLate',
  /** The answer does not fit the call: a decision for an external call, or an output for an approval. */
  refusedWrongKind: 'RefusedWrongKind',
  /** The key that signed the decision may not decide calls of this tool. */
  refusedNotAllowed: 'RefusedNotAllowed',
  /** The run waits for no outputs now. `details[0]` = `{ status }` as the API names it. */
  refusedNotWaiting: 'RefusedNotWaiting',
  /** The edited arguments do not fit the tool. `details[0]` = `{ field, problem }`. */
  refusedArguments: 'RefusedArguments',
  /** The decision names no arguments, or others than the call's. `details[0]` = `{ expected, got }`. */
  refusedDigest: 'RefusedDigest',
  /** The call ids are not those of the open calls. `details[0]` = `{ expected, got }`. */
  refusedCallIds: 'RefusedCallIds',
  /** The backend rejected the request: final, nothing was created or changed there. */
  backendRejected: 'BackendRejected',
  /** 401 or 403: final until the key changes. */
  backendUnauthorized: 'BackendUnauthorized',
  /** 404 for run, thread or assistant: final. */
  backendNotFound: 'BackendNotFound',
  /** The thread has another live run and the busy policy is `fail`. `details[0]` = `{ threadId, runId }`. */
  backendBusy: 'BackendBusy',
  /** 429, 5xx, reset, timeout: retry. */
  backendUnavailable: 'BackendUnavailable',
  /** The server's response is unknown to this project (content type, JSON, status, action type). */
  backendUnsupported: 'BackendUnsupported',
  /** It is unknown whether the request took effect, and the server offers no way to find out. */
  backendAmbiguous: 'BackendAmbiguous',
  /** Another writer submitted different outputs for this round. `details[0]` = `{ callIds }`. */
  backendConflict: 'BackendConflict',
  /** The row of this workflow's run does not exist: the start was rolled back. */
  backendNoSuchRow: 'BackendNoSuchRow',
  /** The tool ran out of attempts, or failed for good. */
  toolFailed: 'ToolFailed',
  /** The attempt of an at-most-once tool was lost: whether it took effect is unknown. */
  toolOutcomeUnknown: 'ToolOutcomeUnknown',
  /** The receiver of a webhook was not reached, or did not answer with a success. Retried. */
  webhookFailed: 'WebhookFailed',
  /** This worker has no such tool, though it had when the call was planned. Retried: a deployment may bring it back. */
  toolNotRegistered: 'ToolNotRegistered',
} as const;
/** Type of an `ApplicationFailure` in Temporal; `FAILURES` explains each. */
export type FailureType = (typeof FAILURES)[keyof typeof FAILURES];

/**
 * Custom search attributes with their Temporal types. All values are plain ids, names and dates, and are never
 * encrypted.
 */
export const SEARCH_ATTRIBUTES = {
  RunsRunId: 'Keyword',
  RunsThreadId: 'Keyword',
  RunsAssistantId: 'Keyword',
  RunsStatus: 'Keyword',
  RunsWaitingFor: 'KeywordList',
  RunsDeadline: 'Datetime',
} as const;
/** Name of a search attribute of runs. */
export type SearchAttributeName = keyof typeof SEARCH_ATTRIBUTES;

/** Memo key of a cancelled run's `RunResult`, since Temporal stores no result for a cancelled workflow. */
export const RESULT_MEMO = 'runsResult';

/** Reserved keys of run metadata. At most 16 pairs fit, so callers have 14 left. */
export const METADATA = {
  /** The create token, by which a retry finds the run of an earlier attempt. */
  token: 'durable_runs_token',
  /** On a follow-up run: the run whose late answer it carries. */
  followUpOf: 'durable_runs_follow_up_of',
} as const;

/** Id of the workflow that sends the events of one run (null = tests) to one endpoint. */
export const webhookWorkflowId = (webhookId: string, runId: string | null): string =>
  `webhook.${webhookId}.${runId ?? 'test'}`;

/** Prefix of the id of the workflow that waits for a run's late answers. */
export const followUpWorkflowId = (runId: string): string => `${runId}.follow-up`;
