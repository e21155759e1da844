/** The status of a live run, as Temporal lets it be known. */
import { describe, expect, test } from 'vitest';
import { liveStatus, workOf } from '../../../client/run-status.ts';

const work = (historyLength: number, ...pending: [string, boolean][]) => ({
  historyLength,
  pending: pending.map(([type, taken]) => ({ type, taken })),
});

describe('a run that never waited', () => {
  test.each([
    ['no worker has begun', work(2), 'queued'],
    ['its first task is under way', work(3), 'queued'],
    ['its thread is being made', work(5, ['createThread', false]), 'queued'],
    ['its turn is not taken', work(5, ['createRun', false]), 'queued'],
    ['its turn is taken', work(5, ['createRun', true]), 'in_progress'],
    ['its tools run', work(11, ['tool.a', true]), 'in_progress'],
    ['its tools wait for a worker', work(11, ['tool.a', false]), 'in_progress'],
    ['its second turn is not taken', work(17, ['submitToolOutputs', false]), 'in_progress'],
    ['it is between two activities', work(10), 'in_progress'],
  ])('when %s', (_when, looked, status) => {
    expect(liveStatus(null, looked)).toBe(status);
  });
});

describe('a run that says', () => {
  test.each([
    ['queued', work(20, ['submitToolOutputs', false]), 'queued'],
    ['queued', work(20, ['submitToolOutputs', true]), 'in_progress'],
    ['queued', work(20, ['tool.a', true]), 'queued'],
    ['queued', work(20), 'queued'],
    ['requires_action', work(20, ['followRun', true]), 'requires_action'],
    ['in_progress', work(20, ['submitToolOutputs', false]), 'in_progress'],
    ['cancelling', work(20, ['closeRun', true]), 'cancelling'],
  ])('%s with %j is %s', (known, looked, status) => {
    expect(liveStatus(known, looked)).toBe(status);
  });
});

test('a turn is taken as soon as a worker had it, retries included', () => {
  const raw = {
    pendingActivities: [
      { activityType: { name: 'createRun' }, lastWorkerIdentity: '1@host' },
      { activityType: { name: 'tool.a' }, lastWorkerIdentity: '' },
      {},
    ],
  };
  expect(workOf({ raw, historyLength: 5 })).toEqual(
    work(5, ['createRun', true], ['tool.a', false], ['', false]),
  );
  expect(workOf({ raw: {}, historyLength: 2 })).toEqual(work(2));
});
