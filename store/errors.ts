/**
 * Sorts errors of database drivers: the database can't serve now (retry), or anything else (a bug, passed on
 * unchanged).
 *
 * Rule: branch on SQLSTATE and system codes, and on driver texts only where a driver has no code. No query text and no
 * parameter enters a message, since they contain user data.
 * Imported within `store/` only.
 */
import { StoreError } from '../protocol/ports/store-error.ts';

/** SQLSTATE classes and codes after which the same transaction may succeed later. */
const UNAVAILABLE_CLASSES = new Set(['08', '53', '57', '58']);
const UNAVAILABLE_CODES = new Set([
  // serialization failure, deadlock: another transaction won
  '40001',
  '40P01',
  // lock not available (lock_timeout)
  '55P03',
  // idle-in-transaction and transaction timeouts
  '25P03',
  '25P04',
  // read-only transaction: this server is a standby now, and a new connection finds the primary
  '25006',
]);
const SYSTEM_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENOENT',
]);
/** `pg` has no codes for these. */
const DRIVER_TEXTS = [
  /^Connection terminated/,
  /^timeout exceeded when trying to connect/,
  /^Query read timeout/,
  /^Client has encountered a connection error/,
  /^Client was closed and is not queryable/,
  /^Cannot use a pool after calling end/,
  /^PGlite is (closed|closing)/,
];

const codeOf = (error: unknown): string | null => {
  const code: unknown = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : null;
};

const UNIQUE_VIOLATION = '23505';

/** The name of the unique index that a statement violated; null for other errors. */
export const violatedIndex = (error: unknown): string | null => {
  if (codeOf(error) !== UNIQUE_VIOLATION) return null;
  const constraint: unknown = (error as { constraint?: unknown }).constraint;
  return typeof constraint === 'string' ? constraint : '';
};

export const isDatabaseUnavailable = (error: unknown): boolean => {
  const code = codeOf(error);
  if (code !== null) {
    if (UNAVAILABLE_CODES.has(code) || SYSTEM_CODES.has(code)) return true;
    if (/^[0-9A-Z]{5}$/.test(code)) return UNAVAILABLE_CLASSES.has(code.slice(0, 2));
  }
  // Several addresses were tried, and none accepted the connection.
  if (error instanceof AggregateError) return error.errors.every((one) => isDatabaseUnavailable(one));
  return error instanceof Error && DRIVER_TEXTS.some((text) => text.test(error.message));
};

export const toStoreError = (error: unknown): unknown =>
  isDatabaseUnavailable(error)
    ? new StoreError(
        'unavailable',
        `The database can't be reached or aborted the request (${codeOf(error) ?? 'no code'}). Check that it runs and accepts connections.`,
        { cause: error },
      )
    : error;
