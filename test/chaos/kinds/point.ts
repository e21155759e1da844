/**
 * Rows 1 to 7: the only worker dies at a named point, and its successor may die at another one.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Random } from '../../support/random.ts';
import { ASSISTANTS_POINTS, type FaultPoint, type PlannedFault } from '../faults.ts';
import { openLane, type Lane, type LaneOptions } from '../lane.ts';
import type { Drill } from '../world.ts';
import { storyOf, type DrillKind, type DrillReport } from './kind.ts';

/** How long a point may take to be passed, once the runs that lead there have begun. */
const PASSED_WITHIN_MS = 25_000;
const EXPIRES_SECONDS = 4;

const isFollow = (point: FaultPoint): boolean => point.startsWith('follow.');
const isClose = (point: FaultPoint): boolean => point.startsWith('close.');

/** A situation in which the point is passed. */
const provoke = async (lane: Lane, point: FaultPoint, random: Random): Promise<void> => {
  // A run is re-read only when its time is over and nobody has answered.
  if (isFollow(point)) {
    await lane.start({ delayMs: 0, rounds: [['ask']] }, { mayEnd: ['expired'], unattended: true });
    return;
  }
  if (isClose(point)) {
    const runId = await lane.start(
      { delayMs: random.ms(1, 300), rounds: [['keyed'], ['ask', 'slow']] },
      { mayEnd: ['cancelled'], unattended: true },
    );
    const cancel = async (): Promise<void> => {
      while (lane.sandbox.engine.runs().every(({ status }) => status !== 'requires_action')) await pause(20);
      await pause(random.ms(1, 1_000));
      await lane.client.cancel(runId);
    };
    await cancel();
    return;
  }
  const story = storyOf(random, { human: 0.2 });
  const first = story.rounds[0] ?? [];
  // Tools of every kind are there for a point inside one.
  await lane.start(point.startsWith('tool.') ? { ...story, rounds: [['keyed', 'once'], first] } : story);
  if (random.chance(0.5)) await lane.start(storyOf(random, { human: 0.2 }));
};

export const pointDrill = async (
  drill: Drill,
  faults: readonly PlannedFault[],
  options: LaneOptions = {},
): Promise<DrillReport> => {
  const { random } = drill;
  const [first, ...rest] = faults;
  if (first === undefined) throw new RangeError('A point drill needs a fault.');
  const lane = await openLane(drill, {
    recovers: true,
    ...(isFollow(first.point) ? { sandbox: { expiresInSeconds: EXPIRES_SECONDS } } : {}),
    ...options,
  });
  const struck: string[] = [];
  let worker = await lane.worker([first]);
  const provoked = worker.ready.then(() => provoke(lane, first.point, random));
  for (const next of [...rest, null]) {
    const dying = worker;
    const successor = await lane.worker(next === null ? [] : [next], true);
    await provoked;
    const passed = await dying.endsWithin(PASSED_WITHIN_MS);
    successor.release();
    await successor.ready;
    worker = successor;
    if (!passed) {
      // A successor with a fault of its own must not be left alone with the runs.
      if (next !== null) await (await lane.worker()).ready;
      break;
    }
    lane.faults += 1;
    const { point } = faults[struck.length] ?? first;
    struck.push(`kill at ${point}`);
    drill.note(`${dying.label} died at ${point}`);
  }
  await provoked;
  const violations = await lane.finish();
  return { faults: struck, violations, recoveries: lane.recoveries };
};

/** The second fault: somewhere a successor is likely to come by. */
const SECOND: readonly FaultPoint[] = [
  'create.following',
  'create.settled',
  'submit.writing',
  'submit.answered',
  'submit.settled',
  'tool.effected',
];

export const point: DrillKind = {
  name: 'point',
  rows: [1, 2, 3, 4, 5, 6, 7],
  about: 'the only worker dies at a named point of its work, its successor perhaps too',
  run: (drill) => {
    const { random } = drill;
    const first = random.pick(ASSISTANTS_POINTS);
    const faults: PlannedFault[] = [
      { point: first, occurrence: isFollow(first) || isClose(first) ? 1 : random.int(1, 2), action: 'kill' },
    ];
    if (!isFollow(first) && !isClose(first) && random.chance(0.4))
      faults.push({ point: random.pick(SECOND), occurrence: 1, action: 'kill' });
    return pointDrill(drill, faults);
  },
};
