/**
 * Activity options: timeouts, retries, cancellation. Numbers and their reasons are in timeouts.ts.
 *
 * Rule: every activity has an end. On the `chat` backend a turn ends with the run: the expiry is ours. On somebody else's
 * server an operation is retried until the expiry and a grace, in which the verdict is fetched, have passed. A tool ends
 * before the margin, so that its output still counts.
 * Imports SDK types and one enum; workflow code imports it.
 */
import { ActivityCancellationType } from '@temporalio/workflow';
import type { ActivityOptions } from '@temporalio/workflow';
import type { RunSettings } from '../../protocol/temporal/messages.ts';
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
  MIN_TURN_MS,
  TURN_GRACE_MS,
} from './timeouts.ts';

type BackendOp = Exclude<OpEffect['type'], 'startFollowUp' | 'notifyEnd'>;

/** What may be left of the run's life, for an operation that follows the run. */
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
    // An attempt lives as long as the run: it follows it. A lost one is noticed by its silence.
    startToCloseTimeout:
      op === 'close' && state.about.backend === 'chat' ? CHAT_CLOSE_START_TO_CLOSE_MS : scheduleToClose,
    heartbeatTimeout: settings.heartbeatMs ?? DEFAULTS.heartbeatMs,
    retry: BACKEND_RETRY,
    // A create on somebody else's server may still land there after it was told to stop; what became of it must be
    // known before the run is closed. Everything else is closed at once: the close is safe beside a straggler.
    cancellationType:
      op === 'create' && state.about.backend === 'assistants'
        ? ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
        : ActivityCancellationType.TRY_CANCEL,
    summary: summaryOf(op, state),
  };
};

/** An id of a stranger's server on a page that reads markdown, where space is bounded, too. */
const plain = (id: string): string => id.replaceAll(/[^\w.:-]/g, '?').slice(0, 128);

const summaryOf = (op: BackendOp, state: MachineState): string => {
  const where = plain(state.run?.backendRunId ?? state.about.runId);
  const thread = plain(state.threadId ?? '');
  switch (op) {
    case 'createThread':
      return `new thread for ${where}`;
    // The page they stand on names the run; every byte of a summary is kept in history.
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
    // A run that is ended does not wait for its tools: they are told, and hear it with their next heartbeat.
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

/** Of the activity that keeps a decision. */
export const decisionOptions: ActivityOptions = {
  ...recordOptions(DECISION_WITHIN_MS),
  summary: 'decision',
};

export const hookActivityOptions: ActivityOptions = {
  scheduleToCloseTimeout: HOOK_SCHEDULE_TO_CLOSE_MS,
  startToCloseTimeout: HOOK_START_TO_CLOSE_MS,
  retry: BACKEND_RETRY,
  // Nobody waits for it and nobody takes it back.
  cancellationType: ActivityCancellationType.ABANDON,
};
