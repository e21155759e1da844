/**
 * Derives the effects: what must start, stop or change because the state changed.
 *
 * Rule: `effectsBetween(before, after)` is the only source of effects. The state lists what is in flight; therefore
 * starting it, cancelling it and restarting it after continue-as-new cannot differ. The order of effects is cancel,
 * start, show.
 * Imports protocol and the state, no SDK.
 */
import type { CloseHow, CloseTarget, RunRef } from '../../protocol/ports/backend.ts';
import type { ToolPolicy } from '../../protocol/tool-calls.ts';
import type { Decision } from '../../protocol/decisions.ts';
import type { RunResult, WaitingNotice } from '../../protocol/temporal/messages.ts';
import type { ToolOutput } from '../../protocol/wire/objects.ts';
import { waitDeadline } from './deadline.ts';
import { unstored } from './decisions.ts';
import { apiStatus, takesAnswers, waitingCalls } from './state.ts';
import type { CallState, LateCall, Operation, MachineState, Task, OperationKind } from './state.ts';

export type OpEffect =
  | { type: 'createThread' }
  | { type: 'create'; threadId: string }
  | { type: 'submit'; run: RunRef; round: number; outputs: ToolOutput[]; decisions: Decision[] }
  | { type: 'follow'; run: RunRef }
  | { type: 'close'; target: CloseTarget; how: CloseHow; decisions: Decision[] }
  | { type: 'startFollowUp'; calls: LateCall[] }
  | { type: 'notifyEnd'; result: RunResult };

export type TaskEffect =
  | { type: 'notifyWaiting'; key: string; because?: WaitingNotice['because'] }
  | { type: 'recordAnswers'; key: string; run: RunRef; round: number; outputs: ToolOutput[] }
  | { type: 'recordDecision'; key: string; decision: Decision };

export interface RunToolEffect {
  type: 'runTool';
  callId: string;
  name: string;
  arguments: string;
  policy: ToolPolicy;
  endBy: number | null;
  /** A person edited the arguments. */
  edited?: true;
}

export type ShowEffect =
  /** `status`: the status that the API shows. On `chat`, a run that waits for approvals only is `in_progress`. */
  | { type: 'enterWait'; status: string; tools: string[]; deadline: number | null }
  | { type: 'leaveWait'; status: string };

export type Effect =
  | { type: 'cancelOp'; via: OperationKind }
  | { type: 'cancelTools'; callIds: string[] }
  | { type: 'disarmTimer' }
  | OpEffect
  | RunToolEffect
  | TaskEffect
  | ShowEffect
  | { type: 'armTimer'; at: number }
  | { type: 'finish'; result: RunResult; cancelled: boolean };

const opEffect = (state: MachineState, op: Operation): OpEffect => {
  const run = state.run;
  switch (op.kind) {
    case 'createThread':
      return { type: 'createThread' };
    case 'create':
      return { type: 'create', threadId: assertPresent(state.threadId, 'thread id') };
    case 'submit':
      return {
        type: 'submit',
        run: assertPresent(run, 'run'),
        round: state.round,
        outputs: outputsOf(state),
        decisions: unstored(state),
      };
    case 'follow':
      return { type: 'follow', run: assertPresent(run, 'run') };
    case 'close':
      return { type: 'close', target: op.target, how: op.how, decisions: unstored(state) };
    case 'startFollowUp':
      return { type: 'startFollowUp', calls: state.late };
    case 'notifyEnd':
      return { type: 'notifyEnd', result: assertPresent(state.ending, 'result').result };
    default:
      return assertNever(op);
  }
};

/** A missing value is a bug of the machine: it fails the workflow task, not the run. */
const assertPresent = <T>(value: T | null, what: string): T => {
  if (value === null) throw new Error(`The state of the run has no ${what}, which this step needs.`);
  return value;
};

export const assertNever = (value: never): never => {
  throw new Error(`Unhandled case: ${JSON.stringify(value)}`);
};

/** All outputs of the round in the model's order; they were made to fit when the last one arrived. */
const outputsOf = (state: MachineState): ToolOutput[] =>
  state.calls.map((call) => ({
    tool_call_id: call.callId,
    output: assertPresent(call.outcome ?? null, 'outcome').output,
  }));

