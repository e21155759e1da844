/**
 * Counts one answer of a model against `ANSWER_LIMITS`.
 *
 * Rule: a reader counts each piece before it keeps it, so an oversized answer is given up while it is still small. The
 * error is final: the model would repeat the answer, and it would be charged again. Pure. Imported by readers of
 * answers in `backends/`.
 */
import { ANSWER_LIMITS } from '../protocol/limits.ts';

type AnswerLimits = { readonly [What in keyof typeof ANSWER_LIMITS]: number };
type AnswerLimit = keyof AnswerLimits;

const LIMIT_DESCRIPTIONS: Readonly<Record<AnswerLimit, string>> = {
  streamBytes: 'bytes of stream',
  streamChars: 'characters of events',
  events: 'events',
  eventChars: 'characters in one event',
  bodyBytes: 'bytes',
  values: 'values in one event',
  depth: 'levels of nesting',
  textChars: 'characters of text',
  calls: 'tool calls',
  argumentsChars: 'characters in the arguments of one tool call',
  allArgumentsChars: 'characters in the names and arguments of all tool calls',
};

/** The model's answer is larger than this project keeps. */
export class AnswerLimitError extends Error {
  override readonly name = 'AnswerLimitError';
  readonly what: AnswerLimit;
  readonly limit: number;

  constructor(what: AnswerLimit, limit: number) {
    super(`the answer has more than ${limit} ${LIMIT_DESCRIPTIONS[what]}`);
    this.what = what;
    this.limit = limit;
  }
}

type Sum = 'streamBytes' | 'streamChars' | 'events' | 'textChars' | 'calls' | 'allArgumentsChars';

export class AnswerMeter {
  readonly #limits: AnswerLimits;
  readonly #sums: Record<Sum, number> = {
    streamBytes: 0,
    streamChars: 0,
    events: 0,
    textChars: 0,
    calls: 0,
    allArgumentsChars: 0,
  };

  constructor(limits: Partial<AnswerLimits> = {}) {
    this.#limits = { ...ANSWER_LIMITS, ...limits };
  }

  /** Bytes from the socket, comments and frames included. */
  bytes(count: number): void {
    this.#add('streamBytes', count);
  }

  /** One event of the stream. */
  event(chars: number): void {
    this.#add('events', 1);
    this.#add('streamChars', chars);
  }

  /** Text, refusal or reasoning. */
  text(piece: string): void {
    this.#add('textChars', JSON.stringify(piece).length - 2);
  }

  call(): void {
    this.#add('calls', 1);
  }

  /** A piece of a call's name. */
  name(chars: number): void {
    this.#add('allArgumentsChars', chars);
  }

  /** A piece of a call's arguments, which then have `total` characters. */
  arguments(chars: number, total: number): void {
    this.#check('argumentsChars', total);
    this.#add('allArgumentsChars', chars);
  }

  #add(what: Sum, count: number): void {
    this.#sums[what] += count;
    this.#check(what, this.#sums[what]);
  }

  #check(what: AnswerLimit, value: number): void {
    if (value > this.#limits[what]) throw new AnswerLimitError(what, this.#limits[what]);
  }
}
