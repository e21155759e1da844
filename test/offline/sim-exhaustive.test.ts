/** Every order of events of small runs, with at most one fault: not sampled, but all of them. */
import { describe, expect, test } from 'vitest';
import type { OnDeadline } from '../../protocol/calls.ts';
import { search } from '../sim/exhaustive.ts';
import type { Setting } from '../sim/exhaustive.ts';
import { MUTANTS } from '../sim/mutants.ts';

const DEADLINES: readonly OnDeadline[] = ['fail', 'placeholder', 'follow-up'];
const SETTINGS: Setting[] = (['assistants', 'chat'] as const).flatMap((backend) =>
  DEADLINES.flatMap((onDeadline) =>
    [['external'], ['approval'], ['automatic', 'external']].map(
      (plans) => ({ backend, onDeadline, plans, rounds: 1, ending: 'completed' }) as Setting,
    ),
  ),
);

describe('every order of events of a run with', () => {
  test.each(
    SETTINGS.map(
      (setting) =>
        [`${setting.plans.join(' and ')}, ${setting.onDeadline}, ${setting.backend}`, setting] as const,
    ),
  )(
    '%s keeps the promises',
    (_name, setting) => {
      const found = search(setting);
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
    expect(search(setting).violations).toEqual([]);
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
