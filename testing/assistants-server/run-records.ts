/**
 * Runs of the scripted server over all threads, by id, and as records. Its runs have no workflow, so there is no history, and a
 * timeline has the changes of status alone. Imported by `engine.ts`.
 */
import { apiErrors } from '../../protocol/errors.ts';
import { historyGone } from '../../protocol/history-gone.ts';
import type { RunListQuery } from '../../protocol/ports/run-records.ts';
import type { Caller, RunsService } from '../../protocol/ports/runs-service.ts';
import { isTerminal, type RunStatus } from '../../protocol/wire/objects.ts';
import type { Overview } from '../../protocol/wire/overview.ts';
import { stateEntry, type RunTimeline } from '../../protocol/wire/run-timeline.ts';
import { paged } from './paging.ts';
import type { RunRecord } from './records.ts';
import type { ServerState } from './thread-methods.ts';
import { toMessage, toRun, toRunStep } from './views.ts';

const HOUR_SECONDS = 3_600;

const isAsked = (
  run: RunRecord,
  { status, assistantId, threadId, tool, createdFrom = 0, createdBefore = Infinity }: RunListQuery,
): boolean => {
  const view = toRun(run);
  return (
    (status === undefined || view.status === status) &&
    (assistantId === undefined || view.assistant_id === assistantId) &&
    (threadId === undefined || view.thread_id === threadId) &&
    view.created_at >= createdFrom &&
    view.created_at < createdBefore &&
    (tool === undefined ||
      run.steps.some(({ details }) => 'calls' in details && details.calls.some(({ name }) => name === tool)))
  );
};

const milliseconds = (seconds: number | null): number | null => (seconds === null ? null : seconds * 1000);

const timelineOf = (record: RunRecord, now: number): RunTimeline => {
  const run = toRun(record);
  const startedAt = milliseconds(run.started_at);
  const endedAt = milliseconds(run.completed_at ?? run.failed_at ?? run.cancelled_at);
  return {
    object: 'thread.run.timeline',
    run_id: run.id,
    thread_id: run.thread_id,
    assistant_id: run.assistant_id,
    tenant: record.tenant,
    status: run.status,
    created_at_ms: record.createdAt,
    started_at_ms: startedAt,
    ended_at_ms: endedAt,
    expires_at_ms: record.expiresAt,
    read_at_ms: now,
    history: {
      state: 'gone',
      note: 'Runs of the scripted server have no history.',
      workflow_id: run.id,
      executions: [],
    },
    truncated: false,
    entries: [
      ...stateEntry('queued', record.createdAt),
      ...stateEntry('in_progress', startedAt),
      ...(isTerminal(run.status) ? stateEntry(run.status, endedAt) : []),
    ],
  };
};

const overviewOf = (
  runs: readonly RunRecord[],
  { tenant, hours }: { tenant: string | null; hours: number },
  to: number,
): Overview => {
  const views = runs.filter((run) => tenant === null || run.tenant === tenant).map(toRun);
  const count = (status: RunStatus): number => views.filter((run) => run.status === status).length;
  const from = to - hours * HOUR_SECONDS;
  const ended = {
    completed: count('completed'),
    failed: count('failed'),
    incomplete: count('incomplete'),
    cancelled: count('cancelled'),
    expired: count('expired'),
  };
  return {
    object: 'overview',
    tenant,
    from,
    to,
    bucket_seconds: hours * HOUR_SECONDS,
    complete: true,
    runs: [{ at: from, created: views.length, ended }],
    live: {
      queued: count('queued'),
      in_progress: count('in_progress'),
      requires_action: count('requires_action'),
      cancelling: count('cancelling'),
    },
    live_counted_to: views.length,
    waiting: [],
    failures: [],
    failures_of: 0,
    tokens: [],
    latency: [],
    latency_of: 0,
  };
};

type RunRecordMethods = Pick<
  RunsService,
  'listAllRuns' | 'findRun' | 'runTimeline' | 'runHistory' | 'exportRun' | 'overview'
>;

export const scriptedRecords = ({ runs, clock }: Pick<ServerState, 'runs' | 'clock'>): RunRecordMethods => {
  const owned = ({ tenant }: Caller, id: string): RunRecord => {
    const run = runs.get(id);
    if (run === undefined || run.tenant !== tenant) throw apiErrors.notFound('run', id);
    return run;
  };
  return {
    async listAllRuns({ tenant }, query) {
      const found = [...runs.values()].filter(
        (run) => run.tenant === (query.tenant ?? tenant) && isAsked(run, query),
      );
      const { limit, after } = query;
      return paged(found, { limit, order: 'desc', ...(after === undefined ? {} : { after }) }, toRun);
    },
    findRun: async (caller, id) => toRun(owned(caller, id)),
    runTimeline: async (caller, id) => timelineOf(owned(caller, id), clock.now()),
    runHistory: async (caller, id, execution) => {
      throw historyGone(owned(caller, id).id, execution);
    },
    async exportRun(caller, id) {
      const record = owned(caller, id);
      return {
        object: 'thread.run.export',
        exported_at: Math.floor(clock.now() / 1000),
        tenant: record.tenant,
        run: toRun(record),
        steps: record.steps.map((step) => toRunStep(step, record)),
        messages: record.thread.messages.map((message) => toMessage(message, record.thread.id)),
        decisions: [],
        timeline: timelineOf(record, clock.now()),
        usage: record.usage,
        truncated: [],
      };
    },
    overview: async (_caller, query) => overviewOf([...runs.values()], query, Math.floor(clock.now() / 1000)),
  };
};
