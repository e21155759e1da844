/**
 * What goes into and comes out of the workflows: input, result, messages and snapshot.
 *
 * Rule: plain JSON, small, and readable by every later version: fields are added as optional, never renamed.
 * Imports protocol shapes only; the workflow sandbox loads it.
 */
import type { BusyPolicy, LastError, Usage } from '../ports/backend.ts';
import type { Decision } from '../decisions.ts';
import type { ArgumentsMark, OnDeadline, OutcomeNote, RefusedEdit, ToolPolicy } from '../tool-calls.ts';
import type { ToolOutput } from '../wire/objects.ts';

/** Tunable numbers; each has a default in `workflows/run/timeouts.ts`. Milliseconds. */
export interface RunSettings {
  /** Silence after which a backend attempt counts as lost. Default 10 s. Recovery after a killed worker is bounded by it. */
  heartbeatMs?: number;
  /** How long the first settlement may take when no expiry is known. Default 1 h. */
  createWithinMs?: number;
  /** Rounds of tool calls before the run is closed as over budget. Default 64. */
  maxRounds?: number;
  /** Tool calls in total before the run is closed as over budget. Default 512. */
  maxCalls?: number;
  /** How long a late answer is awaited after a `follow-up`. Default 30 days. */
  followUpWithinMs?: number;
  /** History length at which to continue as new; default: when the server suggests it. For tests and long runs. */
  continueAsNewAfterEvents?: number;
}

export interface RunInput {
  /** Workflow id and create token. */
  runId: string;
  backend: 'assistants' | 'chat';
  assistantId: string;
  /** null = a thread is created first (assistants only). */
  threadId: string | null;
  /** Body of the create request without `assistant_id` and `stream` (assistants); {} on native backends. */
  params: Record<string, unknown>;
  /** Given to tools; on assistants also part of the run's metadata. */
  metadata: Record<string, string>;
  busy: BusyPolicy;
  /** Unix ms. Native: the run's expiry from its creation. null on assistants until the server names it. */
  expiresAt: number | null;
  /** Unix ms of the run's creation on native backends; else null. */
  createdAt: number | null;
  /** Are our search attributes registered? An unregistered one would retry the workflow task for ever. */
  searchAttributes: boolean;
  hooks: { onWaiting: boolean; onEnd: boolean };
  settings: RunSettings;
  /** On a linked run: where it comes from. */
  followUpOf?: { runId: string; callIds: string[] };
  /** Machine state of the run so far, after continue-as-new. Opaque outside `workflows/run`. */
  carried?: unknown;
}

/** One call in the result. Outputs stay in the backend. */
export interface CallSummary {
  callId: string;
  name: string;
  round: number;
  kind: 'automatic' | 'approval' | 'external' | 'refused';
  ok: boolean;
  notes?: OutcomeNote[];
  /** Who answered or decided, when somebody did: a claim, unless it is `verified`. */
  by?: string;
  /** An API key carries the name in `by`. */
  verified?: true;
}

/** An acknowledged answer that could not be used, with the reason. */
export interface UnusedAnswer {
  callId: string;
  by?: string;
  reason:
    | 'expired'
    | 'cancelled'
    | 'failed'
    | 'superseded'
    | 'malformed'
    | 'unknown_call'
    | 'conflict'
    | 'wrong_kind'
    | 'not_allowed'
    | 'too_late'
    /** The arguments that came with an approval do not fit the tool; the call waited on. */
    | 'arguments_refused'
    /** The decision named other arguments than the call's, or none where it had to. */
    | 'digest_refused';
  at: number;
}

export interface RunResult {
  status: 'completed' | 'failed' | 'incomplete' | 'cancelled' | 'expired';
  runId: string;
  /** The backend's own id; null when no run was ever created there. */
  backendRunId: string | null;
  threadId: string | null;
  rounds: number;
  usage: Usage | null;
  lastError?: LastError;
  incompleteDetails?: { reason?: string };
  calls: CallSummary[];
  unusedAnswers: UnusedAnswer[];
  /** Workflow id that waits for late answers, when a call's policy was `follow-up`. */
  followUp?: string;
}

