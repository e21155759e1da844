/** The demo's two tools: one that fails once and is tried again, and one that a person must allow. */
import { z } from 'zod';
import { defineTools, type ToolRegistry } from '../../activities/index.ts';

const release = z.object({ service: z.string(), version: z.string() });

export const demoTools = (): ToolRegistry =>
  defineTools({
    run_checks: {
      description: 'Runs the release checks of a service.',
      parameters: release,
      retry: { maximumAttempts: 3, initialInterval: '2s' },
      execute: ({ service }, { attempt }) => {
        // What every demo of retries needs: a build server that is down at the first try.
        if (attempt === 1) throw new Error('the build server did not answer');
        return { service, passed: 128, failed: 0 };
      },
    },
    deploy: {
      description: 'Deploys a service to production. A person decides.',
      parameters: release,
      needsApproval: true,
      atMostOnce: true,
      execute: ({ service, version }) => `${service} ${version} is live.`,
    },
  });
