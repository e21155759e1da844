/**
 * Puts the calls of a streamed answer together from the pieces that servers send.
 *
 * Rule: a piece with a name after complete arguments begins a call, unless it equals the call just finished; over
 * incomplete arguments it continues. An index that is new begins a call; an index that is known decides nothing else,
 * since some servers number every call 0.
 * Pure. Imported by the completion reader and tests.
 */
import type { ModelPart } from '../../../protocol/ports/model.ts';
import type { AnswerMeter } from '../../answer-meter.ts';
import { collectCallFields, isPlaceholder, pieceOf, sameJson, type Piece } from './call-piece.ts';
import { record } from './json-text.ts';
import { OpenCall } from './open-call.ts';
import type { Fields } from './provider-fields.ts';

export interface AssembledCall {
  name: string;
  /** `{}` when the model gave none. */
  arguments: string;
  /** The server's id; null = none. */
  id: string | null;
  /** Fields that only the server understands. */
  fields: Fields;
}

const newest = (calls: readonly OpenCall[] | undefined): OpenCall | undefined =>
  calls?.findLast(({ dropped }) => !dropped);

export class CallAssembler {
  readonly #tools: ReadonlySet<string>;
  readonly #meter: AnswerMeter;
  readonly #calls: OpenCall[] = [];
  /** The newest calls of an index and of an id, oldest first. */
  readonly #byIndex = new Map<number, OpenCall[]>();
  readonly #byId = new Map<string, OpenCall[]>();
  /** How many calls, from the first on, are begun or dropped. */
  #settled = 0;
  #numbers = 0;
  #streamed = false;

  /** `tools`: names that the request declares; they tell a second call from the second half of a name. */
  constructor(tools: Iterable<string>, meter: AnswerMeter) {
    this.#tools = new Set(tools);
    this.#meter = meter;
  }

  get size(): number {
    return this.#live.length;
  }

  /** A piece of a streamed answer. */
  push(value: unknown): ModelPart[] {
    const raw = record(value);
    const piece = pieceOf(raw);
    const parts: ModelPart[] = [];
    const call = this.#target(piece, parts);
    if (call !== null) this.#take(call, raw, piece, parts);
    return parts;
  }

  /** A call of a whole answer: a call of its own, unless its pieces came before. */
  pushWhole(value: unknown): ModelPart[] {
    const raw = record(value);
    const piece = pieceOf(raw);
    if (piece.name === '' && piece.args === '') return [];
    const parts: ModelPart[] = [];
    const known = this.#streamed
      ? this.#live.find((call) => call.name === piece.name && sameJson(call.arguments, piece.args || '{}'))
      : undefined;
    if (known !== undefined) collectCallFields(known.fields, raw);
    else this.#take(this.#open(piece, parts), raw, piece, parts);
    return parts;
  }

  /** From here on, whole calls may repeat streamed ones. */
  markStreamed(): void {
    this.#streamed ||= this.#calls.length > 0;
  }

