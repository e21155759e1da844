/**
 * Cuts a round's outputs until they fit into one submit request.
 *
 * Rule: deterministic, because the workflow runs it; never throws; keeps the order; a text that was cut says so. The
 * largest outputs are cut first, to one common ceiling, so small outputs stay whole.
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
/** The bytes of a value in a payload. */
export const storedBytes = (value: unknown): number => utf8Length(JSON.stringify(value));

const marker = (kept: number, whole: number): string => `\n[truncated: the first ${kept} of ${whole} bytes]`;
/** More than the marker of a cut text needs. */
const MARKER_BYTES = 64;

const cut = (text: string, ceiling: number): string => {
  const bytes = encoder.encode(text);
  if (bytes.length <= ceiling) return text;
  let end = Math.max(0, ceiling - MARKER_BYTES);
  // Never cuts within a character: continuation bytes are 10xxxxxx.
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
 * Outputs whose UTF-8 bytes together stay within `limit`, and whose JSON fits one payload. `whole`: ids of outputs that
 * are neither cut nor counted, unless they alone exceed a payload.
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
