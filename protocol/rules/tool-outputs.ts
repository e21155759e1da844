/**
 * Which outputs a round accepts, by their sizes and by the calls that they name. Every entry that takes tool outputs
 * asks here: the HTTP routes, the service, the workflow and the scripted runs server.
 *
 * Rule: a request carries every open external call once; a call that has an output may be repeated with the same
 * output; all outputs of a request have fewer than `LIMITS.combinedOutputBytes` bytes in UTF-8. Each entry words its
 * own error.
 * Pure. Any room may import it; the workflow sandbox may too.
 */
import { LIMITS } from '../limits.ts';
import type { ToolOutput } from '../wire/objects.ts';

const encoder = new TextEncoder();

export const utf8Length = (text: string): number => encoder.encode(text).length;

/** The most bytes that the outputs of one request may have together. */
export const MAX_COMBINED_OUTPUT_BYTES = LIMITS.combinedOutputBytes - 1;

/** How many bytes these outputs have together when that is more than one request may carry; else null. */
export const outputBytesOverLimit = (outputs: Iterable<string>): number | null => {
  let bytes = 0;
  for (const output of outputs) bytes += utf8Length(output);
  return bytes > MAX_COMBINED_OUTPUT_BYTES ? bytes : null;
};

/** An external call of the round; `matches` compares an output with the one that the call has, null = the call is open. */
export interface ExternalCall {
  callId: string;
  matches: ((output: string) => boolean) | null;
}

export interface OutputComparison {
  /** Open calls, in the order of the round. */
  open: string[];
  /** The first id that comes a second time. */
  duplicate: string | undefined;
  /** Open calls without an output. */
  missing: string[];
  /** Ids that are no external call of the round. */
  unexpected: string[];
  /** Calls that have another output already. */
  differing: string[];
}

/** One pass over the calls and one over the outputs: a request may name hundreds of thousands of ids. */
export const compareOutputs = (
  external: readonly ExternalCall[],
  outputs: readonly ToolOutput[],
): OutputComparison => {
  const calls = new Map(external.map(({ callId, matches }) => [callId, matches]));
  const given = new Set<string>();
  const unexpected: string[] = [];
  const differing: string[] = [];
  let duplicate: string | undefined;
  for (const { tool_call_id: id, output } of outputs) {
    if (given.has(id)) duplicate ??= id;
    given.add(id);
    const matches = calls.get(id);
    if (matches === undefined) unexpected.push(id);
    else if (matches !== null && !matches(output)) differing.push(id);
  }
  const open = external.filter(({ matches }) => matches === null).map(({ callId }) => callId);
  return { open, duplicate, missing: open.filter((id) => !given.has(id)), unexpected, differing };
};
