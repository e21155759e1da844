/** How a request is traced: a port that the process implements, so that the API knows no tracer. `index.ts` exports it. */

/** What a trace may say of a request. */
export interface TracedRequest {
  method: string;
  /** The route's pattern, never its ids. */
  route: string;
  /** For an incoming trace context; nothing else of them is read. */
  headers: Headers;
}

/** Calls `work` once and returns its response. Never throws on its own. */
export type TraceRequest = (request: TracedRequest, work: () => Promise<Response>) => Promise<Response>;
