/**
 * One tool call while its pieces arrive: its arguments so far, and the part of them that was reported.
 *
 * Rule: the cost of a piece does not depend on the pieces before it. A piece is reported when no later piece can revoke
 * it: `{}` waits, since it may be a placeholder, and so does a piece that may repeat all arguments before it. Pure.
 * Imported by the assembler.
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
  /** Its number on the port; null = not reported yet. */
  number: number | null = null;
  readonly fields: Fields = {};
  readonly #meter: AnswerMeter;
  #args = '';
  #progress = new JsonProgress();
  /** Arguments that were not reported yet. */
  #pending = '';
  /** The server repeated the arguments after some were reported: only the complete call reports them. */
  #silent = false;
  /** The server repeats all arguments so far with each piece. */
  #cumulative = false;
  /** A piece that starts like all arguments before it, and may repeat them in full; null = none. */
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
  /** The final arguments: `{}` when the model gave none. */
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

  /** The server repeats the arguments. */
  restart(): void {
    this.#set('');
  }

  /** The arguments that can be reported now. `ended`: no piece follows. */
  tell(parts: ModelPart[], ended = false): void {
    if (ended) this.#resolve();
    if (this.number === null || (!ended && this.#holds)) return;
    const told =
      this.#pending.trim() === 'null' && this.#pending.length === this.#args.length ? '' : this.#pending;
    if (told !== '' && !this.#silent) parts.push({ kind: 'call_piece', call: this.number, text: told });
    this.#pending = '';
  }

  /** The pieces so far may have to be dropped. */
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
    // The part that was reported before is the beginning of the whole.
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
