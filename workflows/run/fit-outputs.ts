/**
 * Makes a round's outputs fit what a server takes in one request.
 *
 * Rule: deterministic (it runs in the workflow), never throws, keeps the order, and says in the text itself what was
 * cut. The largest give way first: everything is cut to one common ceiling, so small outputs stay whole.
 * Imports protocol only.
 */
import { MAX_COMBINED_OUTPUT_BYTES, utf8Length } from '../../protocol/rules/tool-outputs.ts';

export interface Output {
  callId: string;
  output: string;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Temporal refuses a payload over 2 MB, and JSON writes a control character as six bytes. */
export const MAX_PAYLOAD_BYTES = 1_500_000;
/** What a value takes in a payload. */
export const storedBytes = (value: unknown): number => utf8Length(JSON.stringify(value));

const marker = (kept: number, whole: number): string => `\n[truncated: the first ${kept} of ${whole} bytes]`;
/** More than any marker needs. */
const MARKER_BYTES = 64;

const cut = (text: string, ceiling: number): string => {
  const bytes = encoder.encode(text);
  if (bytes.length <= ceiling) return text;
  let end = Math.max(0, ceiling - MARKER_BYTES);
  // Not in the middle of a character: continuation bytes are 10xxxxxx.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return decoder.decode(bytes.subarray(0, end)) + marker(end, bytes.length);
};

/** The highest common ceiling under which the sum stays within `limit`. */
const ceilingFor = (sizes: readonly number[], limit: number): number => {
  const sorted = sizes.toSorted((a, b) => a - b);
  let left = limit;
  for (const [index, size] of sorted.entries()) {
    const share = Math.floor(left / (sorted.length - index));
    if (size > share) return share;
    left -= size;
  }
  return limit;
};

const shrink = (outputs: readonly Output[], limit: number): Output[] => {
  const sizes = outputs.map(({ output }) => utf8Length(output));
  if (sizes.reduce((sum, size) => sum + size, 0) <= limit) return [...outputs];
  const ceiling = ceilingFor(sizes, limit);
  return outputs.map(({ callId, output }) => ({ callId, output: cut(output, ceiling) }));
};

/**
 * Outputs whose UTF-8 bytes together stay below `limit` (and their JSON below what one payload may hold). `whole`: ids of
 * outputs that are never cut and not counted, unless they alone are more than a payload may hold.
 */
export const fitOutputs = (
  outputs: readonly Output[],
  limit: number = MAX_COMBINED_OUTPUT_BYTES,
  whole: ReadonlySet<string> = new Set(),
): Output[] => {
  const kept = outputs.filter(({ callId }) => whole.has(callId));
  if (storedBytes(kept) > MAX_PAYLOAD_BYTES) return fitOutputs(outputs, limit);
  const others = outputs.filter(({ callId }) => !whole.has(callId));
  const fit = (bound: number): Output[] => {
    const shrunk = new Map(shrink(others, bound).map((item) => [item.callId, item]));
    return outputs.map((item) => shrunk.get(item.callId) ?? item);
  };
  let fitted = fit(limit);
  for (
    let bound = limit;
    bound > MARKER_BYTES && storedBytes(fitted) > MAX_PAYLOAD_BYTES;
    bound = Math.floor(bound / 2)
  )
    fitted = fit(bound);
  return fitted;
};
