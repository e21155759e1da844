/**
 * The runs server: rows 1, 3 to 7, 11 and 12 with the store instead of an upstream API. Workers die, or freeze and
 * wake, at the boundaries of store transactions and at random moments.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { STORE_POINTS, type FaultPoint, type PlannedFault } from '../faults.ts';
import type { Run } from '../../../protocol/wire/objects.ts';
import { frozenAt, untilDeed, untilStruck } from '../ledger.ts';
import { openNativeLane, type NativeLane } from '../native/lane.ts';
import { freshDatabase, serve, servedPlaces } from '../native/places.ts';
import type { DrillProcess } from '../processes.ts';
import type { Random } from '../../support/random.ts';
import type { Drill } from '../world.ts';
import { storyOf, type DrillKind, type DrillReport } from './kind.ts';

const PASSED_WITHIN_MS = 25_000;
const TAKEN_OVER_MS = 60_000;
/** Attempts that a sleeper may find at its open polls when it wakes; each may take the run over once more. */
const SWALLOWED = 4;

const isClose = (point: FaultPoint): boolean => point.startsWith('store.closeRun');

const openServed = async (drill: Drill, options: { recovers?: boolean } = {}): Promise<NativeLane> => {
  const databaseUrl = await freshDatabase(drill);
  const lane = await openNativeLane(drill, () => servedPlaces(drill, databaseUrl), options);
  await serve(lane);
  return lane;
};

/** A situation in which the point is passed. */
const provoke = async (lane: NativeLane, point: FaultPoint, random: Random): Promise<void> => {
  if (isClose(point)) {
    const story = {
      delayMs: random.ms(1, 300),
      rounds: [['keyed' as const], ['ask' as const, 'slow' as const]],
    };
    const { runId, threadId } = await lane.start(story, { mayEnd: ['cancelled'], unattended: true });
    const path = `/threads/${threadId}/runs/${runId}`;
    while ((await lane.door.insist<{ status: string }>('GET', path)).status !== 'requires_action')
      await pause(50);
    await pause(random.ms(1, 1_000));
    await lane.door.insist('POST', `${path}/cancel`, {});
    return;
  }
  const rounds = [
    ['keyed' as const, 'once' as const],
    random.chance(0.5) ? ['ask' as const] : ['slow' as const],
  ];
  await lane.start({ delayMs: random.ms(1, 300), rounds });
  if (random.chance(0.5)) await lane.start(storyOf(random, { human: 0.2 }));
};

/** The only worker dies at the point; its successor is loaded and begins at once. */
export const nativePoint = async (drill: Drill, fault: PlannedFault): Promise<DrillReport> => {
  const { random } = drill;
  const lane = await openServed(drill, { recovers: true });
  const dying = await lane.worker([fault]);
  const successor = await lane.worker([], true);
  await dying.ready;
  const provoked = provoke(lane, fault.point, random);
  const struck = await dying.endsWithin(PASSED_WITHIN_MS);
  if (struck) {
    lane.faults += 1;
    drill.note(`${dying.label} died at ${fault.point}`);
  }
  successor.release();
  await successor.ready;
  await provoked;
  const violations = await lane.finish();
  return { faults: struck ? [`kill at ${fault.point}`] : [], recoveries: lane.recoveries, violations };
};

/** Two real workers; now one, now the other is killed at a random moment. */
const nativeMoments = async (drill: Drill): Promise<DrillReport> => {
  const { random } = drill;
  const lane = await openServed(drill, { recovers: true });
  const crew: DrillProcess[] = [await lane.runsWorker(), await lane.runsWorker()];
  await Promise.all(crew.map(({ ready }) => ready));
  for (let at = random.int(2, 3); at > 0; at -= 1) await lane.start(storyOf(random, { rounds: [2, 4] }));
  const faults: string[] = [];
  for (let at = random.int(2, 4); at > 0; at -= 1) {
    await pause(random.ms(20, 2_500));
    const place = random.int(0, crew.length - 1);
    const victim = crew[place];
    if (victim === undefined || (faults.length > 0 && (await lane.endWithin(1)))) break;
    await victim.kill();
    lane.faults += 1;
    faults.push('kill worker');
    drill.note(`killed ${victim.label}`);
    const next = await lane.runsWorker();
    crew[place] = next;
    await next.ready;
  }
  const violations = await lane.finish();
  return { faults, recoveries: lane.recoveries, violations };
};

