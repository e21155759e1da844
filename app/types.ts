/**
 * Shapes that the parts of the stack share, in a file of their own, so that the parts do not import each other.
 * Imported by the stack's files and by `runs dev`.
 */
import type { ActivityDeps, ToolRegistry } from '../activities/index.ts';
import type { ConnectOptions, RunsClient } from '../client/index.ts';
import type { Logger } from '../protocol/ports/backend.ts';
import type { WebhookStore } from '../protocol/ports/webhook-store.ts';
import type { WorkerDependencies } from '../worker/start-worker.ts';
import type { Config } from '../worker/config.ts';
import type { Telemetry } from '../worker/telemetry/types.ts';
import type { TemporalServerOptions } from './temporal.ts';

/** Options of everything but Temporal. */
export interface PartsOptions {
  config: Config;
  env: Readonly<Record<string, string | undefined>>;
  /** Data directory of the store; null = in memory. */
  storeDir: string | null;
  /** Create an assistant to try the server with, on the scripted model. */
  sample: boolean;
  /** Default: the file that the configuration names, else none. */
  tools?: ToolRegistry;
  /** Ports of the API in order of preference. A port that the user named is used or refused. */
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
  /** No key is required. */
  open: boolean;
  /** Of the console; null = it is off. */
  consoleUrl: string | null;
  /** The assistant to try the server with; null where none was created. */
  assistantId: string | null;
  close(): Promise<void>;
}

export interface StackBackend {
  backends: ActivityDeps['backends'];
  webhookStore?: WebhookStore;
  startFollowUpRun?: NonNullable<WorkerDependencies['startFollowUpRun']>;
  /**
   * Serves the API, where there is one. Call it when the worker polls; runs start through the worker's client and begin
   * there at once.
   */
  serve(starter: RunsClient): Promise<ServedHere | null>;
  close(): Promise<void>;
}

export interface BackendOptions extends PartsOptions {
  /** How a client connects to the stack's Temporal. */
  connect: ConnectOptions;
  /** Address of Temporal's Web UI; null = not known. */
  uiUrl: string | null;
  /** Only this stack uses the Temporal server: when its data are lost, the store accepts the new one. */
  embedded: boolean;
  /** Where spans and metrics go; null = nowhere. */
  telemetry: Telemetry | null;
}
