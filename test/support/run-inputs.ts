/** Short names for the machine's inputs and short texts for its effects, in which the transition table is written. */
import type { RunRef, Settled } from '../../protocol/ports/backend.ts';
import type { PlannedCall } from '../../protocol/tool-calls.ts';
import { FAILURES } from '../../protocol/temporal/names.ts';
import type { RunInput } from '../../protocol/temporal/messages.ts';
import type { Effect } from '../../workflows/run/effects.ts';
import { step } from '../../workflows/run/machine.ts';
import { initialState } from '../../workflows/run/state.ts';
import type {
  ActivityFailureInfo,
  Input,
  MachineState,
  SettlingOperation,
  OperationKind,
} from '../../workflows/run/state.ts';
import { runInput } from './run-stubs.ts';

export const T0 = 1_700_000_000_000;
export const EXPIRY = T0 + 600_000;
export const RUN: RunRef = { backendRunId: 'run_backend', threadId: 'thread_1' };

export const asks = (calls: PlannedCall[], expiresAt: number | null = EXPIRY): Settled => ({
  status: 'requires_action',
  run: RUN,
  calls,
  expiresAt,
  createdAt: T0,
});

type Ends = Exclude<Settled['status'], 'requires_action'>;
export const settles = (via: SettlingOperation, settlement: Settled | Ends, at = T0): Input => ({
  type: 'settled',
  via,
  settlement: typeof settlement === 'string' ? { status: settlement, run: RUN } : settlement,
  at,
});

export const fails = (via: OperationKind, type: string = FAILURES.backendUnavailable, at = T0): Input => ({
  type: 'activityFailed',
  via,
  failure: { kind: 'application', type, message: 'no' },
  at,
});

/** Given up by Temporal: the next attempt would have begun after the activity's end. */
export const runsOutOfTime = (via: OperationKind, at = T0): Input => ({
  type: 'activityFailed',
  via,
  failure: { kind: 'application', type: FAILURES.backendUnavailable, message: 'no', outOfTime: true },
  at,
});

export const timedOut: ActivityFailureInfo = { kind: 'timeout', type: '', message: '', timeout: 'heartbeat' };

export const says = (payload: unknown, at = T0): Input => ({ type: 'answer', payload, at });
export const submits = (outputs: Record<string, string>, at = T0, runId = 'run_1'): Input => ({
  type: 'submit',
  payload: {
    run_id: runId,
    tool_outputs: Object.entries(outputs).map(([id, output]) => ({ tool_call_id: id, output })),
  },
  at,
});
export const does = (callId: string, output = `did ${callId}`, at = T0): Input => ({
  type: 'callDone',
  callId,
  outcome: { output, ok: true },
  at,
});

/** The state after these inputs, from the beginning. */
export const after = (more: Partial<RunInput>, ...inputs: Input[]): MachineState =>
  inputs.reduce((state, input) => step(state, input).state, initialState(runInput('run_1', more)));

const seconds = (at: number): string => `${(at - T0) / 1000}s`;

export const shortEffect = (effect: Effect): string => {
  switch (effect.type) {
    case 'submit':
      return `submit ${effect.round} [${effect.outputs.map(({ tool_call_id: id, output }) => `${id}=${output.startsWith('{"error"') ? (JSON.parse(output) as { error: { type: string } }).error.type : output}`).join(' ')}]`;
    case 'close':
      return `close ${effect.target.kind} ${effect.how.kind}${'error' in effect.how && effect.how.error !== undefined ? `(${effect.how.error.code})` : ''}`;
    case 'startFollowUp':
      return `startFollowUp [${effect.calls.map(({ callId, given }) => `${callId}${given === undefined ? '' : '!'}`).join(' ')}]`;
    case 'notifyEnd':
      return `notifyEnd ${effect.result.status}`;
    case 'cancelOp':
      return `cancel ${effect.via}`;
    case 'cancelTools':
      return `cancelTools [${effect.callIds.join(' ')}]`;
    case 'runTool':
      return `tool ${effect.callId} ${effect.arguments}${effect.endBy === null ? '' : ` by ${seconds(effect.endBy)}`}`;
    case 'recordAnswers':
      return `record [${effect.outputs.map(({ tool_call_id: id }) => id).join(' ')}]`;
    case 'recordDecision':
      return `decision ${effect.decision.callId} ${effect.decision.decision}`;
    case 'enterWait':
      return `wait for ${effect.tools.join(' ')}${effect.deadline === null ? '' : ` by ${seconds(effect.deadline)}`}`;
    case 'leaveWait':
      return `work as ${effect.status}`;
    case 'armTimer':
      return `timer ${seconds(effect.at)}`;
    case 'disarmTimer':
      return 'no timer';
    case 'finish':
      return `finish ${effect.result.status}${effect.cancelled ? ' as cancelled' : ''}${effect.result.lastError === undefined ? '' : `(${effect.result.lastError.code})`}`;
    default:
      return effect.type;
  }
};
