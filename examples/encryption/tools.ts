import { defineTools } from 'durable-runs/worker';
import { z } from 'zod';

export default defineTools({
  pay: {
    description: 'Pays an amount.',
    parameters: z.object({ iban: z.string(), amount: z.number() }),
    needsApproval: true,
    execute: ({ iban, amount }) => `Paid ${amount} to ${iban}.`,
  },
});
