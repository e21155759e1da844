/**
 * Tool calls of a run: what the model requested, who runs it, under which policy, and its outcome.
 *
 * Rule: a policy is decided once, when a round settles, and recorded in history with the call. Later changes of the
 * worker's registry never change a running run. Plain JSON: it crosses activities and continue-as-new. No imports. Any
 * room may import it; the workflow sandbox may too.
 */

/** A function call of the model. `arguments` is the model's JSON text, unparsed and untrusted. */
export interface ToolCall {
  callId: string;
  name: string;
  arguments: string;
}

/** How an automatic call is retried and bounded. Times in milliseconds. */
export interface ToolPolicy {
  /** Attempts in total, first one included; 0 = no limit but time. 1 for at-most-once tools, always. */
  maximumAttempts: number;
  initialIntervalMs: number;
  backoffCoefficient: number;
  maximumIntervalMs: number;
  /** Time of one attempt. */
  startToCloseMs: number;
  /** An attempt that is silent for this long counts as lost; null = only `startToCloseMs` bounds it. */
  heartbeatMs: number | null;
  /** Never run again after a lost attempt: the model reads that the outcome is unknown. */
  atMostOnce: boolean;
}

/** What happens to an open call when its deadline passes without an answer. */
export type OnDeadline = 'fail' | 'placeholder' | 'follow-up';

/** A wait for a person or for the API's caller. */
export interface WaitPolicy {
  onDeadline: OnDeadline;
  /** Milliseconds from the start of the wait in which an answer counts; null = as long as the run lives. */
  answerWithinMs: number | null;
}

/** Who decides a call of a tool, and how many of them must agree. `protocol/rules/ballot.ts` is the rule. */
export interface ApprovalPolicy {
  /** Groups whose people may decide; empty = everybody who may decide calls of the tool. */
  by: string[];
  /** How many must agree, at least 1. */
  quorum: number;
  /** One denial denies the call. Without it, `quorum` denials do. */
  veto: boolean;
  /** The person who asked for the run has no vote. */
  notRequester: boolean;
  /** Only names count that an API key or a sign-in verifies. */
  verified: boolean;
  /** Milliseconds from the start of the wait; null = never. */
  remindAfterMs: number | null;
  escalateAfterMs: number | null;
  /** Groups whose people may decide, too, once the call is escalated. */
  escalateTo: string[];
}

export type CallPlan =
  /** The worker runs `tool.<name>` at once. */
  | { kind: 'automatic'; policy: ToolPolicy }
  /** A person approves, edits or denies first; then the worker runs it, or the denial is the output. */
  | {
      kind: 'approval';
      policy: ToolPolicy;
      wait: WaitPolicy;
      /** JSON Schema (draft 7) for edited arguments. Absent: only the tool checks them. */
      schema?: Record<string, unknown>;
      /** Absent: the first decision of anybody decides. */
      approvers?: ApprovalPolicy;
      /** Who asked for the run; absent = not known. Only with `approvers`. */
      requestedBy?: string;
    }
  /** A person or the API's caller sends the output. */
  | {
      kind: 'external';
      wait: WaitPolicy;
      /** The tool is the worker's, so a person may answer; absent: only the API's caller does, or an older worker planned it. */
      byPerson?: true;
    }
  /** The call cannot run: this text is its output. `note` absent: an unknown tool. */
  | { kind: 'refused'; output: string; note?: OutcomeNote };

/** About the arguments of a call that needs approval. Absent on calls that an older worker planned. */
export interface ArgumentsMark {
  /** 128 bits of SHA-256 of the canonical arguments, as hex: names what a person has read. */
  argumentsDigest?: string;
  /** The arguments are too long to be shown whole: an approval must name their digest. */
  digestRequired?: true;
}

/** An approval whose arguments the tool refused: nothing ran, and the call waits again. */
export interface RefusedEdit {
  /** How often this happened to the call. */
  count: number;
  /** The last problem. */
  problem: string;
  /** Unix ms of the refusal. */
  at: number;
  by?: string;
}

export interface PlannedCall extends ToolCall, ArgumentsMark {
  plan: CallPlan;
}

/** Why an output is not exactly what a tool or a person returned. */
export type OutcomeNote =
  | 'truncated'
  | 'serialised'
  | 'invalid_arguments'
  | 'invalid_output'
  | 'tool_failed'
  | 'outcome_unknown'
  | 'unknown_tool'
  | 'denied'
  | 'placeholder'
  | 'deadline';

/** The outcome of a call. `output` is the text that the model reads. */
export interface CallOutcome {
  output: string;
  ok: boolean;
  notes?: OutcomeNote[];
  /** The sender of the answer or the approval, if there was one. */
  by?: string;
  /** Why the edited arguments do not fit the tool: nothing ran, the call waits again. */
  refusedEdit?: string;
}

/** Input of a `tool.<name>` activity. */
export interface ToolActivityInput {
  runId: string;
  threadId: string;
  assistantId: string;
  callId: string;
  name: string;
  /** JSON text; edited arguments replace the model's. */
  arguments: string;
  /** Run id and call id: the same on every attempt, different for every call. */
  idempotencyKey: string;
  /** Unix ms after which an output is useless; null = none is known. */
  deadline: number | null;
  atMostOnce: boolean;
  /** A person edited `arguments`: when they do not fit, the call returns to people, not to the model. */
  edited?: true;
  /** The heartbeat timeout is for the worker: it sends the heartbeats, not the tool. */
  workerBeats?: true;
  metadata?: Record<string, string>;
}

export const idempotencyKey = (runId: string, callId: string): string => `${runId}:${callId}`;

/** The output of a call that failed: compact JSON, one shape for every failure. */
export const errorOutput = (type: string, message: string): string =>
  JSON.stringify({ error: { type, message } });
