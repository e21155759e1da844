/**
 * The driver's runtime on Temporal: activities, timers, cancellation scopes, search attributes, current details.
 *
 * Rule: nothing is decided here. Each activity and timer has a scope of its own, so that it can be cancelled alone.
 * Imported by workflow.ts.
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
import { readOutcome } from '../../protocol/temporal/payloads.ts';
import type { OutcomePayload } from '../../protocol/temporal/payloads.ts';
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
import { timerPurpose } from './deadline.ts';
import type { Pending, Runtime } from './driver.ts';
import { toFollowUpInput } from './follow-up-input.ts';
import type { Input, MachineState } from './state.ts';
import { MAX_CARRIED_STATE_CHARS } from './timeouts.ts';

/** Runs work in its own cancellation scope. */
const pending = <T>(work: () => Promise<T>): Pending<T> => {
  const scope = new CancellationScope();
  return { promise: scope.run(work), cancel: () => scope.cancel() };
};

/** Schedules an activity by its type: the proxy has a function for every type. */
const schedule = ({ type, options, argument }: ActivityRequest): Promise<unknown> => {
  const run = proxyActivities<Record<string, (of: unknown) => Promise<unknown>>>(options)[type];
  if (run === undefined) throw new Error(`No activity function for ${type}.`);
  return run(argument);
};

export const temporalRuntime = (input: RunInput): Runtime => {
  const { backend, settings } = input;
  const requests = createActivityRequests(input);

  return {
    now: () => Date.now(),
    perform: (effect, state) =>
      pending(async () => {
        if (effect.type === 'startFollowUp')
          return await startFollowUp(toFollowUpInput(input, state, effect.calls, Date.now()));
        const value = await schedule(requests.operation(effect, state, Date.now()));
        return operationResult(effect, value, Date.now(), patched);
      }),
    runTool: (effect, state) =>
      pending(async () =>
        readOutcome((await schedule(requests.tool(effect, state, Date.now()))) as OutcomePayload),
      ),
    // The result is ignored: a task has none.
    runTask: (effect, state) => pending(() => schedule(requests.task(effect, state)) as Promise<void>),
    timer: (at, state) =>
      pending(() => sleep(Math.max(1, at - Date.now()), { summary: timerPurpose(state, at) })),
    failureOf: (error, { expiresAt }) => {
      const failure = toActivityFailureInfo(error);
      const early = backend === 'chat' && expiresAt !== null && Date.now() < expiresAt && ranOutOfTime(error);
      // `patched` comes last, and only where it matters: each patch adds two events to the history.
      return failure !== null && early && patched('waits-for-its-expiry')
        ? { ...failure, outOfTime: true }
        : failure;
    },
    show: (effect, state) => {
      if (!input.searchAttributes) return;
      // The start could not name a thread that the run creates, so its attribute is set here.
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
        // The outputs of a round may exceed one payload; at the start of the next round the state carries none.
        JSON.stringify(state).length <= MAX_CARRIED_STATE_CHARS
      );
    },
  };
};

/**
 * Writes the current details. After rejected signals it writes once per workflow task; queries are answered after that.
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
    // After a workflow reset, the follow-up workflow of the first execution exists already.
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
  return { type: 'followUpStarted', workflowId, at: Date.now() };
};
