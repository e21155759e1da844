/**
 * What stands between a provider's event stream and the library that reads it.
 *
 * Rule: only events that the adapter knows pass, so that a new kind of event can't end an answer in a validation error; and the
 * gate alone decides whether the answer is whole, since the library reports a cut stream as an end.
 * Types, and small helpers. Imported within `backends/models/`.
 */

import type { ReasonClass } from '../openai-compatible/finish-reasons.ts';

export type GateVerdict =
  | { kind: 'pass'; value?: Record<string, unknown> }
  | { kind: 'drop' }
  /** The provider says instead of an answer, or in the middle of one, that it failed. */
  | { kind: 'error'; body: unknown };

export const PASS: GateVerdict = { kind: 'pass' };
export const DROP: GateVerdict = { kind: 'drop' };

export interface EventGate {
  /** One event, in order; `name` is that of the event stream. */
  event(value: Record<string, unknown>, name: string): GateVerdict;
  /** The provider's word for the end; null = it has given none. */
  readonly reason: string | null;
  /** The answer has come to its proper end. */
  readonly whole: boolean;
  /** Token counts may follow the end: they are awaited for a moment. */
  readonly countsFollow?: boolean;
  /** What the end means, where the provider's word alone does not say it. */
  readonly meaning?: ReasonClass | null;
  /** What the provider refuses to say, as text; null = it refuses nothing. */
  readonly refusal?: string | null;
}
