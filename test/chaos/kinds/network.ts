/** Rows 13 to 16: a network between worker and server that resets, swallows, delays, and comes back. */
import { setTimeout as pause } from 'node:timers/promises';
import { openLane } from '../lane.ts';
import { openProxy, type ProxyMode } from '../proxy.ts';
import { storyOf, type DrillKind } from './kind.ts';

export const network: DrillKind = {
  name: 'network',
  rows: [13, 14, 15, 16],
  about: 'connections are reset, half-open, deaf or slow for a while, at random moments',
  run: async (drill) => {
    const { random } = drill;
    const lane = await openLane(drill);
    const proxy = await openProxy(lane.sandbox.url);
    drill.defer(() => proxy.close());
    lane.baseUrl = proxy.url;
    const faults: string[] = [];
    const worker = await lane.worker();
    await worker.ready;
    for (let at = 0; at < 2; at += 1) await lane.start(storyOf(random, { rounds: [2, 4], human: 0.2 }));
    for (let at = random.int(2, 5); at > 0; at -= 1) {
      await pause(random.ms(20, 1_500));
      if (random.chance(0.4)) {
        proxy.cut();
        faults.push('cut connections');
      } else {
        const mode = random.pick<ProxyMode>([
          { kind: 'reset' },
          { kind: 'half-open' },
          { kind: 'deaf' },
          { kind: 'delay', ms: random.ms(20, 800) },
        ]);
        proxy.set(mode);
        faults.push(mode.kind);
        await pause(random.ms(200, 4_000));
        proxy.set({ kind: 'pass' });
      }
      lane.faults += 1;
      drill.note(faults.at(-1) ?? '');
    }
    // Each of several runs may have lost a request to the same weather.
    lane.faults *= 2;
    return { faults, recoveries: [], violations: await lane.finish() };
  },
};
