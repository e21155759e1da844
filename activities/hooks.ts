/**
 * Runs the hooks of the tools file.
 *
 * Rule: a hook runs in a scope, as a tool does, so that the log names it when a promise of it is rejected without a handler. An
 * exception that escapes from it ends the process and the attempt for good: a second attempt would end the next process.
 * Imported by `activities/index.ts`.
 */
import { Context } from '@temporalio/activity';
import { FAILURES } from '../protocol/index.ts';
import type { Hooks, HookContext } from './dependencies.ts';
import { throwFailure } from './failure.ts';
import { closeCall, openCall, withinCall, type CallScope } from './tools/call-scope.ts';

export const hookContext = (): HookContext => {
  const { cancellationSignal, info } = Context.current();
  return { signal: cancellationSignal, attempt: info.attempt };
};

const asText = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export const runHook = async (
  name: keyof Hooks,
  runId: string,
  work: (context: HookContext) => Promise<void> | void,
): Promise<void> => {
  const context = hookContext();
  let scope: CallScope | null = null;
  try {
    await new Promise<void>((resolve, reject) => {
      scope = {
        tool: `hook ${name}`,
        runId,
        callId: '',
        attempt: context.attempt,
        blame: (error) =>
          reject(
            throwFailure(
              FAILURES.toolFailed,
              `The hook ${name} ended its worker: an exception escaped from it (${asText(error)}). Catch it in the hook.`,
              { retryable: false },
            ),
          ),
        spare: () => undefined,
      };
      openCall(scope);
      withinCall(scope, async () => work(context)).then(resolve, reject);
    });
  } finally {
    if (scope !== null) closeCall(scope);
  }
};
