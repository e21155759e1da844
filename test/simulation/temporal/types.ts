/**
 * Types of the simulated Temporal: commands of workflow code, their results, and failures.
 *
 * Rule: for a run they behave as the real server and SDK; comments name the simplifications. Only `test/simulation`
 * imports it.
 */
import type { ActivityFailureInfo } from '../../../workflows/run/state.ts';

/** Moments and timers of the schedule; virtual. */
export interface SimClock {
  now(): number;
  setTimeout(fn: () => void, ms: number): () => void;
}

/** A failure as the server hands it to workflow code. */
export class SimFailure extends Error {
  override readonly name = 'SimFailure';
  readonly failure: ActivityFailureInfo;
  readonly retryable: boolean;
  readonly retryAfterMs: number | null;

  constructor(
    failure: ActivityFailureInfo,
    more: { retryable?: boolean; retryAfterMs?: number | null } = {},
  ) {
    super(failure.message);
    this.failure = failure;
    this.retryable = more.retryable ?? false;
    this.retryAfterMs = more.retryAfterMs ?? null;
  }
}

export const cancelledFailure = (message = 'cancelled'): SimFailure =>
  new SimFailure({ kind: 'cancelled', type: '', message });

export const applicationFailure = (
  type: string,
  message: string,
  more: { retryable?: boolean; retryAfterMs?: number | null } = {},
): SimFailure => new SimFailure({ kind: 'application', type, message }, more);

export interface ActivityOptions {
  scheduleToCloseMs: number;
  startToCloseMs: number;
  heartbeatMs: number | null;
  retry: {
    initialMs: number;
    coefficient: number;
    maximumMs: number;
    /** 0 = no limit but time. */
    attempts: number;
  };
  cancellation: 'try' | 'wait' | 'abandon';
}

export interface ActivityCommand {
  type: string;
  input: unknown;
  options: ActivityOptions;
}

/** What workflow code asked for, numbered in order within its execution. */
export type Command =
  | ({ kind: 'activity'; seq: number } & ActivityCommand)
  | { kind: 'cancelActivity'; seq: number }
  | { kind: 'timer'; seq: number; at: number }
  | { kind: 'cancelTimer'; seq: number }
  | { kind: 'child'; seq: number; workflowId: string; input: unknown }
  | { kind: 'upsert'; text: string }
  | { kind: 'complete'; result: unknown; cancelled: boolean }
  | { kind: 'continueAsNew'; carried: unknown };

/** One thing that a workflow task brings. */
export type Job =
  | { kind: 'init' }
  | { kind: 'signal'; payload: unknown }
  | { kind: 'update'; id: string; name: string; payload: unknown }
  | { kind: 'cancel' }
  | { kind: 'timerFired'; seq: number }
  | { kind: 'resolved'; seq: number; value: unknown }
  | { kind: 'rejected'; seq: number; failure: SimFailure };

export type UpdateVerdict =
  | { id: string; accepted: true; reply: unknown }
  | { id: string; accepted: false; failure: SimFailure };

export interface Pending<T> {
  promise: Promise<T>;
  cancel(): void;
}

/** What workflow code can do. */
export interface WorkflowContext {
  now(): number;
  historyEvents(): number;
  activity(command: ActivityCommand): Pending<unknown>;
  timer(at: number): Pending<void>;
  startChild(workflowId: string, input: unknown): Pending<void>;
  upsert(text: string): void;
  complete(result: unknown, cancelled: boolean): void;
  continueAsNew(carried: unknown): void;
  /** A failed workflow task: a bug. */
  fail(error: unknown): void;
}

/** Workflow code, as the simulated SDK calls it. */
export interface WorkflowLogic {
  start(): void;
  signal(payload: unknown): void;
  /** Throws `SimFailure` to refuse. Changes nothing. */
  validate(name: string, payload: unknown): void;
  update(name: string, payload: unknown): unknown;
  cancel(): void;
}

/** `carried` is null in the first execution. */
export type WorkflowCode = (context: WorkflowContext, carried: unknown) => WorkflowLogic;
