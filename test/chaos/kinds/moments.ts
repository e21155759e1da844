/**
 * Rows 2, 4, 5, 6, 11 and 12 at random moments: the real `runs worker` is killed -9, or frozen and woken, anywhere in
 * its work.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Random } from '../../support/random.ts';
import { frozenAt, untilDeed, untilStruck } from '../ledger.ts';
import { openLane, type Lane } from '../lane.ts';
import type { DrillProcess } from '../processes.ts';
import { storyOf, type DrillKind } from './kind.ts';

/** A point that is not passed by then is not passed in this drill. */
const PASSED_WITHIN_MS = 25_000;
const TAKEN_OVER_MS = 30_000;

const startRuns = async (lane: Lane, random: Random, count: number): Promise<void> => {
  for (let at = 0; at < count; at += 1) await lane.start(storyOf(random, { rounds: [2, 4] }));
};

/** Kills within the first seconds of a worker's work. */
export const kill: DrillKind = {
  name: 'kill',
  rows: [2, 4, 5, 6, 12],
  about: 'real workers killed -9 at random moments, one or two at a time',
  run: async (drill) => {
    const { random } = drill;
    const lane = await openLane(drill, { recovers: true });
    const several = random.chance(0.7);
    const kills = random.int(2, 4);
    await startRuns(lane, random, random.int(2, 3));
    const crew: DrillProcess[] = [await lane.command()];
    if (several) crew.push(await lane.command());
    await Promise.all(crew.map(({ ready }) => ready));
    const faults: string[] = [];
    for (let at = 0; at < kills; at += 1) {
      await pause(random.ms(20, 2_500));
      const place = random.int(0, crew.length - 1);
      const victim = crew[place];
      if (victim === undefined || (at > 0 && (await lane.endWithin(1)))) break;
      await victim.kill();
      lane.faults += 1;
      faults.push('kill worker');
      drill.note(`killed ${victim.label}`);
      const next = await lane.command();
      crew[place] = next;
      await next.ready;
    }
    const violations = await lane.finish();
    return { faults, recoveries: lane.recoveries, violations };
  },
};

/** A worker sleeps past its heartbeat timeout while another takes over, then wakes up in the middle of what it did. */
export const frozen: DrillKind = {
  name: 'frozen',
  rows: [11, 12],
  about: 'a worker frozen past its heartbeat timeout wakes beside the one that took over',
  run: async (drill) => {
    const { random } = drill;
    const lane = await openLane(drill);
    // Alone first, so that it is the one with the work in hand.
    const named = random.chance(0.6);
    const sleeper = await lane.worker(
      named
        ? [
            {
              point: random.pick([
                'create.writing',
                'create.following',
                'create.settled',
                'submit.writing',
                'submit.settled',
                'tool.starting',
                'tool.effecting',
                'tool.effected',
              ] as const),
              occurrence: random.int(1, 2),
              action: 'stop',
            },
          ]
        : [],
    );
    await sleeper.ready;
    await startRuns(lane, random, 2);
    if (named) await untilStruck(lane.ledger, PASSED_WITHIN_MS);
    else await pause(random.ms(50, 1_500));
    sleeper.freeze();
    lane.faults += 1;
    const other = await lane.worker();
    await other.ready;
    // Attempts that the server hands to the sleeper's open polls are lost too, each for a heartbeat timeout.
    const takenOver = await untilDeed(lane.sandbox, lane.ledger, other, TAKEN_OVER_MS);
    if (random.chance(0.5)) await lane.endWithin(random.ms(1, 10_000));
    else await pause(random.ms(1, 1_500));
    sleeper.resume();
    drill.note(`${sleeper.label} woke up, ${takenOver ? 'replaced' : 'still alone'}`);
    // Its own fault may have put it to sleep only now.
    const awake = setInterval(() => sleeper.resume(), 500);
    try {
      const violations = await lane.finish();
      return { faults: [frozenAt(lane.ledger)], recoveries: [], violations };
    } finally {
      clearInterval(awake);
    }
  },
};
