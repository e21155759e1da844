/**
 * One call while its pieces arrive: its arguments so far, and what of it was told.
 *
 * Rule: a piece costs the same however many came before it. A piece is told once it can't be taken back: `{}` waits, since
 * it may be a placeholder, and so does a piece that may repeat all arguments before it.
 * Pure. Imported by the assembler.
 */
import type { ModelPart } from '../../../protocol/ports/model.ts';
import type { AnswerMeter } from '../../answer-meter.ts';
import { isPlaceholder, type Piece } from './call-piece.ts';
import { JsonProgress, type JsonState } from './json-text.ts';
import type { Fields } from './provider-fields.ts';

const isJson = (value: string): boolean => {
  try {
    JSON.parse(value);
    return true;
  } catch {
    return false;
  }
};

export class OpenCall {
  readonly index: number | null;
  id: string | null;
  name: string;
  /** A repetition of an earlier call's head, until it gets arguments of its own. */
  tentative: boolean;
  dropped = false;
  /** Its number on the port; null = not told yet. */
  number: number | null = null;
  readonly fields: Fields = {};
  readonly #meter: AnswerMeter;
  #args = '';
  #progress = new JsonProgress();
  /** Arguments that were not told yet. */
  #pending = '';
  /** The arguments were sent anew after some had been told: only the whole call tells them. */
  #silent = false;
  /** The server repeats everything it has said of the arguments with each piece. */
  #cumulative = false;
  /** A piece that began like all arguments before it: they may be the whole of it. null = there is none. */
  #doubt: string | null = null;

  constructor({ index, id, name }: Piece, tentative: boolean, meter: AnswerMeter) {
    this.#meter = meter;
    this.index = index;
    this.id = id;
    this.name = name;
    this.tentative = tentative;
  }

  get isBare(): boolean {
    return this.#args === '';
  }
  get cumulative(): boolean {
    return this.#cumulative;
  }
  get args(): string {
    return this.#args;
  }
  /** Of the arguments so far; `next`: what comes after them, for this call or not. */
  stateBefore(next: string): JsonState {
    this.#resolve(next);
    return this.#progress.state;
  }
  /** As the call counts: `{}` when the model gave none. */
  get arguments(): string {
    this.#resolve();
    const trimmed = this.#args.trim();
    return trimmed === '' || trimmed === 'null' ? '{}' : this.#args;
  }

  append(piece: string): void {
    this.#resolve(piece);
    const before = this.#args;
    let more = piece;
    if (before.length >= 3 && piece.length >= before.length && piece.startsWith(before)) {
      if (this.#cumulative) more = piece.slice(before.length);
      else if (piece.length > before.length) this.#doubt = piece;
    }
    if (more === '') return;
    this.#meter.arguments(more.length, this.#args.length + more.length);
    this.tentative = false;
    this.#args += more;
    this.#pending += more;
    this.#progress.push(more);
  }

  /** The arguments are sent anew. */
  restart(): void {
    this.#set('');
  }

  /** What can be told of the arguments now. `ended`: nothing more comes. */
  tell(parts: ModelPart[], ended = false): void {
    if (ended) this.#resolve();
    if (this.number === null || (!ended && this.#holds)) return;
    const told =
      this.#pending.trim() === 'null' && this.#pending.length === this.#args.length ? '' : this.#pending;
    if (told !== '' && !this.#silent) parts.push({ kind: 'call_piece', call: this.number, text: told });
    this.#pending = '';
  }

  /** What has come may have to be taken back. */
  get #holds(): boolean {
    return this.#doubt !== null || isPlaceholder(this.#args);
  }

  /** Decides whether the doubtful piece went on or repeated; `next` is the piece after it. */
  #resolve(next = ''): void {
    const whole = this.#doubt;
    if (whole === null) return;
    this.#doubt = null;
    const repeats = next.length >= whole.length && next.startsWith(whole);
    if (!repeats && (isJson(this.#args) || !isJson(whole))) return;
    this.#cumulative = true;
    const told = this.#args.slice(0, this.#args.length - this.#pending.length);
    this.#set(whole);
    // What was told before the doubt is the beginning of the whole.
    this.#silent = !whole.startsWith(told);
    this.#pending = this.#silent ? '' : whole.slice(told.length);
  }

  #set(args: string): void {
    this.#silent = this.#args !== this.#pending;
    this.#args = args;
    this.#pending = args;
    this.#progress = new JsonProgress();
    this.#progress.push(args);
  }
}
