/**
 * Carries out the machine's effects and feeds what comes of them back as inputs.
 *
 * Rule: it decides nothing about the run. It keeps track of what is in flight, and may end this execution to go on in a
 * new one (continue-as-new) when nothing is: then the effects of the last step are not carried out here, since resuming
 * from the state starts them there. It never rejects a promise that nobody holds.
 * Knows no SDK: the world is injected. The glue and tests import it.
 */
import type { CallOutcome } from '../../protocol/tool-calls.ts';
import type { RunResult } from '../../protocol/temporal/messages.ts';
import type { Effect, OpEffect, RunToolEffect, ShowEffect, TaskEffect } from './effects.ts';
import { assertNever } from './effects.ts';
import { step } from './machine.ts';
import type { ActivityFailureInfo, Input, MachineState, OperationKind } from './state.ts';

/** Work that can be told to stop. Its promise then settles when the work pleases. */
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
  /** Distils an error that work may end with, in the state that it meets; null = not one of those: a bug. */
  failureOf(error: unknown, state: MachineState): ActivityFailureInfo | null;
  show(effect: ShowEffect, state: MachineState): void;
  /** Called after every step, for what people read. */
  changed(state: MachineState): void;
  shouldContinueAsNew(state: MachineState): boolean;
}

export type DriverOutcome =
  | { kind: 'finished'; result: RunResult; cancelled: boolean }
  | { kind: 'continue' };

export interface Driver {
  state(): MachineState;
  dispatch(input: Input): void;
  /** Rejects with what `failureOf` does not know. */
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

/** `machine`: the step function, for tests that watch it or break it. */
export const createDriver = (initial: MachineState, world: Runtime, machine: typeof step = step): Driver => {
  let state = initial;
  let begun = false;
  let over = false;
  const { promise: done, resolve: end, reject: fail } = deferred<DriverOutcome>();
  const ops = new Map<OperationKind, Pending<Input>>();
  const tools = new Map<string, Pending<CallOutcome>>();
  const tasks = new Set<string>();
  let timer: Pending<void> | null = null;

  /** What is thrown while an input is taken in is a bug, and ends the driving. */
  const catchBugs = (act: () => void): void => {
    try {
      act();
    } catch (error) {
      over = true;
      fail(error);
    }
  };

  /**
   * Runs `then` with the outcome unless the work was replaced meanwhile; what is no failure of work is a bug. One `then`
   * and no await: the SDK keeps a stack for every promise of a workflow, which is most of what a step costs.
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
      // Cancelled with the whole execution: nothing is left to remind of.
      ignore,
    );
  };

  const runEffect = (effect: Effect): void => {
    switch (effect.type) {
      case 'cancelOp': {
        const pending = ops.get(effect.via);
        // Told to stop, but a create's outcome still counts: the machine waits for it.
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
    // After the decision to go on elsewhere (or the end), the state still takes in what comes; nothing is started here.
    if (over) return;
    if (!first && !state.ended && idle() && world.shouldContinueAsNew(state)) {
      over = true;
      return end({ kind: 'continue' });
    }
    for (const effect of next.effects) runEffect(effect);
  }

  return { state: () => state, dispatch, done };
};
