/**
 * The state of a run as plain JSON; continue-as-new carries it unchanged.
 *
 * Rule: the state lists what is in flight (`op`, calls that are `running`, `timer`, `tasks`). `effects.ts` compares two
 * states, so an execution that resumes starts exactly what was in flight. Values are immutable: each transition makes
 * new ones. New fields are optional; otherwise `v` changes.
 * Imports protocol only, no SDK. Imported by workflow code and tests.
 */
import type {
  CloseHow,
  CloseTarget,
  LastError,
  RunRef,
  Settled,
  Usage,
} from '../../protocol/ports/backend.ts';
import type {
  ArgumentsMark,
  CallOutcome,
  CallPlan,
  RefusedEdit,
  ToolCall,
} from '../../protocol/tool-calls.ts';
import type { AnswerSource, Decision } from '../../protocol/decisions.ts';
import type { Ballot } from '../../protocol/rules/ballot.ts';
import type {
  AnswerPayload,
  CallSummary,
  RunInput,
  RunPhase,
  RunResult,
  SubmitPayload,
  UnusedAnswer,
  WaitingNotice,
} from '../../protocol/temporal/messages.ts';
import { DEFAULTS } from './timeouts.ts';

/** An accepted answer, from a person or from the API's caller. */
export interface AcceptedAnswer {
  /** Digest of the answer without its sender; it tells a repeat from a conflict. */
  digest: string;
  at: number;
  by?: string;
  /** The name in `by` belongs to an API key. */
  verified?: true;
}

/** `stored`: the store has the decision. */
export type DecisionState = Decision & { stored?: true };

export interface CallState extends ToolCall, ArgumentsMark {
  plan: CallPlan;
  status: 'running' | 'waiting' | 'done';
  outcome?: CallOutcome;
  answer?: AcceptedAnswer;
  /** Unix ms; set once the call has waited for an answer. */
  waitStart?: number;
  /** Arguments edited by a person, as JSON text; they replace the model's. */
  editedArguments?: string;
  refusedEdit?: RefusedEdit;
  /** Votes, hand-overs, reminder and escalation so far; absent = none. */
  ballot?: Ballot;
  /** Unix ms, the tool's deadline; null = none is known. Set when the tool starts. */
  endBy?: number | null;
}

/** A call of an earlier round: its summary, and the digest of its answer. */
export interface ArchivedCall extends CallSummary {
  digest?: string;
}

/** The backend operation in flight; at most one at any time. */
export type Operation =
  | { kind: 'createThread' }
  /** `cancelling`: the operation was cancelled, and its outcome is awaited before the next operation starts. */
  | { kind: 'create'; cancelling?: true }
  | { kind: 'submit' }
  | { kind: 'follow' }
  | { kind: 'close'; target: CloseTarget; how: CloseHow }
  | { kind: 'startFollowUp' }
  | { kind: 'notifyEnd' };

/** Work beside the run that nothing waits for. */
export type Task =
  | { key: string; kind: 'notifyWaiting'; because?: NonNullable<WaitingNotice['because']> }
  | { key: string; kind: 'recordAnswers'; callId: string }
  | { key: string; kind: 'recordDecision'; decision: Decision };

/** A call that got a placeholder, and whose answer may still arrive. */
export interface LateCall extends ToolCall, ArgumentsMark {
  plan: Extract<CallPlan, { kind: 'external' | 'approval' }>;
  refusedEdit?: RefusedEdit;
  ballot?: Ballot;
  /** Absent in states of earlier versions. */
  round?: number;
  given?: { payload: AnswerPayload; answer: AcceptedAnswer; decision?: Decision };
}

export interface RunSpec {
  runId: string;
  backend: 'assistants' | 'chat';
  assistantId: string;
  onWaiting: boolean;
  onEnd: boolean;
  maxRounds: number;
  maxCalls: number;
  followUpWithinMs: number;
}

export interface MachineState {
  v: 1;
  about: RunSpec;
  threadId: string | null;
  run: RunRef | null;
  /** Unix ms of the workflow's start; 0 before `start`. */
  startedAt: number;
  createdAt: number | null;
  expiresAt: number | null;
  /** The upstream keeps the run alive past its expiry: the expiry no longer bounds the run. */
  lax: boolean;
  /** How often the run was polled again, and when the next poll is due. */
  rechecks: number;
  recheckAt: number | null;
  /** Rounds so far. */
  round: number;
  /** Calls of the current round, in the model's order. */
  calls: CallState[];
  /** Calls of earlier rounds, in order. */
  past: ArchivedCall[];
  op: Operation | null;
  timer: { at: number } | null;
  tasks: Task[];
  /** Why the run is being closed; null = it is not. */
  closing: CloseHow | null;
  /** Rejected signals. */
  unusable: { count: number; latest: UnusedAnswer[] };
  /** Accepted answers that were never submitted, with the reason. */
  unused: UnusedAnswer[];
  /** Decisions about calls of all rounds, in order; absent = none. */
  decisions?: DecisionState[];
  /** This execution sends each decision to the store at once; decided anew after continue-as-new. */
  recordsDecisions?: true;
  late: LateCall[];
  /** The result is fixed; what remains is to hand over late calls and to call the hook. */
  ending: { result: RunResult; cancelled: boolean } | null;
  ended: boolean;
}

