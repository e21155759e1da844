/**
 * Half of the 100,000 fixed schedules at the fast level: the real machine and driver on a simulated Temporal, with models
 * of both backends, faults at every boundary, and people who answer late, early, twice and differently.
 * In two files, so that both cores work.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { failureText, faultsMissing, runCampaign } from '../../simulation/campaign.ts';
import type { CampaignReport } from '../../simulation/campaign.ts';
import { runFast } from '../../simulation/fast/schedule.ts';
import { judgeCoverage } from '../../simulation/reachable.ts';

const FROM = 50_001;
const COUNT = 50_000;

describe('schedules 50_001 to 100_000', () => {
  let report: CampaignReport;
  beforeAll(async () => {
    report = await runCampaign(runFast, FROM, COUNT, { stopAfter: 10 });
  }, 900_000);

  test('no schedule violates an invariant', () => {
    expect(failureText(report, 'fast')).toBe('');
    expect(report.schedules).toBe(COUNT);
  });

  test("every reachable transition of the machine's table is taken", () => {
    const { missing, surprising, unknown } = judgeCoverage(report.coverage);
    expect({ missing, surprising, unknown }).toEqual({ missing: [], surprising: [], unknown: [] });
  });

  test('every kind of fault is injected, at every place', () => {
    expect(faultsMissing(report)).toEqual([]);
  });
});
