/** What a poller is told: when a run is worth reading again. */
import { expect, test } from 'vitest';
import { isPolled, pollAfterMs } from '../../../protocol/rules/polling.ts';
import { ACTIVE_STATUSES, TERMINAL_STATUSES, type Run } from '../../../protocol/wire/objects.ts';

const CREATED = 1_800_000_000;
/** The fields that the rule reads. */
const run = (fields: Partial<Record<keyof Run, unknown>>): Run =>
  ({
    created_at: CREATED,
    started_at: null,
    cancelled_at: null,
    failed_at: null,
    completed_at: null,
    ...fields,
  }) as unknown as Run;

/** From the end of the second in which the run was created. */
const after = (ms: number): number => CREATED * 1000 + 999 + ms;

test.each([
  ['a new run, at once', run({ status: 'queued' }), after(0), 20],
  ['a new run, in the second of its creation', run({ status: 'queued' }), after(-999), 20],
  ['a queued run, by its age', run({ status: 'queued' }), after(3_000), 300],
  ['a queued run, at most', run({ status: 'queued' }), after(600_000), 2_000],
  [
    'a run at work, by the time since it was picked up',
    run({ status: 'in_progress', started_at: CREATED + 60 }),
    after(61_000),
    100,
  ],
  [
    'a run whose outputs were submitted, though it is old',
    run({ status: 'queued', started_at: CREATED + 1 }),
    after(60_000),
    250,
  ],
  [
    'a run that is asked to cancel, though it is old',
    run({ status: 'cancelling', started_at: CREATED + 1 }),
    after(60_000),
    250,
  ],
  [
    'a run that waits for its caller, by the time since it last began to work',
    run({ status: 'requires_action', started_at: CREATED + 10 }),
    after(15_000),
    500,
  ],
  ['a completed run', run({ status: 'completed', completed_at: CREATED + 5 }), after(5_000), 20],
  ['a clock that stands behind', run({ status: 'queued' }), after(-10_000), 20],
])('%s: the interval is a tenth of the time, within bounds', (_, of, now, expected) => {
  expect(pollAfterMs(of, now)).toBe(expected);
});

test('helpers poll on while a run neither asks for anything nor has ended', () => {
  expect([...ACTIVE_STATUSES, ...TERMINAL_STATUSES].filter(isPolled)).toEqual([
    'queued',
    'in_progress',
    'cancelling',
  ]);
});
