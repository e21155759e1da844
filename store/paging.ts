/**
 * Pages by cursor. Cursors are object ids; the order is that of `position`, which never changes and is unique.
 *
 * Rule: an unknown cursor is a 404, not an empty page, which would look like the end. A page is bounded in rows and in
 * bytes; `has_more` says whether more rows exist, whatever bound ended the page.
 * Imported within `store/` only.
 */
import type { PageQuery } from '../protocol/ports/runs-service.ts';
import { apiErrors, type ApiError } from '../protocol/errors.ts';
import { READ_BYTES } from '../protocol/limits.ts';
import type { Page } from '../protocol/wire/objects.ts';
import type { Param, Sql } from './database.ts';
import { withinBytes, type Counted } from './within-bytes.ts';

export interface PageSource<Row, T> {
  table:
    | 'assistants'
    | 'decisions'
    | 'messages'
    | 'runs'
    | 'steps'
    | 'threads'
    | 'webhook_deliveries'
    | 'webhooks';
  /** SQL condition over `$1…`, such as `thread_id = $1 and tenant = $2`. */
  where: string;
  params: readonly Param[];
  /** Where rows are read from, if not from the table alone; it has one column of each name that the conditions use. */
  from?: string;
  /** What a cursor must fulfil; default `where`. A row may cease to fulfil the rest between two pages. */
  scope?: { where: string; params: readonly Param[] };
  view(row: Row): T;
  notFound(id: string): ApiError;
}

/** The page of these objects. `rows` are those that were read, each with the count of all that the limit lets through. */
export const pageOfRows = <T extends { id: string }>(data: T[], rows: readonly Counted[]): Page<T> => ({
  object: 'list',
  data,
  first_id: data[0]?.id ?? null,
  last_id: data.at(-1)?.id ?? null,
  has_more: (rows[0]?.of_rows ?? 0) > data.length,
});

export const readPage = async <Row extends { id: string; position: number }, T extends { id: string }>(
  sql: Sql,
  source: PageSource<Row, T>,
  query: PageQuery,
): Promise<Page<T>> => {
  const params = [...source.params];
  const conditions = [source.where];
  const cursor = async (id: string): Promise<number> => {
    const scope = source.scope ?? source;
    const [row] = await sql.query<{ position: number }>(
      `select position from ${source.table} where ${scope.where} and id = $${scope.params.length + 1}`,
      [...scope.params, id],
    );
    if (row === undefined) throw source.notFound(id);
    return row.position;
  };
  const beyond = query.order === 'asc' ? '>' : '<';
  const short = query.order === 'asc' ? '<' : '>';
  if (query.after !== undefined) {
    params.push(await cursor(query.after));
    conditions.push(`position ${beyond} $${params.length}`);
  }
  if (query.before !== undefined) {
    params.push(await cursor(query.before));
    conditions.push(`position ${short} $${params.length}`);
  }
  // `before` alone asks for the page that ends at the cursor: read backwards from it, then reverse the page.
  const backwards = query.before !== undefined && query.after === undefined;
  const direction = (query.order === 'asc') === backwards ? 'desc' : 'asc';
  params.push(query.limit + 1);
  const limited = `select ${source.table}.* from ${source.from ?? source.table} where ${conditions.join(' and ')} order by position ${direction} limit $${params.length}`;
  params.push(READ_BYTES.page);
  const rows = await sql.query<Row & Counted>(
    withinBytes(source.table, limited, `position ${direction}`, `$${params.length}`),
    params,
  );
  const page = rows.slice(0, query.limit);
  if (backwards) page.reverse();
  return pageOfRows(
    page.map((row) => source.view(row)),
    rows,
  );
};

/** A page of a tenant's rows of one table. */
export const readTenantPage = <Row extends { id: string; position: number }, T extends { id: string }>(
  sql: Sql,
  tenant: string,
  source: Pick<PageSource<Row, T>, 'table' | 'view'> & { kind: 'assistant' | 'thread' },
  query: PageQuery,
): Promise<Page<T>> =>
  readPage<Row, T>(
    sql,
    {
      table: source.table,
      where: 'tenant = $1',
      params: [tenant],
      view: source.view,
      notFound: (id) => apiErrors.notFound(source.kind, id),
    },
    query,
  );
