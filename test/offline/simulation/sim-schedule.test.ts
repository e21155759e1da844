/** The simulator itself: it repeats itself, and its auditor notices what it must. */
import { describe, expect, test } from 'vitest';
import { runCampaign } from '../../simulation/campaign.ts';
import { runFast } from '../../simulation/fast/schedule.ts';
import { MUTANTS } from '../../simulation/mutants.ts';

describe('a schedule', () => {
  test('is the same whenever its seed is run, event by event', async () => {
    for (const seed of [3, 77, 4_711, 31_337]) {
      const first = await runFast(seed, { trace: true });
      const second = await runFast(seed, { trace: true });
      expect(first.trace.length).toBeGreaterThan(5);
      expect(second.trace).toEqual(first.trace);
      expect(second.scenario).toEqual(first.scenario);
    }
  });

  test('runs alike with and without a trace, and with others before it', async () => {
    const alone = await runFast(4_711, { trace: true });
    await runCampaign(runFast, 1, 20);
    const again = await runFast(4_711);
    expect(again.status).toBe(alone.status);
    expect(again.lasted).toBe(alone.lasted);
    expect(again.injected).toEqual(alone.injected);
  });
});

describe('the auditor notices that', () => {
  test.each(MUTANTS.map((mutant) => [mutant.name, mutant] as const))(
    '%s',
    async (_name, mutant) => {
      const report = await runCampaign(runFast, 1, 1_500, { mutant: () => mutant.make(), stopAfter: 3 });
      const noticed = new Set(
        report.failures.flatMap(({ violations }) => violations.map(({ invariant }) => invariant)),
      );
      expect(mutant.caughtBy.filter((invariant) => noticed.has(invariant))).not.toEqual([]);
    },
    120_000,
  );
});
