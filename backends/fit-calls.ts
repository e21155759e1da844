/**
 * Keeps a round of calls within the size of one payload in history.
 *
 * Rule: a round's settlement is one payload of at most 2 MB. Calls that do not fit are refused before they are planned,
 * longest first, until the rest fits; only their beginning is kept. The model reads why, and the round can still be
 * answered completely. Pure. Imported by both backends.
 */
import { errorOutput, type CallPlan, type PlannedCall, type ToolCall } from '../protocol/tool-calls.ts';

/**
 * Bytes of all calls of one round, as they are stored: escapes and other alphabets take more bytes than characters. The
 * rest of the payload is for everything else.
 */
export const MAX_CALLS_BYTES = 1_500_000;
/** Names of tools have 64 characters at most, so a longer one names no tool. */
const MAX_NAME_CHARS = 256;
const MAX_QUOTED_CHARS = 1000;

const storedBytes = (call: ToolCall): number => Buffer.byteLength(JSON.stringify(call));

const beginning = (text: string, chars: number): string =>
  text.length <= chars
    ? text
    : `${text.slice(0, chars).replace(/[\uD800-\uDBFF]$/, '')}… [${text.length} characters]`;

type Refusal = Omit<Extract<CallPlan, { kind: 'refused' }>, 'kind'>;

interface Fit {
  /** All calls in order; refused ones are shortened. */
  calls: ToolCall[];
  /** Call id → the output for the model, with the reason. */
  refused: ReadonlyMap<string, Refusal>;
}

const fitCalls = (given: readonly ToolCall[]): Fit => {
  const refused = new Map<string, Refusal>();
  const kept = new Map(given.map((call) => [call.callId, call]));
  const refuse = (call: ToolCall, note: NonNullable<Refusal['note']>, message: string): void => {
    refused.set(call.callId, { output: errorOutput(note, message), note });
    kept.set(call.callId, {
      callId: call.callId,
      name: beginning(call.name, MAX_NAME_CHARS),
      arguments: beginning(call.arguments, MAX_QUOTED_CHARS),
    });
  };
  for (const call of given)
    if (call.name.length > MAX_NAME_CHARS)
      refuse(
        call,
        'unknown_tool',
        `the name of the tool is ${call.name.length} characters long; at most 64 are allowed.`,
      );
  // Measured once: a call may be megabytes.
  const sizes = new Map([...kept.values()].map((call) => [call, storedBytes(call)]));
  const sizeOf = (call: ToolCall): number => sizes.get(call) ?? storedBytes(call);
  let total = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  for (const call of [...kept.values()].toSorted((a, b) => sizeOf(b) - sizeOf(a))) {
    if (total <= MAX_CALLS_BYTES) break;
    if (refused.has(call.callId)) continue;
    total -= sizeOf(call);
    refuse(
      call,
      'invalid_arguments',
      `The arguments of this call are ${call.arguments.length} characters long, which is too long. Call again with shorter arguments.`,
    );
    total += sizeOf(kept.get(call.callId) ?? call);
  }
  return { calls: given.map((call) => kept.get(call.callId) ?? call), refused };
};

/** Plans the calls of a round; those that do not fit are `refused`, whatever the plan says. Ids must be unique. */
export const planFitting = (
  given: readonly ToolCall[],
  plan: (calls: ToolCall[]) => PlannedCall[],
): PlannedCall[] => {
  const { calls, refused } = fitCalls(given);
  return plan(calls).map((call) => {
    const output = refused.get(call.callId);
    return output === undefined
      ? call
      : {
          callId: call.callId,
          name: call.name,
          arguments: call.arguments,
          plan: { kind: 'refused', ...output },
        };
  });
};
