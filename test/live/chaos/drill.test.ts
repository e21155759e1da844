/**
 * A short campaign from a fixed seed, with real processes: rows 1 to 9, 11 to 16, 33, 37 and 45 to 47 of docs/contributing/faults.md, about
 * fifty kills.
 *
 * Proves: whatever died, each run ended as its server or our store has it, each round was accepted once and whole, each keyed
 * effect happened once, at-most-once tools began once, every acknowledged answer was used or reported, events are gapless,
 * histories replay and have no event that nothing explains, and no key stands in a log, a history or the store. Does not
 * prove: moments that no seed here chose.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { drillSeed, openWorld, runCampaign, runDrill, type DrillVerdict } from '../../chaos/campaign.ts';
import { KINDS } from '../../chaos/kinds/index.ts';
import { ASSISTANTS_POINTS, type FaultPoint } from '../../chaos/faults.ts';
import { nativePoint } from '../../chaos/kinds/native.ts';
import { pointDrill } from '../../chaos/kinds/point.ts';
import { violationText } from '../../chaos/report.ts';

const SEED = 7;
/** Most of a drill is waiting for timeouts. */
const LANES = 5;

/** Before and after each kind of transaction that changes a run, once; the campaign command has all points. */
const NATIVE_POINTS: readonly FaultPoint[] = [
  'store.claim.after',
  'store.openMessage.after',
  'store.openCalls.before',
  'store.appendDeltas.after',
  'store.settleTurn.before',
  'store.settleTurn.after',
  'store.acceptOutputs.after',
  'store.closeRun.before',
];

let world: Awaited<ReturnType<typeof openWorld>>;
beforeAll(async () => {
  world = await openWorld();
}, 120_000);
afterAll(async () => {
  await world.close();
});

const violations = (verdicts: readonly DrillVerdict[]): string[] =>
  verdicts.filter((verdict) => verdict.violations.length > 0).map(violationText);

describe('drills', { timeout: 600_000 }, () => {
  test('the only worker dies once at each named point, and nothing is lost or done twice', async () => {
    const kinds = ASSISTANTS_POINTS.map((point: FaultPoint) => ({
      name: point,
      rows: [1, 2, 3, 4, 5, 6, 7],
      about: point,
      run: (drill: Parameters<typeof pointDrill>[0]) =>
        pointDrill(drill, [{ point, occurrence: 1, action: 'kill' }]),
    }));
    const verdicts = await runCampaign(world, { seed: SEED, drills: kinds.length, kinds, lanes: LANES });
    expect(violations(verdicts)).toEqual([]);
    expect(verdicts.filter(({ faults }) => faults.length === 0).map(({ kind }) => kind)).toEqual([]);
  });

  test('the only worker of the runs server dies at store transactions, and nothing is lost or done twice', async () => {
    const kinds = NATIVE_POINTS.map((point) => ({
      name: point,
      rows: [1, 3, 4, 5, 6, 7],
      about: point,
      run: (drill: Parameters<typeof nativePoint>[0]) =>
        nativePoint(drill, { point, occurrence: 1, action: 'kill' }),
    }));
    const verdicts = await runCampaign(world, { seed: SEED, drills: kinds.length, kinds, lanes: LANES });
    expect(violations(verdicts)).toEqual([]);
    expect(verdicts.filter(({ faults }) => faults.length === 0).map(({ kind }) => kind)).toEqual([]);
  });

  test('random kills, freezes, networks, clocks and servers: what must hold held', async () => {
    const kinds = KINDS.filter(({ name }) => name !== 'point' && name !== 'native');
    const verdicts = await runCampaign(world, {
      seed: SEED,
      drills: kinds.length,
      kinds,
      lanes: LANES,
    });
    expect(violations(verdicts)).toEqual([]);
  });

  test('a drill that cannot be carried out counts as a violation', async () => {
    const broken = {
      name: 'broken',
      rows: [],
      about: 'never begins',
      run: () => Promise.reject(new Error('no such place')),
    };
    const verdict = await runDrill(world, broken, drillSeed(SEED, 0));
    expect(verdict.violations).toEqual([
      { invariant: 'drill', text: expect.stringContaining('no such place') as unknown as string },
    ]);
  });
});
