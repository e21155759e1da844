/** Tools of a worker process for tests: one that waits for an approval, and notes each call of it in a file. */
import { appendFileSync } from 'node:fs';
import { z } from 'zod';
import { defineTools } from '../../activities/index.ts';

export default defineTools({
  pay: {
    description: 'Pays.',
    parameters: z.object({ amount: z.number() }),
    approval: true,
    execute: ({ amount }, { idempotencyKey }) => {
      appendFileSync(process.env['PAID_FILE'] ?? '', `${idempotencyKey} ${amount}\n`);
      return 'paid';
    },
  },
});