/** Payload of `answer`, ONE JSON object. Exactly one of `output` and `decision`. */
export interface AnswerPayload {
  call_id: string;
  /** For an external call. A value that is not a string is serialised, and the reply says so. */
  output?: unknown;
  /** For a call that needs approval. */
  decision?: 'approve' | 'deny';
  /** With `approve`: arguments to run instead of the model's (a JSON object, or its text). */
  arguments?: unknown;
  /** With a decision: the `argumentsDigest` of the arguments that were read. An approval needs it where `digestRequired`. */
  arguments_digest?: string;
  /** With `deny`: told to the model. */
  reason?: string;
  /** Who answers. A claim: where an API key says who it is, the key's name stands in its place. */
  by?: string;
  /** Kept with the decision, not told to the model. */
  note?: string;
  /** When given, must name this run: protects against answering the wrong page. */
  run_id?: string;
}

export interface AnswerReply {
  run_id: string;
  call_id: string;
  /** `repeated`: the same answer was there already; nothing changed. */
  result: 'accepted' | 'repeated';
  notes?: OutcomeNote[];
  /** The round went on with a placeholder: the answer is for a run that follows, never an output of this one. */
  late?: true;
  /** The run had ended; this new run on its thread carries the answer. Absent when it is not known yet. */
  follow_up_run_id?: string;
  /** Calls of this round that still wait for somebody. */
  waiting: string[];
}

export interface SubmitPayload {
  run_id: string;
  tool_outputs: ToolOutput[];
  by?: string;
}
export interface SubmitReply {
  run_id: string;
  round: number;
  result: 'accepted' | 'repeated';
}

export type RunPhase = 'starting' | 'creating' | 'calling' | 'submitting' | 'following' | 'closing' | 'ended';

export interface CallSnapshot {
  callId: string;
  name: string;
  /** JSON text, of the model or of the person who approved with other arguments. `showArguments` makes it readable. */
  arguments: string;
  kind: CallSummary['kind'];
  state: 'running' | 'waiting' | 'done';
  ok?: boolean;
  notes?: OutcomeNote[];
  by?: string;
  verified?: true;
  /** Unix ms by which an answer is of use; null = no limit known. Only while waiting. */
  answerBy?: number | null;
  onDeadline?: OnDeadline;
  /** Only while waiting for an approval: what a decision about these arguments names. */
  argumentsDigest?: string;
  digestRequired?: true;
  /** The arguments that came with the last approval, and why the tool refused them: the call waits again. */
  refusedEdit?: RefusedEdit;
}

/** Reply of query `run`. */
export interface RunSnapshot {
  runId: string;
  backendRunId: string | null;
  threadId: string | null;
  assistantId: string;
  backend: 'assistants' | 'chat';
  phase: RunPhase;
  /** The run's status as the API names it, as far as the workflow knows it. */
  status: string;
  round: number;
  expiresAt: number | null;
  /** Calls of the current round. */
  calls: CallSnapshot[];
  /** Signals that could not be used: how many, and the latest few. */
  unusable: { count: number; latest: UnusedAnswer[] };
  result: RunResult | null;
  /** What was decided about calls of this run, oldest first; absent = nothing was. */
  decisions?: Decision[];
  /** Set by the client when no worker answered: only what Temporal itself knows; `calls` is empty then. */
  partial?: true;
}

export interface WaitingNotice {
  runId: string;
  threadId: string;
  assistantId: string;
  round: number;
  calls: CallSnapshot[];
  expiresAt: number | null;
}

/** A call that the model was given a placeholder for, and whose answer may still come. */
export interface LateCallInput extends ArgumentsMark {
  callId: string;
  name: string;
  arguments: string;
  kind: 'external' | 'approval';
  /** On `approval`: how the tool runs once it is approved. */
  policy?: ToolPolicy;
  /** On `approval`: as in its plan. */
  schema?: Record<string, unknown>;
  refusedEdit?: RefusedEdit;
  round?: number;
  /** An answer that came while the run was still going on. */
  given?: AnswerPayload;
  /** What `given` decided. */
  decision?: Decision;
}

export interface FollowUpInput {
  runId: string;
  backend: 'assistants' | 'chat';
  threadId: string;
  assistantId: string;
  metadata: Record<string, string>;
  calls: LateCallInput[];
  /** Unix ms. */
  answerBy: number;
  searchAttributes: boolean;
  hooks: { onWaiting: boolean; onEnd: boolean };
  settings: RunSettings;
  /** Runs started so far, after continue-as-new. */
  linkedRuns?: string[];
  /** Calls given up so far, after continue-as-new. */
  unanswered?: string[];
  /** What was decided here so far, after continue-as-new. */
  decisions?: Decision[];
}
export interface FollowUpResult {
  runId: string;
  /** Runs started for late answers, in order. */
  linkedRuns: string[];
  unanswered: string[];
}
