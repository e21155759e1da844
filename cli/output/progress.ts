/**
 * Progress of a run on stderr: redrawn in place on a terminal, one line per change elsewhere.
 *
 * Rule: nothing is printed twice. Passing time is no change, so an hour's wait adds no lines to a log. `changeLines` is
 * pure; the board only writes. Imported by `watch`, `start --wait` and the demo.
 */
import { TOOL_ACTIVITY_PREFIX } from '../../protocol/temporal/names.ts';
import type { CallSnapshot, RunSnapshot } from '../../protocol/temporal/messages.ts';
import { oneLine } from './format.ts';
import {
  waitingLinesOf,
  resultLines,
  runLines,
  workText,
  type PendingWork,
  type ViewOptions,
} from './view.ts';

export interface Picture {
  run: RunSnapshot;
  pending: readonly PendingWork[];
  /** Unix ms of the read. Default: the board's clock. */
  at?: number;
}

/** Longer work deserves a line in a log. */
const LONG_MS = 2_000;

/** The line for a turn that has been running for a while. */
const longWork = (picture: Picture | undefined): PendingWork[] =>
  (picture?.pending ?? []).filter(
    ({ callId, startedAt }) =>
      callId === null && startedAt !== null && (picture?.at ?? 0) - startedAt >= LONG_MS,
  );

/** The changes in `after`, as lines without terminal control. */
export const changeLines = (
  before: Picture | undefined,
  after: Picture,
  command?: string | null,
): string[] => {
  const lines: string[] = [];
  const was = before?.run;
  const { run } = after;
  const { status } = run;
  if (was === undefined || was.status !== status || was.round !== run.round)
    lines.push(`${run.runId}  ${status}${run.round > 0 ? ` · round ${run.round}` : ''}`);
  // A round ends when all its calls have outputs; the next one may appear before the last answer was seen.
  if (was !== undefined && run.round > was.round)
    for (const call of was.calls)
      if (call.state !== 'done') lines.unshift(`  ✓ ${oneLine(call.name, 64)}  ${call.callId}  answered`);
  for (const call of run.calls) {
    const old = was?.round === run.round ? was.calls.find((item) => item.callId === call.callId) : undefined;
    if (old?.state !== call.state || old.refusedEdit?.count !== call.refusedEdit?.count)
      lines.push(...callChange(run.runId, call, command));
  }
  const long = longWork(before);
  for (const work of longWork(after))
    if (!long.some((item) => same(item, work) && item.startedAt === work.startedAt))
      lines.push(`  … ${workText(run, work)}`);
  for (const work of after.pending) {
    const old = before?.pending.find((item) => same(item, work));
    if (work.lastFailure !== null && (old?.attempt !== work.attempt || old.lastFailure !== work.lastFailure))
      lines.push(
        `  ↻ ${nameOf(work)}${work.callId === null ? '' : `  ${work.callId}`}  attempt ${work.attempt}${
          work.maximumAttempts > 0 ? ` of ${work.maximumAttempts}` : ''
        }, last failure: ${oneLine(work.lastFailure, 120)}`,
      );
  }
  if (run.unusable.count > (was?.unusable.count ?? 0)) {
    const last = run.unusable.latest.at(-1);
    if (last !== undefined)
      lines.push(`  ! an answer to ${oneLine(last.callId)} could not be used: ${last.reason}`);
  }
  if (run.result !== null && (was?.result ?? null) === null)
    lines.push(...resultLines(run.result).map((line) => `  ${line}`));
  return lines;
};

const nameOf = ({ type }: PendingWork): string =>
  type.startsWith(TOOL_ACTIVITY_PREFIX) ? type.slice(TOOL_ACTIVITY_PREFIX.length) : type;

const same = (a: PendingWork, b: PendingWork): boolean => a.type === b.type && a.callId === b.callId;

