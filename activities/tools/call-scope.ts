/**
 * Finds the tool call of running code, also in a timer or promise that the call left behind.
 *
 * Rule: `AsyncLocalStorage` keeps the scope, so it outlives the call. Notifying a call that its process ends is safe at
 * any time, and has no effect after the call has ended.
 * Imported by the tool runner, by the process guard of the worker and by tests.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

export interface CallScope {
  readonly tool: string;
  readonly runId: string;
  readonly callId: string;
  readonly attempt: number;
  /** Ends the attempt as lost: an uncaught exception of this tool ends the process. */
  blame(error: unknown): void;
  /** The process ends for another reason: the call's next attempt does not count this one as lost. */
  spare(): void;
}

/** Longer than an ending process needs: calls that it refuses then go to another process. Milliseconds. */
export const ENDING_RETRY_MS = 3_000;

const scopes = new AsyncLocalStorage<CallScope>();
const running = new Set<CallScope>();
let ending = false;

/** This process is about to end: no call starts in it any more. */
export const markProcessEnding = (): void => {
  ending = true;
};
export const isProcessEnding = (): boolean => ending;

/** Registers the call until `closeCall`: its attempt may end before its tool does. */
export const openCall = (scope: CallScope): void => void running.add(scope);
export const closeCall = (scope: CallScope): void => void running.delete(scope);

/** Runs a tool in its scope. */
export const withinCall = <T>(scope: CallScope, work: () => T): T => scopes.run(scope, work);

/** The call whose code runs now; undefined outside of tools. */
export const currentCall = (): CallScope | undefined => scopes.getStore();

/** Calls that run in this process. */
export const runningCalls = (): readonly CallScope[] => [...running];
