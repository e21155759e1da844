/**
 * Temporal's pieces as the driver's world: activities, timers, scopes, search attributes, current details.
 *
 * Rule: nothing is decided here. Each piece of work has a scope of its own, so that it can be told to stop alone.
 * Workflow glue; workflow.ts imports it.
 */
import {
  CancellationScope,
  ParentClosePolicy,
  patched,
  proxyActivities,
  setCurrentDetails,
  sleep,
  startChild,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { ActivityOptions } from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  packCreate,
  packToolCall,
  unpackOutcome,
  unpackSettlement,
} from '../../protocol/temporal/compact.ts';
import type { SettlementPayload, OutcomePayload, ToolCallPayload } from '../../protocol/temporal/compact.ts';
import { TOOL_ACTIVITY_PREFIX, WORKFLOWS, followUpWorkflowId } from '../../protocol/temporal/names.ts';
import type { FollowUpInput, RunInput } from '../../protocol/temporal/messages.ts';
import type { RunActivities } from '../../protocol/temporal/activities.ts';
import { ranOutOfTime, toActivityFailureInfo } from '../failure.ts';
import {
  identityAttributes,
  threadAttribute,
  waitingAttributes,
  workingAttributes,
} from '../search-attributes.ts';
import { currentDetails, onlyRejectedSignals } from './current-details.ts';
import type { Pending, Runtime } from './driver.ts';
import { assertNever } from './effects.ts';
import type { OpEffect } from './effects.ts';
import { toFollowUpInput } from './follow-up-input.ts';
import {
  backendActivityOptions,
  hookActivityOptions,
  taskActivityOptions,
  toolActivityOptions,
} from './activity-options.ts';
import { noticeOf } from './snapshot.ts';
import type { Input, MachineState } from './state.ts';
import { MAX_CARRIED_STATE_CHARS } from './timeouts.ts';

/**
 * Work in a scope of its own, so that it can be told to stop alone. Work is chained by `then` and never awaited: for each
 * promise that a workflow makes, the SDK keeps a stack.
 */
const pending = <T>(work: () => Promise<T>): Pending<T> => {
  const scope = new CancellationScope();
  return { promise: scope.run(work), cancel: () => scope.cancel() };
};

const activities = (options: ActivityOptions) => proxyActivities<RunActivities>(options);

const toSettledInput =
  (via: 'create' | 'submit' | 'follow' | 'close') =>
  (settlement: SettlementPayload): Input => ({
    type: 'settled',
    via,
    settlement: unpackSettlement(settlement),
    at: Date.now(),
  });

