/**
 * Runs the machine's effects and dispatches their results as inputs.
 *
 * Rule: it decides nothing about the run. It tracks what is in flight. When nothing is, it may end this execution with
 * continue-as-new; the effects of the last step are then skipped, because the next execution derives them from the
 * state. No promise is left without a handler.
 * Knows no SDK: the runtime is injected. Imported by `workflow.ts` and tests.
 */
import type { CallOutcome } from '../../protocol/tool-calls.ts';
import type { RunResult } from '../../protocol/temporal/messages.ts';
import type { Effect, OpEffect, RunToolEffect, ShowEffect, TaskEffect } from './effects.ts';
import { assertNever } from './effects.ts';
import { step } from './machine.ts';
import type { ActivityFailureInfo, Input, MachineState, OperationKind } from './state.ts';

/** Work that can be cancelled; its promise settles when the work ends. */
export interface Pending<T> {
  promise: Promise<T>;
  cancel(): void;
}

export interface Runtime {
  /** Unix ms; the same on replay. */
  now(): number;
  /** Resolves to the input that reports the operation's end. */
  perform(effect: OpEffect, state: MachineState): Pending<Input>;
  runTool(effect: RunToolEffect, state: MachineState): Pending<CallOutcome>;
  runTask(effect: TaskEffect, state: MachineState): Pending<void>;
  timer(at: number): Pending<void>;
  /** Translates an error of work into a plain value; null = the error is a bug. */
  failureOf(error: unknown, state: MachineState): ActivityFailureInfo | null;
  show(effect: ShowEffect, state: MachineState): void;
  /** Called after every step, to refresh the current details. */
  changed(state: MachineState): void;
  shouldContinueAsNew(state: MachineState): boolean;
}

export type DriverOutcome =
  | { kind: 'finished'; result: RunResult; cancelled: boolean }
  | { kind: 'continue' };

export interface Driver {
  state(): MachineState;
  dispatch(input: Input): void;
  /** Rejects with an error for which `failureOf` returns null. */
  done: Promise<DriverOutcome>;
}

const deferred = <T>() => {
  let resolve: (value: T) => void = ignore;
  let reject: (error: unknown) => void = ignore;
  const promise = new Promise<T>((good, bad) => {
    resolve = good;
    reject = bad;
  });
  return { promise, resolve, reject };
};
const ignore = (): void => {};

/** `machine`: the step function; tests replace it to observe or break it. */
export const createDriver = (initial: MachineState, world: Runtime, machine: typeof step = step): Driver => {
  let state = initial;
  let begun = false;
  let over = false;
  const { promise: done, resolve: end, reject: fail } = deferred<DriverOutcome>();
  const ops = new Map<OperationKind, Pending<Input>>();
  const tools = new Map<string, Pending<CallOutcome>>();
  const tasks = new Set<string>();
  let timer: Pending<void> | null = null;

  /** An error thrown while an input is processed is a bug, and ends the driver. */
  const catchBugs = (act: () => void): void => {
    try {
      act();
    } catch (error) {
      over = true;
      fail(error);
    }
  };

  /**
   * Calls `then` with the result unless newer work has replaced this one. An unknown error is a bug. It uses one `then`
   * and no await: the SDK captures a stack for every promise of a workflow, and that is most of a step's cost.
   */
  const onSettled = <T>(
    work: Promise<T>,
    current: () => boolean,
    then: (value: T) => void,
    otherwise: (failure: ActivityFailureInfo) => void,
  ): void => {
    void work.then(
      (value) => catchBugs(() => (current() ? then(value) : undefined)),
      (error: unknown) =>
        catchBugs(() => {
          const failure = world.failureOf(error, state);
          if (failure === null) throw error;
          if (current()) otherwise(failure);
        }),
    );
  };

  const perform = (effect: OpEffect): void => {
    const via: OperationKind = effect.type;
    const pending = world.perform(effect, state);
    ops.set(via, pending);
    const current = (): boolean => ops.get(via) === pending;
    onSettled(
      pending.promise,
      current,
      (input) => {
        ops.delete(via);
        dispatch(input);
      },
      (failure) => {
        ops.delete(via);
        dispatch({ type: 'activityFailed', via, failure, at: world.now() });
      },
    );
  };

  const runTool = (effect: RunToolEffect): void => {
    const { callId } = effect;
    const pending = world.runTool(effect, state);
    tools.set(callId, pending);
    const current = (): boolean => tools.get(callId) === pending;
    onSettled(
      pending.promise,
      current,
      (outcome) => {
        tools.delete(callId);
        dispatch({ type: 'callDone', callId, outcome, at: world.now() });
      },
      (failure) => {
        tools.delete(callId);
        dispatch({ type: 'callFailed', callId, failure, at: world.now() });
      },
    );
  };

  const runTask = (effect: TaskEffect): void => {
    const { key } = effect;
    tasks.add(key);
    const finished = (failed?: true): void => {
      tasks.delete(key);
      dispatch({ type: 'taskDone', key, ...(failed === undefined ? {} : { failed }), at: world.now() });
    };
    onSettled(
      world.runTask(effect, state).promise,
      () => true,
      () => finished(),
      () => finished(true),
    );
  };

  const armTimer = (at: number): void => {
    const pending = world.timer(at);
    timer = pending;
    const current = (): boolean => timer === pending;
    onSettled(
      pending.promise,
      current,
      () => {
        timer = null;
        dispatch({ type: 'deadline', at: world.now() });
      },
      // The timer was cancelled with the whole execution.
      ignore,
    );
  };

  const runEffect = (effect: Effect): void => {
    switch (effect.type) {
      case 'cancelOp': {
        const pending = ops.get(effect.via);
        // A cancelled create is kept, because the machine waits for its outcome.
        if (effect.via !== 'create' || state.op?.kind !== 'create') ops.delete(effect.via);
        return pending?.cancel();
      }
      case 'cancelTools':
        for (const callId of effect.callIds) {
          const pending = tools.get(callId);
          tools.delete(callId);
          pending?.cancel();
        }
        return;
      case 'disarmTimer': {
        const pending = timer;
        timer = null;
        return pending?.cancel();
      }
      case 'armTimer':
        return armTimer(effect.at);
      case 'runTool':
        return runTool(effect);
      case 'notifyWaiting':
      case 'recordAnswers':
      case 'recordDecision':
        return runTask(effect);
      case 'enterWait':
      case 'leaveWait':
        return world.show(effect, state);
      case 'finish':
        over = true;
        return end({ kind: 'finished', result: effect.result, cancelled: effect.cancelled });
      case 'createThread':
      case 'create':
      case 'submit':
      case 'follow':
      case 'close':
      case 'startFollowUp':
      case 'notifyEnd':
        return perform(effect);
      default:
        return assertNever(effect);
    }
  };

  const idle = (): boolean => ops.size + tools.size + tasks.size === 0;

  function dispatch(input: Input): void {
    const first = !begun;
    begun = true;
    const next = machine(state, input);
    state = next.state;
    world.changed(state);
    // After continue-as-new or the end was decided, inputs still change the state, but no effect starts.
    if (over) return;
    if (!first && !state.ended && idle() && world.shouldContinueAsNew(state)) {
      over = true;
      return end({ kind: 'continue' });
    }
    for (const effect of next.effects) runEffect(effect);
  }

  return { state: () => state, dispatch, done };
};
