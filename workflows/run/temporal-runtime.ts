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
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { unpackOutcome } from '../../protocol/temporal/compact.ts';
import type { OutcomePayload } from '../../protocol/temporal/compact.ts';
import { WORKFLOWS, followUpWorkflowId } from '../../protocol/temporal/names.ts';
import type { FollowUpInput, RunInput } from '../../protocol/temporal/messages.ts';
import { ranOutOfTime, toActivityFailureInfo } from '../failure.ts';
import {
  identityAttributes,
  threadAttribute,
  waitingAttributes,
  workingAttributes,
} from '../search-attributes.ts';
import { createActivityRequests, operationResult } from './activity-requests.ts';
import type { ActivityRequest } from './activity-requests.ts';
import { currentDetails, onlyRejectedSignals } from './current-details.ts';
import type { Pending, Runtime } from './driver.ts';
import { toFollowUpInput } from './follow-up-input.ts';
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

/** Schedules an activity by its type: the proxy calls any type that it is asked for. */
const schedule = ({ type, options, argument }: ActivityRequest): Promise<unknown> => {
  const run = proxyActivities<Record<string, (of: unknown) => Promise<unknown>>>(options)[type];
  if (run === undefined) throw new Error(`No activity function for ${type}.`);
  return run(argument);
};

export const temporalRuntime = (input: RunInput): Runtime => {
  const { backend, settings } = input;
  const requests = createActivityRequests(input, workflowInfo().workflowId);

  return {
    now: () => Date.now(),
    perform: (effect, state) =>
      pending(() =>
        effect.type === 'startFollowUp'
          ? startFollowUp(toFollowUpInput(input, state, effect.calls, Date.now()))
          : schedule(requests.operation(effect, state, Date.now())).then((value) =>
              operationResult(effect, value, Date.now()),
            ),
      ),
    runTool: (effect, state) =>
      pending(() =>
        schedule(requests.tool(effect, state, Date.now())).then((outcome) =>
          unpackOutcome(outcome as OutcomePayload),
        ),
      ),
    // What it returns is ignored: a task has no result.
    runTask: (effect, state) => pending(() => schedule(requests.task(effect, state)) as Promise<void>),
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
