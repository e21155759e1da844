/**
 * Puts the calls of a streamed answer together from the pieces that servers send.
 *
 * Rule: a piece with a name after complete arguments begins a call, unless it equals the call just finished; over
 * incomplete arguments it continues. An index that is new begins a call; an index that is known decides nothing else,
 * since some servers number every call 0. Pieces are told once they can't be taken back: `{}` waits, as a placeholder.
 * Pure. Imported by the completion reader and tests.
 */
import type { ModelPart } from '../../../protocol/ports/model.ts';
import {
  collectCallFields,
  isPlaceholder,
  MAX_CALLS,
  pieceOf,
  sameJson,
  TooManyCallsError,
  type Piece,
} from './call-piece.ts';
import { JsonProgress, record } from './json-text.ts';
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

interface OpenCall {
  index: number | null;
  id: string | null;
  name: string;
  args: string;
  progress: JsonProgress;
  /** Its number on the port; null = not told yet. */
  number: number | null;
  /** Arguments that were not told yet. */
  pending: string;
  /** The arguments were sent anew after some had been told: only the whole call tells them. */
  silent: boolean;
  /** The server repeats everything it has said of the arguments with each piece. */
  cumulative: boolean;
  /** A repetition of an earlier call's head, until it gets arguments of its own. */
  tentative: boolean;
  dropped: boolean;
  fields: Fields;
}

export class CallAssembler {
  readonly #tools: ReadonlySet<string>;
  readonly #calls: OpenCall[] = [];
  #numbers = 0;

  /** `tools`: names that the request declares; they tell a second call from the second half of a name. */
  constructor(tools: Iterable<string>) {
    this.#tools = new Set(tools);
  }

  get size(): number {
    return this.#calls.filter(({ dropped }) => !dropped).length;
  }

  /** A piece of a streamed answer. */
  push(value: unknown): ModelPart[] {
    const raw = record(value);
    const piece = pieceOf(raw);
    const parts: ModelPart[] = [];
    const call = this.#target(piece, parts);
    if (call !== null) {
      collectCallFields(call.fields, raw);
      if (piece.args !== '') this.#append(call, piece.args, parts);
    }
    return parts;
  }

  /** A call of a whole answer: a call of its own, unless its pieces came before. */
  pushWhole(value: unknown): ModelPart[] {
    const raw = record(value);
    const piece = pieceOf(raw);
    if (piece.name === '' && piece.args === '') return [];
    const parts: ModelPart[] = [];
    const known = this.#calls.find(
      (call) =>
        call.name === piece.name &&
        call.number !== null &&
        sameJson(this.#argumentsOf(call), piece.args || '{}'),
    );
    if (known !== undefined && this.#streamed) {
      collectCallFields(known.fields, raw);
      return [];
    }
    const call = this.#open(piece, parts);
    collectCallFields(call.fields, raw);
    if (piece.args !== '') this.#append(call, piece.args, parts);
    return parts;
  }

  /** From here on, whole calls may repeat streamed ones. */
  markStreamed(): void {
    this.#streamed = this.#streamed || this.#calls.length > 0;
  }
  #streamed = false;

  /** What is left to tell once nothing more comes. */
  end(): ModelPart[] {
    const parts: ModelPart[] = [];
    for (const call of this.#calls) {
      if (call.tentative || (call.name === '' && call.args.trim() === ''))
        call.dropped = call.number === null;
      if (!call.dropped) this.#finish(call, parts);
    }
    for (const call of this.#calls)
      if (!call.dropped)
        parts.push({
          kind: 'call',
          call: call.number ?? 0,
          name: call.name,
          arguments: this.#argumentsOf(call),
        });
    return parts;
  }

  calls(): AssembledCall[] {
    return this.#calls
      .filter(({ dropped }) => !dropped)
      .map((call) => ({
        name: call.name,
        arguments: this.#argumentsOf(call),
        id: call.id,
        fields: call.fields,
      }));
  }

  /** Every call has complete arguments, or none at all. */
  get complete(): boolean {
    return this.#calls.every(
      ({ dropped, args, progress }) => dropped || args === '' || progress.state === 'complete',
    );
  }

