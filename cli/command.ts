/**
 * What a command is, and what it is lent: the shape that every file in `commands/` fills.
 *
 * Rule: a command's file imports only light things at the top; whatever loads Temporal, the store or a server is
 * imported inside `run`, so that `runs --help` and a mistyped option cost nothing. A command returns what happened;
 * printing is done in one place (`program.ts`), which keeps `--json` at exactly one document.
 */
import type { Command } from 'commander';
import type { ExitCode } from '../app/exit.ts';

/** The world as a command sees it. Tests lend another one. */
export interface CliIo {
  env: Readonly<Record<string, string | undefined>>;
  stdout: (text: string) => void;
  stderr: (text: string) => void;
  /** Is a person looking at stderr, on which progress is drawn? */
  stderrIsTty: boolean;
  /** Width of that terminal. */
  columns: () => number;
  /** Asks a person a question on one line; null = the input has ended. Absent where no person sits at a terminal. */
  ask?: (question: string) => Promise<string | null>;
  /** Aborted on Ctrl-C or SIGTERM. */
  signal: AbortSignal;
  /** The JSON document of a command that stays was printed by an earlier life of its process. Default false. */
  announced?: boolean;
  /** Called when a command that stays has begun its work. */
  onReady?: () => void;
}

export interface CommandContext {
  io: CliIo;
  json: boolean;
  /** A line for a person: on stderr, so that stdout stays the command's result. */
  say: (line: string) => void;
  /** For commands that stay: their one JSON document, before they end. */
  announce: (document: unknown) => void;
}

export interface Outcome {
  /** The document of `--json`. */
  json: unknown;
  /** Lines of stdout without `--json`. */
  lines: string[];
  /** Default 0. */
  exitCode?: ExitCode;
}

export interface CommandSpec<Options> {
  name: string;
  summary: string;
  /** Ends by itself on `io.signal`. Other commands are given up at once. */
  stays?: boolean;
  /** Its first word alone calls it. */
  isDefault?: boolean;
  /** Declares arguments and options. */
  configure: (command: Command) => unknown;
  /** `undefined` only from commands that stay and have announced their document. */
  run(context: CommandContext, args: string[], options: Options): Promise<Outcome | undefined>;
}

/** Of commands that run tools; `supervise.ts` reads it from the command line. */
export const NO_RESTART = [
  '--no-restart',
  'end when the process crashes, instead of starting again',
] as const;

/** A command with its option type closed over. */
export interface RegisteredCommand {
  name: string;
  summary: string;
  stays: boolean;
  isDefault: boolean;
  configure: (command: Command) => unknown;
  run(context: CommandContext, command: Command): Promise<Outcome | undefined>;
}

export const defineCommand = <Options extends object>(spec: CommandSpec<Options>): RegisteredCommand => ({
  name: spec.name,
  summary: spec.summary,
  stays: spec.stays ?? false,
  isDefault: spec.isDefault ?? false,
  configure: spec.configure,
  run: (context, command) => spec.run(context, command.args, command.opts<Options>()),
});
