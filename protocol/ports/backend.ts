/**
 * The port behind which a run executes: somebody else's runs API (`assistants`) or a model that we drive ourselves (`chat`).
 *
 * Rule: a backend settles a run: it starts or resumes it and follows it until it needs us or has ended. It returns
 * distilled state, never run objects or messages, since what it returns is kept in workflow history.
 * Times are unix milliseconds by this machine's clock: a backend corrects for the server's.
 * Imports calls and wire shapes only. Backends, activities and tests import it.
 */
import type { PlannedCall, ToolCall } from '../tool-calls.ts';
import type { Decision } from '../decisions.ts';
import type { FunctionTool, ToolOutput } from '../wire/objects.ts';

/** Where a run lives. `backendRunId` equals our run id on native backends. */
export interface RunRef {
  backendRunId: string;
  threadId: string;
}

export interface Usage {
  promptTokens: number;
  completionTokens: number;
  totalTokens: number;
}

export interface LastError {
  code: string;
  message: string;
}

export type Settled =
  | {
      status: 'requires_action';
      run: RunRef;
      /** In the model's order. Never empty. */
      calls: PlannedCall[];
      /** Unix ms, our clock; null when the server names none. */
      expiresAt: number | null;
      /** Unix ms, our clock: when the run was created (for the margin's 5 %). */
      createdAt: number;
    }
  | {
      status: 'completed' | 'failed' | 'incomplete' | 'cancelled' | 'expired';
      /** null only from `close` when no run was ever created. */
      run: RunRef | null;
      usage?: Usage;
      lastError?: LastError;
      incompleteDetails?: { reason?: string };
      /** From `submit` only: did the run take the round's outputs? Left out = yes, unless it expired or was cancelled. */
      outputsTaken?: boolean;
    };

/** How to treat a live run of somebody else on the thread. */
export type BusyPolicy = 'fail' | 'wait' | 'cancel';

/** What `create` is asked to do. Native backends read everything but `runId` from their store. */
export interface CreateRequest {
  /** Our run id: also the create token. */
  runId: string;
  threadId: string;
  assistantId: string;
  /** Body of POST /threads/{t}/runs without `assistant_id` and `stream`; {} on native backends. */
  params: Record<string, unknown>;
  busy: BusyPolicy;
  /** Unix ms of the workflow's start: how far back a look for our token must reach. */
  startedAt: number;
  /** Tools declared in the run when the caller knows them (names); null = ask the server. */
  expiresAt: number | null;
}

/** What `close` is pointed at: the run, or what is known before one is. */
export type CloseTarget =
  | { kind: 'run'; run: RunRef }
  | { kind: 'token'; runId: string; threadId: string | null; startedAt: number };

/**
 * Why `close` is called. `error` is why the run failed, or how the last attempt failed before the run expired; a native
 * run shows its cause. `expire` carries the expiry that the caller knows (unix milliseconds): a native run that a turn has
 * prolonged since lives on, and `close` returns it as it is.
 */
export type CloseHow =
  | { kind: 'cancel' }
  | { kind: 'expire'; expiresAt?: number | null; error?: LastError }
  | { kind: 'fail'; error: LastError };

/** Which of the worker's tools a run may use. */
export interface PlanGrant {
  /** Names granted to the run's tenant; null or absent = all. A declared tool that is not granted is external. */
  granted?: readonly string[] | null;
  /** The declared tools are known to be all, none included. Default: an empty list means that the server does not tell. */
  complete?: boolean;
}

/** What an activity attempt lends to a backend. */
export interface BackendContext {
  /** Aborted when the attempt is cancelled, the worker shuts down, or the attempt has outlived its lease. */
  signal: AbortSignal;
  /** 1 on the first attempt. From 2 on, look before you post. */
  attempt: number;
  /** Progress kept for the next attempt; the last value of the previous attempt is `previous`. */
  heartbeat(progress: Progress): void;
  previous: Progress | null;
  /** Throws when this attempt may have been replaced by another: call it right before every write. */
  fence(): void;
  /** Unix ms. */
  now(): number;
  /** Waits, or rejects when `signal` aborts. */
  sleep(ms: number): Promise<void>;
  /** Decides who carries out each call (the worker's registry and the run's declared tool names). */
  plan(calls: ToolCall[], declaredTools: string[], options?: PlanGrant): PlannedCall[];
  /** The worker's tools as an assistant's `tools` declares them. Default none. */
  workerTools?(): readonly FunctionTool[];
  log: Logger;
  /** Counters and timings for metrics; never history. */
  observe?(what: BackendObservation): void;
}

