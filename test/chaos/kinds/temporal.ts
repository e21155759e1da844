/** Rows 9 and 10: Temporal's server on disk, killed -9 and started again on the same file, with runs in flight. */
import { setTimeout as pause } from 'node:timers/promises';
import { openLane } from '../lane.ts';
import { storyOf, type DrillKind } from './kind.ts';

export const temporal: DrillKind = {
  name: 'temporal',
  rows: [9, 10],
  about: "Temporal's server killed -9 on its disk store and restarted, sometimes a worker with it",
  run: async (drill) => {
    const { random } = drill;
    const server = await drill.world.ownTemporal(drill);
    const lane = await openLane(drill, { temporalAddress: server.address });
    const faults: string[] = [];
    let worker = await lane.command();
    await worker.ready;
    for (let at = 0; at < 3; at += 1) await lane.start(storyOf(random, { rounds: [1, 3] }));
    for (let at = random.int(1, 2); at > 0; at -= 1) {
      await pause(random.ms(10, 2_500));
      await server.kill();
      lane.faults += 1;
      faults.push('kill Temporal');
      if (random.chance(0.3)) {
        await worker.kill();
        lane.faults += 1;
        faults.push('kill worker');
      }
      await pause(random.ms(10, 3_000));
      await server.restart();
      drill.note(faults.join());
      // An acknowledged start must be there: a store that comes back empty is seen at once.
      for (const runId of lane.runIds) await lane.client.temporal.workflow.getHandle(runId).describe();
      if (worker.endedAt !== null) {
        worker = await lane.command();
        await worker.ready;
      }
    }
    return { faults, recoveries: [], violations: await lane.finish() };
  },
};
