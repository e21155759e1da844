/** Rows 8 and 37: no worker is up when a run expires, and clocks that differ. */
import { setTimeout as pause } from 'node:timers/promises';
import { createClock } from '../../../testing/index.ts';
import { openLane } from '../lane.ts';
import { storyOf, type DrillKind } from './kind.ts';

const EXPIRES_SECONDS = 4;
const HOUR_MS = 3_600_000;

export const down: DrillKind = {
  name: 'down',
  rows: [8],
  about: 'all workers are down while a run expires; an answer left meanwhile comes too late',
  run: async (drill) => {
    const { random } = drill;
    const lane = await openLane(drill, { sandbox: { expiresInSeconds: EXPIRES_SECONDS } });
    const worker = await lane.command();
    await worker.ready;
    const runId = await lane.start(
      { delayMs: random.ms(0, 200), rounds: [random.chance(0.5) ? ['ask'] : ['ask', 'keyed']] },
      { mayEnd: ['expired'], unattended: true },
    );
    while (lane.sandbox.engine.runs()[0]?.status !== 'requires_action') await pause(20);
    await pause(random.ms(1, 1_500));
    await worker.kill();
    lane.faults += 1;
    await pause(EXPIRES_SECONDS * 1_000 + random.ms(1, 3_000));
    const waiting = lane.sandbox.engine.history(lane.sandbox.engine.runs()[0]?.id ?? '').at(-2);
    const callId = waiting?.required_action?.submit_tool_outputs.tool_calls[0]?.id;
    if (random.chance(0.6) && callId !== undefined)
      await lane.client.signalAnswer(runId, { call_id: callId, output: 'answer that comes too late' });
    await (
      await lane.command()
    ).ready;
    const violations = await lane.finish();
    return { faults: ['kill all workers past the deadline'], recoveries: [], violations };
  },
};

export const skew: DrillKind = {
  name: 'skew',
  rows: [37],
  about:
    "the server's clock is an hour ahead or behind, and a worker dies; half of the runs expire by that clock",
  run: async (drill) => {
    const { random } = drill;
    const skewMs = random.pick([-HOUR_MS, HOUR_MS]);
    const expires = random.chance(0.5);
    const clock = createClock({ start: Date.now() + skewMs });
    drill.defer(async () => clock.stop());
    const lane = await openLane(drill, {
      sandbox: { clock, ownDate: true, ...(expires ? { expiresInSeconds: EXPIRES_SECONDS } : {}) },
      skewMs,
    });
    const worker = await lane.command();
    await worker.ready;
    // Nobody answers the last round of the one that is to expire: it must not end before its time, nor hang after it.
    if (expires)
      await lane.start(
        { delayMs: random.ms(0, 200), rounds: [['keyed'], ['ask', 'slow']] },
        { mayEnd: ['expired'], unattended: true },
      );
    else await lane.start(storyOf(random, { rounds: [2, 3] }));
    await pause(random.ms(50, 2_000));
    await worker.kill();
    lane.faults += 2;
    await (
      await lane.command()
    ).ready;
    const violations = await lane.finish();
    return {
      faults: [`clock ${skewMs > 0 ? '+' : '-'}1 h${expires ? ', run expires' : ''}`, 'kill worker'],
      recoveries: [],
      violations,
    };
  },
};
