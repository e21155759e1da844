/**
 * Temporal for live tests: connections to the shared dev server, servers of one's own for drills, and the
 * server whose clock can be moved.
 *
 * Rule: the dev server is shared by all test files, so every test takes its own task queue and workflow ids
 * (`uniqueName`). Settle your calls before you close a connection: a call in retry back-off would end the process.
 */
import { randomBytes } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { IllegalStateError } from '@temporalio/common';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import { inject } from 'vitest';
import {
  startTemporal,
  type StartTemporalOptions,
  type TemporalServer,
} from '../../dev-server/temporal-server.ts';
import { SEARCH_ATTRIBUTES } from '../../protocol/temporal/names.ts';
import { available } from './available.ts';

/** `prefix-` and eight random characters. */
export const uniqueName = (prefix: string): string => `${prefix}-${randomBytes(4).toString('hex')}`;

/** For `Worker.create({ workflowBundle })`. */
export const workflowBundle = (): { codePath: string } => ({
  codePath: available('the workflow bundle', inject('workflowBundlePath')),
});

export interface LiveTemporal {
  address: string;
  namespace: string;
  client: Client;
  connection: Connection;
  /** For `Worker.create({ connection })`. */
  nativeConnection: NativeConnection;
  close(): Promise<void>;
}

/** Connections to the shared dev server, or to `address`. Close them in `afterAll`. */
export async function liveTemporal(address: string = inject('temporalAddress')): Promise<LiveTemporal> {
  quietRuntime();
  const connection = await Connection.connect({ address });
  const nativeConnection = await NativeConnection.connect({ address });
  const namespace = 'default';
  return {
    address,
    namespace,
    client: new Client({ connection, namespace }),
    connection,
    nativeConnection,
    async close() {
      await nativeConnection.close();
      await connection.close();
    },
  };
}

/** A dev server for this test alone, with our search attributes: to kill, to restart, on a disk store. */
export const privateTemporal = (options: StartTemporalOptions = {}): Promise<TemporalServer> =>
  startTemporal({ searchAttributes: SEARCH_ATTRIBUTES, ...options });

/**
 * A server of its own whose time jumps while a result is awaited, or by `env.sleep('1h')`. It has no
 * visibility (no workflow lists) and refuses a start with search attributes, unless they were registered with it.
 * Tear it down in `afterAll`.
 */
export async function timeSkipping(): Promise<TestWorkflowEnvironment> {
  quietRuntime();
  const path = available('the time-skipping test server', inject('testServerPath'));
  return await TestWorkflowEnvironment.createTimeSkipping({
    server: { executable: { type: 'existing-path', path } },
  });
}

/** One runtime a process, and the first to install it wins: that may be the test file itself. */
export function quietRuntime(): void {
  try {
    Runtime.install({
      logger: new DefaultLogger('ERROR'),
      telemetryOptions: { logging: { filter: { core: 'ERROR', other: 'ERROR' }, forward: {} } },
    });
  } catch (error) {
    if (!(error instanceof IllegalStateError)) throw error;
  }
}
