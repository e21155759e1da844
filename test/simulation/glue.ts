/**
 * The run's workflow on the simulated SDK: the real driver, machine, activity requests and message handlers, with the
 * simulated scheduler in the place of Temporal's.
 *
 * Rule: it decides nothing and builds no activity input of its own. Live tests and kept histories show that the real runtime
 * behaves alike.
 * Only `test/simulation` imports it.
 */
import { ActivityCancellationType } from '@temporalio/workflow';
import type { ActivityOptions as SdkOptions } from '@temporalio/workflow';
import { readOutcome } from '../../protocol/temporal/payloads.ts';
import type { OutcomePayload } from '../../protocol/temporal/payloads.ts';
import { SUBMIT_TOOL_OUTPUTS, followUpWorkflowId } from '../../protocol/temporal/names.ts';
import type { RunInput, SubmitPayload } from '../../protocol/temporal/messages.ts';
import { createActivityRequests, operationResult } from '../../workflows/run/activity-requests.ts';
import type { ActivityRequest } from '../../workflows/run/activity-requests.ts';
import { UNKNOWN_SENDER } from '../../workflows/run/decisions.ts';
import { createDriver } from '../../workflows/run/driver.ts';
import type { Runtime } from '../../workflows/run/driver.ts';
import { toFollowUpInput } from '../../workflows/run/follow-up-input.ts';
import type { step } from '../../workflows/run/machine.ts';
import { createMessageHandlers } from '../../workflows/run/message-handlers.ts';
import { carriedState, initialState } from '../../workflows/run/state.ts';
import type { Input } from '../../workflows/run/state.ts';
import { SimFailure } from './temporal/types.ts';
import type { ActivityOptions, Pending, WorkflowCode, WorkflowContext } from './temporal/types.ts';

const ms = (duration: SdkOptions['scheduleToCloseTimeout']): number => {
  if (typeof duration === 'number') return duration;
  throw new TypeError(`Durations are numbers of milliseconds here; got ${JSON.stringify(duration)}.`);
};

export const optionsOf = (options: SdkOptions): ActivityOptions => ({
  scheduleToCloseMs: ms(options.scheduleToCloseTimeout),
  startToCloseMs: ms(options.startToCloseTimeout),
  heartbeatMs: options.heartbeatTimeout === undefined ? null : ms(options.heartbeatTimeout),
  retry: {
    initialMs: ms(options.retry?.initialInterval ?? 1000),
    coefficient: options.retry?.backoffCoefficient ?? 2,
    maximumMs: ms(options.retry?.maximumInterval ?? 100_000),
    attempts: options.retry?.maximumAttempts ?? 0,
  },
  cancellation:
    options.cancellationType === ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
      ? 'wait'
      : options.cancellationType === ActivityCancellationType.ABANDON
        ? 'abandon'
        : 'try',
});

export interface GlueOptions {
  input: RunInput;
  /** The step function: watched, or broken on purpose. */
  machine: typeof step;
  /** History length at which this execution goes on in a new one. */
  continueAfter: number;
  /** Options of an activity, as the run asks for them: changed by mutants only. */
  adjust?: (options: ActivityOptions, type: string) => ActivityOptions;
}

const mapped = <T, U>(pending: Pending<T>, map: (value: T) => U): Pending<U> => ({
  promise: pending.promise.then(map),
  cancel: () => pending.cancel(),
});

const simulatedRuntime = (
  { input, continueAfter, adjust }: GlueOptions,
  context: WorkflowContext,
): Runtime => {
  const { runId, backend } = input;
  const requests = createActivityRequests(input);
  const now = (): number => context.now();
  const schedule = ({ type, options, argument }: ActivityRequest): Pending<unknown> => {
    const asked = optionsOf(options);
    return context.activity({ type, input: argument, options: adjust?.(asked, type) ?? asked });
  };

  return {
    now,
    perform(effect, state) {
      if (effect.type !== 'startFollowUp')
        return mapped(schedule(requests.operation(effect, state, now())), (value) =>
          operationResult(effect, value, now(), () => true),
        );
      const workflowId = followUpWorkflowId(runId);
      return mapped(
        context.startChild(workflowId, toFollowUpInput(input, state, effect.calls, now())),
        (): Input => ({ type: 'followUpStarted', workflowId, at: now() }),
      );
    },
    runTool: (effect, state) =>
      mapped(schedule(requests.tool(effect, state, now())), (outcome) =>
        readOutcome(outcome as OutcomePayload),
      ),
    runTask: (effect, state) => mapped(schedule(requests.task(effect, state)), () => undefined),
    timer: (at) => context.timer(at),
    failureOf: (error, { expiresAt }) => {
      if (!(error instanceof SimFailure)) return null;
      const { outOfTime, ...failure } = error.failure;
      const early = backend === 'chat' && expiresAt !== null && now() < expiresAt;
      return outOfTime === true && early ? error.failure : failure;
    },
    show(effect) {
      if (input.searchAttributes)
        context.upsert(
          effect.type === 'enterWait' ? `wait ${effect.tools.join(',')}` : `work ${effect.status}`,
        );
    },
    changed: () => undefined,
    shouldContinueAsNew: () => context.historyEvents() >= continueAfter,
  };
};

/** The workflow `run`, for the simulated SDK. */
export const runWorkflow =
  (options: GlueOptions): WorkflowCode =>
  (context, carried) => {
    const { input } = options;
    const resumed = carried !== null;
    const driver = createDriver(
      resumed ? carriedState(carried) : initialState(input),
      simulatedRuntime(options, context),
      options.machine,
    );
    const now = (): number => context.now();
    const handlers = createMessageHandlers(input, driver, {
      now,
      patched: () => true,
      rejection: ({ failure, message }) => new SimFailure({ kind: 'application', type: failure, message }),
    });
    driver.done
      .then((ending) =>
        ending.kind === 'continue'
          ? // Plain JSON, as it crosses to the next execution.
            context.continueAsNew(JSON.parse(JSON.stringify(driver.state())) as unknown)
          : context.complete(ending.result, ending.cancelled),
      )
      .catch((error: unknown) => context.fail(error));

    return {
      start: () => driver.dispatch({ type: resumed ? 'resume' : 'start', at: now() }),
      signal: (payload) => handlers.signal(payload),
      cancel: () => driver.dispatch({ type: 'cancelRequested', at: now() }),
      validate: (name, payload) =>
        name === SUBMIT_TOOL_OUTPUTS
          ? handlers.validateSubmit(payload)
          : handlers.validateAnswer(payload, UNKNOWN_SENDER),
      update: (name, payload) =>
        name === SUBMIT_TOOL_OUTPUTS
          ? handlers.submit(payload as SubmitPayload, UNKNOWN_SENDER)
          : handlers.answer(payload, UNKNOWN_SENDER),
    };
  };
