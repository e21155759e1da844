/**
 * Types of the HTTP client: its options, requests and responses.
 *
 * Rule: times in milliseconds, paths as unencoded segments, headers with lower-case names. Imports the failure's type.
 * Backends and tests import it.
 */
import type { Dispatcher } from 'undici';
import type { HttpFailure } from './failure.ts';

export interface HttpTimeouts {
  /** TCP and TLS. Default 10,000 ms. */
  connectMs?: number;
  /** From request to response headers. Default 60,000 ms. */
  headersMs?: number;
  /** Gap between two chunks of a JSON body. Default 30,000 ms. */
  bodyGapMs?: number;
  /** A JSON call as a whole. Default 120,000 ms. */
  totalMs?: number;
  /** Gap between two chunks of a stream. Default 120,000 ms. */
  streamGapMs?: number;
}

export interface HttpClientOptions {
  /** May have a path prefix and a query; both go with every request. */
  baseUrl: string;
  /** A function is called for every request, so a rotated key works at once. */
  apiKey?: string | (() => string | Promise<string>) | undefined;
  /** The header of the key, in lower case. Default: `authorization`, as a bearer token. */
  keyHeader?: string;
  /** Sent with every request. */
  headers?: Readonly<Record<string, string>>;
  /** Added to the query of every request. */
  query?: Readonly<Record<string, string>>;
  timeouts?: HttpTimeouts;
  /** Largest JSON body, before and after decompression. Default 16,777,216 bytes. */
  maxBodyBytes?: number;
  /** Deepest nesting of JSON. Default 100. */
  maxJsonDepth?: number;
  /** Most objects, arrays, strings, numbers and literals of one JSON body. Default 250,000. */
  maxJsonValues?: number;
  /** Sockets for calls. Default 64. */
  connections?: number;
  /** Sockets for streams. Default: no limit. */
  streamConnections?: number | null;
  /** Carries the requests in the place of sockets of our own (a proxy, a test). Never closed by the client. */
  dispatcher?: Dispatcher;
  now?: () => number;
}

export interface HttpRequest {
  method: 'GET' | 'POST' | 'DELETE';
  /** Path segments below the base URL, unencoded. */
  path: readonly string[];
  /** The path with names for ids, for messages and metrics: `/threads/{thread}/runs`. */
  route: string;
  query?: Readonly<Record<string, string | number | undefined>>;
  body?: unknown;
  /** What a vendor's library has put together, in the place of `path`, `query` and `body`: sent as it is. */
  exact?: { target: string; body: string };
  headers?: Readonly<Record<string, string>>;
  signal?: AbortSignal | undefined;
  /** Take the place of the client's. */
  timeouts?: HttpTimeouts;
  /** Called once, when the status is known (0 = none came). */
  observe?: ((what: { method: string; route: string; status: number; ms: number }) => void) | undefined;
}

export interface HttpAnswer {
  status: number;
  /** Lower-case names; several values are joined by ", ". */
  headers: Readonly<Record<string, string>>;
  /** Unix ms by the server's clock (`date` header, whole seconds) and by ours when it arrived. */
  serverTime: number | null;
  receivedAt: number;
}
export type JsonAnswer = HttpAnswer & { body: unknown };
export type StreamAnswer = HttpAnswer &
  (
    | { kind: 'json'; body: unknown }
    | {
        kind: 'events';
        /** Bytes of the stream. Stopping the iteration closes the connection. Throws `HttpFailure` when it breaks. */
        chunks: AsyncIterable<Uint8Array>;
        /** Closes the connection without reading. Needed only when `chunks` is never iterated. */
        close(): void;
      }
  );

/** An answer of any status, its body unread. */
export type OpenAnswer = HttpAnswer & {
  /** Bytes of the body. Stopping the iteration closes the connection. Throws `HttpFailure` when it breaks. */
  chunks: AsyncIterable<Uint8Array>;
  /** Closes the connection without reading. Needed only when `chunks` is never iterated. */
  close(): void;
  /** Ends the reading and leaves the connection for the next request. To be called when all content has come. */
  release(): void;
  retryAfterMs: number | null;
  shouldRetry: boolean | null;
  /** Cuts the key, and what looks like one, out of a text of the server. */
  scrub(text: string): string;
};

export interface HttpClient {
  readonly origin: string;
  /** A JSON answer; 2xx only. `body` is undefined when the answer has none. */
  json(request: HttpRequest): Promise<JsonAnswer>;
  /** An event stream, or JSON from a server that does not stream. */
  stream(request: HttpRequest): Promise<StreamAnswer>;
  /** An answer of any status and content type, as it comes; unasked compression is undone. */
  open(request: HttpRequest): Promise<OpenAnswer>;
  /** A failure for a 2xx answer that the caller can't use: JSON, but not what was asked for (`shape`, the default), or too much. */
  unusable(request: HttpRequest, status: number, what: string, why?: 'shape' | 'too_large'): HttpFailure;
  /** Drops all sockets. */
  close(): Promise<void>;
}