export const temporalRuntime = (input: RunInput): Runtime => {
  const { backend, runId, settings } = input;
  const base = { backend, ...(runId === workflowInfo().workflowId ? {} : { runId }) };

  const perform = (effect: OpEffect, state: MachineState): Promise<Input> => {
    switch (effect.type) {
      case 'createThread': {
        const act = activities(backendActivityOptions(effect.type, state, settings, Date.now()));
        return act
          .createThread({ ...base, metadata: input.metadata })
          .then(({ threadId }) => ({ type: 'threadCreated', threadId, at: Date.now() }));
      }
      case 'create': {
        const act = activities(backendActivityOptions(effect.type, state, settings, Date.now()));
        return act
          .createRun({
            ...base,
            request: packCreate({
              runId,
              threadId: effect.threadId,
              assistantId: input.assistantId,
              params: input.params,
              busy: input.busy,
              startedAt: state.startedAt,
              expiresAt: input.expiresAt,
            }),
          })
          .then(toSettledInput('create'));
      }
      case 'submit': {
        const act = activities(backendActivityOptions(effect.type, state, settings, Date.now()));
        const { round, outputs, decisions } = effect;
        const waitedMs = longestWait(state);
        return act
          .submitToolOutputs({
            ...base,
            run: effect.run,
            round,
            outputs,
            ...(waitedMs === null ? {} : { waitedMs }),
            ...(decisions.length === 0 ? {} : { decisions }),
          })
          .then(toSettledInput('submit'));
      }
      case 'follow': {
        const act = activities(backendActivityOptions(effect.type, state, settings, Date.now()));
        return act.followRun({ ...base, run: effect.run }).then(toSettledInput('follow'));
      }
      case 'close': {
        const act = activities(backendActivityOptions(effect.type, state, settings, Date.now()));
        const { target, how, decisions } = effect;
        return act
          .closeRun({ ...base, target, how, ...(decisions.length === 0 ? {} : { decisions }) })
          .then(toSettledInput('close'));
      }
      case 'startFollowUp':
        return startFollowUp(toFollowUpInput(input, state, effect.calls, Date.now()));
      case 'notifyEnd':
        return activities({ ...hookActivityOptions, summary: effect.result.status })
          .notifyEnd(effect.result)
          .then(() => ({ type: 'endNotified', at: Date.now() }));
      default:
        return assertNever(effect);
    }
  };

  return {
    now: () => Date.now(),
    perform: (effect, state) => pending(() => perform(effect, state)),
    runTool: (effect, state) =>
      pending(() => {
        const type = `${TOOL_ACTIVITY_PREFIX}${effect.name}`;
        const tools = proxyActivities<Record<string, (call: ToolCallPayload) => Promise<OutcomePayload>>>(
          toolActivityOptions(effect, settings, Date.now()),
        );
        const run = tools[type];
        if (run === undefined) throw new Error(`No activity function for ${type}.`);
        const call = {
          runId,
          threadId: state.threadId ?? '',
          assistantId: input.assistantId,
          callId: effect.callId,
          arguments: effect.arguments,
          deadline: effect.endBy,
          atMostOnce: effect.policy.atMostOnce,
          ...(effect.edited === true ? { edited: true as const } : {}),
          metadata: input.metadata,
        };
        return run(packToolCall(call, workflowInfo().workflowId)).then(unpackOutcome);
      }),
    runTask: (effect, state) =>
      pending(() => {
        const act = activities(taskActivityOptions(effect.type, state));
        if (effect.type === 'notifyWaiting') return act.notifyWaiting(noticeOf(state));
        if (effect.type === 'recordDecision')
          return act.recordDecisions({ ...base, decisions: [effect.decision] });
        const { round, outputs } = effect;
        return act.recordAnswers({ ...base, run: effect.run, round, outputs });
      }),
    timer: (at) => pending(() => sleep(Math.max(1, at - Date.now()), { summary: 'deadline' })),
    failureOf: (error, { expiresAt }) => {
      const failure = toActivityFailureInfo(error);
      const early = backend === 'chat' && expiresAt !== null && Date.now() < expiresAt && ranOutOfTime(error);
      // Asked last, and only where it matters: each patch that is asked for takes two events of the history.
      return failure !== null && early && patched('waits-for-its-expiry')
        ? { ...failure, outOfTime: true }
        : failure;
    },
    show: (effect, state) => {
      if (!input.searchAttributes) return;
      // A thread that was created by the run could not be named when the run was started.
      const made = input.threadId === null && state.threadId !== null ? threadAttribute(state.threadId) : [];
      upsertSearchAttributes(
        effect.type === 'enterWait'
          ? [...waitingAttributes(effect.status, effect.tools, effect.deadline), ...made]
          : workingAttributes(effect.status),
      );
    },
    changed: detailsWriter(),
    shouldContinueAsNew: (state) => {
      const { continueAsNewSuggested, historyLength } = workflowInfo();
      const most = settings.continueAsNewAfterEvents;
      return (
        (continueAsNewSuggested || (most !== undefined && historyLength >= most)) &&
        // A round's outputs may be larger than one payload; the next round's boundary carries none.
        JSON.stringify(state).length <= MAX_CARRIED_STATE_CHARS
      );
    },
  };
};

/**
 * Writes what people read. After signals that could not be used it is written once a task, however many they are; a
 * query comes after that.
 */
const detailsWriter = (): Runtime['changed'] => {
  let latest: MachineState | null = null;
  let owed = false;
  const write = (): void => {
    owed = false;
    if (latest !== null) setCurrentDetails(currentDetails(latest));
  };
  return (state) => {
    const flood = latest !== null && onlyRejectedSignals(latest, state);
    latest = state;
    if (!flood) write();
    else if (!owed) {
      owed = true;
      void Promise.resolve().then(write);
    }
  };
};

/** How long the slowest answer of the round took; for metrics. */
const longestWait = ({ calls }: MachineState): number | null => {
  const waits = calls.flatMap(({ answer, waitStart }) =>
    answer === undefined || waitStart === undefined ? [] : [answer.at - waitStart],
  );
  return waits.length === 0 ? null : Math.max(...waits);
};

const startFollowUp = async (input: FollowUpInput): Promise<Input> => {
  const workflowId = followUpWorkflowId(input.runId);
  try {
    await startChild(WORKFLOWS.followUp, {
      workflowId,
      args: [input],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      staticSummary: `late answers of ${input.runId}`,
      ...(input.searchAttributes
        ? {
            typedSearchAttributes: [
              ...identityAttributes(input.runId, input.threadId, input.assistantId),
              ...waitingAttributes(
                'requires_action',
                [...new Set(input.calls.map((call) => call.name))],
                input.answerBy,
              ),
            ],
          }
        : {}),
    });
  } catch (error) {
    // A reset run finds the one that its first life started.
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
  return { type: 'followUpStarted', workflowId, at: Date.now() };
};
