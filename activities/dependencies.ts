/**
 * What activities need from their process. The worker's composition root supplies it; tests supply fakes.
 *
 * Rule: no activity reads the environment or builds its own dependency.
 */
import type {
  Backend,
  CallSnapshot,
  FollowUpInput,
  Logger,
  RunResult,
  ShownArguments,
  WaitingNotice,
  WorkerToolServer,
} from '../protocol/index.ts';
import type { LeaseClock } from './lease.ts';
import type { Metrics } from './metrics.ts';
import type { ToolRegistry } from './tools/types.ts';
import type { WebhookDeps } from './webhooks/send.ts';

/** The attempt at a hook. `signal` aborts when the attempt was given up; `attempt` counts from 1. */
export interface HookContext {
  signal: AbortSignal;
  attempt: number;
}

/** A waiting call with its arguments as a person should see them. Never post `arguments`: a model wrote them. */
export interface ShownCall extends CallSnapshot {
  shown: ShownArguments;
}
export interface ShownNotice extends WaitingNotice {
  calls: ShownCall[];
}

/** What a program may do when a run waits or ends. A worker calls them for runs that were started with hooks. */
export interface Hooks {
  /** A run began to wait for an answer. Retried until it does not throw: make it idempotent. */
  onWaiting?(notice: ShownNotice, context: HookContext): Promise<void> | void;
  /** A run ended. Retried until it does not throw. */
  onEnd?(result: RunResult, context: HookContext): Promise<void> | void;
}

/** The run to start for a late answer. */
export interface FollowUpRunRequest {
  backend: 'assistants' | 'chat';
  /** Id of the run to start; starting it twice must start one run. */
  newRunId: string;
  /** The run whose late answer it carries. */
  of: FollowUpInput;
  callId: string;
  /** The user message that carries the answer. */
  message: string;
}

export interface ActivityDeps {
  backends: Partial<Record<'assistants' | 'chat', Backend>>;
  tools: ToolRegistry;
  /** The MCP servers whose tools are among them, as they are now. */
  toolServers?(): WorkerToolServer[];
  hooks?: Hooks;
  /** Starts the run that carries a late answer. Idempotent by `newRunId`. */
  startFollowUpRun(request: FollowUpRunRequest, context: HookContext): Promise<{ runId: string }>;
  /** Absent where no store is: then no webhooks are sent. */
  webhooks?: WebhookDeps;
  log: Logger;
  metrics?: Metrics;
  clock?: LeaseClock;
  /** The worker's heartbeat throttle, in milliseconds. Default: the SDK's, 80 % of the heartbeat timeout. */
  maxHeartbeatThrottleMs?: number;
}