const callChange = (runId: string, call: CallSnapshot, command?: string | null): string[] => {
  const name = `${oneLine(call.name, 64)}  ${call.callId}`;
  if (call.state === 'running') return [`  ↻ ${name}  running`];
  if (call.state === 'done')
    return [`  ${call.ok === false ? '✗' : '✓'} ${name}  ${call.ok === false ? 'failed' : 'done'}`];
  return [
    `  ? ${name}  waits for ${call.kind === 'approval' ? 'an approval' : 'an answer'}${until(call)}`,
    ...waitingLinesOf(runId, call, command),
  ];
};

/** The time of the deadline, not the time left: a printed line must stay right. */
const until = ({ answerBy, onDeadline }: CallSnapshot): string =>
  answerBy === null || answerBy === undefined
    ? ''
    : ` until ${new Date(answerBy).toISOString().slice(0, 19).replace('T', ' ')} UTC${
        onDeadline === undefined ? '' : `, then: ${onDeadline}`
      }`;

export interface Board {
  update(picture: Picture): void;
  /** A permanent line: above the board on a terminal, in order in a log. */
  note(line: string): void;
  /** Leaves the last board on the screen. */
  end(): void;
}

export interface BoardOptions {
  write: (text: string) => void;
  tty: boolean;
  /** Width of the terminal, read at each drawing. Default 80. */
  columns?: () => number;
  now?: () => number;
  /** As in `ViewOptions`. */
  command?: string | null;
}

export const createBoard = (options: BoardOptions): Board =>
  options.tty ? terminalBoard(options) : lineBoard(options);

const lineBoard = ({ write, command, now = Date.now }: BoardOptions): Board => {
  let last: Picture | undefined;
  return {
    update(next) {
      const picture = { at: now(), ...next };
      for (const line of changeLines(last, picture, command)) write(`${line}\n`);
      last = picture;
    },
    note: (line) => write(`${line}\n`),
    end: () => undefined,
  };
};

/** Redraws the board: cursor up, clear to the end, write. */
const terminalBoard = ({ write, columns = () => 80, now = Date.now, command }: BoardOptions): Board => {
  let picture: Picture | undefined;
  let drawn = 0;
  let shown = '';
  const asked = new Set<string>();
  const clear = (): string => (drawn === 0 ? '' : `\u001B[${drawn}A\u001B[0J`);
  const draw = (): void => {
    if (picture === undefined) return;
    const view: ViewOptions = { now: now(), pending: picture.pending, questions: false };
    const lines = runLines(picture.run, command === undefined ? view : { ...view, command });
    const text = lines.join('\n');
    if (text === shown && drawn > 0) return;
    write(`${clear()}${text}\n`);
    shown = text;
    drawn = lines.reduce((rows, line) => rows + rowsOf(line, columns()), 0);
  };
  const stay = (line: string): void => {
    write(`${clear()}${line}\n`);
    drawn = 0;
  };
  // The time left changes while nothing else does.
  const clock = setInterval(draw, 1_000);
  return {
    update(next) {
      // A question may be longer than the screen, so it is printed once and never redrawn.
      for (const line of newQuestions(next.run, asked, command)) stay(line);
      picture = next;
      draw();
    },
    note(line) {
      stay(line);
      draw();
    },
    end: () => clearInterval(clock),
  };
};

/** Questions of waiting calls that were not printed yet; a call that waits again is asked again. */
const newQuestions = (run: RunSnapshot, asked: Set<string>, command?: string | null): string[] =>
  run.calls.flatMap((call) => {
    const key = `${run.round} ${call.callId} ${call.refusedEdit?.count ?? 0}`;
    if (run.result !== null || call.state !== 'waiting' || asked.has(key)) return [];
    asked.add(key);
    const lines = waitingLinesOf(run.runId, call, command);
    return lines.length === 0 ? [] : [`  ? ${oneLine(call.name, 64)}  ${call.callId}`, ...lines];
  });

/** Letters that take two columns in a terminal. */
const WIDE =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\uFF01-\uFF60]/gu;

/** Rows that a line takes where longer lines wrap. */
const rowsOf = (line: string, columns: number): number => {
  // Surrogate pairs are rare outside of wide letters, so counting units errs by little.
  const width = line.length + (line.match(WIDE)?.length ?? 0);
  return Math.max(1, Math.ceil(width / Math.max(1, columns)));
};
