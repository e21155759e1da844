/**
 * Progress of a run on a terminal: a block at the end of the screen, redrawn in place, and above it the lines that stay.
 *
 * Rule: no line of the block is wider than the terminal, which would break it by itself and spoil the count of rows. What
 * may be longer than the screen is written once and never redrawn. Imported by `board.ts`.
 */
import type { RunSnapshot } from '../../protocol/temporal/messages.ts';
import { oneLine, wrapped } from './format.ts';
import type { Board, BoardOptions, Picture } from './progress.ts';
import { boardLines, waitingLinesOf, type ViewOptions } from './view.ts';

/** Redraws its block: cursor up over the old one, clear to the end, write the new one. */
export const terminalBoard = ({
  write,
  columns = () => 80,
  now = Date.now,
  command,
}: BoardOptions): Board => {
  let picture: Picture | undefined;
  let drawn = 0;
  let shown = '';
  let held = false;
  /** Lines that stay, noted while the terminal was lent. */
  let kept: string[] = [];
  const asked = new Set<string>();
  const clear = (): string => (drawn === 0 ? '' : `\u001B[${drawn}A\u001B[0J`);
  const draw = (): void => {
    if (picture === undefined || held) return;
    const view: ViewOptions = { now: now(), pending: picture.pending };
    const lines = boardLines(picture.run, view).flatMap((line) => wrapped(line, columns()));
    const text = lines.join('\n');
    if (text === shown && drawn > 0) return;
    write(`${clear()}${text}\n`);
    shown = text;
    drawn = lines.length;
  };
  const stay = (lines: readonly string[]): void => {
    if (lines.length === 0) return;
    if (held) {
      kept.push(...lines);
      return;
    }
    write(`${clear()}${lines.join('\n')}\n`);
    drawn = 0;
  };
  // The time left goes on while nothing else happens.
  const clock = setInterval(draw, 1_000);
  return {
    update(next) {
      stay(newQuestions(next.run, asked, command));
      picture = next;
      draw();
    },
    note(...lines) {
      stay(lines);
      draw();
    },
    hold() {
      held = true;
      // What is written meanwhile stands below the block, which stays as it is.
      drawn = 0;
    },
    release() {
      held = false;
      const lines = kept;
      kept = [];
      stay(lines);
      draw();
    },
    end: () => clearInterval(clock),
  };
};

/** What waiting calls ask, of those that were not seen yet; a call that waits again asks again. */
const newQuestions = (run: RunSnapshot, asked: Set<string>, command?: string | null): string[] =>
  run.calls.flatMap((call) => {
    const key = `${run.round} ${call.callId} ${call.refusedEdit?.count ?? 0}`;
    if (run.result !== null || call.state !== 'waiting' || asked.has(key)) return [];
    asked.add(key);
    const lines = waitingLinesOf(run.runId, call, command);
    return lines.length === 0 ? [] : [`  ? ${oneLine(call.name, 64)}  ${call.callId}`, ...lines];
  });
