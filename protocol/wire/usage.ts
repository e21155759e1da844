/**
 * What was used of models, as the API reports it: an extension of this server.
 * Imports wire shapes only. Any room may import it.
 */
import type { WireUsage } from './objects.ts';

/** The settled and broken-off turns of one tenant and model on one UTC day. */
export interface DayUsage {
  object: 'usage.day';
  /** `YYYY-MM-DD`. */
  day: string;
  tenant: string;
  model: string;
  turns: number;
  usage: WireUsage;
}

/** All runs of a thread so far, live ones included. */
export interface ThreadUsage {
  object: 'thread.usage';
  thread_id: string;
  /** Runs that have a usage. */
  runs: number;
  /** null = no turn was counted. */
  usage: WireUsage | null;
}
