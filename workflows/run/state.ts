/**
 * What the workflow knows about its run, as plain JSON: it crosses continue-as-new unchanged.
 *
 * Rule: the state also says what is in flight (`op`, calls that are `running`, `timer`, `tasks`). Effects are derived
 * by comparing two states (see effects.ts), so that resuming after continue-as-new starts exactly what was in flight.
 * Every value is immutable: a transition makes a new one. Fields are added as optional; `v` changes when one is not.
 * Imports protocol only, no SDK. Workflow code and tests import it.
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
import type {
  AnswerPayload,
  CallSummary,
  RunInput,
  RunPhase,
  RunResult,
  SubmitPayload,
  UnusedAnswer,
} from '../../protocol/temporal/messages.ts';
import { DEFAULTS } from './timeouts.ts';

/** What a person (or the API's caller) said about a call, as it was accepted. */
export interface AcceptedAnswer {
  /** Digest of what was said, `by` left out: tells a repeat from a conflict. */
  digest: string;
  at: number;
  by?: string;
  /** An API key carries the name in `by`. */
  verified?: true;
}

/** `stored`: the store has it. */
export type DecisionState = Decision & { stored?: true };

export interface CallState extends ToolCall, ArgumentsMark {
  plan: CallPlan;
  status: 'running' | 'waiting' | 'done';
  outcome?: CallOutcome;
  answer?: AcceptedAnswer;
  /** Unix ms; set while and after somebody was awaited. */
  waitStart?: number;
  /** A person's arguments, JSON text, in the place of the model's. */
  editedArguments?: string;
  refusedEdit?: RefusedEdit;
  /** Unix ms by which the tool must be done; null = nothing known. Set when it starts. */
  endBy?: number | null;
}

/** A call of an earlier round: its summary and, when somebody answered it, what they said. */
export interface ArchivedCall extends CallSummary {
  digest?: string;
}

/** The one backend operation in flight. At most one at any time. */
export type Operation =
  | { kind: 'createThread' }
  /** `cancelling`: it was told to stop, and its outcome is awaited before anything else is done. */
  | { kind: 'create'; cancelling?: true }
  | { kind: 'submit' }
  | { kind: 'follow' }
  | { kind: 'close'; target: CloseTarget; how: CloseHow }
  | { kind: 'startFollowUp' }
  | { kind: 'notifyEnd' };

/** Work on the side that nobody waits for. */
export type Task =
  | { key: string; kind: 'notifyWaiting' }
  | { key: string; kind: 'recordAnswers'; callId: string }
  | { key: string; kind: 'recordDecision'; decision: Decision };

/** A call whose answer may still come after the model was given a placeholder. */
export interface LateCall extends ToolCall, ArgumentsMark {
  plan: Extract<CallPlan, { kind: 'external' | 'approval' }>;
  refusedEdit?: RefusedEdit;
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
  /** The server keeps the run alive past the expiry it named: the expiry no longer bounds anything. */
  lax: boolean;
  /** How often a server that is lax, or names no expiry, was asked again, and when it will be next. */
  rechecks: number;
  recheckAt: number | null;
  /** Rounds begun. */
  round: number;
  /** Calls of the current round, in the model's order. */
  calls: CallState[];
  /** Calls of earlier rounds, in order. */
  past: ArchivedCall[];
  op: Operation | null;
  timer: { at: number } | null;
  tasks: Task[];
  /** Why the run is being closed, once it is. */
  closing: CloseHow | null;
  /** Signals that could not be used. */
  unusable: { count: number; latest: UnusedAnswer[] };
  /** Accepted answers that were never submitted, with the reason. */
  unused: UnusedAnswer[];
  /** What was decided about calls of all rounds, in order; absent = nothing was. */
  decisions?: DecisionState[];
  /** This execution sends decisions to the store as they are made; asked anew after continue-as-new. */
  recordsDecisions?: true;
  late: LateCall[];
  /** Decided; what remains is to hand over late calls and to tell the end. */
  ending: { result: RunResult; cancelled: boolean } | null;
  ended: boolean;
}

