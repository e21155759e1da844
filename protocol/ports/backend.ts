/**
 * The port behind which a run executes: an upstream runs API (`assistants`) or a model server (`chat`).
 *
 * Rule: a backend settles a run: it starts or resumes the run and follows it until the run waits for outputs or has
 * ended. It returns plain state, never run objects or messages, because its result is stored in workflow history. Times
 * are unix milliseconds by this machine's clock; a backend corrects for the server's.
 * Imports calls, wire shapes and what is learned of a model server. Imported by backends, activities and tests.
 */
import type { PlannedCall, ToolCall } from '../tool-calls.ts';
import type { Decision } from '../decisions.ts';
import type { LearnedOfServer, ModelErrorKind, ModelFinish } from './model.ts';
import type { FunctionTool, ToolOutput } from '../wire/objects.ts';

/** Where a run lives. On `chat`, `backendRunId` equals the run id. */
export interface RunRef {
  backendRunId: string;
  threadId: string;
}

export interface Usage {
  promptTokens: number;
  completionTokens: number;
  totalTokens: number;
  /** Part of `promptTokens`; null or absent = not counted. */
  cachedTokens?: number | null;
  /** Part of `completionTokens`; null or absent = not counted. */
  reasoningTokens?: number | null;
  /** Currency → decimal amount; absent = no model had a price. */
  cost?: Readonly<Record<string, string>>;
}

export interface LastError {
  code: string;
  message: string;
}

/** Where a run stands still: it waits for outputs, or it has ended. */
export type Settled =
  | {
      status: 'requires_action';
      run: RunRef;
      /** In the model's order. Never empty. */
      calls: PlannedCall[];
      /** Unix ms by our clock; null when the server names none. */
      expiresAt: number | null;
      /** Unix ms by our clock: when the run was created; the margin is a share of its life. */
      createdAt: number;
    }
  | {
      status: 'completed' | 'failed' | 'incomplete' | 'cancelled' | 'expired';
      /** null only from `close`, when no run was ever created. */
      run: RunRef | null;
      usage?: Usage;
      lastError?: LastError;
      incompleteDetails?: { reason?: string };
      /**
       * From `submit` only: did the run read the outputs of the round? Absent = yes, unless it expired or was
       * cancelled.
       */
      outputsTaken?: boolean;
    };

/** How to treat another client's live run on the thread. */
export type BusyPolicy = 'fail' | 'wait' | 'cancel';

/** The input of `create`. The `chat` backend reads all but `runId` from the store. */
export interface CreateRequest {
  /** The run id, which is also the create token. */
  runId: string;
  threadId: string;
  assistantId: string;
  /** Body of POST /threads/{t}/runs without `assistant_id` and `stream`; {} on `chat`. */
  params: Record<string, unknown>;
  busy: BusyPolicy;
  /** Unix ms of the workflow's start: a search for the token reaches back to it. */
  startedAt: number;
  /** Names of the run's declared tools when the caller knows them; null = ask the server. */
  expiresAt: number | null;
}

/** What `close` ends: the run, or what is known before one exists. */
export type CloseTarget =
  | { kind: 'run'; run: RunRef }
  | { kind: 'token'; runId: string; threadId: string | null; startedAt: number };

/**
 * Why `close` is called. `error`: why the run failed, or how the last attempt failed before the run expired; on `chat`
 * the run shows its cause. `expire` carries the expiry that the caller knows (unix ms): on `chat`, a run whose expiry a
 * turn has moved since then lives on, and `close` returns it unchanged.
 */
export type CloseHow =
  | { kind: 'cancel' }
  | { kind: 'expire'; expiresAt?: number | null; error?: LastError }
  | { kind: 'fail'; error: LastError };

/** Which tools of the worker a run may use. */
export interface PlanGrant {
  /** Who asked for the run; absent = not known. */
  requestedBy?: string | undefined;
  /** Names granted to the run's tenant; null or absent = all. A declared tool that is not granted is external. */
  granted?: readonly string[] | null;
  /**
   * The list of declared tools is complete, also when it is empty. Default: an empty list means that the server does
   * not say.
   */
  complete?: boolean;
}

/** What an activity attempt provides to a backend. */
export interface BackendContext {
  /** Aborts when the attempt is cancelled, the worker shuts down, or the attempt has lost its lease. */
  signal: AbortSignal;
  /** 1 on the first attempt. From 2 on, look for existing effects before posting. */
  attempt: number;
  /** Stores progress for the next attempt; `previous` is the last value of the previous attempt. */
  heartbeat(progress: Progress): void;
  previous: Progress | null;
  /** Throws when a newer attempt may have replaced this one: call it right before every write. */
  fence(): void;
  /** Unix ms. */
  now(): number;
  /** Waits, or rejects when `signal` aborts. */
  sleep(ms: number): Promise<void>;
  /** Plans each call, from the worker's registry and the run's declared tool names. */
  plan(calls: ToolCall[], declaredTools: string[], options?: PlanGrant): PlannedCall[];
  /** The worker's tools, as an assistant's `tools` declares them. Default none. */
  workerTools?(): readonly FunctionTool[];
  log: Logger;
  /** Counters and timings for metrics; never part of history. */
  observe?(what: BackendObservation): void;
}

