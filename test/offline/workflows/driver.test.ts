import { describe, expect, test } from 'vitest';
import type { CallOutcome } from '../../../protocol/tool-calls.ts';
import { createDriver } from '../../../workflows/run/driver.ts';
import type { Driver, DriverOutcome, Pending, Runtime } from '../../../workflows/run/driver.ts';
import { initialState } from '../../../workflows/run/state.ts';
import type { ActivityFailureInfo, Input, MachineState } from '../../../workflows/run/state.ts';
import { deferred } from '../../support/deferred.ts';
import type { Deferred } from '../../support/deferred.ts';
import { EXPIRY, T0, asks, says, settles } from '../../support/run-inputs.ts';
import { automatic, external, runInput } from '../../support/run-stubs.ts';

/** What a fake activity fails with; anything else is a bug. */
class WorkFailed extends Error {
  readonly failure: ActivityFailureInfo;
  constructor(failure: ActivityFailureInfo) {
    super(failure.message);
    this.failure = failure;
  }
}

interface Fake<T> extends Deferred<T> {
  what: string;
  cancelled: boolean;
}

class FakeWorld implements Runtime {
  readonly ops: Fake<Input>[] = [];
  readonly tools: Fake<CallOutcome>[] = [];
  readonly tasks: Fake<void>[] = [];
  readonly timers: Fake<void>[] = [];
  readonly shown: string[] = [];
  suggested = false;
  asked = 0;

  now(): number {
    return T0;
  }
  perform(effect: { type: string }): Pending<Input> {
    return pend(this.ops, effect.type);
  }
  runTool(effect: { callId: string }): Pending<CallOutcome> {
    return pend(this.tools, effect.callId);
  }
  runTask(effect: { type: string }): Pending<void> {
    return pend(this.tasks, effect.type);
  }
  timer(at: number): Pending<void> {
    return pend(this.timers, String(at));
  }
  failureOf(error: unknown): ActivityFailureInfo | null {
    return error instanceof WorkFailed ? error.failure : null;
  }
  show(effect: { type: string }): void {
    this.shown.push(effect.type);
  }
  changed(): void {}
  shouldContinueAsNew(): boolean {
    this.asked += 1;
    return this.suggested;
  }
}

const pend = <T>(list: Fake<T>[], what: string): Pending<T> => {
  const fake: Fake<T> = { ...deferred<T>(), what, cancelled: false };
  list.push(fake);
  return {
    promise: fake.promise,
    cancel: () => {
      fake.cancelled = true;
    },
  };
};

const last = <T>(list: readonly T[]): T => {
  const item = list.at(-1);
  if (item === undefined) throw new Error('Nothing was started.');
  return item;
};

/** Lets what was settled reach the driver. */
const turn = async (): Promise<void> => {
  for (let hop = 0; hop < 10; hop += 1) await Promise.resolve();
};

const begin = (state: MachineState = initialState(runInput('run_1')), resume = false) => {
  const world = new FakeWorld();
  const driver: Driver = createDriver(state, world);
  let ending: DriverOutcome | null = null;
  let bug: unknown = null;
  const watch = async (): Promise<void> => {
    try {
      ending = await driver.done;
    } catch (error) {
      bug = error;
    }
  };
  void watch();
  driver.dispatch({ type: resume ? 'resume' : 'start', at: T0 });
  return { world, driver, ending: () => ending, bug: () => bug };
};

const created = async (
  run: ReturnType<typeof begin>,
  ...calls: Parameters<typeof asks>[0]
): Promise<void> => {
  last(run.world.ops).resolve(settles('create', asks(calls)));
  await turn();
};