export type BackendObservation =
  | { kind: 'request'; method: string; route: string; status: number; ms: number }
  | { kind: 'fallback'; reason: string }
  | { kind: 'unknown_status'; status: string }
  /** What was learned of a model server's limits; `capability` is one of a closed list. */
  | { kind: 'capability'; capability: string; change: 'learned' | 'confirmed' }
  /** What the model said was written to the run's event log; `ms` is how long the writing took. */
  | { kind: 'events_written'; ms: number }
  /** A second run with our token was found (and cancelled, when it was live). */
  | { kind: 'duplicate_run'; backendRunId: string }
  | {
      kind: 'model';
      ms: number;
      firstTokenMs: number | null;
      promptTokens: number;
      completionTokens: number;
    };

/** Heartbeat details. Small: it is stored at every heartbeat. */
export interface Progress {
  run?: RunRef;
  /**
   * The request that creates or submits was sent (its effect may exist); false = it surely had no effect. False is an
   * attempt's last word and nothing else: heartbeats are held back, so what is told before another request may arrive
   * without what is told with it.
   */
  sent?: boolean;
  /** Attempt that wrote this: `false` above counts only when it comes from the attempt right before. */
  attempt?: number;
  at?: number;
  /** A run that held the thread and is surely not ours. */
  foreign?: string;
  /** `chat`: attempts of the turn, this one included, that may have made the model generate. */
  asked?: number;
  /** `chat`: how the last attempt failed. */
  failed?: LastError;
}

export interface Logger {
  debug(fields: Record<string, unknown>, message: string): void;
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
  error(fields: Record<string, unknown>, message: string): void;
}

export interface Backend {
  readonly kind: 'assistants' | 'chat';
  /** Creates an empty thread (assistants only; native threads exist before the workflow). */
  createThread(
    request: { runId: string; metadata: Record<string, string> },
    ctx: BackendContext,
  ): Promise<{ threadId: string }>;
  /** `create` will be asked for this run in a moment, here probably: what it reads may be read now. Nothing waits for it. */
  prefetch?(runId: string): void;
  /** Starts the run (or adopts the one an earlier attempt started) and follows it. */
  create(request: CreateRequest, ctx: BackendContext): Promise<Settled>;
  /**
   * Sends all outputs of round `round` at once (or finds that they are there already) and follows the run. `decisions`:
   * what was decided about its calls and is not kept yet, for backends with a store of their own.
   */
  submit(
    run: RunRef,
    round: number,
    outputs: ToolOutput[],
    ctx: BackendContext,
    decisions?: readonly Decision[],
  ): Promise<Settled>;
  /** Re-reads a run until it needs us or has ended. */
  follow(run: RunRef, ctx: BackendContext): Promise<Settled>;
  /** Shows outputs while others of the round are still awaited. Only backends that keep steps of their own have it. */
  recordAnswers?(run: RunRef, round: number, outputs: ToolOutput[], ctx: BackendContext): Promise<void>;
  /** Keeps decisions about calls of a run, each once. Only backends with a store of their own have it. */
  recordDecisions?(runId: string, decisions: readonly Decision[], ctx: BackendContext): Promise<void>;
  /** Ends a run and returns the truth: a run that completed first is reported completed. */
  close(
    target: CloseTarget,
    how: CloseHow,
    ctx: BackendContext,
    decisions?: readonly Decision[],
  ): Promise<Settled>;
  /** A cheap request that proves address and key; for `doctor`. Throws what is wrong. */
  probe(signal: AbortSignal): Promise<{ detail: string }>;
}
