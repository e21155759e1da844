/**
 * Writes the model's pieces to the run's event log, at most a few dozen writes a second.
 *
 * Rule: the first piece after a pause is written at once; pieces within the interval are written together, joined where
 * they belong to the same text. Writes never overlap, so the log has the model's order. A failed write rejects the next
 * `push`, and nothing is written after it.
 * Imported within `backends/chat/` and by tests.
 */
import type { StreamEvent, ToolCallDelta } from '../../protocol/wire/events.ts';

export interface WriterOptions {
  append(events: StreamEvent[]): Promise<void>;
  /** Pause between writes. Default 30 ms. */
  intervalMs?: number;
  /** A batch of this size is written at once. Default 1,024 characters. */
  flushChars?: number;
  /** Characters held while the store is slow; beyond it `push` waits. Default 65,536. */
  holdChars?: number;
}

/** Each delta that can't be joined costs a row, however short it is. */
const EVENT_CHARS = 64;

type Delta = Extract<StreamEvent, { event: 'thread.message.delta' | 'thread.run.step.delta' }>;

const joinedCalls = (before: readonly ToolCallDelta[], more: ToolCallDelta): ToolCallDelta[] | null => {
  const last = before.at(-1);
  // A delta with an id begins a call. It is never joined: clients read it as the call's creation, and expect arguments
  // in later ones only.
  if (last === undefined || last.index !== more.index) return null;
  if (last.id !== undefined || more.id !== undefined) return null;
  const args = (last.function?.arguments ?? '') + (more.function?.arguments ?? '');
  return [...before.slice(0, -1), { ...last, function: { ...last.function, arguments: args } }];
};

/** Joins two neighbouring deltas; null when they can't be joined. Pure. */
export const joined = (a: Delta, b: Delta): Delta | null => {
  if (a.event === 'thread.message.delta' && b.event === 'thread.message.delta') {
    const [one] = a.data.delta.content;
    const [two] = b.data.delta.content;
    if (a.data.id !== b.data.id || one === undefined || two === undefined) return null;
    if (one.index !== two.index || one.type !== two.type) return null;
    const content =
      one.type === 'refusal'
        ? { ...one, refusal: (one.refusal ?? '') + (two.refusal ?? '') }
        : { ...one, text: { ...one.text, value: (one.text?.value ?? '') + (two.text?.value ?? '') } };
    return { event: a.event, data: { ...a.data, delta: { content: [content] } } };
  }
  if (a.event === 'thread.run.step.delta' && b.event === 'thread.run.step.delta' && a.data.id === b.data.id) {
    const [more] = b.data.delta.step_details.tool_calls;
    if (more === undefined) return a;
    const calls = joinedCalls(a.data.delta.step_details.tool_calls, more);
    if (calls === null) return null;
    return {
      event: a.event,
      data: { ...a.data, delta: { step_details: { type: 'tool_calls', tool_calls: calls } } },
    };
  }
  return null;
};

export class DeltaWriter {
  readonly #options: Required<WriterOptions>;
  #held: Delta[] = [];
  #size = 0;
  #timer: NodeJS.Timeout | null = null;
  #writing: Promise<void> | null = null;
  #failure: { error: unknown } | null = null;
  #stopped = false;

  constructor(options: WriterOptions) {
    this.#options = { intervalMs: 30, flushChars: 1024, holdChars: 65_536, ...options };
  }

  /** Waits only while the store is slow. `chars`: the size of the piece. */
  async push(event: Delta, chars: number): Promise<void> {
    this.#check();
    const last = this.#held.at(-1);
    const one = last === undefined ? null : joined(last, event);
    if (one === null) this.#held.push(event);
    else this.#held[this.#held.length - 1] = one;
    this.#size += one === null ? chars + EVENT_CHARS : chars;
    if (this.#writing === null && (this.#timer === null || this.#size >= this.#options.flushChars))
      void this.#flush();
    while (this.#size > this.#options.holdChars && this.#writing !== null) await this.#writing;
    this.#check();
  }

  /** Everything pushed so far is in the log. */
  async drain(): Promise<void> {
    while (this.#going && (this.#writing !== null || this.#held.length > 0)) await this.#flush();
    this.#check();
  }

  /** Ends the writes and drops what was not written. */
  stop(): void {
    this.#stopped = true;
    this.#held = [];
    this.#size = 0;
    this.#disarm();
  }

  get #going(): boolean {
    return this.#failure === null && !this.#stopped;
  }

  #check(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }

  #flush(): Promise<void> {
    this.#disarm();
    this.#writing ??= this.#write();
    return this.#writing;
  }

  async #write(): Promise<void> {
    do {
      const events = this.#held;
      this.#held = [];
      this.#size = 0;
      try {
        await this.#options.append(events);
      } catch (error) {
        this.#failure = { error };
      }
    } while (this.#going && this.#size >= this.#options.flushChars);
    this.#writing = null;
    this.#arm();
  }

  /** After a write, the next one waits for the interval; if no piece comes in it, the one after that does not. */
  #arm(): void {
    if (!this.#going) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (this.#held.length > 0) void this.#flush();
    }, this.#options.intervalMs);
  }

  #disarm(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
