/**
 * Progress of a run in a log: a line for each change.
 *
 * Rule: nothing is printed twice. Passing time is no change, so an hour's wait adds no lines to a log. `changeLines` is pure; the board only writes. Imported by `board.ts`.
 */
import { TOOL_ACTIVITY_PREFIX } from '../../protocol/temporal/names.ts';
import type { CallSnapshot, RunSnapshot } from '../../protocol/temporal/messages.ts';
import { oneLine } from './format.ts';
import { AFTER_DEADLINE, resultLines, waitingLinesOf, workText, type PendingWork } from './view.ts';

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
        onDeadline === undefined ? '' : `, then ${AFTER_DEADLINE[onDeadline]}`
      }`;

export interface Board {
  update(picture: Picture): void;
  /** Permanent lines: above the board on a terminal, in order in a log. */
  note(...lines: string[]): void;
  /** Draws nothing until `release`: the terminal is lent to a question or an editor. */
  hold(): void;
  release(): void;
  /** Leaves the last board on the screen. */
  end(): void;
}

export interface BoardOptions {
  write: (text: string) => void;
  /** Width of the terminal, read at each drawing. Default 80. */
  columns?: () => number;
  now?: () => number;
  /** As in `ViewOptions`. */
  command?: string | null;
}

/** For a log: one line for each change. */
export const lineBoard = ({ write, command, now = Date.now }: BoardOptions): Board => {
  let last: Picture | undefined;
  return {
    update(next) {
      const picture = { at: now(), ...next };
      for (const line of changeLines(last, picture, command)) write(`${line}\n`);
      last = picture;
    },
    note: (...lines) => write(lines.map((line) => `${line}\n`).join('')),
    hold: () => undefined,
    release: () => undefined,
    end: () => undefined,
  };
};
