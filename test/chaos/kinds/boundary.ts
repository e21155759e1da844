/**
 * Rows 2, 3, 6, 7, 13, 14, 15: the server has done it or it has not, the connection is gone, and perhaps the worker too.
 *
 * The break is on the server's side of the wire, so our own code has no part in choosing the moment.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Sandbox } from '../../../testing/index.ts';
import { openLane } from '../lane.ts';
import { storyOf, type DrillKind } from './kind.ts';

const ROUTES = {
  create: /\/threads\/[^/]+\/runs$/,
  submit: /\/submit_tool_outputs$/,
  thread: /\/v1\/threads$/,
} as const;

const hit = async (sandbox: Sandbox, fault: string, withinMs: number): Promise<boolean> => {
  const deadline = Date.now() + withinMs;
  while (Date.now() < deadline) {
    if (sandbox.requests.some((request) => request.fault === fault)) return true;
    await pause(5);
  }
  return false;
};

export const boundary: DrillKind = {
  name: 'boundary',
  rows: [2, 6, 13, 14, 15],
  about: 'a POST is lost before or after the server has done it, with or without the worker that sent it',
  run: async (drill) => {
    const { random } = drill;
    const lane = await openLane(drill);
    const faults: string[] = [];
    const route = random.pick(['create', 'submit', 'submit', 'create', 'thread'] as const);
    const when = random.pick(['before', 'after', 'after'] as const);
    const dies = random.chance(0.5);
    const kind = dies ? 'hang' : 'reset';
    lane.sandbox.faults.add({
      match: { method: 'POST', path: ROUTES[route], nth: random.int(1, 2) },
      action: { kind, when },
    });
    const worker = await lane.command();
    await worker.ready;
    await lane.start(storyOf(random, { rounds: [2, 3], human: 0.2 }));
    await lane.start(storyOf(random, { human: 0.2 }));
    if (await hit(lane.sandbox, kind, 25_000)) {
      lane.faults += 1;
      faults.push(`${kind} ${when} ${route}`);
      drill.note(faults.join());
      if (dies) {
        await worker.kill();
        lane.faults += 1;
        faults.push('kill worker');
        await (
          await lane.command()
        ).ready;
      }
    }
    return { faults, recoveries: [], violations: await lane.finish() };
  },
};
