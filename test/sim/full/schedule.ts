/**
 * One schedule at the full level, on virtual time: everything of production but Temporal itself and the sockets.
 *
 * Rule: one at a time in a process, since the process's own timers are virtual meanwhile. Only `test/sim`, tests and
 * scripts import it.
 */
import type { Profile } from '../faults.ts';
import { drawProfile } from '../faults.ts';
import { createRandom } from '../random.ts';
import type { Random } from '../random.ts';
import type { Scenario } from '../scenario.ts';
import { runStage } from '../stage.ts';
import type { ScheduleOptions, StageReport } from '../stage.ts';
import { generate } from '../workload.ts';
import { buildAssistants } from './assistants.ts';
import { installVirtual } from './virtual.ts';
import type { Virtual } from './virtual.ts';

/** Shorter lives: at this level each second of a run is dozens of heartbeats. */
const draw = (seed: number, random: Random): { scenario: Scenario; profile: Profile } => {
  const scenario = generate(seed, random.fork('scenario'));
  const profile = drawProfile(random.fork('profile'), scenario.aim);
  const r = random.fork('full');
  return {
    scenario: {
      ...scenario,
      backend: 'assistants',
      lax: false,
      noRow: false,
      lifeMs: scenario.lifeMs === 600_000 && r.chance(0.8) ? 60_000 : scenario.lifeMs,
    },
    profile:
      profile.outageMs > 600_000
        ? { ...profile, outageMs: 600_000, untilMs: profile.outageFromMs + 600_000 }
        : profile,
  };
};

/** Runs the schedule of a seed at the full level. */
export const runFull = async (seed: number, options: ScheduleOptions = {}): Promise<StageReport> => {
  let virtual: Virtual | null = null;
  try {
    return await runStage(seed, options, draw, async (stage) => {
      virtual = installVirtual(stage.clock, createRandom(seed).fork('bytes'));
      return buildAssistants(stage, virtual);
    });
  } finally {
    (virtual as Virtual | null)?.restore();
  }
};
