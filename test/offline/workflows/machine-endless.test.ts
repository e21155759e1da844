/** A run whose server names no expiry: while somebody is awaited it is looked at now and then, and never given up for it. */
import { describe, expect, test } from 'vitest';
import { FAILURES } from '../../../protocol/temporal/names.ts';
import { currentDetails } from '../../../workflows/run/current-details.ts';
import { step } from '../../../workflows/run/machine.ts';
import type { Input, MachineState } from '../../../workflows/run/state.ts';
import {
  T0,
  after,
  asks,
  does,
  fails,
  says,
  settles,
  shortEffect,
  timedOut,
} from '../../support/run-inputs.ts';
import { automatic, external } from '../../support/run-stubs.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const start = { type: 'start', at: T0 } as const;
const waiting = after({}, start, settles('create', asks([external('e')], null)));

const deadline = (at: number): Input => ({ type: 'deadline', at });
const same = (at: number): Input => settles('follow', asks([external('e')], null), at);
const timerOf = (state: MachineState): number | undefined => state.timer?.at;
const effectsOf = (state: MachineState, input: Input): string[] =>
  step(state, input).effects.map(shortEffect);

/** Every look finds the run as it was. */
const looks = (from: MachineState, count: number): { state: MachineState; pauses: number[] } => {
  let state = from;
  let at = T0;
  const pauses: number[] = [];
  for (let look = 0; look < count; look += 1) {
    const due = timerOf(state) ?? Number.NaN;
    pauses.push(due - at);
    at = due;
    state = step(step(state, deadline(at)).state, same(at)).state;
  }
  return { state, pauses };
};

describe('while a person is awaited', () => {
  test('the run is looked at after a minute, and at growing pauses up to an hour', () => {
    expect(effectsOf(waiting, deadline(T0 + MINUTE))).toEqual(['follow']);
    const { pauses } = looks(waiting, 9);
    expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60].map((minutes) => minutes * MINUTE));
  });

  test('what it says is that nothing is due', () => {
    expect(currentDetails(waiting)).toContain('no deadline');
    expect(currentDetails(step(waiting, deadline(T0 + MINUTE)).state)).toContain(
      'The run has no known expiry',
    );
  });

  test.each(['cancelled', 'completed', 'failed', 'expired'] as const)(
    'a run that was %s elsewhere has ended here with the next look, and what was answered is reported',
    (status) => {
      const two = after(
        {},
        start,
        settles('create', asks([external('e'), external('f')], null)),
        says({ call_id: 'e', output: 'x' }),
        deadline(T0 + MINUTE),
      );
      const { state } = step(two, settles('follow', status, T0 + MINUTE));
      expect(state.ending?.result).toMatchObject({ status, unusedAnswers: [{ callId: 'e' }] });
    },
  );

  test('an answer that comes during a look is submitted when the look is over', () => {
    const looking = step(waiting, deadline(T0 + MINUTE)).state;
    const answered = step(looking, says({ call_id: 'e', output: 'x' }, T0 + MINUTE));
    expect(answered.effects.map(shortEffect)).toEqual(['work as in_progress']);
    expect(effectsOf(answered.state, same(T0 + MINUTE + 1))).toEqual(['submit 1 [e=x]']);
  });

  test('the pauses start again with every round, and end with the wait', () => {
    const later = looks(waiting, 5).state;
    const submitted = step(later, says({ call_id: 'e', output: 'x' }, T0 + HOUR));
    expect(submitted.effects.map(shortEffect)).toEqual(['no timer', 'submit 1 [e=x]', 'work as in_progress']);
    const next = step(submitted.state, settles('submit', asks([external('g')], null), T0 + HOUR)).state;
    expect(timerOf(next)).toBe(T0 + HOUR + MINUTE);
  });

  test('without a waiting call there is no timer', () => {
    expect(timerOf(after({}, start, settles('create', asks([automatic('a')], null))))).toBeUndefined();
  });
});

test('a reading of an earlier round starts nothing again and gives up nothing', () => {
  const second = after(
    {},
    start,
    settles('create', asks([automatic('a'), automatic('b')], null)),
    does('a'),
    does('b'),
    settles('submit', asks([external('e'), external('f')], null)),
    says({ call_id: 'e', output: 'x' }),
    deadline(T0 + MINUTE),
  );
  const old = settles('follow', asks([automatic('a'), automatic('b')], null), T0 + MINUTE);
  const { state, effects } = step(second, old);
  expect(effects.map(shortEffect)).toEqual(['timer 180s']);
  expect(state).toMatchObject({ round: 2, unused: [] });
  expect(effectsOf(state, says({ call_id: 'f', output: 'y' }, T0 + 2 * MINUTE))).toContain(
    'submit 2 [e=x f=y]',
  );
});

describe('a look that fails', () => {
  const looking = step(waiting, deadline(T0 + MINUTE)).state;
  const outage: Input = { type: 'activityFailed', via: 'follow', failure: timedOut, at: T0 + 2 * HOUR };

  test.each<[string, Input]>([
    ['an outage', outage],
    ['an error of the server', fails('follow', FAILURES.backendUnavailable, T0 + 2 * HOUR)],
    ['a key that is refused', fails('follow', FAILURES.backendUnauthorized, T0 + 2 * HOUR)],
  ])('by %s leaves the run waiting', (_what, failure) => {
    const { state, effects } = step(looking, failure);
    expect(effects.map(shortEffect)).toEqual(['timer 7320s']);
    expect(state.calls).toMatchObject([{ status: 'waiting' }]);
    expect(effectsOf(state, says({ call_id: 'e', output: 'x' }, T0 + 3 * HOUR))).toContain('submit 1 [e=x]');
  });

  test('after the answer came lets the submit find out', () => {
    const answered = step(looking, says({ call_id: 'e', output: 'x' }, T0 + MINUTE)).state;
    expect(effectsOf(answered, outage)).toEqual(['submit 1 [e=x]']);
  });

  test('because the run is gone ends it as failed', () => {
    expect(effectsOf(looking, fails('follow', FAILURES.backendNotFound, T0 + HOUR))).toContain(
      'close run fail(backend_not_found)',
    );
  });
});

test('tools that run beside the wait go on while the run is looked at', () => {
  const both = after(
    {},
    start,
    settles('create', asks([external('e'), automatic('a')], null)),
    deadline(T0 + MINUTE),
  );
  expect(effectsOf(both, does('a', 'done', T0 + MINUTE))).toEqual([]);
  const found = settles('follow', asks([external('e'), automatic('a')], null), T0 + MINUTE);
  expect(effectsOf(both, found)).toEqual(['timer 180s']);
});