  #argumentsOf({ args }: OpenCall): string {
    return args.trim() === '' || args.trim() === 'null' ? '{}' : args;
  }

  #open(piece: Piece, parts: ModelPart[], more: { name?: string; tentative?: boolean } = {}): OpenCall {
    // A call is complete in name and begun when the next one opens; a mere repetition of a head is none.
    for (const call of this.#calls) {
      if (call.tentative && call.args === '') call.dropped = true;
      else if (!call.dropped && call.number === null) this.#finish(call, parts);
    }
    if (this.#calls.length >= MAX_CALLS) throw new TooManyCallsError(`more than ${MAX_CALLS} calls`);
    const call: OpenCall = {
      index: piece.index,
      id: piece.id,
      name: more.name ?? piece.name,
      args: '',
      progress: new JsonProgress(),
      number: null,
      pending: '',
      silent: false,
      cumulative: false,
      tentative: more.tentative ?? false,
      dropped: false,
      fields: {},
    };
    this.#calls.push(call);
    return call;
  }

  /** The call that a piece belongs to, opened if need be; null = the piece repeats what is known. */
  #target(piece: Piece, parts: ModelPart[]): OpenCall | null {
    const live = this.#calls.filter(({ dropped }) => !dropped);
    const byIndex = piece.index === null ? undefined : live.findLast(({ index }) => index === piece.index);
    const byId = piece.id === null ? undefined : live.findLast(({ id }) => id === piece.id);
    if (byIndex !== undefined) return this.#onKnown(byIndex, piece, parts);
    if (piece.index === null) {
      const call = byId ?? live.at(-1);
      return call === undefined ? this.#open(piece, parts) : this.#onKnown(call, piece, parts);
    }
    // The index is new.
    if (byId !== undefined && (piece.name === '' || piece.name === byId.name)) {
      if (piece.name === '' || (piece.args !== '' && sameJson(byId.args, piece.args)))
        return piece.name === '' && byId.progress.state !== 'complete' ? byId : null;
      if (piece.args === '' && byId.progress.state === 'complete')
        return this.#open(piece, parts, { tentative: true });
    }
    const last = live.at(-1);
    if (piece.name === '' && piece.id === null && last !== undefined && last.progress.state !== 'complete')
      return last;
    return this.#open(piece, parts);
  }

  #onKnown(call: OpenCall, piece: Piece, parts: ModelPart[]): OpenCall | null {
    const otherId = piece.id !== null && call.id !== null && piece.id !== call.id;
    const complete = call.progress.state === 'complete' || call.progress.state === 'broken';
    if (complete) return this.#afterComplete(call, piece, otherId, parts);
    if (piece.name === '' || piece.name === call.name) {
      call.id ??= piece.id;
      return call;
    }
    if (call.args !== '' || call.number !== null)
      return otherId || this.#tools.has(piece.name) ? this.#open(piece, parts) : call;
    // A name, and no arguments yet: another call, or more of the name.
    if (call.name !== '' && (otherId || (this.#tools.has(call.name) && this.#tools.has(piece.name))))
      return this.#open(piece, parts);
    call.id ??= piece.id;
    call.name =
      piece.name.startsWith(call.name) && this.#tools.has(piece.name) ? piece.name : call.name + piece.name;
    return call;
  }

  #afterComplete(call: OpenCall, piece: Piece, otherId: boolean, parts: ModelPart[]): OpenCall | null {
    const { name, args } = piece;
    if (args.trim() === '') {
      if (name === '') return null;
      // A head: of the next call, or repeated to no purpose.
      return this.#open(piece, parts, { tentative: name === call.name });
    }
    const sameName = name === '' || name === call.name;
    if (sameName && sameJson(call.args, args)) return null;
    const sameId = piece.id !== null && piece.id === call.id;
    if (sameName && isPlaceholder(call.args) && (sameId || name === '')) return this.#restart(call);
    if (name !== '')
      return sameId && sameName && piece.index === call.index
        ? this.#restart(call)
        : this.#open(piece, parts);
    if (otherId) return this.#open(piece, parts, { name: call.name });
    // Without name and id: sent anew as a whole, or remains that mean nothing.
    return args.trimStart().startsWith('{') && !call.cumulative ? this.#restart(call) : null;
  }

  #restart(call: OpenCall): OpenCall {
    call.silent = call.args !== call.pending;
    call.args = '';
    call.pending = '';
    call.progress = new JsonProgress();
    return call;
  }

  #append(call: OpenCall, given: string, parts: ModelPart[]): void {
    let piece = given;
    if (call.args.length >= 3 && piece.length >= call.args.length && piece.startsWith(call.args)) {
      if (piece.length > call.args.length) call.cumulative = true;
      if (call.cumulative) piece = piece.slice(call.args.length);
    }
    if (piece === '') return;
    call.tentative = false;
    call.args += piece;
    call.pending += piece;
    call.progress.push(piece);
    if (isPlaceholder(call.args)) return;
    this.#begin(call, parts);
    this.#tell(call, parts);
  }

  #begin(call: OpenCall, parts: ModelPart[]): void {
    if (call.number !== null) return;
    call.number = this.#numbers;
    this.#numbers += 1;
    parts.push({ kind: 'call_begun', call: call.number, name: call.name });
  }

  #tell(call: OpenCall, parts: ModelPart[]): void {
    if (call.number !== null && call.pending !== '' && !call.silent)
      parts.push({ kind: 'call_piece', call: call.number, text: call.pending });
    call.pending = '';
  }

  #finish(call: OpenCall, parts: ModelPart[]): void {
    this.#begin(call, parts);
    if (call.args.trim() !== 'null') this.#tell(call, parts);
  }
}
