/**
 * Progress of a run on stderr: drawn in place where a person watches a terminal, else a line for each change.
 * Imported by `watch` and the demo.
 */
import { lineBoard, type Board, type BoardOptions } from './progress.ts';
import { terminalBoard } from './terminal-board.ts';

export const createBoard = ({ tty, ...options }: BoardOptions & { tty: boolean }): Board =>
  tty ? terminalBoard(options) : lineBoard(options);
