/**
 * Makes the answer of a turn that asks for JSON a JSON text, whatever the server did with the format.
 *
 * Rule: text that may be no JSON is held back until it is; so a server that ignores the format is found out before a reader has
 * seen anything. The call of the answer tool becomes text. Text beside calls of other tools is passed on as it is, and calls
 * are numbered anew without the answer's. Pure. Imported within `backends/models/openai-compatible/` and by tests.
 */
import type { ModelPart } from '../../../protocol/ports/model.ts';
import { WRAPPED, type AnswerTool } from './answer-tool.ts';
import { JsonProgress } from './json-text.ts';
import { isRecord } from '../../../protocol/rules/is-record.ts';

/** The server has answered in something other than JSON. */
export class NotJson extends Error {
  override readonly name = 'NotJson';

  constructor() {
    super('the answer is no JSON, though the request asks for it');
  }
}

export interface JsonAnswerOptions {
  /** The answer can be an object only. */
  object: boolean;
  /** The request declares tools of the run: text may come before calls. */
  tools: boolean;
  /** null = the server was asked by `response_format`, or the turn has to call a tool. */
  answerTool: AnswerTool | null;
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
};

const FENCED = /^\s*```(?:json)?\s*\n([\s\S]*?)\n?\s*```\s*$/i;
const WRAP = new RegExp(String.raw`^\s*\{\s*"${WRAPPED}"\s*:([\s\S]*)\}\s*$`);

export class JsonAnswerFilter {
  readonly #options: JsonAnswerOptions;
  /** Text that has not been passed on. */
  #held = '';
  #told = '';
  readonly #progress = new JsonProgress();
  /** What has begun decides what text is: the answer as it comes, or words that wait for what follows them. */
  #text: 'undecided' | 'answer' | 'words' = 'undecided';
  /** The answer tool's calls, by the reader's number. */
  readonly #answers = new Set<number>();
  #answerCall: number | null = null;
  #refused = false;
  /** The run's calls: the reader's numbers in order. */
  readonly #calls: number[] = [];

  constructor(options: JsonAnswerOptions) {
    this.#options = options;
  }

  /** Throws `NotJson`. */
  take(parts: readonly ModelPart[]): ModelPart[] {
    const shown: ModelPart[] = [];
    for (const part of parts) this.#one(part, shown);
    return shown;
  }

  #one(part: ModelPart, shown: ModelPart[]): void {
    switch (part.kind) {
      case 'text':
        this.#takeText(part.text, shown);
        return;
      case 'call_begun':
        this.#begin(part, shown);
        return;
      case 'call_piece':
        this.#piece(part, shown);
        return;
      case 'call':
        this.#whole(part, shown);
        return;
      case 'finish':
        this.#end(part, shown);
        return;
      case 'refusal':
        this.#refused = true;
        shown.push(part);
        return;
      default:
        shown.push(part);
    }
  }

  #takeText(text: string, shown: ModelPart[]): void {
    if (this.#options.answerTool !== null || this.#text === 'words') {
      this.#held += text;
      return;
    }
    if (this.#text === 'undecided') {
      this.#held += text;
      const first = this.#held.trimStart()[0];
      if (first === undefined) return;
      const held = this.#held;
      if (first === '{' || (!this.#options.object && (first === '[' || first === '"'))) {
        this.#text = 'answer';
        this.#held = '';
        this.#tellAnswer(held, shown);
        return;
      }
      this.#text = 'words';
      // A number or a word is short, and a fence may hold an answer; anything else is prose.
      const mayBeJson = first === '`' || (!this.#options.object && /[-\dtfn]/.test(first));
      if (!mayBeJson && !this.#options.tools) throw new NotJson();
      return;
    }
    this.#tellAnswer(text, shown);
  }

  /** Text after the end of the JSON value is no part of it. */
  #tellAnswer(text: string, shown: ModelPart[]): void {
    let end = 0;
    for (const char of text) {
      if (this.#progress.state === 'complete') break;
      this.#progress.push(char);
      end += char.length;
    }
    this.#tell(text.slice(0, end), shown);
  }

  #tell(text: string, shown: ModelPart[]): void {
    if (text === '') return;
    this.#told += text;
    shown.push({ kind: 'text', text });
  }

  #begin(part: Extract<ModelPart, { kind: 'call_begun' }>, shown: ModelPart[]): void {
    if (part.name === this.#options.answerTool?.tool.function.name) {
      this.#answers.add(part.call);
      // With calls of the run's tools the turn goes on; its answer comes later.
      if (this.#answerCall === null && this.#calls.length === 0) this.#answerCall = part.call;
      return;
    }
    if (this.#answerCall === null) this.#tell(this.#held, shown);
    this.#held = '';
    shown.push({ ...part, call: this.#calls.length });
    this.#calls.push(part.call);
  }

  #piece(part: Extract<ModelPart, { kind: 'call_piece' }>, shown: ModelPart[]): void {
    if (!this.#answers.has(part.call)) shown.push({ ...part, call: this.#calls.indexOf(part.call) });
    else if (part.call === this.#answerCall && this.#options.answerTool?.wrapped !== true)
      this.#tell(part.text, shown);
  }

  #whole(part: Extract<ModelPart, { kind: 'call' }>, shown: ModelPart[]): void {
    if (!this.#answers.has(part.call)) {
      shown.push({ ...part, call: this.#calls.indexOf(part.call) });
      return;
    }
    if (part.call !== this.#answerCall) return;
    const answer = this.#options.answerTool?.wrapped === true ? unwrapped(part.arguments) : part.arguments;
    // A wrapped answer that the token limit cut off is not complete JSON: none of it is shown.
    if (answer === null) return;
    // What has been told can't be taken back.
    if (!answer.startsWith(this.#told)) throw new NotJson();
    this.#tell(answer.slice(this.#told.length), shown);
  }

  #end(part: Extract<ModelPart, { kind: 'finish' }>, shown: ModelPart[]): void {
    const whole = part.reason === 'stop' || part.reason === 'tool_calls';
    if (whole && this.#calls.length === 0 && !this.#refused) {
      if (this.#told === '') this.#tell(jsonIn(this.#held) ?? '', shown);
      const value = parsed(this.#told);
      if (value === undefined || (this.#options.object && !isRecord(value))) throw new NotJson();
    } else if (this.#answerCall === null) this.#tell(this.#held, shown);
    const reason = part.reason === 'tool_calls' && this.#calls.length === 0 ? 'stop' : part.reason;
    shown.push({ ...part, reason });
  }
}

/** The JSON text that a text is, or that a fence in it holds. */
const jsonIn = (text: string): string | null => {
  const inner = FENCED.exec(text)?.[1] ?? text;
  return parsed(inner) === undefined ? null : inner.trim();
};

/** The JSON text of the wrapped value, with its own digits; null = the arguments hold none. */
const unwrapped = (args: string): string | null => {
  const inner = WRAP.exec(args)?.[1]?.trim();
  if (inner !== undefined && parsed(inner) !== undefined) return inner;
  const value = parsed(args);
  return isRecord(value) && Object.hasOwn(value, WRAPPED) ? JSON.stringify(value[WRAPPED]) : null;
};
