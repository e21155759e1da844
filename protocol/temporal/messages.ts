/**
 * Input, result, messages and snapshot of the workflows.
 *
 * Rule: plain JSON, small, and readable by every later version: fields are added as optional, never renamed.
 * Imports protocol shapes only; the workflow sandbox loads it.
 */
import type { BusyPolicy, LastError, Usage } from '../ports/backend.ts';
import type { Decision } from '../decisions.ts';
import type { Ballot } from '../rules/ballot.ts';
import type {
  ApprovalPolicy,
  ArgumentsMark,
  OnDeadline,
  OutcomeNote,
  RefusedEdit,
  ToolPolicy,
} from '../tool-calls.ts';
import type { ToolOutput } from '../wire/objects.ts';

/** Tunable numbers; each has a default in `workflows/run/timeouts.ts`. Milliseconds. */
export interface RunSettings {
  /**
   * A backend attempt that is silent for this long counts as lost. Default 10 s. It bounds the recovery after a killed
   * worker.
   */
  heartbeatMs?: number;
  /** How long the first settlement may take when no expiry is known. Default 1 h. */
  createWithinMs?: number;
  /** Rounds of tool calls before the run is closed as over budget. Default 64. */
  maxRounds?: number;
  /** Tool calls in total before the run is closed as over budget. Default 512. */
  maxCalls?: number;
  /** How long a late answer is awaited after a `follow-up` deadline. Default 30 days. */
  followUpWithinMs?: number;
  /** History length at which to continue as new; default: when the server suggests it. For tests and long runs. */
  continueAsNewAfterEvents?: number;
}

export interface RunInput {
  /** Workflow id and create token. */
  runId: string;
  backend: 'assistants' | 'chat';
  assistantId: string;
  /** null = create a thread first (`assistants` only). */
  threadId: string | null;
  /** Body of the create request without `assistant_id` and `stream` (`assistants`); {} on `chat`. */
  params: Record<string, unknown>;
  /** Tools receive it; on `assistants` it is also part of the run's metadata. */
  metadata: Record<string, string>;
  busy: BusyPolicy;
  /** Unix ms. On `chat`: the run's expiry, known from its creation. On `assistants`: null until the server names it. */
  expiresAt: number | null;
  /** On `chat`: unix ms of the run's creation; else null. */
  createdAt: number | null;
  /** Are the search attributes registered? An unregistered one would fail the workflow task for ever. */
  searchAttributes: boolean;
  hooks: { onWaiting: boolean; onEnd: boolean };
  settings: RunSettings;
  /** On a follow-up run: its origin. */
  followUpOf?: { runId: string; callIds: string[] };
  /** Machine state after continue-as-new. Opaque outside of `workflows/run`. */
  carried?: unknown;
}

/** One call in the result. The backend keeps the outputs. */
export interface CallSummary {
  callId: string;
  name: string;
  round: number;
  kind: 'automatic' | 'approval' | 'external' | 'refused';
  ok: boolean;
  notes?: OutcomeNote[];
  /** The sender of the answer or decision: a claim, unless `verified`. */
  by?: string;
  /** The name in `by` belongs to an API key. */
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
    /** The arguments of an approval do not fit the tool; the call waited again. */
    | 'arguments_refused'
    /** The decision named other arguments than the call's, or none where it must name them. */
    | 'digest_refused'
    /** The call's policy gives the sender no vote now. */
    | 'no_vote'
    /** The votes were too few when the deadline passed. */
    | 'undecided';
  at: number;
}

/** How a run ended, as its workflow returns it. `usage` counts tokens; null = the server reports none. */
export interface RunResult {
  status: 'completed' | 'failed' | 'incomplete' | 'cancelled' | 'expired';
  runId: string;
  /** The backend's id; null when no run was created there. */
  backendRunId: string | null;
  threadId: string | null;
  rounds: number;
  usage: Usage | null;
  lastError?: LastError;
  incompleteDetails?: { reason?: string };
  calls: CallSummary[];
  unusedAnswers: UnusedAnswer[];
  /** Workflow id that waits for late answers, when a call's deadline policy was `follow-up`. */
  followUp?: string;
}

/** Payload of `answer`, ONE JSON object. Exactly one of `output` and `decision`. */
export interface AnswerPayload {
  call_id: string;
  /** For an external call. A value that is not a string is serialised, and the reply says so. */
  output?: unknown;
  /** For a call that needs approval. `delegate`: `to` decides in the sender's place. */
  decision?: 'approve' | 'deny' | 'delegate';
  /** With `delegate`: at least one name. */
  to?: { people?: string[] | undefined; groups?: string[] | undefined };
  /** With `approve`: arguments to run instead of the model's (a JSON object, or its text). */
  arguments?: unknown;
  /** With a decision: the `argumentsDigest` of the arguments that the sender read. Required where `digestRequired`. */
  arguments_digest?: string;
  /** With `deny`: the reason that the model reads. */
  reason?: string;
  /** The sender: a claim. With an API key, the key's name replaces it. */
  by?: string;
  /** Stored with the decision; the model does not read it. */
  note?: string;
  /** When given, it must name this run: protects against answering on the wrong page. */
  run_id?: string;
}

