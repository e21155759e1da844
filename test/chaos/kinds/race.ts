/** Row 33: two callers answer the same round at once, differently, while the worker dies; exactly one is accepted. */
import { setTimeout as pause } from 'node:timers/promises';
import { RunsError } from '../../../protocol/errors.ts';
import { openLane, type Lane } from '../lane.ts';
import type { DrillKind } from './kind.ts';

const SUBMITTERS = 3;

/** What became of one submitter's outputs: accepted, or not. Asked again until somebody has decided. */
const submit = async (
  lane: Lane,
  runId: string,
  callIds: readonly string[],
  who: number,
): Promise<boolean> => {
  const payload = {
    run_id: runId,
    tool_outputs: callIds.map((id) => ({ tool_call_id: id, output: `answer ${who} to ${id}` })),
  };
  for (;;) {
    try {
      lane.asks(runId);
      await lane.client.submitToolOutputs(runId, payload, { timeoutMs: 3_000 });
      return true;
    } catch (error) {
      if (!(error instanceof RunsError)) throw error;
      const early = error.failure === 'RefusedUnknownCall' || error.failure === 'RefusedNotWaiting';
      const open = lane.sandbox.engine.runs().some(({ status }) => status === 'requires_action');
      if ((error.code === 'refused' || error.code === 'run_not_found') && !(early && open)) return false;
      await pause(100);
    }
  }
};

export const race: DrillKind = {
  name: 'race',
  rows: [33],
  about: 'several callers submit different outputs for one round at once, and the worker dies',
  run: async (drill) => {
    const { random } = drill;
    const lane = await openLane(drill);
    const worker = await lane.command();
    await worker.ready;
    const runId = await lane.start(
      { delayMs: random.ms(0, 200), rounds: [['ask', 'ask']] },
      { unattended: true },
    );
    while (lane.sandbox.engine.runs()[0]?.status !== 'requires_action') await pause(10);
    const [run] = lane.sandbox.engine.runs();
    const callIds = (run?.required_action?.submit_tool_outputs.tool_calls ?? []).map(({ id }) => id);
    const answers = Promise.all(
      Array.from({ length: SUBMITTERS }, (_, who) => submit(lane, runId, callIds, who)),
    );
    await pause(random.ms(1, 200));
    await worker.kill();
    lane.faults += 1;
    await (
      await lane.command()
    ).ready;
    const accepted = (await answers).filter(Boolean).length;
    const violations = await lane.finish();
    if (accepted !== 1)
      violations.push({
        invariant: 'I6',
        text: `${accepted} of ${SUBMITTERS} different submits were acknowledged`,
      });
    return { faults: ['kill worker'], recoveries: [], violations };
  },
};