export const native: DrillKind = {
  name: 'native',
  rows: [1, 3, 4, 5, 6, 7, 12],
  about: 'runs server: a worker killed -9 before or after a named store transaction, or at random moments',
  run: (drill) => {
    const { random } = drill;
    if (random.chance(0.4)) return nativeMoments(drill);
    const point = random.pick(STORE_POINTS);
    return nativePoint(drill, { point, occurrence: isClose(point) ? 1 : random.int(1, 2), action: 'kill' });
  },
};

const EXPIRES_SECONDS = 8;

export const late: DrillKind = {
  name: 'late',
  rows: [8],
  about:
    'runs server: all workers are down while a run expires; an answer that is tried meanwhile is not taken',
  run: async (drill) => {
    const { random } = drill;
    const lane = await openServed(drill);
    const worker = await lane.runsWorker();
    await worker.ready;
    const { runId, threadId } = await lane.start(
      { delayMs: random.ms(0, 200), rounds: [random.chance(0.5) ? ['ask'] : ['ask', 'keyed']] },
      { mayEnd: ['expired'], unattended: true, expiresIn: EXPIRES_SECONDS },
    );
    const began = Date.now();
    await pause(random.ms(100, 4_000));
    await worker.kill();
    lane.faults += 1;
    await pause(Math.max(0, began + EXPIRES_SECONDS * 1_000 - Date.now()) + random.ms(1, 3_000));
    const path = `/threads/${threadId}/runs/${runId}`;
    const run = await lane.door.insist<Run>('GET', path);
    const [call] = run.required_action?.submit_tool_outputs.tool_calls ?? [];
    if (random.chance(0.5) && call !== undefined) {
      const outputs = [{ tool_call_id: call.id, output: 'too late' }];
      const { status } = await lane.door.ask('POST', `${path}/submit_tool_outputs`, {
        tool_outputs: outputs,
      });
      if (status < 300) throw new Error(`An answer after the expiry was acknowledged with ${status}.`);
    }
    await (
      await lane.runsWorker()
    ).ready;
    const violations = await lane.finish();
    return { faults: ['kill all workers past the deadline'], recoveries: [], violations };
  },
};

export const zombie: DrillKind = {
  name: 'zombie',
  rows: [11, 12],
  about: 'runs server: a worker frozen before a store transaction wakes beside the one that took over',
  run: async (drill) => {
    const { random } = drill;
    const lane = await openServed(drill);
    const point = random.pick(STORE_POINTS.filter((each) => !isClose(each)));
    const named = random.chance(0.75);
    const occurrence = random.int(1, 2);
    const sleeper = await lane.worker(named ? [{ point, occurrence, action: 'stop' }] : []);
    await sleeper.ready;
    await provoke(lane, point, random);
    if (named) await untilStruck(lane.ledger, PASSED_WITHIN_MS);
    else await pause(random.ms(50, 2_000));
    sleeper.freeze();
    lane.faults += 1 + SWALLOWED;
    drill.note(`${sleeper.label} sleeps`);
    const other = await lane.worker();
    await other.ready;
    // Attempts that the server hands to the sleeper's open polls are lost too, each for a heartbeat timeout.
    const takenOver = await untilDeed(lane.sandbox, lane.ledger, other, TAKEN_OVER_MS);
    if (random.chance(0.5)) await lane.endWithin(random.ms(1, 10_000));
    else await pause(random.ms(1, 1_500));
    sleeper.resume();
    drill.note(`${sleeper.label} woke up, ${takenOver ? 'replaced' : 'still alone'}`);
    // Its own fault may put it to sleep only now.
    const awake = setInterval(() => sleeper.resume(), 500);
    try {
      const violations = await lane.finish();
      return { faults: [frozenAt(lane.ledger)], recoveries: [], violations };
    } finally {
      clearInterval(awake);
    }
  },
};
