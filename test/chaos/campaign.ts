/**
 * A campaign: many drills, a few at a time, and one table of verdicts.
 *
 * Rule: each drill has a seed of its own, made of the campaign's seed and its number; `kind` and that seed replay it alone.
 * A drill that could not be carried out counts as a violation: what was not seen was not proved.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { startTemporal } from '../../dev-server/temporal-server.ts';
import { SEARCH_ATTRIBUTES } from '../../protocol/temporal/names.ts';
import { installRuntime } from '../../worker/worker.ts';
import { startPostgres, type PostgresServer } from '../support/postgres-server.ts';
import { createRandom } from '../support/random.ts';
import type { Violation } from './audit.ts';
import type { DrillKind } from './kinds/kind.ts';
import type { Recovery } from './recovery.ts';
import { openDrill, ownDevServer, type World } from './world.ts';

export interface DrillVerdict {
  kind: string;
  seed: number;
  faults: string[];
  recoveries: Recovery[];
  violations: Violation[];
  ms: number;
  notes: string[];
  dir: string;
}

export interface CampaignOptions {
  seed: number;
  drills: number;
  kinds: readonly DrillKind[];
  /** Drills at a time. Most of a drill is waiting for timeouts. */
  lanes: number;
  /** No drill begins after this moment, unix ms. Default: all are carried out. */
  beginBefore?: number;
  /** Keep the directories of drills without violations. */
  keep?: boolean;
  onVerdict?(verdict: DrillVerdict, done: number): void;
}

const WORKFLOWS = fileURLToPath(new URL('../../workflows/index.ts', import.meta.url));
const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** Servers and files that all drills share. `on`: another Temporal server than a dev server of this world. */
export const openWorld = async (
  on?: Pick<World, 'temporalAddress' | 'ownTemporal'>,
): Promise<World & { close(): Promise<void> }> => {
  installRuntime(quiet);
  const dir = await mkdtemp(join(tmpdir(), 'durable-runs-drills-'));
  const bundle = join(dir, 'workflow-bundle.js');
  const { code } = await bundleWorkflowCode({
    workflowsPath: WORKFLOWS,
    logger: new DefaultLogger('ERROR'),
  });
  await writeFile(bundle, code);
  const dataDir = join(dir, 'data');
  await mkdir(dataDir);
  const temporal = on === undefined ? await startTemporal({ searchAttributes: SEARCH_ATTRIBUTES }) : null;
  let postgres: Promise<PostgresServer> | null = null;
  let last: Promise<unknown> = Promise.resolve();
  return {
    dir,
    dataDir,
    bundle,
    temporalAddress: on?.temporalAddress ?? temporal?.address ?? '',
    ownTemporal: on?.ownTemporal ?? ownDevServer,
    // Safe against kill -9 without fsync; drills of PostgreSQL itself have one of their own, with it.
    postgres: () => (postgres ??= startPostgres({ durable: false })),
    inTurn: <T>(work: () => Promise<T>): Promise<T> => {
      const mine = last.then(work, work);
      last = mine.catch(() => undefined);
      return mine;
    },
    async close() {
      await Promise.all([temporal?.stop(), postgres?.then((server) => server.remove())]);
    },
  };
};

/** The n-th drill of a campaign: its kind by turns, its seed by number. */
export const drillSeed = (campaign: number, at: number): number => campaign * 100_003 + at;

export const runDrill = async (
  world: World,
  kind: DrillKind,
  seed: number,
  keep = false,
): Promise<DrillVerdict> => {
  const drill = await openDrill(world, kind.name, createRandom(seed));
  const began = Date.now();
  const verdict: DrillVerdict = {
    kind: kind.name,
    seed,
    faults: [],
    recoveries: [],
    violations: [],
    ms: 0,
    notes: drill.notes,
    dir: drill.dir,
  };
  const broke = (error: unknown): void => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    verdict.violations.push({ invariant: 'drill', text });
  };
  try {
    Object.assign(verdict, await kind.run(drill));
  } catch (error) {
    broke(error);
  }
  await drill.end().catch(broke);
  verdict.ms = Date.now() - began;
  if (verdict.violations.length === 0 && !keep) await rm(drill.dir, { recursive: true, force: true });
  return verdict;
};

export const runCampaign = async (world: World, options: CampaignOptions): Promise<DrillVerdict[]> => {
  const verdicts: DrillVerdict[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < options.drills && Date.now() < (options.beginBefore ?? Infinity)) {
      const at = next++;
      const kind = options.kinds[at % options.kinds.length];
      if (kind === undefined) throw new RangeError('A campaign needs kinds of drills.');
      const verdict = await runDrill(world, kind, drillSeed(options.seed, at), options.keep);
      verdicts.push(verdict);
      options.onVerdict?.(verdict, verdicts.length);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, options.lanes) }, lane));
  return verdicts;
};
