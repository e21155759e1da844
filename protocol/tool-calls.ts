/**
 * Tool calls on their way through a run: what the model asked, who carries it out and under which policy,
 * and what came of it.
 *
 * Rule: policies are decided once, when a round settles, and recorded in history with the call. Changing the
 * worker's registry afterwards never changes a running run. Plain JSON: it crosses activities and continue-as-new.
 * No imports. Anybody may import it; the workflow sandbox may too.
 */

/** A function call as the model made it. `arguments` is the model's JSON text, unparsed and untrusted. */
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
  /** One attempt. */
  startToCloseMs: number;
  /** Silence after which an attempt counts as lost; null = only `startToCloseMs` bounds it. */
  heartbeatMs: number | null;
  /** Never rerun after a lost attempt: the model is told that the outcome is unknown. */
  atMostOnce: boolean;
}

/** What happens to an awaited call when the run's deadline comes and nobody answered. */
export type OnDeadline = 'fail' | 'placeholder' | 'follow-up';

/** A wait for somebody outside. */
export interface WaitPolicy {
  onDeadline: OnDeadline;
  /** How long the answerer has, in milliseconds from the moment the wait begins; null = as long as the run lives. */
  answerWithinMs: number | null;
}

export type CallPlan =
  /** The worker runs `tool.<name>` at once. */
  | { kind: 'automatic'; policy: ToolPolicy }
  /** A person approves, edits or denies first; then the worker runs it or the denial is the output. */
  | {
      kind: 'approval';
      policy: ToolPolicy;
      wait: WaitPolicy;
      /** JSON Schema (draft 7) that a person's own arguments are checked against. Absent: only the tool checks them. */
      schema?: Record<string, unknown>;
    }
  /** Somebody outside supplies the output: a person, or the API's caller. */
  | { kind: 'external'; wait: WaitPolicy }
  /** Known before anything runs to be impossible: this text is the output. `note` absent: an unknown tool. */
  | { kind: 'refused'; output: string; note?: OutcomeNote };

/** Of the arguments of a call that needs approval. Absent on calls that an older worker planned. */
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
  /** What was wrong the last time. */
  problem: string;
  /** Unix ms of the refusal. */
  at: number;
  by?: string;
}

export interface PlannedCall extends ToolCall, ArgumentsMark {
  plan: CallPlan;
}

/** Why an output is not simply what a tool or a person returned. */
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

/** What came of a call. `output` is what the model will read, whatever happened. */
export interface CallOutcome {
  output: string;
  ok: boolean;
  notes?: OutcomeNote[];
  /** Who answered or approved, when somebody did. */
  by?: string;
  /** The arguments that a person gave do not fit the tool, for this reason: nothing ran, the call waits again. */
  refusedEdit?: string;
}

/** Input of a `tool.<name>` activity. */
export interface ToolActivityInput {
  runId: string;
  threadId: string;
  assistantId: string;
  callId: string;
  name: string;
  /** JSON text; a person's edited arguments take the place of the model's. */
  arguments: string;
  /** Run id and call id: the same on every attempt, different for every call. */
  idempotencyKey: string;
  /** Unix milliseconds by which an output must exist to be of use; null = none known. */
  deadline: number | null;
  atMostOnce: boolean;
  /** `arguments` are a person's: when they do not fit, the call goes back to people, not to the model. */
  edited?: true;
  metadata?: Record<string, string>;
}

export const idempotencyKey = (runId: string, callId: string): string => `${runId}:${callId}`;

/** What the model reads in the place of an output: compact JSON, one shape for every failure. */
export const errorOutput = (type: string, message: string): string =>
  JSON.stringify({ error: { type, message } });
