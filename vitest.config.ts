/**
 * Tests by what they need: `offline` needs nothing but this checkout, `campaign` the same and a minute or two of both
 * cores, `live` real servers on this machine (Temporal, PostgreSQL, a browser), which its global set-up finds and starts
 * once; `cluster` a real Temporal server, which Go builds once (`npm run test:cluster`).
 */
import { defineConfig } from 'vitest/config';

/** Simulated by the ten thousand: too long for the check before every commit. */
const CAMPAIGNS = ['test/offline/simulation/sim-{schedules-*,full,exhaustive}.test.ts'];

/** Tests of its own, and those of the live tests that say most about another Temporal server. */
const ON_A_CLUSTER = [
  'test/cluster/*.test.ts',
  'test/live/workflows/workflow-{answers,approvals,cancel,continue,run}.test.ts',
  'test/live/service/{approval-kills,native-processes,native-runs,votes}.test.ts',
  'test/live/clients/official-{node,python,slow-streams,streams,trouble}.test.ts',
  'test/live/worker/{builds,worker-linked,worker-process}.test.ts',
  'test/live/cli/deploy-builds.test.ts',
];

export default defineConfig({
  test: {
    // Not `threads`: the SDK's native module crashes the process when a second thread loads it.
    pool: 'forks',
    // Two cores carry two test files and the servers they talk to; more only makes deadlines slip.
    maxWorkers: 2,
    setupFiles: ['test/support/hermetic.ts'],
    projects: [
      {
        extends: true,
        test: {
          name: 'offline',
          include: ['test/offline/**/*.test.ts'],
          exclude: CAMPAIGNS,
          // Files share two processes: a process and the modules for each file would be a third of the time.
          isolate: false,
          testTimeout: 30_000,
        },
      },
      { extends: true, test: { name: 'campaign', include: CAMPAIGNS, testTimeout: 30_000 } },
      {
        extends: true,
        test: {
          name: 'cluster',
          include: ON_A_CLUSTER,
          globalSetup: ['test/cluster/harness/global-setup.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'live',
          include: ['test/live/**/*.test.ts'],
          globalSetup: ['test/support/global-setup-live.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
