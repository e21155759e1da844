/**
 * The activities that workflows call.
 *
 * Rule: plain JSON, small, and readable by every later version: fields are added as optional, never renamed.
 * Imports protocol shapes only; the workflow sandbox loads it.
 */
import type { Decision } from '../decisions.ts';
import type { CloseHow, CloseTarget, RunRef } from '../ports/backend.ts';
import type { CallOutcome } from '../tool-calls.ts';
import type { FunctionTool, ToolOutput } from '../wire/objects.ts';
import type { CreatePayload, SettlementPayload } from './payloads.ts';
import type { FollowUpInput, RunResult, WaitingNotice } from './messages.ts';

/** The input fields that all backend activities share. */
export interface BackendActivityBase {
  backend: 'assistants' | 'chat';
  /** Absent in inputs of versions before 0.2: the id of the calling workflow. */
  runId?: string;
}

/** One of a worker's tools, as the workflow `workerTools` lists them. */
export interface WorkerTool {
  /** An entry of an assistant's or a run's `tools`. */
  definition: FunctionTool;
  /**
   * Who runs a call: the worker at once, the worker after an approval (always, or depending on the arguments), or a
   * caller.
   */
  execution: 'automatic' | 'approval' | 'approval_by_arguments' | 'external';
}
/** An MCP server of a worker, as the workflow `workerTools` lists it. */
export interface WorkerToolServer {
  name: string;
  /** Why its tools can't be called now; null = it is connected. */
  problem: string | null;
  /** How many of its tools the worker has. */
  tools: number;
  /** What was left out of its list, and options that fit nothing. */
  notes: string[];
}
/** The answer to callers that ask for servers, too. */
export interface WorkerToolList {
  tools: WorkerTool[];
  servers: WorkerToolServer[];
}
export interface WorkerToolsActivities {
  listTools(): Promise<WorkerTool[]>;
  listToolServers(): Promise<WorkerToolServer[]>;
}

/** The endpoint and the run whose events a workflow sends; `runId` null = tests. */
export interface WebhookDeliveryInput {
  webhookId: string;
  runId: string | null;
  /** Milliseconds. */
  retry: { initialIntervalMs: number; maximumIntervalMs: number; giveUpAfterMs: number };
}
/** The argument of the signal `wake`. `now`: an attempt that waits for its time is made at once. */
export interface WebhookWake {
  now: boolean;
}
/** Ids only: the store has the rest, and no history holds a secret. */
export interface WebhookActivities {
  /** The pending delivery with the lowest number; null = none. */
  nextWebhookDelivery(lane: { webhookId: string; runId: string | null }): Promise<string | null>;
  /** One attempt. Throws, to be retried, unless the receiver answered with a success or the delivery has ended. */
  sendWebhook(input: { deliveryId: string }): Promise<'delivered' | 'ended'>;
  /** The attempts have ended without a success. */
  endWebhookDelivery(input: { deliveryId: string }): Promise<void>;
}

/** The fixed activities. Tools are activities too, of type `tool.<name>`: `ToolActivityInput` → `CallOutcome`. */
export interface RunActivities {
  createThread(
    input: BackendActivityBase & { metadata: Record<string, string> },
  ): Promise<{ threadId: string }>;
  createRun(input: BackendActivityBase & { request: CreatePayload }): Promise<SettlementPayload>;
  submitToolOutputs(
    input: BackendActivityBase & {
      run: RunRef;
      round: number;
      outputs: ToolOutput[];
      /** How long the slowest answer of the round took, if one was awaited; for metrics. */
      waitedMs?: number;
      /** Decisions that the store lacks; stored in the transaction that stores the outputs. */
      decisions?: Decision[];
    },
  ): Promise<SettlementPayload>;
  followRun(input: BackendActivityBase & { run: RunRef }): Promise<SettlementPayload>;
  closeRun(
    input: BackendActivityBase & { target: CloseTarget; how: CloseHow; decisions?: Decision[] },
  ): Promise<SettlementPayload>;
  /** `chat` only: shows answers of people while other calls of the round are open. */
  recordAnswers(
    input: BackendActivityBase & { run: RunRef; round: number; outputs: ToolOutput[] },
  ): Promise<void>;
  /**
   * `chat` only: stores decisions about calls of the run, each once. `arguments` is null, since the store has the
   * model's.
   */
  recordDecisions(input: BackendActivityBase & { decisions: Decision[] }): Promise<void>;
  notifyWaiting(input: WaitingNotice): Promise<void>;
  notifyEnd(input: RunResult): Promise<void>;
  /** Starts the follow-up run that carries a late answer; idempotent by `newRunId`. */
  startFollowUpRun(input: {
    backend: 'assistants' | 'chat';
    newRunId: string;
    of: FollowUpInput;
    callId: string;
    outcome: CallOutcome;
    message: string;
  }): Promise<{ runId: string }>;
}
