/**
 * Servers that all live tests share: one Temporal dev server, one PostgreSQL, one workflow bundle.
 *
 * Rule: nothing is skipped. All tests need Temporal, so without it the set-up fails. Some need PostgreSQL or the test
 * server; if one is missing, the tests that ask for it fail with the reason. Each test uses its own task queue and
 * database (`temporal.ts`, `postgres.ts`).
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { findTestServer } from '../../dev-server/find-temporal.ts';
import { startTemporal } from '../../dev-server/temporal-server.ts';
import { SEARCH_ATTRIBUTES } from '../../protocol/temporal/names.ts';
import { startPostgres } from './postgres-server.ts';

/** Something a test may need, or why it is not there. */
export type Available<T> = { value: T } | { problem: string };

declare module 'vitest' {
  interface ProvidedContext {
    /** `127.0.0.1:port` of the shared dev server; namespace `default`, all search attributes registered. */
    temporalAddress: string;
    temporalHttpUrl: string;
    temporalUiUrl: string;
    /** Executable of the time-skipping test server. */
    testServerPath: Available<string>;
    /** File with the bundle of `workflows/index.ts`, for `workflowBundle: { codePath }`. */
    workflowBundlePath: Available<string>;
    /** The shared PostgreSQL; tests use `freshDatabase()`. */
    postgresUrl: Available<string>;
  }
}

export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const dir = await mkdtemp(join(tmpdir(), 'durable-runs-live-'));
  const postgres = attempt(() => startPostgres({ durable: false }));
  const bundle = attempt(() => bundleWorkflows(join(dir, 'workflow-bundle.js')));
  const testServer = attempt(async () => (await findTestServer()).path);
  const temporal = await startTemporal({ ui: true, searchAttributes: SEARCH_ATTRIBUTES });
  const database = await postgres;
  provide('temporalAddress', temporal.address);
  provide('temporalHttpUrl', temporal.httpUrl);
  provide('temporalUiUrl', temporal.uiUrl ?? '');
  provide('testServerPath', await testServer);
  provide('workflowBundlePath', await bundle);
  provide('postgresUrl', 'value' in database ? { value: database.value.url } : database);
  return async () => {
    await Promise.all([temporal.stop(), 'value' in database ? database.value.remove() : undefined]);
    await rm(dir, { recursive: true, force: true });
  };
}

/** Made as a worker from sources makes it, so that what is tested is what runs. */
export async function bundleWorkflows(file: string): Promise<string> {
  const { workflowCode } = await import('../../worker/bundle.ts');
  const made = await workflowCode();
  if (!('code' in made)) throw new Error(`The bundle of a build is in the sources: ${JSON.stringify(made)}.`);
  await writeFile(file, made.code);
  return file;
}

async function attempt<T>(get: () => Promise<T>): Promise<Available<T>> {
  try {
    return { value: await get() };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}