describe('the driver', () => {
  test('waits for all calls, in any order, and submits once', async () => {
    const run = begin();
    await created(run, automatic('a'), automatic('b'), automatic('c'));
    expect(run.world.tools.map(({ what }) => what)).toEqual(['a', 'b', 'c']);
    run.world.tools[2]?.resolve({ output: 'C', ok: true });
    run.world.tools[0]?.reject(new WorkFailed({ kind: 'application', type: 'ToolFailed', message: 'broke' }));
    await turn();
    expect(run.world.ops.map(({ what }) => what)).toEqual(['create']);
    run.world.tools[1]?.resolve({ output: 'B', ok: true });
    await turn();
    expect(run.world.ops.map(({ what }) => what)).toEqual(['create', 'submit']);
    last(run.world.ops).resolve(settles('submit', 'completed'));
    await turn();
    expect(run.ending()).toMatchObject({
      kind: 'finished',
      cancelled: false,
      result: { status: 'completed' },
    });
  });

  test('cancels work, and ignores its later results', async () => {
    const run = begin();
    await created(run, automatic('a'), external('e'));
    run.driver.dispatch({ type: 'cancelRequested', at: T0 });
    expect(run.world.tools[0]?.cancelled).toBe(true);
    expect(run.world.timers[0]?.cancelled).toBe(true);
    const state = run.driver.state();
    run.world.tools[0]?.reject(new WorkFailed({ kind: 'cancelled', type: '', message: '' }));
    run.world.timers[0]?.reject(new WorkFailed({ kind: 'cancelled', type: '', message: '' }));
    await turn();
    expect(run.driver.state()).toBe(state);
    last(run.world.ops).resolve(settles('close', 'cancelled'));
    await turn();
    expect(run.ending()).toMatchObject({ kind: 'finished', cancelled: true });
  });

  test('ignores a tool of a round that another client answered, though the next round uses its id again', async () => {
    const run = begin();
    await created(run, automatic('a'), external('e'));
    run.driver.dispatch({ type: 'deadline', at: EXPIRY + 1000 });
    last(run.world.ops).resolve(
      settles('follow', asks([automatic('a'), automatic('b')], EXPIRY + 600_000), EXPIRY + 1000),
    );
    await turn();
    expect(run.world.tools.map(({ what, cancelled }) => [what, cancelled])).toEqual([
      ['a', true],
      ['a', false],
      ['b', false],
    ]);
    run.world.tools[0]?.resolve({ output: 'OLD', ok: true });
    await turn();
    expect(run.driver.state().calls.map(({ status }) => status)).toEqual(['running', 'running']);
    run.world.tools[1]?.resolve({ output: 'NEW', ok: true });
    await turn();
    expect(run.driver.state().calls[0]?.outcome?.output).toBe('NEW');
  });

  test('still handles the result of a cancelled create, and closes its run', async () => {
    const run = begin();
    run.driver.dispatch({ type: 'cancelRequested', at: T0 });
    expect(run.world.ops.map(({ what, cancelled }) => [what, cancelled])).toEqual([['create', true]]);
    await created(run, automatic('a'));
    expect(run.world.ops.map(({ what }) => what)).toEqual(['create', 'close']);
    expect(run.world.tools).toEqual([]);
  });

  test('fails on an error that is no activity failure, instead of ending the run', async () => {
    const run = begin();
    await created(run, automatic('a'));
    const error = new TypeError('a bug');
    run.world.tools[0]?.reject(error);
    await turn();
    expect(run.bug()).toBe(error);
    expect(run.ending()).toBeNull();
  });

  test('continues as new only when nothing is in flight, and starts nothing of the last step here', async () => {
    const run = begin();
    await created(run, automatic('a'), external('e'));
    run.world.suggested = true;
    run.driver.dispatch(says({ call_id: 'e', output: 'x' }));
    await turn();
    expect(run.ending()).toBeNull();
    run.world.tools[0]?.resolve({ output: 'A', ok: true });
    await turn();
    expect(run.ending()).toEqual({ kind: 'continue' });
    expect(run.world.ops.map(({ what }) => what)).toEqual(['create']);

    // What comes between the decision and the end of this execution is taken along.
    run.driver.dispatch(says({ call_id: 'z', output: 'x' }));
    const next = begin(JSON.parse(JSON.stringify(run.driver.state())) as MachineState, true);
    expect(next.driver.state().unusable.count).toBe(1);
    expect(next.world.ops.map(({ what }) => what)).toEqual(['submit']);
  });

  test('does not continue as new in the first step of an execution, so that each one gets somewhere', async () => {
    const run = begin();
    await created(run, external('e'));
    const again = begin(run.driver.state(), true);
    expect(again.world.asked).toBe(0);
    expect(again.world.timers.map(({ what }) => what)).toEqual([String(EXPIRY + 1000)]);
    expect(again.world.shown).toEqual(['enterWait']);
  });

  test('ignores a failed hook, but waits for it', async () => {
    const run = begin(initialState(runInput('run_1', { hooks: { onWaiting: true, onEnd: false } })));
    await created(run, external('e'));
    expect(run.world.tasks.map(({ what }) => what)).toEqual(['notifyWaiting']);
    run.world.suggested = true;
    run.driver.dispatch(says('nonsense'));
    await turn();
    expect(run.ending()).toBeNull();
    run.world.tasks[0]?.reject(new WorkFailed({ kind: 'application', type: '', message: 'no' }));
    await turn();
    expect(run.ending()).toEqual({ kind: 'continue' });
    expect(run.bug()).toBeNull();
  });

  test('takes answers that come before anything has settled as unusable, and goes on', async () => {
    const run = begin();
    run.driver.dispatch(says({ call_id: 'e', output: 'early' }));
    await created(run, external('e'));
    expect(run.driver.state().calls[0]?.status).toBe('waiting');
    expect(run.driver.state().unusable).toMatchObject({ count: 1, latest: [{ reason: 'unknown_call' }] });
  });
});
