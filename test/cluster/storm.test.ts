/**
 * Drills from a fixed seed against a real Temporal server on PostgreSQL: servers, workers, PostgreSQL and Temporal itself are killed -9,
 * and the auditor of the drills looks at what is left.
 */
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { openWorld, runCampaign } from '../chaos/campaign.ts';
import { KINDS } from '../chaos/kinds/index.ts';
import { violationText } from '../chaos/report.ts';
import type { Drill, OwnTemporal } from '../chaos/world.ts';
import { startTemporalCluster } from './harness/cluster.ts';

const SEED = 11;
const DRILLS = 12;
/** Most of a drill is waiting for timeouts. */
const LANES = 4;
/** Not here: what needs no Temporal server of its own kind (`embedded`), and waits of clocks, which the live drills have. */
const STORM = ['kill', 'boundary', 'race', 'native', 'zombie', 'postgres', 'api', 'temporal'];

const ownCluster = async (drill: Drill): Promise<OwnTemporal> => {
  const cluster = await startTemporalCluster();
  drill.defer(() => cluster.remove());
  return cluster;
};

let world: Awaited<ReturnType<typeof openWorld>>;
beforeAll(async () => {
  // Each process of a drill is ended with this one, however it ends.
  process.setMaxListeners(0);
  world = await openWorld({ temporalAddress: inject('temporalAddress'), ownTemporal: ownCluster });
});
afterAll(() => world.close());

test('whatever is killed, no run, answer or round is lost or done twice', { timeout: 900_000 }, async () => {
  const kinds = KINDS.filter(({ name }) => STORM.includes(name));
  const verdicts = await runCampaign(world, { seed: SEED, drills: DRILLS, kinds, lanes: LANES });
  expect(verdicts.filter(({ violations }) => violations.length > 0).map(violationText)).toEqual([]);
  expect(new Set(verdicts.map(({ kind }) => kind))).toEqual(new Set(STORM));
  expect(verdicts.flatMap(({ faults }) => faults).length).toBeGreaterThan(DRILLS);
});
