/** A finished request, for metrics and logs. Imported by `app.ts`; `index.ts` exports it. */
import type { RequestKind } from './rate-limiter.ts';

/** One finished request, for metrics and logs. Contains no body and no key. */
export interface RequestLogEntry {
  method: string;
  /** The route's pattern, never its ids; null = no route matched. */
  route: string | null;
  kind: RequestKind | null;
  status: number;
  /** Until the head of the response was ready; streams last longer. */
  ms: number;
  requestId: string;
  tenant: string | null;
  stream: boolean;
  /** A long poll: most of its time is spent waiting for the run. */
  held: boolean;
  /** On a 5xx: the error. For the log, never for the client. */
  error: unknown;
}
