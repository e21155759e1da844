import { defineTools } from 'durable-runs/worker';
import { z } from 'zod';

export default defineTools({
  deploy: {
    description: 'Deploys a service to production.',
    parameters: z.object({ service: z.string(), version: z.string().default('latest') }),
    needsApproval: true,
    answerWithin: '3d',
    // The key is the same on every attempt: a deployment service that takes it never deploys twice.
    execute: ({ service, version }, { idempotencyKey }) =>
      `Deployed ${service} ${version} (${idempotencyKey}).`,
  },
});
