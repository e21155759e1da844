/** The overview of its rows. */
import { expect, test } from 'vitest';
import type { OverviewRows } from '../../../protocol/ports/run-records.ts';
import { bucketFor, failuresOf, latencyOf, overviewOf } from '../../../service/overview.ts';

const HOUR = 3_600_000;
const rows = (more: Partial<OverviewRows> = {}): OverviewRows => ({
  created: [],
  ended: [],
  countedFrom: null,
  live: [],
  waiting: [],
  failures: [],
  turns: [],
  ...more,
});
const time = { from: 10 * HOUR + 1, to: 13 * HOUR, bucketMs: HOUR };

const failedRun = (id: string, code: string | null, endedAt: number) => ({
  id,
  status: 'failed' as const,
  code,
  message: `of ${id}`,
  endedAt,
});
const turn = (ms: number) => ({ model: 'm', startedAt: 1000, firstOutputAt: 1000 + ms });
const waits = (runId: string, askedAt: number | null) => ({
  runId,
  threadId: 't',
  tenant: 'acme',
  assistantId: 'a',
  createdAt: 9000,
  askedAt,
  calls: [
    { tool: 'b', answerBy: null },
    { tool: 'b', answerBy: 20 },
  ],
});
test.each([1, 6, 24, 48, 168, 720])('%i hours have at most 61 buckets', (hours) => {
  expect((hours * HOUR) / bucketFor(hours)).toBeLessThanOrEqual(60);
});

test('buckets without runs are zeros, and what is not counted has none', () => {
  const counted = rows({
    created: [{ at: 11 * HOUR, runs: 2 }],
    ended: [
      { at: 11 * HOUR, status: 'failed', runs: 1 },
      { at: 11 * HOUR, status: 'completed', runs: 5 },
    ],
  });
  const all = overviewOf(counted, time, null, []);
  expect(
    all.runs.map(({ at, created, ended }) => [at / 3600, created, ended.failed, ended.completed]),
  ).toEqual([
    [10, 0, 0, 0],
    [11, 2, 1, 5],
    [12, 0, 0, 0],
    [13, 0, 0, 0],
  ]);
  const cut = overviewOf({ ...counted, countedFrom: 12 * HOUR + 5 }, time, null, []);
  expect([cut.complete, cut.runs.map(({ at }) => at / 3600)]).toEqual([false, [12, 13]]);
});

test('failures are grouped by cause, with the newest message', () => {
  expect(
    failuresOf([failedRun('a', 'x', 3000), failedRun('b', 'x', 2000), failedRun('c', null, 1000)]),
  ).toEqual([
    { status: 'failed', code: 'x', message: 'of a', runs: 2, latest_run_id: 'a', latest_at: 3 },
    { status: 'failed', code: null, message: 'of c', runs: 1, latest_run_id: 'c', latest_at: 1 },
  ]);
});

test('latency is by nearest rank of each model', () => {
  expect(latencyOf([5, 1, 2, 3, 4, 6, 7, 8, 9, 10].map(turn))).toEqual([
    { model: 'm', turns: 10, first_output_ms: { p50: 5, p90: 9, max: 10 } },
  ]);
  expect(latencyOf([{ ...turn(1), model: null }])).toEqual([]);
});

test('what waits the longest comes first, with the first of its deadlines', () => {
  const { waiting } = overviewOf(rows({ waiting: [waits('new', null), waits('old', 1000)] }), time, null, []);
  expect(waiting.map(({ run_id, since, tools, answer_by }) => [run_id, since, tools, answer_by])).toEqual([
    ['old', 1, ['b'], 20],
    ['new', 9, ['b'], 20],
  ]);
});
