/**
 * The operator's overview, from bounded rows. Pure.
 *
 * Rule: buckets without runs are there with zeros, so that a chart needs no gaps filled; time that was not counted has none.
 * Imported within `service/` and by tests.
 */
import {
  OVERVIEW_ROWS,
  type EndedRun,
  type OverviewRows,
  type TurnTimes,
} from '../protocol/ports/run-records.ts';
import { TERMINAL_STATUSES, type TerminalStatus } from '../protocol/wire/objects.ts';
import type {
  Overview,
  OverviewBucket,
  OverviewFailure,
  OverviewLatency,
} from '../protocol/wire/overview.ts';
import type { DayUsage } from '../protocol/wire/usage.ts';

const HOUR_MS = 3_600_000;
/** Spans of time of which one is chosen, so that a chart has at most 60 of them. */
const BUCKETS_MS = [60_000, 300_000, 900_000, HOUR_MS, 3 * HOUR_MS, 6 * HOUR_MS, 24 * HOUR_MS];
const MAX_BUCKETS = 60;
const MESSAGE_CHARS = 300;

export const bucketFor = (hours: number): number =>
  BUCKETS_MS.find((ms) => (hours * HOUR_MS) / ms <= MAX_BUCKETS) ?? 24 * HOUR_MS;

const seconds = (ms: number): number => Math.floor(ms / 1000);

const emptyBucket = (at: number): OverviewBucket => ({
  at: seconds(at),
  created: 0,
  ended: { completed: 0, failed: 0, incomplete: 0, cancelled: 0, expired: 0 },
});

const bucketsOf = (
  { created, ended, countedFrom }: OverviewRows,
  { from, to, bucketMs }: OverviewTime,
): OverviewBucket[] => {
  const first = Math.floor((countedFrom ?? from) / bucketMs) * bucketMs;
  const buckets = new Map<number, OverviewBucket>();
  for (let at = first; at <= to; at += bucketMs) buckets.set(at, emptyBucket(at));
  for (const { at, runs } of created) {
    const bucket = buckets.get(at);
    if (bucket !== undefined) bucket.created += runs;
  }
  for (const { at, status, runs } of ended) {
    const bucket = buckets.get(at);
    if (bucket !== undefined && (TERMINAL_STATUSES as readonly string[]).includes(status))
      bucket.ended[status as TerminalStatus] += runs;
  }
  return [...buckets.values()];
};

/** By status and code, the most frequent first. */
export const failuresOf = (ended: readonly EndedRun[]): OverviewFailure[] => {
  const causes = new Map<string, OverviewFailure>();
  for (const { id, status, code, message, endedAt } of ended) {
    const key = JSON.stringify([status, code]);
    const known = causes.get(key);
    const latest = known === undefined || seconds(endedAt) > known.latest_at;
    causes.set(key, {
      status,
      code,
      message: latest ? (message?.slice(0, MESSAGE_CHARS) ?? null) : (known?.message ?? null),
      runs: (known?.runs ?? 0) + 1,
      latest_run_id: latest ? id : (known?.latest_run_id ?? id),
      latest_at: latest ? seconds(endedAt) : (known?.latest_at ?? 0),
    });
  }
  return [...causes.values()].toSorted((a, b) => b.runs - a.runs || b.latest_at - a.latest_at);
};

/** The nearest rank, of sorted values. */
const quantile = (sorted: readonly number[], part: number): number =>
  sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? 0;

export const latencyOf = (turns: readonly TurnTimes[]): OverviewLatency[] => {
  const models = new Map<string, number[]>();
  for (const { model, startedAt, firstOutputAt } of turns) {
    if (model === null) continue;
    const times = models.get(model) ?? [];
    times.push(Math.max(0, firstOutputAt - startedAt));
    models.set(model, times);
  }
  return [...models]
    .map(([model, times]) => {
      const sorted = times.toSorted((a, b) => a - b);
      return {
        model,
        turns: sorted.length,
        first_output_ms: { p50: quantile(sorted, 0.5), p90: quantile(sorted, 0.9), max: quantile(sorted, 1) },
      };
    })
    .toSorted((a, b) => b.turns - a.turns || a.model.localeCompare(b.model));
};

export interface OverviewTime {
  /** Unix ms. */
  from: number;
  to: number;
  bucketMs: number;
}

/** Tenants of a report of usage are added up by the reader of one model's row. */
const tokensOf = (days: readonly DayUsage[]): Overview['tokens'] =>
  days.map(({ day, model, turns, usage }) => ({ day, model, turns, usage }));

const liveOf = (rows: OverviewRows['live']): Overview['live'] => {
  const of = (status: string): number => rows.find((row) => row.status === status)?.runs ?? 0;
  return {
    queued: of('queued'),
    in_progress: of('in_progress'),
    requires_action: of('requires_action'),
    cancelling: of('cancelling'),
  };
};

const waitingOf = ({ waiting }: OverviewRows): Overview['waiting'] =>
  waiting
    .map(({ runId, threadId, tenant, assistantId, createdAt, askedAt, calls }) => {
      const deadlines = calls.map(({ answerBy }) => answerBy).filter((at) => at !== null);
      return {
        run_id: runId,
        thread_id: threadId,
        tenant,
        assistant_id: assistantId,
        since: seconds(askedAt ?? createdAt),
        tools: [...new Set(calls.map(({ tool }) => tool))],
        answer_by: deadlines.length === 0 ? null : Math.min(...deadlines),
      };
    })
    .toSorted((a, b) => a.since - b.since);

export const overviewOf = (
  rows: OverviewRows,
  time: OverviewTime,
  tenant: string | null,
  days: readonly DayUsage[],
): Overview => ({
  object: 'overview',
  tenant,
  from: seconds(rows.countedFrom ?? time.from),
  to: seconds(time.to),
  bucket_seconds: seconds(time.bucketMs),
  complete: rows.countedFrom === null,
  runs: bucketsOf(rows, time),
  live: liveOf(rows.live),
  live_counted_to: OVERVIEW_ROWS.live,
  waiting: waitingOf(rows),
  failures: failuresOf(rows.failures),
  failures_of: rows.failures.length,
  tokens: tokensOf(days),
  latency: latencyOf(rows.turns),
  latency_of: rows.turns.length,
});
