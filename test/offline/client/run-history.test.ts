/** A run's rounds as its history tells them, on histories that a real server wrote. */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import { loadDataConverter } from '@temporalio/common/lib/internal-non-workflow/index.js';
import { describe, expect, test } from 'vitest';
import { activitiesOf, roundsOf, type HistoryActivity } from '../../../client/run-history.ts';
import type { HistoryRound } from '../../../client/index.ts';
import { ROOT } from '../../support/sources.ts';

const HISTORIES = join(ROOT, 'test', 'histories');
const files = (await readdir(HISTORIES)).filter((file) => file.endsWith('.json'));

/** The executions of a kind of run, in order, as the client reads them. */
const rounds = async (...names: string[]): Promise<HistoryRound[]> => {
  const activities: HistoryActivity[] = [];
  for (const name of names) {
    const file = files.find((one) => new RegExp(`^${name}-\\d{4}`).test(one));
    if (file === undefined) throw new Error(`no history ${name}`);
    const history = historyFromJSON(JSON.parse(await readFile(join(HISTORIES, file), 'utf8')));
    activities.push(...(await activitiesOf(loadDataConverter(undefined), history)));
  }
  return roundsOf(activities);
};

/** `round: name ok attempts output`, for each call. */
const short = (all: readonly HistoryRound[]): string[] =>
  all.flatMap(({ round, calls }) =>
    calls.map(({ name, ok, attempts, output }) => `${round}: ${name} ${ok} ${attempts} ${output}`),
  );

describe('the history', () => {
  test('of several rounds has them all, with arguments, outputs and times', async () => {
    const all = await rounds('rounds');
    expect(short(all)).toEqual([1, 2, 3].map((round) => `${round}: look_up true 1 done call_${round}`));
    expect(all[0]).toMatchObject({
      round: 1,
      turn: { attempts: 1, lastFailure: null },
      calls: [
        { callId: 'call_1', arguments: '{"q":1}', kind: 'automatic', ms: expect.any(Number) as unknown },
      ],
    });
  });

  test('of retries tells how many attempts there were and what the one before the last failed of', async () => {
    const [round] = await rounds('retries');
    const [call] = round?.calls ?? [];
    expect(call?.attempts).toBeGreaterThan(1);
    expect(call?.lastFailure).toMatch(/\S/);
  });

  test('of a run that was continued as new goes on counting rounds', async () => {
    const names = [
      'continue-as-new-between-rounds',
      'continue-as-new-between-rounds-2',
      'continue-as-new-between-rounds-3',
    ];
    const all = await rounds(...names);
    expect(all.map(({ round }) => round)).toEqual(all.map((_one, index) => index + 1));
    expect(all.length).toBeGreaterThan(1);
    expect(all.flatMap(({ calls }) => calls).every(({ output }) => output !== null)).toBe(true);
  });

  test('of an answered call has the answer, and no attempt of the worker', async () => {
    const all = await rounds('answer-by-update');
    expect(all.at(0)?.calls.at(0)).toMatchObject({
      kind: 'external',
      attempts: 0,
      ok: true,
      output: expect.any(String) as unknown,
    });
  });

  test('of an edited approval has the arguments that ran', async () => {
    const [round] = await rounds('approve-edited');
    const call = round?.calls.find(({ kind }) => kind === 'approval');
    expect(call?.attempts).toBe(1);
    expect(call?.arguments).not.toBe('{"q":1}');
  });

  test('of a cancelled wait has the call without an output', async () => {
    const all = await rounds('cancel-while-waiting');
    expect(all.at(-1)?.calls.at(0)).toMatchObject({ output: null, ok: null });
  });

  test.each(files)('%s can be read', async (file) => {
    const history = historyFromJSON(JSON.parse(await readFile(join(HISTORIES, file), 'utf8')));
    const all = roundsOf(await activitiesOf(loadDataConverter(undefined), history));
    expect(all.every(({ calls }) => calls.length > 0)).toBe(true);
  });
});

const activity = (type: string, more: Partial<HistoryActivity> = {}): HistoryActivity => ({
  type,
  input: {},
  attempts: 1,
  lastFailure: null,
  scheduledAt: 0,
  endedAt: null,
  ...more,
});

test('a run that is looked at again while it waits has the round once', () => {
  const result = {
    status: 'requires_action',
    calls: [{ callId: 'c', name: 'a', arguments: '{}' }],
    plans: { a: { kind: 'external', wait: { onDeadline: 'fail', answerWithinMs: null } } },
  };
  const all = roundsOf([activity('createRun', { result }), activity('followRun', { result })]);
  expect(all.map(({ round }) => round)).toEqual([1]);
});
