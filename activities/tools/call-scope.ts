/**
 * Which tool call a piece of code belongs to, also in what it left behind: a timer, a promise that nobody awaits.
 *
 * Rule: the scope is kept by `AsyncLocalStorage`, so it outlives the call. Telling a call that its process is about to end
 * is safe at any time and does nothing when the call is over.
 * Imported by the tool runner, by the process guard of the worker and by tests.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

export interface CallScope {
  readonly tool: string;
  readonly runId: string;
  readonly callId: string;
  readonly attempt: number;
  /** Ends the attempt as lost: an exception that this tool let escape ends the process. */
  blame(error: unknown): void;
  /** The process ends and this call is not the cause: its next attempt does not count this one as lost. */
  spare(): void;
}

/** Longer than a process that ends takes to do so: what it refuses then comes to another one. Milliseconds. */
export const ENDING_RETRY_MS = 3_000;

const scopes = new AsyncLocalStorage<CallScope>();
const running = new Set<CallScope>();
let ending = false;

/** This process ends in a moment: no call begins in it any more. */
export const markProcessEnding = (): void => {
  ending = true;
};
export const isProcessEnding = (): boolean => ending;

/** The call runs, until `closeCall`: its attempt may end before its tool does. */
export const openCall = (scope: CallScope): void => void running.add(scope);
export const closeCall = (scope: CallScope): void => void running.delete(scope);

/** Runs a tool in its scope. */
export const withinCall = <T>(scope: CallScope, work: () => T): T => scopes.run(scope, work);

/** The call whose code is running now; undefined outside of tools. */
export const currentCall = (): CallScope | undefined => scopes.getStore();

/** Calls that run in this process now. */
export const runningCalls = (): readonly CallScope[] => [...running];
