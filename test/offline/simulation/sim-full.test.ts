/**
 * The full level: the real `assistants` backend, activities and HTTP client on the real sandbox, machine and driver on the
 * simulated Temporal, everything on virtual time. Fixed seeds; what must be felt is demanded, and known breaks are noticed.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { failureText, neverFelt, runCampaign } from '../../simulation/campaign.ts';
import type { CampaignReport } from '../../simulation/campaign.ts';
import { HEARTBEAT_THROTTLE_MS } from '../../simulation/full/attempt.ts';
import { BREAKS } from '../../simulation/full/broken.ts';
import { runFull } from '../../simulation/full/schedule.ts';
import { HEARTBEAT_THROTTLE_MS as OF_THE_WORKER } from '../../../worker/worker.ts';

const FROM = 1;
const COUNT = 1_500;

describe(`${COUNT} schedules at the full level`, () => {
  let report: CampaignReport;
  beforeAll(async () => {
    report = await runCampaign(runFull, FROM, COUNT, { stopAfter: 10 });
  }, 900_000);

  test('no schedule violates an invariant', () => {
    expect(failureText(report, 'full')).toBe('');
    expect(report.schedules).toBe(COUNT);
  });

  test('every kind of fault has an effect, and workers are hit at every point in every way', () => {
    expect(neverFelt(report)).toEqual([]);
  });

  test('runs end in every way', () => {
    expect([...report.endings.keys()].toSorted()).toEqual([
      'cancelled',
      'completed',
      'expired',
      'failed',
      'incomplete',
    ]);
  });
});

describe('a schedule at the full level', () => {
  test('is the same whenever its seed is run, event by event', async () => {
    for (const seed of [59, 143, 1_147]) {
      const first = await runFull(seed, { trace: true });
      const second = await runFull(seed, { trace: true });
      expect(first.trace.length).toBeGreaterThan(5);
      expect(second.trace).toEqual(first.trace);
    }
  });

  test('leaves the timers of the process as they were', async () => {
    const { setTimeout, clearTimeout, setInterval, clearInterval } = globalThis;
    await runFull(1);
    expect({ setTimeout, clearTimeout, setInterval, clearInterval }).toEqual({
      setTimeout: globalThis.setTimeout,
      clearTimeout: globalThis.clearTimeout,
      setInterval: globalThis.setInterval,
      clearInterval: globalThis.clearInterval,
    });
    expect(Object.hasOwn(performance, 'now')).toBe(false);
  });

  test('has the heartbeat throttle of the real worker', () => {
    expect(HEARTBEAT_THROTTLE_MS).toBe(OF_THE_WORKER);
  });
});

describe('the auditor of the full level notices that', () => {
  test.each(BREAKS.map((known) => [known.name, known] as const))(
    '%s',
    async (_name, known) => {
      const report = await runCampaign(
        (seed, options) => runFull(seed, { ...options, mutant: known.make() }),
        1,
        400,
        { stopAfter: 3 },
      );
      const noticed = report.failures.flatMap(({ violations }) =>
        violations.map(({ invariant }) => invariant),
      );
      expect(known.caughtBy.filter((invariant) => noticed.includes(invariant))).not.toEqual([]);
    },
    120_000,
  );
});