/** Why an activity or child gave no value. Distilled: no SDK classes in the machine. */
export interface ActivityFailureInfo {
  kind: 'application' | 'timeout' | 'cancelled' | 'other';
  /** `ApplicationFailure.type`, of the last attempt when attempts ran out; '' otherwise. */
  type: string;
  message: string;
  /** What the backend calls the cause, when it names one. */
  reason?: string;
  timeout?: 'start_to_close' | 'schedule_to_close' | 'schedule_to_start' | 'heartbeat';
  /** Temporal would have tried again, but the next attempt would have begun after the activity's own end. */
  outOfTime?: true;
}

export type OperationKind = Operation['kind'];
export type SettlingOperation = 'create' | 'submit' | 'follow' | 'close';

/** Everything that can happen to a run. `at` is unix ms by the workflow's clock. */
export type Input =
  | { type: 'start'; at: number }
  /** After continue-as-new: start again what the state says is in flight. */
  | { type: 'resume'; at: number }
  | { type: 'threadCreated'; threadId: string; at: number }
  | { type: 'settled'; via: SettlingOperation; settlement: Settled; at: number }
  | { type: 'activityFailed'; via: OperationKind; failure: ActivityFailureInfo; at: number }
  | { type: 'followUpStarted'; workflowId: string; at: number }
  | { type: 'endNotified'; at: number }
  | { type: 'callDone'; callId: string; outcome: CallOutcome; at: number }
  | { type: 'callFailed'; callId: string; failure: ActivityFailureInfo; at: number }
  /**
   * By signal or accepted update; `payload` is whatever was sent, `source` absent = an update straight from Temporal.
   * `records`: natively, a decision is sent to the store at once.
   */
  | { type: 'answer'; payload: unknown; source?: AnswerSource; records?: boolean; at: number }
  | { type: 'submit'; payload: SubmitPayload; source?: AnswerSource; at: number }
  | { type: 'deadline'; at: number }
  | { type: 'cancelRequested'; at: number }
  /** `failed`: the work was given up. */
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

/** Reads the state that the previous execution of this run left. An unknown version is a deploy mistake, not an input error. */
export const carriedState = (carried: unknown): MachineState => {
  if (typeof carried === 'object' && carried !== null && 'v' in carried && carried.v === 1) {
    const { recordsDecisions: _asked, ...state } = carried as MachineState;
    return state;
  }
  throw new Error(
    'The carried state of this run has a version that this worker does not know: run a worker of the version that wrote it.',
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

/** Is an answer for the current round still of use? */
export const takesAnswers = (state: MachineState): boolean =>
  state.closing === null &&
  state.ending === null &&
  state.round > 0 &&
  (state.op === null || state.op.kind === 'follow');

export const waitingCalls = (state: MachineState): CallState[] =>
  takesAnswers(state) ? state.calls.filter((call) => call.status === 'waiting') : [];

/**
 * Natively, what the caller or a person answered may be in the run's row already: another text for it would be a conflict
 * there, so it is never cut.
 */
export const recordedCalls = (state: MachineState): CallState[] =>
  state.about.backend === 'chat'
    ? state.calls.filter(({ plan, answer }) => plan.kind === 'external' && answer !== undefined)
    : [];

/** The run's status as the API names it, as far as the workflow knows. */
export const apiStatus = (state: MachineState): string => {
  if (state.ending !== null) return state.ending.result.status;
  if (state.closing?.kind === 'cancel') return 'cancelling';
  const phase = phaseOf(state);
  const calling = phase === 'calling' || phase === 'following';
  // On another runs server every round that was not submitted is an action.
  if (state.about.backend === 'assistants')
    return calling ? 'requires_action' : state.run === null ? 'queued' : 'in_progress';
  // On the chat backend only what the caller must answer is one; answered, the row is queued for the next turn.
  const external = state.calls.filter((call) => call.plan.kind === 'external');
  if (calling && external.some((call) => call.status === 'waiting')) return 'requires_action';
  const queued = state.run === null || ((calling || phase === 'submitting') && external.length > 0);
  return queued ? 'queued' : 'in_progress';
};

export type { LastError, Usage };
