/**
 * The operator's overview: our extension of the wire.
 *
 * Rule: as in `objects.ts`: every field is there, and times are unix seconds. Figures that are read of a bounded number of
 * rows say of how many. Any room may import it.
 */
import type { TerminalStatus, WireUsage } from './objects.ts';

/** Runs of one span of time. */
export interface OverviewBucket {
  /** Its beginning. */
  at: number;
  created: number;
  /** Runs that ended in it, by their last status. */
  ended: Record<TerminalStatus, number>;
}

export interface OverviewWaiting {
  run_id: string;
  thread_id: string;
  tenant: string;
  assistant_id: string;
  /** Since when the oldest of its calls waits; of the caller's outputs, since when the run lives. */
  since: number;
  /** Names of the tools that it waits for. */
  tools: string[];
  answer_by: number | null;
}

export interface OverviewFailure {
  status: 'failed' | 'incomplete' | 'expired';
  /** Code of the run's error, or the reason of its end; null = none. */
  code: string | null;
  /** The message of the newest such run, its first 300 characters. */
  message: string | null;
  runs: number;
  latest_run_id: string;
  latest_at: number;
}

export interface OverviewLatency {
  model: string;
  turns: number;
  /** Milliseconds from the beginning of a turn to its first output. */
  first_output_ms: { p50: number; p90: number; max: number };
}

/** Our extension: how a server's runs fare. */
export interface Overview {
  object: 'overview';
  /** null = of all tenants. */
  tenant: string | null;
  from: number;
  to: number;
  bucket_seconds: number;
  /** False: the time holds more runs than are counted, and the buckets before the first with a run are not known. */
  complete: boolean;
  runs: OverviewBucket[];
  /** Live runs by status; at most `live_counted_to` are counted. */
  live: { queued: number; in_progress: number; requires_action: number; cancelling: number };
  live_counted_to: number;
  /** Live runs that wait the longest, oldest first. */
  waiting: OverviewWaiting[];
  /** Of the newest runs that ended otherwise than completed. */
  failures: OverviewFailure[];
  failures_of: number;
  /** Of UTC days, newest first; at most seven days. */
  tokens: { day: string; model: string; turns: number; usage: WireUsage }[];
  /** Of the turns of the newest ended runs. */
  latency: OverviewLatency[];
  latency_of: number;
}