/** Reply to an answer that was accepted. An answer that is refused throws instead. */
export interface AnswerReply {
  run_id: string;
  call_id: string;
  /** `repeated`: the same answer was accepted before; nothing changed. */
  result: 'accepted' | 'repeated';
  notes?: OutcomeNote[];
  /** The round continued with a placeholder: the answer goes to a follow-up run, and is no output of this one. */
  late?: true;
  /** The run had ended; this follow-up run carries the answer. Absent while it is not known. */
  follow_up_run_id?: string;
  /** The vote counts, and left the call undecided: so many more votes for the same arguments would approve it. */
  votes_needed?: number;
  /** Calls of this round that still wait for an answer. */
  waiting: string[];
}

/** Payload of `submitToolOutputs`: all outputs of the open round at once. `by`: the sender, a claim. */
export interface SubmitPayload {
  run_id: string;
  tool_outputs: ToolOutput[];
  by?: string;
}
/** Reply to outputs that were accepted. `repeated`: the same outputs were accepted before; nothing changed. */
export interface SubmitReply {
  run_id: string;
  round: number;
  result: 'accepted' | 'repeated';
}

export type RunPhase = 'starting' | 'creating' | 'calling' | 'submitting' | 'following' | 'closing' | 'ended';

/** A tool call of a run as its workflow sees it now. */
export interface CallSnapshot {
  callId: string;
  name: string;
  /** JSON text, the model's or a person's edit. `showArguments` makes it readable. */
  arguments: string;
  kind: CallSummary['kind'];
  state: 'running' | 'waiting' | 'done';
  ok?: boolean;
  notes?: OutcomeNote[];
  by?: string;
  verified?: true;
  /** Unix ms of the deadline; null = none is known. Only while the call waits. */
  answerBy?: number | null;
  onDeadline?: OnDeadline;
  /** Only while waiting for an approval: the digest that a decision about these arguments names. */
  argumentsDigest?: string;
  digestRequired?: true;
  /** The arguments of the last approval, and why the tool refused them: the call waits again. */
  refusedEdit?: RefusedEdit;
  /** Only while waiting: who decides, where the tool says so, and the votes so far. */
  approvers?: ApprovalPolicy;
  ballot?: Ballot;
}

/** Reply of query `run`. */
export interface RunSnapshot {
  runId: string;
  backendRunId: string | null;
  threadId: string | null;
  assistantId: string;
  backend: 'assistants' | 'chat';
  phase: RunPhase;
  /** The status that the API shows, as far as the workflow knows it. */
  status: string;
  round: number;
  expiresAt: number | null;
  /** Calls of the current round. */
  calls: CallSnapshot[];
  /** Rejected signals: how many, and the latest few. */
  unusable: { count: number; latest: UnusedAnswer[] };
  result: RunResult | null;
  /** Decisions about calls of this run, oldest first; absent = none. */
  decisions?: Decision[];
  /** The client sets it when no worker answered: the fields are only what Temporal knows; `calls` is empty then. */
  partial?: true;
}

export interface WaitingNotice {
  runId: string;
  threadId: string;
  assistantId: string;
  round: number;
  calls: CallSnapshot[];
  expiresAt: number | null;
  /** Why this notice comes while the calls wait: the policy of this call says so. Absent = the wait begins, or begins again. */
  because?: { callId: string; reason: 'remind' | 'escalate' };
}

/** A call that got a placeholder, and whose answer may still arrive. */
export interface LateCallInput extends ArgumentsMark {
  callId: string;
  name: string;
  arguments: string;
  kind: 'external' | 'approval';
  /** On `approval`: how the tool runs after approval. */
  policy?: ToolPolicy;
  /** On `approval`: as in its plan. */
  schema?: Record<string, unknown>;
  approvers?: ApprovalPolicy;
  requestedBy?: string;
  ballot?: Ballot;
  refusedEdit?: RefusedEdit;
  round?: number;
  /** An answer that arrived while the run was still going. */
  given?: AnswerPayload;
  /** The decision of `given`. */
  decision?: Decision;
}

/** Input of the workflow `followUp`: calls of an ended run that still take an answer. */
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
  /** Follow-up runs started so far, after continue-as-new. */
  linkedRuns?: string[];
  /** Calls given up so far, after continue-as-new. */
  unanswered?: string[];
  /** Decisions made here so far, after continue-as-new. */
  decisions?: Decision[];
}
/** Result of the workflow `followUp`: the runs that it started, and the calls that got no answer. */
export interface FollowUpResult {
  runId: string;
  /** Follow-up runs, in order. */
  linkedRuns: string[];
  unanswered: string[];
}
