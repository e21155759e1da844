/**
 * Runs as a worker writes them: one turn of the model at a time, under a lease.
 *
 * Rule: the next attempt closes the open objects of a dead one (`claim-run.ts`) before it opens new ones under new ids.
 * They stay out of the context: message `incomplete`, steps `failed`. Only a settled turn enters the context.
 * Imported within `store/` only.
 */
import { sumUsage } from '../protocol/rules/usage.ts';
import { mintId } from '../protocol/wire/ids.ts';
import type { RunLease, StreamedMessage, TurnStore } from '../protocol/ports/turn-store.ts';
import type { StepDetails } from '../protocol/wire/objects.ts';
import { claimStore } from './claim-run.ts';
import type { Database } from './database.ts';
import {
  currentRound,
  endMessage,
  endStep,
  insertMessage,
  insertStep,
  messageDetails,
  openSteps,
} from './steps.ts';
import { reserveTurn } from './reserve-turn.ts';
import type { RunRow } from './schema.ts';
import { settleTurn } from './settle-turn.ts';
import { changeExistingRun } from './update-run.ts';
import { runState } from './views.ts';

const openMessage = (
  db: Database,
  lease: RunLease,
  now: number,
  model: string | null,
): Promise<{ messageId: string; stepId: string }> =>
  changeExistingRun(db, lease.runId, lease, async (unit) => {
    const messageId = mintId('msg');
    const round = unit.row.round + 1;
    const step = await insertStep(unit, 'message', messageDetails(messageId), { round, now, model });
    await insertMessage(unit, messageId, round, now);
    return { messageId, stepId: step.id };
  });

const openCalls = (
  db: Database,
  lease: RunLease,
  said: StreamedMessage | null,
  now: number,
  model: string | null,
): Promise<{ stepId: string }> =>
  changeExistingRun(db, lease.runId, lease, async (unit) => {
    if (said !== null) {
      await endMessage(unit, said.id, said.content, { status: 'completed' }, now);
      for (const step of await openSteps(unit))
        await endStep(unit, step, { status: 'completed', completed_at: now });
    }
    const details: StepDetails = { type: 'tool_calls', tool_calls: [] };
    const step = await insertStep(unit, 'calls', details, { round: unit.row.round + 1, now, model });
    return { stepId: step.id };
  });

export const turnStore = (
  db: Database,
): Pick<
  TurnStore,
  | 'claim'
  | 'readState'
  | 'readContext'
  | 'openMessage'
  | 'openCalls'
  | 'settleTurn'
  | 'countTurn'
  | 'reserveTurn'
> => ({
  ...claimStore(db),
  async readState(runId) {
    const [row] = await db.query<RunRow>('select * from runs where id = $1', [runId]);
    return row === undefined ? null : runState(row, await currentRound(db, row));
  },
  openMessage: (lease, now, model) => openMessage(db, lease, now, model ?? null),
  openCalls: (lease, said, now, model) => openCalls(db, lease, said, now, model ?? null),
  settleTurn: (lease, turn, now) => settleTurn(db, lease, turn, now),
  reserveTurn: (lease, request, now) => reserveTurn(db, lease, request, now),
  countTurn: (lease, usage, now) =>
    changeExistingRun(db, lease.runId, lease, async (unit) => {
      unit.row.usage = sumUsage(unit.row.usage, usage);
      unit.count({ usage, now });
    }),
});
