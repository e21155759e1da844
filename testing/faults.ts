/**
 * Faults on request: which request is hit, and by what.
 *
 * Rule: a fault is data. It names what goes wrong, how often and where; `fault-effects.ts` carries it out, on a socket
 * or in process alike. The first matching fault with hits left is used, in the order they were added.
 * Imports types only. Ships with the package.
 */

/** `before` = the request is not processed; `after` = it is, and its answer is what suffers. */
export type FaultAction =
  /** The connection is reset without an answer. */
  | { kind: 'reset'; when: 'before' | 'after' }
  /** No answer ever comes; the connection stays open. */
  | { kind: 'hang'; when: 'before' | 'after' }
  /** Head and the first `bytes` of the body come, then silence. */
  | { kind: 'stall_body'; bytes?: number }
  /** The answer waits this many milliseconds of the sandbox's clock. */
  | { kind: 'delay'; ms: number; when?: 'before' | 'after' }
  /** This answer instead of the real one. With `processed` the request takes effect all the same. Default: it does not. */
  | { kind: 'status'; status: number; headers?: Record<string, string>; body?: unknown; processed?: boolean }
  /** Headers added to the real answer (or replaced in it). */
  | { kind: 'headers'; headers: Record<string, string> }
  /** The stream ends after `events` events. `how`: the connection closes (default), is reset, or the body ends in good order. */
  | { kind: 'cut'; events: number; how?: 'close' | 'reset' | 'end'; inside?: 'event' | 'character' }
  /** The stream goes silent after `events` events. */
  | { kind: 'stall_stream'; events: number }
  /** The event at each of these places (from 0; default all) comes twice. */
  | { kind: 'duplicate_events'; at?: readonly number[] }
  /** Events `at` and `at + 1` (from 0) change places. */
  | { kind: 'reorder_events'; at: number }
  /** Event `at` (from 0) is left out. */
  | { kind: 'drop_event'; at: number }
  /** An event of an unknown kind comes before each real one. */
  | { kind: 'unknown_events' }
  /** Frames that are not events, not JSON, or of the wrong shape come between the real ones. */
  | { kind: 'garbage_events' }
  /** Comments, a BOM at the start, `retry:` and unknown fields. */
  | { kind: 'comments' }
  /** Lines end in CR or CRLF; `mixed` changes from frame to frame. */
  | { kind: 'line_endings'; with: 'cr' | 'crlf' | 'mixed' }
  /** Each `data` is split over several lines (legal: they are joined by line feeds). */
  | { kind: 'split_data' }
  /** A comment line of this many bytes without an end comes before event `at` (default 0). */
  | { kind: 'huge_line'; bytes: number; at?: number }
  /** An `error` event (nested shape) instead of the event at this place (from 0); then the stream ends. */
  | { kind: 'error_event'; at: number; error?: { message: string; code?: string | null; type?: string } }
  /** The body is sent a few bytes at a time. */
  | { kind: 'dribble'; bytes?: number }
  | { kind: 'content_type'; value: string }
  /** The JSON body stops half-way, in an answer that is complete as HTTP. */
  | { kind: 'truncate_json' }
  /** This text instead of the body. */
  | { kind: 'body'; text: string }
  /** A few kilobytes of gzip that unpack to this many bytes. */
  | { kind: 'gzip_bomb'; bytes: number }
  /** A JSON body that does not end before this many bytes. */
  | { kind: 'big_body'; bytes: number }
  /** A run as it was `back` states ago (default 1), as a lagging replica would show it. */
  | { kind: 'stale'; back?: number };

/** Which requests a fault hits; all conditions must hold. Default: every request. */
export interface FaultMatch {
  method?: string;
  /** Part of the path (string) or a pattern for all of it, query excluded. */
  path?: string | RegExp;
  /** Only the n-th request that matches the rest (from 1). Default: every one, while `times` lasts. */
  nth?: number;
}

/** A fault that the sandbox injects into requests. */
export interface Fault {
  match?: FaultMatch;
  action: FaultAction;
  /** How many requests it hits. Default 1; `Infinity` = all. */
  times?: number;
}

/** A fault that was added. */
export interface FaultHandle {
  /** Requests that it hit. */
  readonly hits: number;
  remove(): void;
}

/** The faults of a sandbox. */
export interface Faults {
  add(fault: Fault): FaultHandle;
  clear(): void;
  /** Faults that still have hits left. */
  readonly pending: number;
}

interface Armed {
  fault: Fault;
  seen: number;
  hits: number;
}

export interface FaultBook extends Faults {
  /** The fault that hits this request, if any; counts it. */
  take(method: string, path: string): FaultAction | null;
}

const fits = (match: FaultMatch, method: string, path: string): boolean =>
  (match.method === undefined || match.method.toUpperCase() === method) &&
  (match.path === undefined ||
    (typeof match.path === 'string' ? path.includes(match.path) : new RegExp(match.path).test(path)));

export const createFaults = (): FaultBook => {
  let armed: Armed[] = [];
  return {
    add(fault) {
      const entry: Armed = { fault, seen: 0, hits: 0 };
      armed.push(entry);
      return {
        get hits() {
          return entry.hits;
        },
        remove() {
          armed = armed.filter((other) => other !== entry);
        },
      };
    },
    clear() {
      armed = [];
    },
    get pending() {
      return armed.filter(
        ({ fault, hits }) => hits < (fault.match?.nth === undefined ? (fault.times ?? 1) : 1),
      ).length;
    },
    take(method, path) {
      let taken: Armed | undefined;
      for (const entry of armed) {
        const { match = {}, times = 1 } = entry.fault;
        if (!fits(match, method, path)) continue;
        entry.seen += 1;
        const due = match.nth === undefined ? entry.hits < times : entry.seen === match.nth;
        if (due && taken === undefined) taken = entry;
      }
      if (taken === undefined) return null;
      taken.hits += 1;
      return taken.fault.action;
    },
  };
};
