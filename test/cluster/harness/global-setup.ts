/**
 * The servers of the live tests, with a real Temporal server in the place of the dev server.
 *
 * Rule: it provides what `test/support/global-setup-live.ts` provides, so that the same files run on both. Without Web UI: that is a
 * program of its own.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { bundleWorkflows } from '../../support/global-setup-live.ts';
import { startTemporalCluster } from './cluster.ts';

export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const dir = await mkdtemp(join(tmpdir(), 'durable-runs-cluster-'));
  const bundle = bundleWorkflows(join(dir, 'workflow-bundle.js'));
  const cluster = await startTemporalCluster();
  provide('temporalAddress', cluster.address);
  provide('temporalHttpUrl', cluster.httpUrl);
  provide('temporalUiUrl', '');
  provide('testServerPath', { problem: 'The tests of the cluster have no server whose clock can be moved.' });
  provide('workflowBundlePath', { value: await bundle });
  provide('postgresUrl', { value: cluster.postgres.url });
  return async () => {
    await cluster.remove();
    await rm(dir, { recursive: true, force: true });
  };
}
