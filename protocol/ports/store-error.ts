/**
 * The error of a store: what it can't do, apart from the lookups and conflicts that `ApiError` words.
 * Imports nothing. Imported by `store/`, `service/`, `backends/chat/` and tests.
 */
export type StoreErrorCode =
  /** The database can't be reached, or a lock or statement timed out: retry. */
  | 'unavailable'
  /** A newer attempt claimed the run, or the run has ended: this writer must stop. */
  | 'lease_lost'
  /** The run's row is gone: its start was rolled back, or its thread was deleted. */
  | 'no_such_run'
  /** An output differs from the one that was accepted first. `details` = call ids. */
  | 'output_conflict';

export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;
  readonly details: readonly string[];

  constructor(
    code: StoreErrorCode,
    message: string,
    more: { details?: readonly string[]; cause?: unknown } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.code = code;
    this.details = more.details ?? [];
  }
}