  /** The parts that remain after the last piece. */
  end(): ModelPart[] {
    const parts: ModelPart[] = [];
    for (const call of this.#calls)
      if (call.number === null && (call.tentative || (call.name === '' && call.args.trim() === '')))
        call.dropped = true;
    this.#settle(parts);
    for (const call of this.#live)
      parts.push({ kind: 'call', call: call.number ?? 0, name: call.name, arguments: call.arguments });
    return parts;
  }

  calls(): AssembledCall[] {
    return this.#live.map((call) => ({
      name: call.name,
      arguments: call.arguments,
      id: call.id,
      fields: call.fields,
    }));
  }

  /** Every call has complete arguments, or none at all. */
  get complete(): boolean {
    return this.#live.every((call) => call.isBare || call.stateBefore('') === 'complete');
  }

  get #live(): OpenCall[] {
    return this.#calls.filter(({ dropped }) => !dropped);
  }

  #take(call: OpenCall, raw: Record<string, unknown>, piece: Piece, parts: ModelPart[]): void {
    collectCallFields(call.fields, raw);
    if (piece.args === '') return;
    call.append(piece.args);
    this.#begin(call, parts);
    call.tell(parts);
  }

  #open(piece: Piece, parts: ModelPart[], tentative = false): OpenCall {
    // When the next call opens, the name of this one is complete; a mere repetition of a head opens none.
    const last = this.#calls.at(-1);
    if (last?.tentative === true) last.dropped = true;
    this.#settle(parts);
    this.#meter.call();
    this.#meter.name(piece.name.length);
    const call = new OpenCall(piece, tentative, this.#meter);
    this.#calls.push(call);
    if (piece.index !== null)
      this.#byIndex.set(piece.index, [...(this.#byIndex.get(piece.index) ?? []), call]);
    if (piece.id !== null) this.#byId.set(piece.id, [...(this.#byId.get(piece.id) ?? []), call]);
    return call;
  }

  /** Starts the calls that have not started, and returns the waiting parts. */
  #settle(parts: ModelPart[]): void {
    for (; this.#settled < this.#calls.length; this.#settled += 1) {
      const call = this.#calls[this.#settled];
      if (call === undefined || call.dropped) continue;
      this.#begin(call, parts);
      call.tell(parts, true);
    }
  }

  #begin(call: OpenCall, parts: ModelPart[]): void {
    if (call.number !== null) return;
    call.number = this.#numbers;
    this.#numbers += 1;
    parts.push({ kind: 'call_begun', call: call.number, name: call.name });
  }

  /** The call that a piece belongs to, opened if need be; null = the piece repeats what is known. */
  #target(piece: Piece, parts: ModelPart[]): OpenCall | null {
    const byIndex = piece.index === null ? undefined : newest(this.#byIndex.get(piece.index));
    if (byIndex !== undefined) return this.#onKnown(byIndex, piece, parts);
    const byId = piece.id === null ? undefined : newest(this.#byId.get(piece.id));
    const last = newest(this.#calls);
    if (piece.index === null) {
      const call = byId ?? last;
      return call === undefined ? this.#open(piece, parts) : this.#onKnown(call, piece, parts);
    }
    return this.#onNewIndex(piece, byId, last, parts);
  }

  #onNewIndex(
    piece: Piece,
    byId: OpenCall | undefined,
    last: OpenCall | undefined,
    parts: ModelPart[],
  ): OpenCall | null {
    if (byId !== undefined && piece.name === '')
      return byId.stateBefore(piece.args) === 'complete' ? null : byId;
    if (byId !== undefined && piece.name === byId.name) {
      if (piece.args !== '' && sameJson(byId.args, piece.args)) return null;
      if (piece.args === '' && byId.stateBefore(piece.args) === 'complete')
        return this.#open(piece, parts, true);
    }
    const goesOn =
      piece.name === '' &&
      piece.id === null &&
      last !== undefined &&
      last.stateBefore(piece.args) !== 'complete';
    return goesOn ? last : this.#open(piece, parts);
  }

  #onKnown(call: OpenCall, piece: Piece, parts: ModelPart[]): OpenCall | null {
    const otherId = piece.id !== null && call.id !== null && piece.id !== call.id;
    const state = call.stateBefore(piece.args);
    if (state === 'complete' || state === 'broken') return this.#afterComplete(call, piece, otherId, parts);
    if (piece.name === '' || piece.name === call.name) {
      call.id ??= piece.id;
      return call;
    }
    if (!call.isBare || call.number !== null)
      return otherId || this.#tools.has(piece.name) ? this.#open(piece, parts) : call;
    // A name, and no arguments yet: another call, or more of the name.
    if (call.name !== '' && (otherId || (this.#tools.has(call.name) && this.#tools.has(piece.name))))
      return this.#open(piece, parts);
    call.id ??= piece.id;
    this.#meter.name(piece.name.length);
    const grows = piece.name.startsWith(call.name) && this.#tools.has(piece.name);
    call.name = grows ? piece.name : call.name + piece.name;
    return call;
  }

  #afterComplete(call: OpenCall, piece: Piece, otherId: boolean, parts: ModelPart[]): OpenCall | null {
    const { name, args } = piece;
    if (args.trim() === '') {
      if (name === '') return null;
      // A head: of the next call, or repeated to no purpose.
      return this.#open(piece, parts, name === call.name);
    }
    const sameName = name === '' || name === call.name;
    if (sameName && sameJson(call.args, args)) return null;
    const sameId = piece.id !== null && piece.id === call.id;
    const anew = (): OpenCall => {
      call.restart();
      return call;
    };
    if (sameName && isPlaceholder(call.args) && (sameId || name === '')) return anew();
    if (name !== '')
      return sameId && sameName && piece.index === call.index ? anew() : this.#open(piece, parts);
    if (otherId) return this.#open({ ...piece, name: call.name }, parts);
    // Without name and id: a repetition of the whole call, or a meaningless rest.
    return args.trimStart().startsWith('{') && !call.cumulative ? anew() : null;
  }
}