export type BackendObservation =
  | { kind: 'request'; method: string; route: string; status: number; ms: number }
  | { kind: 'fallback'; reason: string }
  | { kind: 'unknown_status'; status: string }
  /** A budget did not let a turn begin; `budget` is one of a closed list. */
  | { kind: 'budget'; budget: string; outcome: 'refused' | 'waits' }
  /** A turn waited for the limits of its provider. */
  | { kind: 'model_wait'; provider: string; ms: number }
  /** A model refused and is left alone for a while, or a turn passed it over for that. */
  | { kind: 'model_cooldown'; provider: string; change: 'began' | 'passed_over' }
  /** A limit of a model server was learned; `capability` is one of a closed list. */
  | { kind: 'capability'; capability: string; change: 'learned' | 'confirmed' }
  /** The model's text was written to the run's event log; `ms` is how long the write took. */
  | { kind: 'events_written'; ms: number }
  /** A second run with our token was found (and cancelled, when it was live). */
  | { kind: 'duplicate_run'; backendRunId: string }
  | {
      kind: 'model';
      /** Of the configuration. */
      provider: string;
      /** As the request named it. */
      model: string;
      /** Why the answer ended; null = the server did not say. */
      finish: ModelFinish | null;
      ms: number;
      firstTokenMs: number | null;
      promptTokens: number;
      completionTokens: number;
      cachedTokens: number;
      reasoningTokens: number;
      /** Currency → decimal amount; empty = the model has no price. */
      cost: Readonly<Record<string, string>>;
    }
  /** A model did not answer: `reason` is one of a closed list. */
  | { kind: 'model_failed'; provider: string; model: string; ms: number; reason: ModelErrorKind | 'stopped' };

/** Heartbeat details. Small: every heartbeat stores them. */
export interface Progress {
  run?: RunRef;
  /**
   * True = the request that creates or submits was sent, so its effect may exist; false = it surely had no effect.
   * False is only ever the last value of an attempt: heartbeats are throttled, so details reported before another
   * request may arrive alone.
   */
  sent?: boolean;
  /** The attempt that wrote this: `false` above counts only from the attempt right before. */
  attempt?: number;
  at?: number;
  /** A run that held the thread and surely belongs to another client. */
  foreign?: string;
  /** `chat`: attempts of the turn, this one included, in which the model may have generated. */
  asked?: number;
  /** `chat`: how the last attempt failed. */
  failed?: LastError;
}

/** Where log lines go. `fields` hold no secret. */
export interface Logger {
  debug(fields: Record<string, unknown>, message: string): void;
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
  error(fields: Record<string, unknown>, message: string): void;
}

/** Where runs execute. A method throws `BackendError`, or `signal.reason` of its context when it was aborted. */
export interface Backend {
  readonly kind: 'assistants' | 'chat';
  /** Creates an empty thread (`assistants` only; on `chat` the thread exists before the workflow). */
  createThread(
    request: { runId: string; metadata: Record<string, string> },
    ctx: BackendContext,
  ): Promise<{ threadId: string }>;
  /** Starts the run, or adopts the run of an earlier attempt, and follows it. */
  create(request: CreateRequest, ctx: BackendContext): Promise<Settled>;
  /**
   * Sends all outputs of round `round` at once, unless they were accepted already, and follows the run. `decisions`:
   * decisions about its calls that are not stored yet, for backends with a store.
   */
  submit(
    run: RunRef,
    round: number,
    outputs: ToolOutput[],
    ctx: BackendContext,
    decisions?: readonly Decision[],
  ): Promise<Settled>;
  /** Reads a run again and again until it waits for outputs or has ended. */
  follow(run: RunRef, ctx: BackendContext): Promise<Settled>;
  /** Shows outputs while other calls of the round are open. Only backends with a store have it. */
  recordAnswers?(run: RunRef, round: number, outputs: ToolOutput[], ctx: BackendContext): Promise<void>;
  /** Stores decisions about calls of a run, each once. Only backends with a store have it. */
  recordDecisions?(runId: string, decisions: readonly Decision[], ctx: BackendContext): Promise<void>;
  /** Ends a run and returns its real status: a run that completed first is reported as completed. */
  close(
    target: CloseTarget,
    how: CloseHow,
    ctx: BackendContext,
    decisions?: readonly Decision[],
  ): Promise<Settled>;
  /** What this process has learned of each model server; only backends that ask one have it. */
  learned?(): LearnedOfServer[];
  /** A cheap request that checks address and key; for `doctor`. Throws what is wrong. */
  probe(signal: AbortSignal): Promise<{ detail: string }>;
}
