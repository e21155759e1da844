/**
 * The activities that workflows call, and what a workflow tells its worker in passing.
 *
 * Rule: plain JSON, small, and readable by every later version: fields are added as optional, never renamed.
 * Imports protocol shapes only; the workflow sandbox loads it.
 */
import type { Decision } from '../decisions.ts';
import type { CloseHow, CloseTarget, RunRef, Settled } from '../ports/backend.ts';
import type { CallOutcome } from '../tool-calls.ts';
import type { FunctionTool, ToolOutput } from '../wire/objects.ts';
import type { CreatePayload, SettlementPayload } from './compact.ts';
import type { FollowUpInput, RunResult, WaitingNotice } from './messages.ts';

/** A settlement as an activity returns it: packed, or as the backend gave it. */
export type Settlement = Settled | SettlementPayload;

/** What every backend activity is told. */
export interface BackendActivityBase {
  backend: 'assistants' | 'chat';
  /** Absent: the id of the workflow that asks. */
  runId?: string;
}

/** One of a worker's tools, as the workflow `workerTools` lists them. */
export interface WorkerTool {
  /** An entry of an assistant's or a run's `tools`. */
  definition: FunctionTool;
  /** Who carries a call out: the worker at once, the worker after an approval (always, or by the arguments), or a caller. */
  execution: 'automatic' | 'approval' | 'approval_by_arguments' | 'external';
}
export interface WorkerToolsActivities {
  listTools(): Promise<WorkerTool[]>;
}

/** The fixed activities. Tools are activities too, of type `tool.<name>`: `ToolActivityInput` → `CallOutcome`. */
export interface RunActivities {
  createThread(
    input: BackendActivityBase & { metadata: Record<string, string> },
  ): Promise<{ threadId: string }>;
  createRun(input: BackendActivityBase & { request: CreatePayload }): Promise<Settlement>;
  submitToolOutputs(
    input: BackendActivityBase & {
      run: RunRef;
      round: number;
      outputs: ToolOutput[];
      /** How long the round's slowest answer took, when somebody was awaited; for metrics. */
      waitedMs?: number;
      /** Decisions that the store does not have yet; kept in the transaction that takes the outputs. */
      decisions?: Decision[];
    },
  ): Promise<Settlement>;
  followRun(input: BackendActivityBase & { run: RunRef }): Promise<Settlement>;
  closeRun(
    input: BackendActivityBase & { target: CloseTarget; how: CloseHow; decisions?: Decision[] },
  ): Promise<Settlement>;
  /** Native only: shows answers given by people while others of the round are still awaited. */
  recordAnswers(
    input: BackendActivityBase & { run: RunRef; round: number; outputs: ToolOutput[] },
  ): Promise<void>;
  /** Native only: keeps decisions about calls of the run, each once. `arguments` is null: the store has the model's. */
  recordDecisions(input: BackendActivityBase & { decisions: Decision[] }): Promise<void>;
  notifyWaiting(input: WaitingNotice): Promise<void>;
  notifyEnd(input: RunResult): Promise<void>;
  /** Starts the linked run that carries a late answer; idempotent by `newRunId`. */
  startFollowUpRun(input: {
    backend: 'assistants' | 'chat';
    newRunId: string;
    of: FollowUpInput;
    callId: string;
    outcome: CallOutcome;
    message: string;
  }): Promise<{ runId: string }>;
}

/** What a workflow tells its worker in passing: history knows nothing of it, and nothing depends on it. */
export interface RunSinks extends Record<string, Record<string, (...args: string[]) => void>> {
  durableRuns: {
    /** A native run's first activity is about to be asked for. Not told in a replay. */
    runStarted(runId: string): void;
  };
}
