/** Every order of events of small runs, with at most one fault: not sampled, but all of them. */
import { describe, expect, test } from 'vitest';
import type { OnDeadline } from '../../../protocol/tool-calls.ts';
import { FAULTS, search } from '../../simulation/exhaustive.ts';
import type { Setting } from '../../simulation/exhaustive.ts';
import { MUTANTS } from '../../simulation/mutants.ts';

const DEADLINES: readonly OnDeadline[] = ['fail', 'placeholder', 'follow-up'];
const SETTINGS: Setting[] = (['assistants', 'chat'] as const).flatMap((backend) =>
  DEADLINES.flatMap((onDeadline) =>
    [['external'], ['approval'], ['automatic', 'external']].map(
      (plans) => ({ backend, onDeadline, plans, rounds: 1, ending: 'completed' }) as Setting,
    ),
  ),
);

describe('every order of events of a run with', () => {
  /** Server's status × what the machine does × fault, of all settings. */
  const met = new Set<string>();
  test.each(
    SETTINGS.map(
      (setting) =>
        [`${setting.plans.join(' and ')}, ${setting.onDeadline}, ${setting.backend}`, setting] as const,
    ),
  )(
    '%s keeps the promises',
    (_name, setting) => {
      const found = search(setting);
      for (const meeting of found.met) met.add(meeting);
      expect(found.violations).toEqual([]);
      expect(found.states).toBeGreaterThan(1_000);
      // It went everywhere: each ending that this run can have was found.
      expect([...found.ends.keys()].toSorted()).toEqual(['cancelled', 'completed', 'expired', 'failed']);
    },
    120_000,
  );

  test.each([
    ['automatic', { backend: 'chat', plans: ['automatic'], onDeadline: 'fail', rounds: 2, ending: 'failed' }],
    [
      'refused',
      { backend: 'assistants', plans: ['refused'], onDeadline: 'fail', rounds: 1, ending: 'completed' },
    ],
  ] as const)('only %s calls keeps the promises', (_name, setting) => {
    const found = search(setting);
    for (const meeting of found.met) met.add(meeting);
    expect(found.violations).toEqual([]);
  });

  test('all settings together meets every fault, and each status of the server in most phases of the machine', () => {
    const parts = [...met].map((meeting) => meeting.split(' | '));
    expect(FAULTS.filter((fault) => !parts.some((part) => part[2] === fault))).toEqual([]);
    const pairs = new Set(parts.map(([status, phase]) => `${status} | ${phase}`));
    expect(pairs.size).toBeGreaterThanOrEqual(90);
    expect(met.size).toBeGreaterThanOrEqual(240);
  });

  test.each([
    ['an acknowledged answer is dropped', ['automatic', 'external']],
    ['answers that were not used are not reported', ['automatic', 'external']],
    ['every end is told as a completion', ['automatic', 'external']],
  ] as const)('a broken machine is noticed: %s', (name, plans) => {
    const machine = MUTANTS.find((mutant) => mutant.name === name)?.make().machine;
    const found = search(
      { backend: 'chat', plans, onDeadline: 'fail', rounds: 1, ending: 'completed' },
      machine,
    );
    expect(found.violations).not.toEqual([]);
  });
});
