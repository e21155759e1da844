// Your tools. The worker loads this file when RUNS_TOOLS=/app/tools/tools.mjs; docs/reference/tools.md has every option.
import { defineTools } from 'durable-runs/worker';
import { z } from 'zod';

export default defineTools({
  current_time: {
    description: 'The current date and time in UTC.',
    parameters: z.object({}),
    execute: () => new Date().toISOString(),
  },
});
