/**
 * Handles errors that user code leaves behind: a promise without a handler, a timer that throws.
 *
 * Rule: a rejection is logged, and the process lives. After an exception the state of the process is unknown: one line
 * is logged, the call that threw ends as lost, the other calls are spared, and the process exits after the time that
 * this report needs to reach Temporal. Texts of errors are not logged (see log.ts); the place where they were thrown
 * is. Installed by the commands that run a worker. Imported by the CLI, `runWorker` and tests.
 */
import {
  currentCall,
  markProcessEnding,
  runningCalls,
  type CallScope,
} from '../activities/tools/call-scope.ts';
import type { Logger } from '../protocol/index.ts';

/** Exit code of a process that an exception has ended: EX_SOFTWARE of sysexits.h. */
export const CRASH_EXIT_CODE = 70;
/** Time for completions and heartbeats of the running calls to reach Temporal, in milliseconds. */
const COMPLETION_GRACE_MS = 1_000;
const MAX_LISTED_CALLS = 20;

/** The first line of a stack outside of Node and packages: where user code threw. */
export const thrownAt = (error: unknown): string | undefined =>
  error instanceof Error
    ? error.stack
        ?.split('\n')
        .filter((line) => /^\s+at /.test(line))
        .find((line) => !/node:|node_modules/.test(line))
        ?.trim()
        .replace(/^at /, '')
    : undefined;

const fieldsOf = (error: unknown, call: CallScope | undefined): Record<string, unknown> => {
  const at = thrownAt(error);
  return {
    ...(error instanceof Error ? { error } : { errorName: typeof error }),
    ...(at === undefined ? {} : { at }),
    ...(call === undefined
      ? {}
      : { tool: call.tool, runId: call.runId, callId: call.callId, attempt: call.attempt }),
  };
};

export interface ProcessGuardOptions {
  log: Logger;
  /** Default: ends the process. */
  exit?: (code: number) => void;
}

/** Listens to this process until `dispose`. */
export const guardProcess = ({ log, exit = (code) => process.exit(code) }: ProcessGuardOptions) => {
  let crashed = false;

  const onRejection = (reason: unknown): void => {
    log.error(fieldsOf(reason, currentCall()), 'a promise was rejected and no code handled it');
  };
  const onException = (error: unknown): void => {
    // Further exceptions in the last second say nothing new.
    if (crashed) return;
    crashed = true;
    const culprit = currentCall();
    const calls = runningCalls();
    log.error(
      {
        ...fieldsOf(error, culprit),
        calls: calls
          .slice(0, MAX_LISTED_CALLS)
          .map(({ tool, runId, callId }) => `${tool} ${runId} ${callId}`)
          .join(', '),
      },
      'an exception escaped: this process exits',
    );
    markProcessEnding();
    if (culprit !== undefined)
      for (const call of calls)
        if (call === culprit) call.blame(error);
        else call.spare();
    setTimeout(() => exit(CRASH_EXIT_CODE), COMPLETION_GRACE_MS);
  };

  process.on('unhandledRejection', onRejection);
  process.on('uncaughtException', onException);
  return {
    dispose: (): void => {
      process.off('unhandledRejection', onRejection);
      process.off('uncaughtException', onException);
    },
  };
};
