/**
 * The interface that every file in `commands/` implements.
 *
 * Rule: a command's file imports only light modules at the top; modules that load Temporal, the store or a server are
 * imported inside `run`, so that `runs --help` and a mistyped option cost nothing. A command returns its result;
 * `program.ts` prints it, which keeps `--json` at exactly one document.
 */
import type { Command } from 'commander';
import type { ExitCode } from '../app/exit.ts';

/** Single keys of a terminal, in raw mode. */
export interface Keyboard {
  /** Leaves the terminal to something else for a while: a question, an editor. */
  pause(): void;
  resume(): void;
  close(): void;
}

/** The environment of a command. Tests pass another one. */
export interface CliIo {
  env: Readonly<Record<string, string | undefined>>;
  stdout: (text: string) => void;
  stderr: (text: string) => void;
  /** Is stderr a terminal, on which progress is drawn? */
  stderrIsTty: boolean;
  /** Does stdout go to a terminal? Default false: then ids are whole and no line is broken. */
  stdoutIsTty?: boolean;
  /** Width of the terminal. */
  columns: () => number;
  /**
   * Asks a question on one line, which begins with `given`, to be edited; null = the input has ended. Absent without a
   * terminal.
   */
  ask?: (question: string, given?: string) => Promise<string | null>;
  /** Takes single keys from now on. Absent without a terminal, and where the command takes none. */
  keys?: (onKey: (key: string) => void) => Keyboard;
  /** Aborted on Ctrl-C or SIGTERM. */
  signal: AbortSignal;
  /** An earlier process of this supervised command has printed its JSON document. Default false. */
  announced?: boolean;
  /** Called when a long-running command is ready. */
  onReady?: () => void;
}

export interface CommandContext {
  io: CliIo;
  json: boolean;
  /** Prints a line for people on stderr; stdout is for the command's result. */
  say: (line: string) => void;
  /** For long-running commands: prints their one JSON document before they end. */
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
  /** Ends by itself on `io.signal`. Other commands are interrupted at once. */
  stays?: boolean;
  /** Its first word alone calls it. */
  isDefault?: boolean;
  /** Declares arguments and options. */
  configure: (command: Command) => unknown;
  /** `undefined` only from long-running commands that have printed their document. */
  run(context: CommandContext, args: string[], options: Options): Promise<Outcome | undefined>;
}

/** For commands that run tools; `supervise.ts` reads it from the command line. */
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