const toolEffect = (call: CallState): RunToolEffect | null =>
  call.plan.kind === 'automatic' || call.plan.kind === 'approval'
    ? {
        type: 'runTool',
        callId: call.callId,
        name: call.name,
        arguments: call.editedArguments ?? call.arguments,
        policy: call.plan.policy,
        endBy: call.endBy ?? null,
        ...(call.editedArguments === undefined ? {} : { edited: true }),
      }
    : null;

const taskEffect = (state: MachineState, task: Task): TaskEffect | null => {
  if (task.kind === 'notifyWaiting')
    return {
      type: 'notifyWaiting',
      key: task.key,
      ...(task.because === undefined ? {} : { because: task.because }),
    };
  if (task.kind === 'recordDecision')
    return { type: 'recordDecision', key: task.key, decision: task.decision };
  const output = state.calls.find((call) => call.callId === task.callId)?.outcome?.output;
  return output === undefined || state.run === null
    ? null
    : {
        type: 'recordAnswers',
        key: task.key,
        run: state.run,
        round: state.round,
        outputs: [{ tool_call_id: task.callId, output }],
      };
};

/** Running calls by round and id, since an upstream may reuse an id in a later round. A closed run has none. */
const running = (state: MachineState): Map<string, CallState> =>
  new Map(
    (takesAnswers(state) ? state.calls : [])
      .filter((call) => call.status === 'running')
      .map((call) => [`${state.round}:${call.callId}`, call]),
  );

/** Two operations are the same when kind and round are equal: within a round, no kind follows itself. */
const sameOp = (before: MachineState, after: MachineState): boolean =>
  before.op !== null &&
  after.op !== null &&
  before.op.kind === after.op.kind &&
  (before.op.kind !== 'submit' || before.round === after.round);

/**
 * On the `assistants` backend a round requires action until it is submitted; for search it counts as work. The
 * attribute keeps its value until the next wait, so a run that is queued for a moment shows the work that follows.
 */
const workStatus = (state: MachineState): string => {
  const status = apiStatus(state);
  return status === 'requires_action' || status === 'queued' ? 'in_progress' : status;
};

/**
 * `finished` is the operation that the input reported as over, so it is not cancelled. A follow never ends and starts
 * again in one step: a timer lies between.
 */
export const effectsBetween = (
  before: MachineState,
  after: MachineState,
  finished: { op: boolean; callId?: string; timer?: true },
): Effect[] => {
  const effects: Effect[] = [];
  const fresh = after.op !== null && (finished.op || !sameOp(before, after));

  if (before.op !== null && !finished.op && (after.op === null || !sameOp(before, after)))
    effects.push({ type: 'cancelOp', via: before.op.kind });
  else if (
    before.op?.kind === 'create' &&
    after.op?.kind === 'create' &&
    after.op.cancelling === true &&
    before.op.cancelling !== true
  )
    effects.push({ type: 'cancelOp', via: 'create' });

  const was = running(before);
  const is = running(after);
  const told = [...was].filter(([key, call]) => !is.has(key) && call.callId !== finished.callId);
  if (told.length > 0) effects.push({ type: 'cancelTools', callIds: told.map(([, call]) => call.callId) });

  const timer = finished.timer === true ? null : before.timer;
  if (timer !== null && timer.at !== after.timer?.at) effects.push({ type: 'disarmTimer' });

  if (after.op !== null && fresh) effects.push(opEffect(after, after.op));
  for (const [key, call] of is) {
    const effect = was.has(key) ? null : toolEffect(call);
    if (effect !== null) effects.push(effect);
  }
  const tasksBefore = new Set(before.tasks.map((task) => task.key));
  for (const task of after.tasks) {
    const effect = tasksBefore.has(task.key) ? null : taskEffect(after, task);
    if (effect !== null) effects.push(effect);
  }

  const waited = waitingCalls(before).length > 0;
  const waits = waitingCalls(after);
  if (waits.length > 0 && (!waited || before.round !== after.round))
    effects.push({
      type: 'enterWait',
      status: apiStatus(after),
      tools: [...new Set(waits.map((call) => call.name))],
      deadline: waitDeadline(after),
    });
  if (waited && waits.length === 0) effects.push({ type: 'leaveWait', status: workStatus(after) });

  if (after.timer !== null && timer?.at !== after.timer.at)
    effects.push({ type: 'armTimer', at: after.timer.at });
  if (after.ended && !before.ended && after.ending !== null)
    effects.push({ type: 'finish', ...after.ending });
  return effects;
};