/** Why an activity or a child workflow failed, as plain values: the machine knows no SDK classes. */
export interface ActivityFailureInfo {
  kind: 'application' | 'timeout' | 'cancelled' | 'other';
  /** `ApplicationFailure.type`; of the last attempt when attempts ran out of time; '' otherwise. */
  type: string;
  message: string;
  /** The backend's code for the cause, if it has one. */
  reason?: string;
  timeout?: 'start_to_close' | 'schedule_to_close' | 'schedule_to_start' | 'heartbeat';
  /** Temporal stopped retrying because the next attempt would have started after the activity's timeout. */
  outOfTime?: true;
}

export type OperationKind = Operation['kind'];
export type SettlingOperation = 'create' | 'submit' | 'follow' | 'close';

/** Every input of the machine. `at` is unix ms by the workflow's clock. */
export type Input =
  | { type: 'start'; at: number }
  /** After continue-as-new: starts again what the state lists as in flight. */
  | { type: 'resume'; at: number }
  | { type: 'threadCreated'; threadId: string; at: number }
  | { type: 'settled'; via: SettlingOperation; settlement: Settled; at: number }
  | { type: 'activityFailed'; via: OperationKind; failure: ActivityFailureInfo; at: number }
  | { type: 'followUpStarted'; workflowId: string; at: number }
  | { type: 'endNotified'; at: number }
  | { type: 'callDone'; callId: string; outcome: CallOutcome; at: number }
  | { type: 'callFailed'; callId: string; failure: ActivityFailureInfo; at: number }
  /**
   * A signal or an accepted update. `payload` is not checked yet; `source` absent = an update from Temporal directly.
   * `records`: on `chat`, the decision is sent to the store at once.
   */
  | { type: 'answer'; payload: unknown; source?: AnswerSource; records?: boolean; at: number }
  | { type: 'submit'; payload: SubmitPayload; source?: AnswerSource; at: number }
  | { type: 'deadline'; at: number }
  | { type: 'cancelRequested'; at: number }
  /** `failed`: the task was given up. */
  | { type: 'taskDone'; key: string; failed?: true; at: number };

export const initialState = (input: RunInput): MachineState => ({
  v: 1,
  about: {
    runId: input.runId,
    backend: input.backend,
    assistantId: input.assistantId,
    onWaiting: input.hooks.onWaiting,
    onEnd: input.hooks.onEnd,
    maxRounds: input.settings.maxRounds ?? DEFAULTS.maxRounds,
    maxCalls: input.settings.maxCalls ?? DEFAULTS.maxCalls,
    followUpWithinMs: input.settings.followUpWithinMs ?? DEFAULTS.followUpWithinMs,
  },
  threadId: input.threadId,
  run: null,
  startedAt: 0,
  createdAt: input.createdAt,
  expiresAt: input.expiresAt,
  lax: false,
  rechecks: 0,
  recheckAt: null,
  round: 0,
  calls: [],
  past: [],
  op: null,
  timer: null,
  tasks: [],
  closing: null,
  unusable: { count: 0, latest: [] },
  unused: [],
  late: [],
  ending: null,
  ended: false,
});

/** Reads the state of the previous execution. An unknown version is a deployment error, not an input error. */
export const carriedState = (carried: unknown): MachineState => {
  if (typeof carried === 'object' && carried !== null && 'v' in carried && carried.v === 1) {
    const { recordsDecisions: _asked, ...state } = carried as MachineState;
    return state;
  }
  throw new Error(
    'The state that this run carries has a version that this worker does not support. Start a worker of the version that wrote it.',
  );
};

export const phaseOf = (state: MachineState): RunPhase => {
  if (state.ended) return 'ended';
  if (state.closing !== null || state.ending !== null) return 'closing';
  switch (state.op?.kind) {
    case 'create':
      return 'creating';
    case 'submit':
      return 'submitting';
    case 'follow':
      return 'following';
    case 'createThread':
      return 'starting';
    default:
      return state.run === null ? 'starting' : 'calling';
  }
};

/** True while an answer for the current round can still be used. */
export const takesAnswers = (state: MachineState): boolean =>
  state.closing === null &&
  state.ending === null &&
  state.round > 0 &&
  (state.op === null || state.op.kind === 'follow');

export const waitingCalls = (state: MachineState): CallState[] =>
  takesAnswers(state) ? state.calls.filter((call) => call.status === 'waiting') : [];

/**
 * On `chat`, the row may hold the answer of a caller or a person already. A cut text would conflict with it, so these
 * answers are never cut.
 */
export const recordedCalls = (state: MachineState): CallState[] =>
  state.about.backend === 'chat'
    ? state.calls.filter(({ plan, answer }) => plan.kind === 'external' && answer !== undefined)
    : [];

/** The status that the API shows, as far as the workflow knows it. */
export const apiStatus = (state: MachineState): string => {
  if (state.ending !== null) return state.ending.result.status;
  if (state.closing?.kind === 'cancel') return 'cancelling';
  const phase = phaseOf(state);
  const calling = phase === 'calling' || phase === 'following';
  // On `assistants`, every round requires action until it is submitted.
  if (state.about.backend === 'assistants')
    return calling ? 'requires_action' : state.run === null ? 'queued' : 'in_progress';
  // On `chat`, only external calls require action; when they are answered, the row is queued for the next turn.
  const external = state.calls.filter((call) => call.plan.kind === 'external');
  if (calling && external.some((call) => call.status === 'waiting')) return 'requires_action';
  const queued = state.run === null || ((calling || phase === 'submitting') && external.length > 0);
  return queued ? 'queued' : 'in_progress';
};

export type { LastError, Usage };
