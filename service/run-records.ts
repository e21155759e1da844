/**
 * Runs as engineers and operators read them: lists over all threads, timelines, histories, exports, the overview.
 *
 * Rule: a run of another tenant is not found; for an operator the caller's tenant is the run's. A timeline needs the store alone.
 * Imported by `service/index.ts`.
 */
import { apiErrors } from '../protocol/errors.ts';
import { historyGone } from '../protocol/history-gone.ts';
import type { RunRows } from '../protocol/ports/run-records.ts';
import type { Caller, PageQuery, RunsService } from '../protocol/ports/runs-service.ts';
import { utcDay } from '../protocol/rules/utc-day.ts';
import type { Page, Run } from '../protocol/wire/objects.ts';
import type { RunExport, RunTimeline } from '../protocol/wire/run-timeline.ts';
import { withApiErrors } from './errors.ts';
import { bucketFor, overviewOf } from './overview.ts';
import type { ServiceContext } from './service-context.ts';
import { approvalsOf, decidable } from './signature.ts';
import { timelineOf, type TraceReading } from './timeline/index.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
const USAGE_DAYS = 7;
const USAGE_ROWS = 200;
/** Objects of one list in an export, and of a page of it. */
const EXPORTED = 1_000;
const PAGE = 100;

type Records = Pick<ServiceContext, 'store' | 'workflows' | 'now' | 'log'>;

const recordOf = async ({ store }: Records, { tenant }: Caller, runId: string): Promise<RunRows> => {
  const record = await store.readRecord(runId);
  if (record === null || record.tenant !== tenant) throw apiErrors.notFound('run', runId);
  return record;
};

const runOf = async ({ store }: Records, { tenant }: Caller, runId: string): Promise<Run> => {
  const found = await store.findRun(runId);
  if (found === null || found.tenant !== tenant) throw apiErrors.notFound('run', runId);
  return found.run;
};

/** A failure to read it is a state of the timeline. */
const traceReading = async ({ workflows, log }: Records, runId: string): Promise<TraceReading> => {
  try {
    return (await workflows.trace(runId)) ?? 'gone';
  } catch (error) {
    log?.warn({ runId, error: String(error) }, "the history of a run can't be read for its timeline");
    return 'unavailable';
  }
};

const isOperator = ({ roles }: Caller): boolean => roles === undefined || roles.includes('operator');

const readTimeline = async (context: Records, caller: Caller, record: RunRows): Promise<RunTimeline> => {
  const reader = { tools: decidable(caller), failures: isOperator(caller) };
  return timelineOf(record, await traceReading(context, record.run.id), reader, context.now());
};

/** Pages until the end, or the limit of an export. */
const readAll = async <T extends { id: string }>(
  read: (after: string | undefined) => Promise<Page<T>>,
): Promise<{ data: T[]; cut: boolean }> => {
  const data: T[] = [];
  let after: string | undefined;
  for (;;) {
    const page = await read(after);
    data.push(...page.data);
    if (!page.has_more || page.last_id === null) return { data, cut: false };
    if (data.length >= EXPORTED) return { data, cut: true };
    after = page.last_id;
  }
};

const page = (after: string | undefined): PageQuery => ({
  limit: PAGE,
  order: 'asc',
  ...(after === undefined ? {} : { after }),
});

const exportOf = async (context: Records, caller: Caller, runId: string): Promise<RunExport> => {
  const { store, now } = context;
  const { tenant } = caller;
  const record = await recordOf(context, caller, runId);
  const threadId = record.run.thread_id;
  const [steps, messages, decisions, timeline] = await Promise.all([
    readAll((after) => store.listSteps(tenant, threadId, runId, page(after))),
    readAll((after) => store.listMessages(tenant, threadId, page(after))),
    readAll((after) =>
      store.listDecisions(tenant, threadId, runId, { ...page(after), tools: decidable(caller) }),
    ),
    readTimeline(context, caller, record),
  ]);
  return {
    object: 'thread.run.export',
    exported_at: Math.floor(now() / 1000),
    tenant,
    run: record.run,
    steps: steps.data,
    messages: messages.data,
    decisions: decisions.data,
    timeline,
    usage: record.usage,
    truncated: [
      ...(steps.cut ? (['steps'] as const) : []),
      ...(messages.cut ? (['messages'] as const) : []),
      ...(decisions.cut ? (['decisions'] as const) : []),
      ...(timeline.truncated ? (['timeline'] as const) : []),
    ],
  };
};

type RunRecordMethods = Pick<
  RunsService,
  'listAllRuns' | 'findRun' | 'runTimeline' | 'runHistory' | 'exportRun' | 'overview'
>;

export const createRunRecordMethods = (context: Records): RunRecordMethods => {
  const { store, workflows, now } = context;
  return {
    listAllRuns: (caller, { createdFrom, createdBefore, tenant, ...query }) =>
      withApiErrors(() =>
        store.listAllRuns({
          ...query,
          ...(createdFrom === undefined ? {} : { createdFrom: createdFrom * 1000 }),
          ...(createdBefore === undefined ? {} : { createdBefore: createdBefore * 1000 }),
          tenant: tenant ?? approvalsOf(caller).tenant,
        }),
      ),
    findRun: (caller, runId) => withApiErrors(() => runOf(context, caller, runId)),
    runTimeline: (caller, runId) =>
      withApiErrors(async () => readTimeline(context, caller, await recordOf(context, caller, runId))),
    runHistory: (caller, runId, execution) =>
      withApiErrors(async () => {
        await runOf(context, caller, runId);
        const history = await workflows.history(runId, execution);
        if (history === null) throw historyGone(runId, execution);
        return history;
      }),
    exportRun: (caller, runId) => withApiErrors(() => exportOf(context, caller, runId)),
    overview: (_caller, { tenant, hours }) =>
      withApiErrors(async () => {
        const to = now();
        const time = { from: to - hours * HOUR_MS, to, bucketMs: bucketFor(hours) };
        const [rows, usage] = await Promise.all([
          store.readOverview({ tenant, from: time.from, bucketMs: time.bucketMs }),
          store.usageByDay({
            tenant,
            from: utcDay(to - (USAGE_DAYS - 1) * DAY_MS),
            to: utcDay(to),
            limit: USAGE_ROWS,
          }),
        ]);
        return overviewOf(rows, time, tenant, usage.data);
      }),
  };
};
