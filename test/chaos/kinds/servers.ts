/** The runs server when a server below it dies: PostgreSQL, the API process, or all of `runs dev`. */
import { setTimeout as pause } from 'node:timers/promises';
import { openStore } from '../../../store/index.ts';
import { openNativeLane, type NativeLane } from '../native/lane.ts';
import { devPlaces, freshDatabase, serve, servedPlaces, type DevPlaces } from '../native/places.ts';
import { TOOLS_FILE, type DrillProcess } from '../processes.ts';
import type { Random } from '../../support/random.ts';
import { ownPostgres } from '../world.ts';
import { storyOf, type DrillKind } from './kind.ts';

/** What was acknowledged must be there whenever the server is. */
const allThere = async (lane: NativeLane): Promise<void> => {
  for (const { runId, threadId } of lane.runs)
    await lane.door.insist('GET', `/threads/${threadId}/runs/${runId}`);
};

/** Runs begin one after the other while things die; those that can't be begun now are insisted on. */
const startSome = (lane: NativeLane, random: Random, count: number): Promise<unknown> =>
  Promise.all(
    Array.from({ length: count }, async () => {
      const story = storyOf(random, { rounds: [1, 3], human: 0.5 });
      await pause(random.ms(1, 2_000));
      await lane.start(story);
    }),
  );

export const postgres: DrillKind = {
  name: 'postgres',
  rows: [45],
  about:
    'runs server: PostgreSQL killed -9 and restarted while runs are in flight, sometimes a worker with it',
  run: async (drill) => {
    const { random } = drill;
    const server = await ownPostgres(drill);
    const lane = await openNativeLane(drill, async () => ({
      ...(await servedPlaces(drill, server.url)),
      openStore: () => openStore({ databaseUrl: server.url }),
    }));
    await serve(lane);
    let worker = await lane.runsWorker();
    await worker.ready;
    const faults: string[] = [];
    const started = startSome(lane, random, 3);
    for (let at = random.int(1, 3); at > 0; at -= 1) {
      await pause(random.ms(20, 2_500));
      await server.kill();
      lane.faults += 1;
      faults.push('kill PostgreSQL');
      if (random.chance(0.3)) {
        await worker.kill();
        lane.faults += 1;
        faults.push('kill worker');
      }
      await pause(random.ms(1, 3_000));
      await server.restart();
      drill.note(faults.join());
      await allThere(lane);
      if (worker.endedAt !== null) {
        worker = await lane.runsWorker();
        await worker.ready;
      }
    }
    await started;
    return { faults, recoveries: [], violations: await lane.finish() };
  },
};

export const api: DrillKind = {
  name: 'api',
  rows: [46],
  about: 'runs server: the API process killed -9 while runs are created, streamed, answered and submitted',
  run: async (drill) => {
    const { random } = drill;
    const databaseUrl = await freshDatabase(drill);
    const lane = await openNativeLane(drill, () => servedPlaces(drill, databaseUrl));
    let server = await serve(lane);
    await (
      await lane.runsWorker()
    ).ready;
    const faults: string[] = [];
    const started = startSome(lane, random, 3);
    for (let at = random.int(2, 4); at > 0; at -= 1) {
      await pause(random.ms(10, 2_000));
      await server.kill();
      lane.faults += 1;
      faults.push('kill API');
      drill.note(`killed ${server.label}`);
      await pause(random.ms(1, 500));
      server = await serve(lane);
    }
    await started;
    await allThere(lane);
    return { faults, recoveries: [], violations: await lane.finish() };
  },
};

/** The Temporal server that our own `runs dev` started and left behind. */
const killOwn = (pid: number): void => {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone by itself: its watchdog was faster.
  }
};

export const embedded: DrillKind = {
  name: 'embedded',
  rows: [47],
  about:
    '`npm start` (PGlite, Temporal, worker and API in one tree) killed -9 at random moments and opened again',
  run: async (drill) => {
    const { random } = drill;
    let places: DevPlaces | null = null;
    const lane = await openNativeLane(drill, async () => (places = await devPlaces(drill)));
    const dev = async (): Promise<DrillProcess> => {
      const started = await lane.command(['dev'], 'dev', { RUNS_TOOLS: TOOLS_FILE });
      await started.ready;
      return started;
    };
    let running = await dev();
    const faults: string[] = [];
    const started = startSome(lane, random, 2);
    for (let at = random.int(1, 2); at > 0; at -= 1) {
      await pause(random.ms(20, 3_000));
      const temporalPid = (places as DevPlaces | null)?.temporalPid() ?? null;
      await running.kill();
      lane.faults += 1;
      faults.push('kill runs dev');
      if (temporalPid !== null && random.chance(0.5)) {
        killOwn(temporalPid);
        faults.push('kill its Temporal');
      }
      drill.note(faults.join());
      await pause(random.ms(1, 1_000));
      running = await dev();
      await allThere(lane);
    }
    await started;
    return { faults, recoveries: [], violations: await lane.finish() };
  },
};
