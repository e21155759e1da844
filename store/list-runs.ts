/**
 * Runs over all threads, by filters, in pages.
 *
 * Rule: the order is that of `position`, and each filter has an index that ends with it, so a page costs what it holds. A filter
 * of time is a range of `created_at`, whose index gives the bounds of the positions.
 * Imported within `store/` only.
 */
import { apiErrors } from '../protocol/errors.ts';
import type { RunQuery } from '../protocol/ports/run-store.ts';
import { isTerminal, type Page, type Run } from '../protocol/wire/objects.ts';
import type { Database, Param } from './database.ts';
import { readPage } from './paging.ts';
import type { RunRow } from './schema.ts';
import { LIVE } from './threads.ts';
import { runView } from './views.ts';

/** Positions follow the database's clock and `created_at` the creating process's: so far may two runs be out of order. */
const SKEW_MS = 60_000;
/** Runs around a bound among which the outermost position is taken. */
const AT_BOUND = 100;

/** A status and the condition of the partial index that knows it. */
const inStatus = (status: NonNullable<RunQuery['status']>, param: string): string =>
  `status = ${param} and ${isTerminal(status) ? 'ended_at is not null' : LIVE}`;

/** A plan that knows no values takes a status that no run has for one that many have, and reads every run. */
const BY_VALUE = "select set_config('plan_cache_mode', 'force_custom_plan', true)";
/** Runs of a tool are read in the order of its index; a join that is sorted would first read all of them. */
const IN_ORDER = `${BY_VALUE}, set_config('enable_sort', 'off', true), set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)`;

const from = (param: string): string => `created_at >= ${param}::bigint and position >= (
  select coalesce(min(position), 0) from (
    select position from runs where created_at >= ${param}::bigint - ${SKEW_MS} order by created_at limit ${AT_BOUND}
  ) first)`;

const before = (param: string): string => `created_at < ${param}::bigint and position <= (
  select coalesce(max(position), 0) from (
    select position from runs where created_at < ${param}::bigint + ${SKEW_MS} order by created_at desc limit ${AT_BOUND}
  ) last)`;

export const listAllRuns = (db: Database, { limit, after, ...query }: RunQuery): Promise<Page<Run>> => {
  const { tenant, status, tool } = query;
  const params: Param[] = tenant === null ? [] : [tenant];
  const scope = { where: tenant === null ? 'true' : 'tenant = $1', params: [...params] };
  const conditions = [scope.where];
  const add = (condition: (param: string) => string, value: Param | undefined): void => {
    if (value !== undefined) conditions.push(condition(`$${params.push(value)}`));
  };
  if (status !== undefined) add((param) => inStatus(status, param), status);
  add((param) => `assistant_id = ${param}`, query.assistantId);
  add((param) => `thread_id = ${param}`, query.threadId);
  add((param) => `tool = ${param}`, tool);
  add(from, query.createdFrom);
  add(before, query.createdBefore);
  const source = {
    table: 'runs' as const,
    // The position is part of the join, so that the index of the tool gives the order.
    ...(tool === undefined
      ? {}
      : {
          from: 'runs join run_tools on run_tools.run_id = runs.id and run_tools.run_position = runs.position',
        }),
    where: conditions.join(' and '),
    params,
    scope,
    view: runView,
    notFound: (id: string) => apiErrors.notFound('run', id),
  };
  const page = { limit, order: 'desc' as const, ...(after === undefined ? {} : { after }) };
  return db.transaction(async (sql) => {
    await sql.query(tool === undefined ? BY_VALUE : IN_ORDER);
    return readPage<RunRow, Run>(sql, source, page);
  });
};
