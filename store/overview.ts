/**
 * The rows of the operator's overview.
 *
 * Rule: each statement reads a bounded number of rows by an index, before it filters by tenant, so the cost does not grow with
 * the number of runs. `OVERVIEW_ROWS` has the bounds.
 * Imported within `store/` only.
 */
import {
  OVERVIEW_ROWS,
  type OverviewQuery,
  type OverviewRows,
  type TurnTimes,
} from '../protocol/ports/run-records.ts';
import type { Database } from './database.ts';
import type { RunRow } from './schema.ts';
import { LIVE } from './threads.ts';
import { awaitedNow } from './views.ts';

/** A condition on `tenant`; null = all tenants. */
const OF_TENANT = '($1::text is null or tenant = $1)';

/** Runs by span of time, newest spans first, and the time of the oldest run that was counted. */
const counted = (time: 'created_at' | 'ended_at', status: string, where: string): string => `
  with newest as (
    select ${time} as at, ${status} as status, tenant from runs
    where ${time} >= $2 ${where} order by ${time} desc limit $4
  )
  select (at / $3) * $3 as at, status, count(*) filter (where ${OF_TENANT}) as runs,
    min(at) as oldest, count(*) as all_runs
  from newest group by 1, 2`;

const CREATED = counted('created_at', 'null::text', '');
const ENDED = counted('ended_at', 'status', 'and ended_at is not null');

interface CountRow {
  at: number;
  status: string | null;
  runs: number;
  oldest: number;
  all_runs: number;
}

/** The oldest counted time, when the limit left runs out. */
const cutAt = (rows: readonly CountRow[]): number | null =>
  rows.reduce((all, row) => all + row.all_runs, 0) < OVERVIEW_ROWS.counted
    ? null
    : Math.min(...rows.map(({ oldest }) => oldest));

const LIVE_COUNT = `
  select status, count(*) filter (where ${OF_TENANT}) as runs
  from (select status, tenant from runs where ${LIVE} order by position limit ${OVERVIEW_ROWS.live}) live group by status`;

type WaitingRow = Pick<RunRow, 'id' | 'thread_id' | 'tenant' | 'assistant_id' | 'created_at' | 'awaiting'> & {
  asked_at: number | null;
};

const WAITING = `
  select o.id, o.thread_id, o.tenant, o.assistant_id, o.created_at, o.awaiting,
    (select min(a.asked_at) from approvals a where a.run_id = o.id and a.status = 'waiting') as asked_at
  from (
    select * from runs where ${LIVE} order by position limit ${OVERVIEW_ROWS.lookedAt}
  ) o
  where o.awaiting is not null and ($1::text is null or o.tenant = $1) order by o.position limit ${OVERVIEW_ROWS.waiting}`;

/** Of each status, since an index gives the newest of one status only. */
const FAILURES = ['failed', 'incomplete', 'expired']
  .map(
    (status) => `(select id, status, last_error, incomplete_reason, ended_at, tenant from runs
      where ended_at is not null and status = '${status}' order by position desc limit ${OVERVIEW_ROWS.failures})`,
  )
  .join(' union all ');

type FailureRow = Pick<RunRow, 'id' | 'incomplete_reason' | 'last_error'> & {
  status: 'failed' | 'incomplete' | 'expired';
  ended_at: number;
};

/** Steps of the newest ended runs; a turn's first step opens with its first output. */
const TURNS = `
  with ended as (
    select id, started_at, tenant from runs where ended_at is not null and ended_at >= $2
    order by ended_at desc limit ${OVERVIEW_ROWS.measured}
  ),
  turns as (
    select e.id, s.round, min(e.started_at) as started_at, min(s.created_at) as first_at,
      max(s.completed_at) as done_at, (array_agg(s.model order by s.position desc))[1] as model
    from ended e join steps s on s.run_id = e.id where ${OF_TENANT.replaceAll('tenant', 'e.tenant')}
    group by e.id, s.round
  )
  select model, first_at,
    case when round = 1 then started_at else lag(done_at) over (partition by id order by round) end as began_at
  from turns`;

interface TurnRow {
  model: string | null;
  first_at: number;
  began_at: number | null;
}

const turnOf = ({ model, first_at, began_at }: TurnRow): TurnTimes[] =>
  began_at === null ? [] : [{ model, startedAt: began_at, firstOutputAt: first_at }];

export const readOverview = async (
  db: Database,
  { tenant, from, bucketMs }: OverviewQuery,
): Promise<OverviewRows> => {
  const limits = [tenant, from, bucketMs, OVERVIEW_ROWS.counted];
  const [created, ended, live, waiting, failures, turns] = await Promise.all([
    db.query<CountRow>(CREATED, limits),
    db.query<CountRow>(ENDED, limits),
    db.query<{ status: string; runs: number }>(LIVE_COUNT, [tenant]),
    db.query<WaitingRow>(WAITING, [tenant]),
    db.query<FailureRow>(`select * from (${FAILURES}) f where ${OF_TENANT} and ended_at >= $2`, [
      tenant,
      from,
    ]),
    db.query<TurnRow>(TURNS, [tenant, from]),
  ]);
  const cuts = [cutAt(created), cutAt(ended)].filter((at) => at !== null);
  return {
    created: created.map(({ at, runs }) => ({ at, runs })),
    ended: ended.map(({ at, status, runs }) => ({ at, status: status ?? '', runs })),
    countedFrom: cuts.length === 0 ? null : Math.max(...cuts),
    live,
    waiting: waiting.map((row) => ({
      runId: row.id,
      threadId: row.thread_id,
      tenant: row.tenant,
      assistantId: row.assistant_id,
      createdAt: row.created_at,
      askedAt: row.asked_at,
      calls: awaitedNow(row).map(({ tool, answer_by: answerBy }) => ({ tool, answerBy })),
    })),
    failures: failures.map((row) => ({
      id: row.id,
      status: row.status,
      code: row.last_error?.code ?? row.incomplete_reason,
      message: row.last_error?.message ?? null,
      endedAt: row.ended_at,
    })),
    turns: turns.flatMap(turnOf),
  };
};
