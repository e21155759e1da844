/** Tools of a worker process for tests: one that waits for an approval, and one that waits for two; each call is noted in a file. */
import { appendFileSync } from 'node:fs';
import { z } from 'zod';
import { defineTools } from '../../activities/index.ts';

const pays = {
  description: 'Pays.',
  parameters: z.object({ amount: z.number() }),
  execute: ({ amount }: { amount: number }, { idempotencyKey }: { idempotencyKey: string }) => {
    appendFileSync(process.env['PAID_FILE'] ?? '', `${idempotencyKey} ${amount}\n`);
    return 'paid';
  },
};

export default defineTools({
  pay: { ...pays, approval: true },
  pay_together: { ...pays, needsApproval: { quorum: 2 } },
});
