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
  timer(at: number, state: MachineState): Pending<void>;
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
  const driver = new RunDriver(initial, world, machine);
  return { state: () => driver.state, dispatch: (input) => driver.dispatch(input), done: driver.done };
};

class RunDriver {
  readonly #end = deferred<DriverOutcome>();
  readonly done = this.#end.promise;
  readonly #world: Runtime;
  readonly #machine: typeof step;
  readonly #ops = new Map<OperationKind, Pending<Input>>();
  readonly #tools = new Map<string, Pending<CallOutcome>>();
  readonly #tasks = new Set<string>();
  #timer: Pending<void> | null = null;
  #begun = false;
  #over = false;
  state: MachineState;

  constructor(initial: MachineState, world: Runtime, machine: typeof step) {
    this.state = initial;
    this.#world = world;
    this.#machine = machine;
  }

  dispatch(input: Input): void {
    const first = !this.#begun;
    this.#begun = true;
    const next = this.#machine(this.state, input);
    this.state = next.state;
    this.#world.changed(this.state);
    // After continue-as-new or the end was decided, inputs still change the state, but no effect starts.
    if (this.#over) return;
    if (!first && !this.state.ended && this.#idle() && this.#world.shouldContinueAsNew(this.state)) {
      this.#over = true;
      return this.#end.resolve({ kind: 'continue' });
    }
    for (const effect of next.effects) this.#runEffect(effect);
  }

  #idle(): boolean {
    return this.#ops.size + this.#tools.size + this.#tasks.size === 0;
  }

  #runEffect(effect: Effect): void {
    switch (effect.type) {
      case 'cancelOp':
        return this.#cancelOp(effect.via);
      case 'cancelTools':
        return this.#cancelTools(effect.callIds);
      case 'disarmTimer':
        return this.#disarmTimer();
      case 'armTimer':
        return this.#armTimer(effect.at);
      case 'runTool':
        return this.#runTool(effect);
      case 'notifyWaiting':
      case 'recordAnswers':
      case 'recordDecision':
        return this.#runTask(effect);
      case 'enterWait':
      case 'leaveWait':
        return this.#world.show(effect, this.state);
      case 'finish':
        this.#over = true;
        return this.#end.resolve({ kind: 'finished', result: effect.result, cancelled: effect.cancelled });
      case 'createThread':
      case 'create':
      case 'submit':
      case 'follow':
      case 'close':
      case 'startFollowUp':
      case 'notifyEnd':
        return this.#perform(effect);
      default:
        return assertNever(effect);
    }
  }

  #perform(effect: OpEffect): void {
    const via: OperationKind = effect.type;
    const pending = this.#world.perform(effect, this.state);
    this.#ops.set(via, pending);
    const settle = (input: Input): void => {
      this.#ops.delete(via);
      this.dispatch(input);
    };
    this.#onSettled(
      pending.promise,
      () => this.#ops.get(via) === pending,
      settle,
      (failure) => settle({ type: 'activityFailed', via, failure, at: this.#world.now() }),
    );
  }

  #cancelOp(via: OperationKind): void {
    const pending = this.#ops.get(via);
    // A cancelled create is kept, because the machine waits for its outcome.
    if (via !== 'create' || this.state.op?.kind !== 'create') this.#ops.delete(via);
    pending?.cancel();
  }

  #runTool(effect: RunToolEffect): void {
    const { callId } = effect;
    const pending = this.#world.runTool(effect, this.state);
    this.#tools.set(callId, pending);
    const settle = (input: Input): void => {
      this.#tools.delete(callId);
      this.dispatch(input);
    };
    this.#onSettled(
      pending.promise,
      () => this.#tools.get(callId) === pending,
      (outcome) => settle({ type: 'callDone', callId, outcome, at: this.#world.now() }),
      (failure) => settle({ type: 'callFailed', callId, failure, at: this.#world.now() }),
    );
  }

  #cancelTools(callIds: readonly string[]): void {
    for (const callId of callIds) {
      const pending = this.#tools.get(callId);
      this.#tools.delete(callId);
      pending?.cancel();
    }
  }

  #runTask(effect: TaskEffect): void {
    const { key } = effect;
    this.#tasks.add(key);
    const finished = (failed?: true): void => {
      this.#tasks.delete(key);
      this.dispatch({
        type: 'taskDone',
        key,
        ...(failed === undefined ? {} : { failed }),
        at: this.#world.now(),
      });
    };
    this.#onSettled(
      this.#world.runTask(effect, this.state).promise,
      () => true,
      () => finished(),
      () => finished(true),
    );
  }

  #armTimer(at: number): void {
    const pending = this.#world.timer(at, this.state);
    this.#timer = pending;
    this.#onSettled(
      pending.promise,
      () => this.#timer === pending,
      () => {
        this.#timer = null;
        this.dispatch({ type: 'deadline', at: this.#world.now() });
      },
      // The timer was cancelled with the whole execution.
      ignore,
    );
  }

  #disarmTimer(): void {
    const pending = this.#timer;
    this.#timer = null;
    pending?.cancel();
  }

  /**
   * Calls `then` with the result unless newer work has replaced this one. An unknown error is a bug.
   */
  #onSettled<T>(
    work: Promise<T>,
    current: () => boolean,
    then: (value: T) => void,
    otherwise: (failure: ActivityFailureInfo) => void,
  ): void {
    void work.then(
      (value) => this.#catchBugs(() => (current() ? then(value) : undefined)),
      (error: unknown) =>
        this.#catchBugs(() => {
          const failure = this.#world.failureOf(error, this.state);
          if (failure === null) throw error;
          if (current()) otherwise(failure);
        }),
    );
  }

  /** An error thrown while an input is processed is a bug, and ends the driver. */
  #catchBugs(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#over = true;
      this.#end.reject(error);
    }
  }
}
