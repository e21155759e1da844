/**
 * The activity that carries out an effect of the machine: its type, its options and its argument; and the input that its
 * result becomes.
 *
 * Rule: the runtime on Temporal and the simulated one both schedule what this file says, so that they cannot differ.
 * Imports protocol, the machine's pure parts and `activity-options.ts`. The runtimes import it.
 */
import type { ActivityOptions } from '@temporalio/workflow';
import type { Settled } from '../../protocol/ports/backend.ts';
import type { BackendActivityBase, RunActivities } from '../../protocol/temporal/activities.ts';
import { readSettlement } from '../../protocol/temporal/payloads.ts';
import type { SettlementPayload } from '../../protocol/temporal/payloads.ts';
import type { RunInput } from '../../protocol/temporal/messages.ts';
import { TOOL_ACTIVITY_PREFIX } from '../../protocol/temporal/names.ts';
import { idempotencyKey, type ToolActivityInput } from '../../protocol/tool-calls.ts';
import {
  backendActivityOptions,
  hookActivityOptions,
  taskActivityOptions,
  hasWorkerBeats,
  toolActivityOptions,
} from './activity-options.ts';
import { assertNever } from './effects.ts';
import type { OpEffect, RunToolEffect, TaskEffect } from './effects.ts';
import { noticeOf } from './snapshot.ts';
import type { Input, MachineState } from './state.ts';

export interface ActivityRequest {
  type: string;
  options: ActivityOptions;
  argument: unknown;
}

/** An operation that one activity carries out; a follow-up workflow is started as a child. */
export type ActivityEffect = Exclude<OpEffect, { type: 'startFollowUp' }>;

export interface ActivityRequests {
  operation(effect: ActivityEffect, state: MachineState, now: number): ActivityRequest;
  tool(effect: RunToolEffect, state: MachineState, now: number): ActivityRequest;
  task(effect: TaskEffect, state: MachineState): ActivityRequest;
}

/** What every request of one run needs. `base` opens the argument of every backend activity. */
interface RequestContext {
  input: RunInput;
  base: BackendActivityBase;
}

const request = <Name extends keyof RunActivities>(
  type: Name,
  options: ActivityOptions,
  argument: Parameters<RunActivities[Name]>[0],
): ActivityRequest => ({ type, options, argument });

const operationRequest = (
  { input, base }: RequestContext,
  effect: ActivityEffect,
  state: MachineState,
  now: number,
): ActivityRequest => {
  if (effect.type === 'notifyEnd')
    return request('notifyEnd', { ...hookActivityOptions, summary: effect.result.status }, effect.result);
  const options = backendActivityOptions(effect.type, state, input.settings, now);
  switch (effect.type) {
    case 'createThread':
      return request('createThread', options, { ...base, metadata: input.metadata });
    case 'create': {
      const { runId, assistantId, params, busy, expiresAt } = input;
      const { threadId } = effect;
      const { startedAt } = state;
      const create = { runId, threadId, assistantId, params, busy, startedAt, expiresAt };
      return request('createRun', options, { ...base, request: create });
    }
    case 'submit': {
      const { run, round, outputs } = effect;
      const waitedMs = longestWait(state);
      return request('submitToolOutputs', options, {
        ...base,
        run,
        round,
        outputs,
        ...(waitedMs === null ? {} : { waitedMs }),
        ...unstoredDecisions(effect),
      });
    }
    case 'follow':
      return request('followRun', options, { ...base, run: effect.run });
    case 'close': {
      const { target, how } = effect;
      return request('closeRun', options, { ...base, target, how, ...unstoredDecisions(effect) });
    }
    default:
      return assertNever(effect);
  }
};

const toolRequest = (
  { input }: RequestContext,
  effect: RunToolEffect,
  state: MachineState,
  now: number,
): ActivityRequest => {
  const { runId } = input;
  const { callId, name } = effect;
  const call: ToolActivityInput = {
    runId,
    threadId: state.threadId ?? '',
    assistantId: input.assistantId,
    callId,
    name,
    arguments: effect.arguments,
    idempotencyKey: idempotencyKey(runId, callId),
    deadline: effect.endBy,
    atMostOnce: effect.policy.atMostOnce,
    ...(effect.edited === true ? { edited: true } : {}),
    ...(hasWorkerBeats(effect.policy) ? { workerBeats: true } : {}),
    metadata: input.metadata,
  };
  return {
    type: `${TOOL_ACTIVITY_PREFIX}${name}`,
    options: toolActivityOptions(effect, input.settings, now),
    argument: call,
  };
};

const taskRequest = ({ base }: RequestContext, effect: TaskEffect, state: MachineState): ActivityRequest => {
  const options = taskActivityOptions(effect.type, state);
  switch (effect.type) {
    case 'notifyWaiting':
      return request('notifyWaiting', options, {
        ...noticeOf(state),
        ...(effect.because === undefined ? {} : { because: effect.because }),
      });
    case 'recordDecision':
      return request('recordDecisions', options, { ...base, decisions: [effect.decision] });
    case 'recordAnswers': {
      const { run, round, outputs } = effect;
      return request('recordAnswers', options, { ...base, run, round, outputs });
    }
    default:
      return assertNever(effect);
  }
};

export const createActivityRequests = (input: RunInput): ActivityRequests => {
  const { backend, runId } = input;
  const context = { input, base: { backend, runId } };
  return {
    operation: (effect, state, now) => operationRequest(context, effect, state, now),
    tool: (effect, state, now) => toolRequest(context, effect, state, now),
    task: (effect, state) => taskRequest(context, effect, state),
  };
};

/**
 * A round in which a policy counts votes brings timers and entries that earlier code does not know. A run that such code led
 * through the round goes on with it: there, the first decision decided.
 */
const withPolicies = (settled: Settled, patched: (change: string) => boolean): Settled => {
  if (settled.status !== 'requires_action') return settled;
  const counts = settled.calls.some(({ plan }) => plan.kind === 'approval' && plan.approvers !== undefined);
  if (!counts || patched('votes-are-counted')) return settled;
  return {
    ...settled,
    calls: settled.calls.map((call) => {
      if (call.plan.kind !== 'approval') return call;
      const { approvers: _counted, ...plan } = call.plan;
      return { ...call, plan };
    }),
  };
};

/** The machine's input for what the activity returned. */
export const operationResult = (
  effect: ActivityEffect,
  value: unknown,
  at: number,
  patched: (change: string) => boolean,
): Input => {
  switch (effect.type) {
    case 'createThread':
      return { type: 'threadCreated', threadId: (value as { threadId: string }).threadId, at };
    case 'create':
    case 'submit':
    case 'follow':
    case 'close':
      return {
        type: 'settled',
        via: effect.type,
        settlement: withPolicies(readSettlement(value as SettlementPayload), patched),
        at,
      };
    case 'notifyEnd':
      return { type: 'endNotified', at };
    default:
      return assertNever(effect);
  }
};

const unstoredDecisions = ({ decisions }: Extract<OpEffect, { type: 'submit' | 'close' }>) =>
  decisions.length === 0 ? {} : { decisions };

/** How long the slowest answer of the round took; for metrics. */
const longestWait = ({ calls }: MachineState): number | null => {
  const waits = calls.flatMap(({ answer, waitStart }) =>
    answer === undefined || waitStart === undefined ? [] : [answer.at - waitStart],
  );
  return waits.length === 0 ? null : Math.max(...waits);
};
