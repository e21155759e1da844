/**
 * Activity options: timeouts, retry policies, cancellation. A tool's retry policy comes from the plan of its call.
 * `timeouts.ts` has the numbers and their reasons.
 *
 * Rule: every activity ends. On the `chat` backend a turn ends with the run, because this project enforces the expiry.
 * On the `assistants` backend an operation is retried until the expiry plus a grace, in which the final status is read.
 * A tool ends before the submit margin, so that its output can still be submitted.
 * Imports SDK types and one enum. Imported by workflow code.
 */
import { ActivityCancellationType } from '@temporalio/workflow';
import type { ActivityOptions } from '@temporalio/workflow';
import type { RunSettings } from '../../protocol/temporal/messages.ts';
import type { ToolPolicy } from '../../protocol/tool-calls.ts';
import { answerLimit } from './deadline.ts';
import { assertNever } from './effects.ts';
import type { OpEffect, RunToolEffect, TaskEffect } from './effects.ts';
import type { MachineState } from './state.ts';
import {
  MIN_BACKEND_MS,
  BACKEND_RETRY,
  CHAT_CLOSE_START_TO_CLOSE_MS,
  CLOSE_SCHEDULE_TO_CLOSE_MS,
  DECISION_WITHIN_MS,
  DEFAULTS,
  EXPIRY_GRACE_MS,
  HOOK_START_TO_CLOSE_MS,
  HOOK_SCHEDULE_TO_CLOSE_MS,
  RECORD_START_TO_CLOSE_MS,
  RECORD_SCHEDULE_TO_CLOSE_MS,
  MIN_TOOL_MS,
  TOOL_HEARTBEAT_MS,
  MIN_TURN_MS,
  TURN_GRACE_MS,
} from './timeouts.ts';

type BackendOp = Exclude<OpEffect['type'], 'startFollowUp' | 'notifyEnd'>;

/** Milliseconds left for an operation that lasts as long as the run. */
const within = (state: MachineState, settings: RunSettings, now: number): number => {
  const limit = answerLimit(state);
  if (limit === null) return settings.createWithinMs ?? DEFAULTS.createWithinMs;
  return state.about.backend === 'chat'
    ? Math.max(MIN_TURN_MS, limit + TURN_GRACE_MS - now)
    : Math.max(MIN_BACKEND_MS, limit + EXPIRY_GRACE_MS - now);
};

export const backendActivityOptions = (
  op: BackendOp,
  state: MachineState,
  settings: RunSettings,
  now: number,
): ActivityOptions => {
  const scheduleToClose = op === 'close' ? CLOSE_SCHEDULE_TO_CLOSE_MS : within(state, settings, now);
  return {
    scheduleToCloseTimeout: scheduleToClose,
    // One attempt may last as long as the run. The heartbeat timeout detects an attempt whose worker died.
    startToCloseTimeout:
      op === 'close' && state.about.backend === 'chat' ? CHAT_CLOSE_START_TO_CLOSE_MS : scheduleToClose,
    heartbeatTimeout: settings.heartbeatMs ?? DEFAULTS.heartbeatMs,
    retry: BACKEND_RETRY,
    // A create request that was cancelled may still take effect upstream, so its outcome is awaited before the run is
    // closed. All other operations are abandoned at once: closing the run beside them is safe.
    cancellationType:
      op === 'create' && state.about.backend === 'assistants'
        ? ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
        : ActivityCancellationType.TRY_CANCEL,
    summary: summaryOf(op, state),
  };
};

/** An upstream id, shortened and without markdown: the Web UI renders summaries as markdown. */
const plain = (id: string): string => id.replaceAll(/[^\w.:-]/g, '?').slice(0, 128);

const summaryOf = (op: BackendOp, state: MachineState): string => {
  const where = plain(state.run?.backendRunId ?? state.about.runId);
  const thread = plain(state.threadId ?? '');
  switch (op) {
    case 'createThread':
      return `new thread for ${where}`;
    // The page of the workflow names the run already; every byte of a summary is stored in history.
    case 'create':
      return `on ${thread === '' ? 'a new thread' : thread}`;
    case 'submit':
      return `round ${state.round} on ${thread}`;
    case 'follow':
      return `${where} on ${thread}`;
    case 'close':
      return `${state.closing?.kind ?? 'close'} ${where} on ${thread === '' ? 'no thread' : thread}`;
    default:
      return assertNever(op);
  }
};

/** The worker sends the heartbeats of a tool that sends none; a short tool is noticed as lost by its timeout. */
export const hasWorkerBeats = ({ heartbeatMs, startToCloseMs }: ToolPolicy): boolean =>
  heartbeatMs === null && startToCloseMs > TOOL_HEARTBEAT_MS;

export const toolActivityOptions = (
  effect: RunToolEffect,
  settings: RunSettings,
  now: number,
): ActivityOptions => {
  const { policy } = effect;
  const scheduleToClose =
    effect.endBy === null
      ? (settings.createWithinMs ?? DEFAULTS.createWithinMs)
      : Math.max(MIN_TOOL_MS, effect.endBy - now);
  return {
    scheduleToCloseTimeout: scheduleToClose,
    startToCloseTimeout: policy.startToCloseMs,
    ...(policy.heartbeatMs === null ? {} : { heartbeatTimeout: policy.heartbeatMs }),
    ...(hasWorkerBeats(policy) ? { heartbeatTimeout: TOOL_HEARTBEAT_MS } : {}),
    retry: {
      initialInterval: policy.initialIntervalMs,
      backoffCoefficient: policy.backoffCoefficient,
      maximumInterval: policy.maximumIntervalMs,
      ...(policy.atMostOnce
        ? { maximumAttempts: 1 }
        : policy.maximumAttempts > 0
          ? { maximumAttempts: policy.maximumAttempts }
          : {}),
    },
    // A run that ends does not wait for its tools; they receive the cancellation with their next heartbeat.
    cancellationType: ActivityCancellationType.TRY_CANCEL,
    summary: `${effect.name} ${plain(effect.callId)}`,
  };
};

export const taskActivityOptions = (kind: TaskEffect['type'], state: MachineState): ActivityOptions => {
  switch (kind) {
    case 'notifyWaiting':
      return { ...hookActivityOptions, summary: `round ${state.round} waits` };
    case 'recordAnswers':
      return { ...recordOptions(RECORD_SCHEDULE_TO_CLOSE_MS), summary: `answers of round ${state.round}` };
    case 'recordDecision':
      return decisionOptions;
    default:
      return assertNever(kind);
  }
};

const recordOptions = (scheduleToCloseTimeout: number): ActivityOptions => ({
  scheduleToCloseTimeout,
  startToCloseTimeout: RECORD_START_TO_CLOSE_MS,
  retry: BACKEND_RETRY,
  cancellationType: ActivityCancellationType.ABANDON,
});

/** Options of the activity that stores a decision. */
export const decisionOptions: ActivityOptions = {
  ...recordOptions(DECISION_WITHIN_MS),
  summary: 'decision',
};

export const hookActivityOptions: ActivityOptions = {
  scheduleToCloseTimeout: HOOK_SCHEDULE_TO_CLOSE_MS,
  startToCloseTimeout: HOOK_START_TO_CLOSE_MS,
  retry: BACKEND_RETRY,
  // No caller waits for a hook, and none cancels it.
  cancellationType: ActivityCancellationType.ABANDON,
};
