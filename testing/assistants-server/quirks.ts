/**
 * Known differences of real servers from the original API, as switches that may change at any moment.
 *
 * Rule: all off = the original's behaviour. Each switch is one observed difference, so that a client can be tested
 * against every server it may meet. Imports nothing. Ships with the package.
 */
export interface Quirks {
  /** Submits that cover only some calls are accepted; the run waits for the rest. */
  partialSubmits: boolean;
  /** Submits are checked neither for state nor for completeness: any run, any ids. */
  uncheckedSubmits: boolean;
  /** Several live runs on one thread, messages at any time. */
  noThreadLock: boolean;
  /** `expires_at` is null and nothing expires. */
  noExpiry: boolean;
  /** Each wait gets the full time again from its beginning. */
  expiryPerWait: boolean;
  /** Run metadata sent on create is forgotten. */
  noMetadata: boolean;
  /** Steps answer 404, as on servers that never built them. */
  noSteps: boolean;
  /** Cancel works on `in_progress` runs only. */
  cancelInProgressOnly: boolean;
  /** A submit goes straight to `in_progress`: `queued` is never seen again. */
  noQueuedAfterSubmit: boolean;
  /** `stream: true` is ignored: the answer is the JSON object. */
  noStreaming: boolean;
  /** Streams end without `event: done`. */
  noDone: boolean;
  /** No `openai-poll-after-ms`. */
  noPollHint: boolean;
  /** Times are unix milliseconds. */
  millisecondTimes: boolean;
  /** `required_action` is `{}` instead of null after a submit. */
  emptyRequiredAction: boolean;
  /** `required_action` is left out instead of null. */
  absentRequiredAction: boolean;
  /** A run status of this name is shown instead of `in_progress`; null = off. */
  unknownStatus: string | null;
  /** `required_action.type` is this instead of `submit_tool_outputs`; null = off. */
  unknownAction: string | null;
  /** A client's own identical retry of an accepted submit (`X-Stainless-Retry-Count`) is refused like any other. */
  noRetryRecognition: boolean;
  /** Chat model: call ids are fresh ones, left out, or `call_0`, `call_1`, … again in every turn. */
  modelCallIds: 'fresh' | 'omitted' | 'repeated';
  /** Chat model: a streamed call comes whole, in one piece. */
  modelWholeCalls: boolean;
  /** Chat model: no `usage` anywhere. */
  modelNoUsage: boolean;
  /** Chat model: `finish_reason` is `stop` even when calls were made. */
  modelStopWithCalls: boolean;
}

/** The original API's behaviour: every quirk off. */
export const noQuirks = (): Quirks => ({
  partialSubmits: false,
  uncheckedSubmits: false,
  noThreadLock: false,
  noExpiry: false,
  expiryPerWait: false,
  noMetadata: false,
  noSteps: false,
  cancelInProgressOnly: false,
  noQueuedAfterSubmit: false,
  noStreaming: false,
  noDone: false,
  noPollHint: false,
  millisecondTimes: false,
  emptyRequiredAction: false,
  absentRequiredAction: false,
  unknownStatus: null,
  unknownAction: null,
  noRetryRecognition: false,
  modelCallIds: 'fresh',
  modelWholeCalls: false,
  modelNoUsage: false,
  modelStopWithCalls: false,
});
