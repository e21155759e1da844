/**
 * Reads rows in order until a limit of bytes.
 *
 * Rule: the database adds up the sizes and sends no more rows than fit, but always the first, so that a reader makes
 * progress. Rows carry their sizes (`bytes`); older rows are measured. Pure.
 * Imported within `store/` only.
 */

/** The size of one row of each table, as SQL. */
export const ROW_BYTES = {
  approvals: 'coalesce(bytes, octet_length(call::text))',
  assistants: 'coalesce(bytes, octet_length(body::text))',
  messages: 'coalesce(bytes, octet_length(content::text))',
  runs: 'coalesce(bytes, octet_length(config::text))',
  rounds: 'coalesce(bytes, octet_length(calls::text) + octet_length(outputs::text))',
  steps: 'coalesce(bytes, octet_length(details::text))',
  run_events: 'coalesce(bytes, octet_length(data::text))',
  decisions: 'octet_length(body::text)',
  threads: 'octet_length(metadata::text)',
  webhook_deliveries: 'octet_length(log::text)',
  webhooks: 'octet_length(url)',
} as const;

/**
 * The first rows of `rows`, a select that ends with `order by <order> limit …` and has all columns of `table`; with
 * `of_rows`, the number of rows without the limit of bytes. `maxBytes`: an SQL expression.
 */
export const withinBytes = (
  table: keyof typeof ROW_BYTES,
  rows: string,
  order: string,
  maxBytes: string,
): string => `
  select * from (
    select *, sum(${ROW_BYTES[table]}) over (order by ${order}) as bytes_so_far,
      row_number() over (order by ${order}) as nth_row, count(*) over () as of_rows
    from (${rows}) limited
  ) counted where bytes_so_far <= ${maxBytes} or nth_row = 1 order by ${order}`;

/** Columns that `withinBytes` adds. `of_rows` and `nth_row` are bigints, `bytes_so_far` a numeric. */
export interface Counted {
  of_rows: number;
}
