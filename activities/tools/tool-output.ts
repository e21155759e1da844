/**
 * The return value of a tool → the text that the model reads, or an error text. Pure.
 *
 * Rule: every JavaScript value gives an outcome, without an exception. A change on the way (serialised, cut) is noted,
 * and the text itself says so where the model would be misled.
 * Imported by the other files of this folder and by tests.
 */
import { utf8Length } from '../../protocol/rules/tool-outputs.ts';
import { errorOutput, quote, type CallOutcome, type OutcomeNote } from '../../protocol/index.ts';

const encoder = new TextEncoder();

/** The longest prefix of `text` that is at most `bytes` long in UTF-8; never half a character. */
export const cutUtf8 = (text: string, bytes: number): string => {
  const { read } = encoder.encodeInto(text, new Uint8Array(Math.max(0, bytes)));
  return text.slice(0, read);
};

/** Lone surrogates can't be sent as UTF-8; they become U+FFFD here, not in a later layer. */
const wellFormed = (text: string): string => text.replaceAll(/\p{Surrogate}/gu, '\u{FFFD}');

/** Cuts to `maxBytes`, including the sentence that says so. */
export const limitOutput = (text: string, maxBytes: number): { text: string; cut: boolean } => {
  const whole = utf8Length(text);
  if (whole <= maxBytes) return { text, cut: false };
  const mark = (kept: number) => `\n[truncated: the first ${kept} of ${whole} bytes]`;
  const head = cutUtf8(text, maxBytes - utf8Length(mark(maxBytes)));
  return { text: head + mark(utf8Length(head)), cut: true };
};

export type Serialised = { ok: true; text: string; serialised: boolean } | { ok: false; problem: string };

const plainEntries = (value: Map<unknown, unknown>): unknown =>
  [...value.keys()].every((key) => typeof key === 'string')
    ? Object.fromEntries(value)
    : [...value.entries()];

/** Values that JSON would silently drop or write as `{}`. */
function replacer(this: unknown, key: string, value: unknown): unknown {
  // Buffers became objects by their `toJSON` before: the original value is looked up.
  const raw: unknown = typeof this === 'object' && this !== null ? Reflect.get(this, key) : value;
  if (ArrayBuffer.isView(raw) || raw instanceof ArrayBuffer)
    throw new TypeError('it holds binary data; return text, or a base64 string');
  if (value instanceof Map) return plainEntries(value);
  if (value instanceof Set) return [...value];
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  if (value instanceof Error) return { error: value.message };
  if (typeof value === 'function') throw new TypeError('it holds a function');
  if (typeof value === 'symbol') throw new TypeError('it holds a symbol');
  return value;
}

const EMPTY_OUTPUT_TEXT = 'The tool ran and returned nothing.';

/** A string unchanged; another value as JSON; undefined as a sentence, since an empty output reads like a failure. */
export const serialise = (value: unknown): Serialised => {
  if (typeof value === 'string') return { ok: true, text: wellFormed(value), serialised: false };
  if (value === undefined) return { ok: true, text: EMPTY_OUTPUT_TEXT, serialised: false };
  if (typeof value === 'function' || typeof value === 'symbol')
    return { ok: false, problem: `it returned a ${typeof value}` };
  try {
    const text = JSON.stringify(value, replacer);
    return text === undefined
      ? { ok: false, problem: `it returned nothing that JSON can hold (${typeof value})` }
      : { ok: true, text: wellFormed(text), serialised: true };
  } catch (error) {
    const why = error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : String(error);
    return { ok: false, problem: /circular/i.test(why) ? 'it refers to itself' : why.slice(0, 200) };
  }
};

const notes = (list: OutcomeNote[]): { notes?: OutcomeNote[] } => (list.length === 0 ? {} : { notes: list });

/** A value a tool returned → its outcome. */
export const toOutcome = (name: string, value: unknown, maxBytes: number): CallOutcome => {
  const written = serialise(value);
  if (!written.ok)
    return errorOutcome(
      'invalid_output',
      `${quote(name)} ran, but its output can't be sent: ${written.problem}.`,
    );
  const { text, cut } = limitOutput(written.text, maxBytes);
  const made: OutcomeNote[] = [];
  if (written.serialised) made.push('serialised');
  if (cut) made.push('truncated');
  return { output: text, ok: true, ...notes(made) };
};

/** What a tool returns that knows its outcome already. */
export class MadeOutcome {
  readonly outcome: CallOutcome;
  constructor(outcome: CallOutcome) {
    this.outcome = outcome;
  }
}

/** An output that tells the model what went wrong. */
export const errorOutcome = (note: OutcomeNote, message: string): CallOutcome => ({
  output: errorOutput(note, message),
  ok: false,
  notes: [note],
});
