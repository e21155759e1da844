/** The supervisor of commands that stay: which commands it has, and what it starts again after which pause. */
import { describe, expect, test } from 'vitest';
import { childEnvironment, isSupervised, pauseAfter, startsAgain } from '../../../cli/supervise.ts';

describe('is supervised', () => {
  test.each([
    ['dev', true],
    ['worker', true],
    ['worker --json', true],
    ['--json dev', true],
    ['serve --worker', true],
    ['serve', false],
    ['dev --no-restart', false],
    ['worker --help', false],
    ['list --waiting', false],
    ['start dev', false],
    ['', false],
  ])('"runs %s": %s', (line, expected) => {
    expect(isSupervised(line.split(' ').filter(Boolean), {})).toBe(expected);
  });

  test('a process that a supervisor started is not supervised again', () => {
    expect(isSupervised(['dev'], { DURABLE_RUNS_SUPERVISED: 'first' })).toBe(false);
  });
});

test('the child’s allocator keeps one arena, unless the environment says otherwise', () => {
  expect(childEnvironment({ PATH: '/bin' }, false)).toEqual({
    PATH: '/bin',
    MALLOC_ARENA_MAX: '1',
    MALLOC_TRIM_THRESHOLD_: '131072',
    DURABLE_RUNS_SUPERVISED: 'first',
  });
  expect(childEnvironment({ MALLOC_ARENA_MAX: '8' }, true)).toMatchObject({
    MALLOC_ARENA_MAX: '8',
    DURABLE_RUNS_SUPERVISED: 'again',
  });
});

test('pauses grow from a second to half a minute', () => {
  expect([1, 2, 3, 4, 5, 6, 100].map(pauseAfter)).toEqual([
    1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000,
  ]);
});

test.each([
  ['ended in order', { reported: true, stopping: false, wasReady: true, deaths: 1 }, false],
  ['died', { reported: false, stopping: false, wasReady: true, deaths: 50 }, true],
  ['died while it was to stop', { reported: false, stopping: true, wasReady: true, deaths: 1 }, false],
  ['died before it was ready', { reported: false, stopping: false, wasReady: false, deaths: 1 }, true],
  ['was never ready, five times', { reported: false, stopping: false, wasReady: false, deaths: 5 }, false],
])('a process that %s is started again: %o %s', (_name, seen, expected) => {
  expect(startsAgain(seen)).toBe(expected);
});
