/**
 * The options of the sandbox.
 *
 * Rule: types only, in a file that imports no server, so that the declarations of `durable-runs/testing` need neither zod nor
 * Hono. Imported by `sandbox.ts` and `scripted-servers.ts`.
 */
import type { SandboxClock } from './clock.ts';
import type { Quirks } from './assistants-server/quirks.ts';
import type { IdSource } from './ids.ts';
import type { Script, ScriptEntry } from './script.ts';

/** How `createSandbox` plays. Times are milliseconds unless the name says seconds. */
export interface SandboxOptions {
  /** Port of the runs API on 127.0.0.1. Default 0: any free one. */
  port?: number;
  /** Port of the chat model on 127.0.0.1. Default 0: any free one. */
  modelPort?: number;
  /** false = no sockets: `fetch` only. Default true. */
  listen?: boolean;
  /** Default: one that runs by itself and can be advanced. */
  clock?: SandboxClock;
  /** Default: random. `seededIds(seed)` repeats itself. */
  ids?: IdSource;
  /** Your scripts, by name; they join the built-in ones and win over them. */
  scripts?: Record<string, Script | ScriptEntry>;
  /** Script of models and assistants that name none. Default `auto`. */
  defaultScript?: string;
  /** Seconds from a run's creation to its expiry. Default 600. */
  expiresInSeconds?: number;
  /** Answers say the sandbox's own time in `date`, as a server whose clock is wrong does. Default false: this machine's. */
  ownDate?: boolean;
  /** Milliseconds a run stays `queued`. Default 0. */
  pickupMs?: number;
  /** Milliseconds a run stays `cancelling`. Default 0. */
  cancelMs?: number;
  /** Differences from the original API, from the start. They may be changed later in `quirks`. */
  quirks?: Partial<Quirks>;
  /** When set, both faces want `Authorization: Bearer <apiKey>`. */
  apiKey?: string;
  /** Serve `/sandbox/…` (clock, faults, quirks, log) on the runs API's socket. Default false. */
  controls?: boolean;
  /** Milliseconds between comments on a silent stream. Default 15 000. */
  keepAliveMs?: number;
}
