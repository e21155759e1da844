/**
 * A route: one row for the router, the rate limits and the OpenAPI document.
 *
 * Rule: a handler turns checked input into one call of the service, and its result into a reply; it contains no logic
 * of runs.
 * Imports protocol and the edges of `api/`.
 */
import type { z } from 'zod';
import { BODY_BYTES } from '../protocol/limits.ts';
import type { AdmitRead, Caller, KeyRole, RunsService } from '../protocol/ports/runs-service.ts';
import type { Run, Thread } from '../protocol/wire/objects.ts';
import type { WaitForRun } from './held-polls.ts';
import type { ListModels } from './models.ts';
import type { RequestKind } from './rate-limiter.ts';
import type { StreamedEvent } from './sse.ts';
import { parseBody } from './validate.ts';
import type { Exact } from './validate.ts';

export interface StreamRequest {
  /** `closed`: the stream has no end of its own. */
  until: 'turn' | 'run' | 'closed';
  /** The run had ended before the stream began, so the log may have nothing left to read. */
  ended?: boolean;
  thread?: Thread;
  subscribe: (signal: AbortSignal, admit: AdmitRead) => AsyncIterable<StreamedEvent>;
}

/**
 * A handler's result: JSON, or a stream of events. `run` adds the poll hint of that run; `held`: it was a long poll.
 */
export type Reply = { json: unknown; run?: Run; held?: boolean } | { stream: StreamRequest; run?: Run };

export interface RouteInput<Body> {
  engine: RunsService;
  models: ListModels;
  caller: Caller;
  /** Checked ids of the path, by name. */
  ids: Record<string, string>;
  query: Record<string, string>;
  headers: Headers;
  body: Body;
  /** Holds a poll of the official helpers; null when it must be answered at once. */
  hold: (wait: WaitForRun) => Promise<Run> | null;
}

export interface Route {
  method: 'GET' | 'POST' | 'DELETE';
  /** With `{name}` for ids. */
  path: string;
  kind: RequestKind;
  /** Keys with one of these roles may call it. */
  roles: readonly KeyRole[];
  summary: string;
  body: z.ZodType | null;
  /** Maximum size of a body, in bytes. */
  bodyBytes: number;
  /** Accepted query parameters. */
  query: readonly string[];
  /** Name of the returned object, for the document; `list` = a page of them. */
  returns: { object: string; list?: boolean; stream?: boolean };
  run(input: RouteInput<unknown>): Promise<Reply>;
}

/** What the OpenAPI document says of a route. */
export type RouteDescription = Pick<Route, 'method' | 'path' | 'summary' | 'body' | 'query' | 'returns'>;

interface RouteOptions<Schema extends z.ZodType> {
  kind?: RequestKind;
  /** Default: callers, and operators on routes that only read. */
  roles?: readonly KeyRole[];
  summary: string;
  body?: Schema;
  /** Size class of the body. Default `small`. */
  size?: 'small' | 'medium' | 'large';
  query?: readonly string[];
  returns: Route['returns'];
  handle: (input: RouteInput<Exact<z.infer<Schema>>>) => Promise<Reply>;
}

const READERS: readonly KeyRole[] = ['caller', 'operator'];
const WRITERS: readonly KeyRole[] = ['caller'];
const KIND = { GET: 'read', POST: 'write', DELETE: 'delete' } as const;

/** One row. The body is checked against its schema before `handle` sees it. */
export const route = <Schema extends z.ZodType>(
  method: Route['method'],
  path: string,
  options: RouteOptions<Schema>,
): Route => ({
  method,
  path,
  kind: options.kind ?? KIND[method],
  roles: options.roles ?? (method === 'GET' ? READERS : WRITERS),
  summary: options.summary,
  body: options.body ?? null,
  bodyBytes: BODY_BYTES[options.size ?? 'small'],
  query: options.query ?? [],
  returns: options.returns,
  run: (input) =>
    options.handle({
      ...input,
      body: (options.body === undefined ? undefined : parseBody(options.body, input.body)) as Exact<
        z.infer<Schema>
      >,
    }),
});

/** An id of the path; the router guarantees that it is there. */
export const idParam = (input: { ids: Record<string, string> }, name: string): string =>
  input.ids[name] ?? '';

/** Will the reply be a stream? */
export const asksForStream = ({ method, returns }: Route, body: unknown): boolean =>
  returns.stream === true &&
  (method === 'GET' || (typeof body === 'object' && body !== null && Reflect.get(body, 'stream') === true));
