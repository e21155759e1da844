/**
 * A run's timeline, from its rows and, while Temporal has it, its history. Pure.
 *
 * Rule: the same rows and history give the same timeline, sorted by start; what the reader may not read is null in it, and its
 * size is bounded. Imported within `service/` and by tests.
 */
import type { RunTrace } from '../../client/index.ts';
import type { RunRows } from '../../protocol/ports/run-records.ts';
import type { HistoryState, RunTimeline, TimelineEntry } from '../../protocol/wire/run-timeline.ts';
import { withHistory } from './history-entries.ts';
import { callEntries, decisionEntries, stateEntries, turnEntries } from './store-entries.ts';

/** Entries of one timeline. */
export const MAX_ENTRIES = 2_000;

export interface TimelineReader {
  /** Tools whose arguments, outputs and reasons the reader may read; null = all. */
  tools: readonly string[] | null;
  /** Whether the reader may read what workers report of failures, which names machines and other systems. */
  failures: boolean;
}

/** What the history gave: its trace, or why there is none. */
export type TraceReading = RunTrace | 'gone' | 'unavailable';

const NOTES: Readonly<Record<HistoryState, string>> = {
  read: 'Times and attempts are those of the history in Temporal.',
  cut: 'The history in Temporal is longer than a timeline reads: later entries have the times of the store.',
  gone: 'Temporal no longer keeps the history of this run: spans of tools are those of their rounds, and attempts are not known.',
  unavailable:
    'Temporal did not answer: spans of tools are those of their rounds, and attempts are not known. Read the timeline again later.',
  encrypted:
    'This server can’t decode the payloads of the history (RUNS_ENCRYPTION_KEYS or RUNS_DATA_CONVERTER of the workers): tools have the spans of their rounds, turns and timers their true times.',
};

const stateOf = (trace: TraceReading): HistoryState =>
  typeof trace === 'string' ? trace : !trace.decoded ? 'encrypted' : trace.cut ? 'cut' : 'read';

const forReader = (entry: TimelineEntry, { tools, failures }: TimelineReader): TimelineEntry => {
  const secret = 'tool' in entry && tools !== null && !tools.includes(entry.tool);
  const failure = 'failure' in entry ? entry.failure : null;
  return {
    ...entry,
    ...(failure === null || failures ? {} : { failure: { ...failure, message: null } }),
    ...(secret && 'arguments' in entry ? { arguments: null, output: null } : {}),
    ...(secret && 'reason' in entry
      ? { reason: null, note: null, refused: entry.refused === null ? null : '' }
      : {}),
  };
};

export const timelineOf = (
  record: RunRows,
  trace: TraceReading,
  reader: TimelineReader,
  now: number,
): RunTimeline => {
  const stored = [
    ...stateEntries(record),
    ...turnEntries(record),
    ...callEntries(record),
    ...decisionEntries(record),
  ];
  const all = (typeof trace === 'string' ? stored : withHistory(stored, trace)).toSorted(
    (a, b) => a.start_ms - b.start_ms,
  );
  const state = stateOf(trace);
  return {
    object: 'thread.run.timeline',
    run_id: record.run.id,
    thread_id: record.run.thread_id,
    assistant_id: record.run.assistant_id,
    tenant: record.tenant,
    status: record.run.status,
    created_at_ms: record.createdAt,
    started_at_ms: record.startedAt,
    ended_at_ms: record.endedAt,
    expires_at_ms: record.expiresAt,
    read_at_ms: now,
    history: {
      state,
      note: NOTES[state],
      workflow_id: record.run.id,
      executions: typeof trace === 'string' ? [] : trace.executions,
    },
    truncated: record.cut || all.length > MAX_ENTRIES || (typeof trace !== 'string' && trace.cut),
    entries: all.slice(0, MAX_ENTRIES).map((entry) => forReader(entry, reader)),
  };
};
