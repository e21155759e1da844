/**
 * Exit codes of commands, and the translation of an error into a code, a line and a JSON document.
 *
 * Rule: exit 0 means success. Codes are a contract with scripts (docs/reference/cli.md lists them): numbers are never reused. A
 * message has subject, state, value and fix, and no stack. Imports protocol only.
 */
import { quote } from '../protocol/rules/validation.ts';
import { StoreError } from '../protocol/ports/store-error.ts';
import { RunsError, type RunsErrorCode } from '../protocol/errors.ts';

export const EXIT = {
  ok: 0,
  /** An error that this project did not foresee. */
  unexpected: 1,
  /** The command line, the environment or a file is wrong: fix it and run again. */
  usage: 2,
  /** No such run. */
  notFound: 3,
  /** Understood, but not possible in this state: answered already, ended, another run is active. */
  refused: 4,
  /** Temporal, a worker, the API, the backend or the store can't be reached now. Nothing changed; safe to repeat. */
  unavailable: 5,
  /** The run ended, but not `completed` (`start --wait`, `watch`). */
  runNotCompleted: 6,
  /** `doctor` or `replay` found a problem. */
  checkFailed: 7,
  /** A tool threw outside of its call: `process-guard.ts` ends the process. */
  crashed: 70,
  /** Ctrl-C. */
  interrupted: 130,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** A failure that a command reports itself. `message` is shown unchanged. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exitCode: ExitCode;
  /** Stable word for scripts, beside the exit code. */
  readonly code: string;
  readonly details: unknown;

  constructor(
    exitCode: ExitCode,
    code: string,
    message: string,
    more: { details?: unknown; cause?: unknown } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.exitCode = exitCode;
    this.code = code;
    this.details = more.details ?? null;
  }
}

export const usageError = (message: string): CliError => new CliError(EXIT.usage, 'usage', message);

const EXIT_OF: Record<RunsErrorCode, ExitCode> = {
  invalid_input: EXIT.usage,
  config: EXIT.usage,
  run_not_found: EXIT.notFound,
  run_failed: EXIT.runNotCompleted,
  already_started: EXIT.refused,
  refused: EXIT.refused,
  temporal_unavailable: EXIT.unavailable,
  no_worker: EXIT.unavailable,
  backend: EXIT.unavailable,
  store_unavailable: EXIT.unavailable,
  cancelled: EXIT.interrupted,
};

export interface CliFailure {
  exitCode: ExitCode;
  /** For people, on stderr. */
  text: string;
  /** For a script, on stdout with `--json`. */
  document: {
    error: { code: string; message: string; failure: string | null; details: unknown; exitCode: number };
  };
}

/**
 * Any thrown value as the end of a command. `stopped`: a signal asked the process to end. Ctrl-C reaches its whole process
 * group, so a program that it uses may be gone first: what fails then is no surprise.
 */
export const toCliFailure = (error: unknown, stopped = false): CliFailure => {
  if (error instanceof CliError)
    return failure(error.exitCode, error.code, error.message, null, error.details);
  if (error instanceof StoreError)
    return failure(EXIT.unavailable, `store_${error.code}`, error.message, null, error.details);
  if (error instanceof RunsError)
    return failure(EXIT_OF[error.code], error.code, error.message, error.failure, error.details);
  if (stopped)
    return failure(
      EXIT.unexpected,
      'stopped',
      `stopped by a signal before it was done (${messageOf(error)})`,
      null,
      null,
    );
  return failure(EXIT.unexpected, 'unexpected', `unexpected failure: ${messageOf(error)}`, null, null);
};

const failure = (
  exitCode: ExitCode,
  code: string,
  message: string,
  type: string | null,
  details: unknown,
): CliFailure => ({
  exitCode,
  text: `runs: ${message}`,
  document: { error: { code, message, failure: type, details, exitCode } },
});

/** The message, and the messages of causes that add something. */
const messageOf = (error: unknown): string => {
  const parts: string[] = [];
  for (let at: unknown = error, depth = 0; at !== undefined && at !== null && depth < 4; depth++) {
    const text = (at instanceof Error ? at.message : quote(at)).trim();
    if (text !== '' && !parts.some((part) => part.includes(text))) parts.push(text);
    at = at instanceof Error ? at.cause : undefined;
  }
  return parts.length === 0 ? 'no message was given' : parts.join('\n  because: ');
};
