/** Tools of a worker process for tests of telemetry: one waits for an approval; one throws what it was given. */
import { z } from 'zod';
import { defineTools } from '../../activities/index.ts';

const parameters = z.object({ secret: z.string() });

export default defineTools({
  tell: {
    description: 'Tells.',
    parameters,
    needsApproval: true,
    execute: ({ secret }) => `told ${secret}`,
  },
  break_down: {
    description: 'Throws.',
    parameters,
    retry: { maximumAttempts: 1 },
    execute: ({ secret }) => {
      throw new Error(`cannot take ${secret}`);
    },
  },
});
