/** A run with scripted activities on the live tests' server, with a fresh id. */
import type { Client } from '@temporalio/client';
import type { NativeConnection, WorkerOptions } from '@temporalio/worker';
import type { RunInput } from '../../protocol/temporal/messages.ts';
import { runOnServer } from './run-on-server.ts';
import type { LiveRun } from './run-on-server.ts';
import type { Script } from './run-stubs.ts';
import { uniqueName, workflowBundle } from './temporal.ts';

export type { LiveRun } from './run-on-server.ts';

/** Starts a worker and a run on it, hands both to `use`, and ends the worker whatever happens. */
export const withRun = <T>(
  live: { client: Client; nativeConnection: NativeConnection },
  script: Script,
  input: Partial<RunInput>,
  use: (run: LiveRun) => Promise<T>,
  worker: Partial<WorkerOptions> = {},
): Promise<T> =>
  runOnServer(
    { client: live.client, nativeConnection: live.nativeConnection, workflowBundle: workflowBundle() },
    uniqueName('run'),
    script,
    input,
    use,
    worker,
  );
