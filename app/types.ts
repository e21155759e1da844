/**
 * What the parts of the stack tell each other. Shapes only, in a file of their own so that the parts do not import one
 * another in a circle. Imported by the stack's files and by `runs dev`.
 */
import type { ActivityDeps, ToolRegistry } from '../activities/index.ts';
import type { ConnectOptions, RunsClient } from '../client/index.ts';
import type { Logger } from '../protocol/ports/backend.ts';
import type { WorkerDependencies } from '../worker/start-worker.ts';
import type { Config } from '../worker/config.ts';
import type { TemporalServerOptions } from './temporal.ts';

/** What is wanted of everything but Temporal. */
export interface PartsOptions {
  config: Config;
  env: Readonly<Record<string, string | undefined>>;
  /** Where the native store lives; null = in memory. */
  storeDir: string | null;
  /** Make an assistant to try things with, on the sandbox's model. */
  sample: boolean;
  /** Default: the file that the configuration names, else none. */
  tools?: ToolRegistry;
  /** Ports of the API in order of preference. One that the user named is taken or refused. */
  apiPort: { named: number } | { preferred: readonly number[] };
  log: Logger;
  say: (line: string) => void;
}

export interface StackOptions extends PartsOptions {
  temporal: Pick<TemporalServerOptions, 'ports' | 'dbFilename' | 'logFile'>;
}

export interface ServedHere {
  /** Ends in `/v1`. */
  url: string;
  /** Nobody needs a key. */
  open: boolean;
  /** An assistant to try things with; null where none was made. */
  assistantId: string | null;
  close(): Promise<void>;
}

export interface StackBackend {
  backends: ActivityDeps['backends'];
  startFollowUpRun?: NonNullable<WorkerDependencies['startFollowUpRun']>;
  /**
   * Serves the API, where there is one. To be called when the worker takes work; runs are started through its client, which
   * hands them to it at once.
   */
  serve(starter: RunsClient): Promise<ServedHere | null>;
  close(): Promise<void>;
}

export interface BackendOptions extends PartsOptions {
  /** How a client finds the stack's Temporal. */
  connect: ConnectOptions;
  /** Temporal is ours alone: when its data are lost, the store goes on with the new one. */
  embedded: boolean;
}
