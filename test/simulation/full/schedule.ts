/**
 * One schedule at the full level, on virtual time: everything of production but Temporal itself and the sockets.
 *
 * Rule: one at a time in a process, since the process's own timers are virtual meanwhile. Only `test/simulation`, tests and
 * scripts import it.
 */
import type { Profile } from '../faults.ts';
import { drawProfile } from '../faults.ts';
import { createRandom } from '../../support/random.ts';
import type { Random } from '../../support/random.ts';
import type { Scenario } from '../scenario.ts';
import { runStage } from '../stage.ts';
import type { ScheduleOptions, StageReport } from '../stage.ts';
import { generate } from '../workload.ts';
import { buildAssistants } from './assistants.ts';
import type { Broken } from './broken.ts';
import { installVirtual } from './virtual.ts';
import type { Virtual } from './virtual.ts';

/**
 * A thread that somebody else holds for a moment, a run that ends at once, and workers that die: what was sent right after
 * a refusal is known to nobody but the server.
 */
const aimedAtTheLock = (
  scenario: Scenario,
  profile: Profile,
  r: Random,
): { scenario: Scenario; profile: Profile } => ({
  scenario: {
    ...scenario,
    threadGiven: true,
    busyMs: r.ms(200, 8_000),
    busy: r.pick(['wait', 'cancel'] as const),
    turns: [{ kind: 'end', thinkMs: r.ms(0, 500), status: 'completed' }],
    cancels: [],
    strangerCancels: null,
  },
  profile: {
    ...profile,
    name: 'workers',
    network: 0,
    final: 0,
    outageMs: 0,
    workers: r.pick([0.03, 0.08, 0.2]),
    untilMs: 60_000,
    most: r.int(1, 3),
  },
});

/** Shorter lives: at this level each second of a run is dozens of heartbeats. */
const draw = (seed: number, random: Random): { scenario: Scenario; profile: Profile } => {
  const generated = generate(seed, random.fork('scenario'));
  const profile = drawProfile(random.fork('profile'), generated.aim);
  const r = random.fork('full');
  const scenario: Scenario = {
    ...generated,
    backend: 'assistants',
    lax: false,
    noRow: false,
    lifeMs: generated.lifeMs === 600_000 && r.chance(0.8) ? 60_000 : generated.lifeMs,
  };
  if (r.chance(0.05)) return aimedAtTheLock(scenario, profile, r);
  return {
    scenario,
    profile:
      profile.outageMs > 600_000
        ? { ...profile, outageMs: 600_000, untilMs: profile.outageFromMs + 600_000 }
        : profile,
  };
};

/** Runs the schedule of a seed at the full level. */
export const runFull = async (
  seed: number,
  options: ScheduleOptions & { mutant?: Broken } = {},
): Promise<StageReport> => {
  let virtual: Virtual | null = null;
  try {
    return await runStage(seed, options, draw, async (stage) => {
      virtual = installVirtual(stage.clock, createRandom(seed).fork('bytes'));
      return buildAssistants(stage, virtual, options.mutant ?? {});
    });
  } finally {
    (virtual as Virtual | null)?.restore();
  }
};
