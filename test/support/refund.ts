/** A tool `refund` that a person must approve, and a scripted model that calls it once and repeats its output. Imported by live tests. */
import { z } from 'zod';
import type { Script } from '../../testing/script.ts';

export const refundScript =
  (order: string): Script =>
  (turn) =>
    turn.round === 0
      ? { text: 'I pay it back.', calls: [{ name: 'refund', arguments: { order, amount: 60 } }] }
      : { text: turn.outputs.map(({ output }) => output).join(', ') };

/** `paid` gets the amounts that were paid. */
export const refundTool = (paid: number[]) => ({
  description: 'Pays money back',
  parameters: z.object({ order: z.string(), amount: z.number() }),
  needsApproval: true,
  execute: ({ amount }: { amount: number }) => {
    paid.push(amount);
    return `paid ${amount}`;
  },
});
