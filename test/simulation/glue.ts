/**
 * The run's workflow on the simulated SDK: the real machine and driver, and the counterpart of `workflows/run/temporal-runtime.ts`
 * and `workflow.ts`, which need Temporal's sandbox.
 *
 * Rule: it mirrors those two files line by line and decides nothing; activity options come from the real `options.ts`.
 * That the real glue does the same is shown by live tests and kept histories, not by simulation.
 * Only `test/simulation` imports it.
 */
import { ActivityCancellationType } from '@temporalio/workflow';
import type { ActivityOptions as SdkOptions } from '@temporalio/workflow';
import {
  packCreate,
  packToolCall,
  unpackOutcome,
  unpackSettlement,
} from '../../protocol/temporal/compact.ts';
import type { SettlementPayload, OutcomePayload } from '../../protocol/temporal/compact.ts';
import {
  ACTIVITIES,
  ANSWER,
  SUBMIT_TOOL_OUTPUTS,
  TOOL_ACTIVITY_PREFIX,
  followUpWorkflowId,
} from '../../protocol/temporal/names.ts';
import type { AnswerReply, RunInput, SubmitPayload, SubmitReply } from '../../protocol/temporal/messages.ts';
import { evaluateAnswer } from '../../workflows/run/evaluate-answer.ts';
import type { AnswerRejection } from '../../workflows/run/evaluate-answer.ts';
import { createDriver } from '../../workflows/run/driver.ts';
import type { Runtime } from '../../workflows/run/driver.ts';
import type { OpEffect, TaskEffect } from '../../workflows/run/effects.ts';
import { assertNever } from '../../workflows/run/effects.ts';
import { toFollowUpInput } from '../../workflows/run/follow-up-input.ts';
import type { step } from '../../workflows/run/machine.ts';
import {
  backendActivityOptions,
  hookActivityOptions,
  taskActivityOptions,
  toolActivityOptions,
} from '../../workflows/run/activity-options.ts';
import { noticeOf } from '../../workflows/run/snapshot.ts';
import { carriedState, initialState, waitingCalls } from '../../workflows/run/state.ts';
import type { Input, MachineState } from '../../workflows/run/state.ts';
import { evaluateSubmit } from '../../workflows/run/evaluate-submit.ts';
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

const refused = (refusal: AnswerRejection): SimFailure =>
  new SimFailure({ kind: 'application', type: refusal.failure, message: refusal.message });

const mapped = <T, U>(pending: Pending<T>, map: (value: T) => U): Pending<U> => ({
  promise: pending.promise.then(map),
  cancel: () => pending.cancel(),
});

const temporalRuntime = (
  { input, continueAfter, adjust }: GlueOptions,
  context: WorkflowContext,
): Runtime => {
  const { runId, backend, settings } = input;
  // The run id is the workflow's id.
  const base = { backend };
  const now = (): number => context.now();
  const schedule = (type: string, options: SdkOptions, given: unknown): Pending<unknown> => {
    const asked = optionsOf(options);
    return context.activity({ type, input: given, options: adjust?.(asked, type) ?? asked });
  };
  const settling = (
    effect: Extract<OpEffect, { type: 'create' | 'submit' | 'follow' | 'close' }>,
    type: string,
    state: MachineState,
    given: unknown,
  ): Pending<Input> =>
    mapped(
      schedule(type, backendActivityOptions(effect.type, state, settings, now()), given),
      (settlement): Input => ({
        type: 'settled',
        via: effect.type,
        settlement: unpackSettlement(settlement as SettlementPayload),
        at: now(),
      }),
    );

  const perform = (effect: OpEffect, state: MachineState): Pending<Input> => {
    switch (effect.type) {
      case 'createThread':
        return mapped(
          schedule(ACTIVITIES.createThread, backendActivityOptions(effect.type, state, settings, now()), {
            ...base,
            metadata: input.metadata,
          }),
          (created): Input => ({
            type: 'threadCreated',
            threadId: (created as { threadId: string }).threadId,
            at: now(),
          }),
        );
      case 'create':
        return settling(effect, ACTIVITIES.createRun, state, {
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
        });
      case 'submit': {
        const { run, round, outputs, decisions } = effect;
        return settling(effect, ACTIVITIES.submitToolOutputs, state, {
          ...base,
          run,
          round,
          outputs,
          ...(decisions.length === 0 ? {} : { decisions }),
        });
      }
      case 'follow':
        return settling(effect, ACTIVITIES.followRun, state, { ...base, run: effect.run });
      case 'close':
        return settling(effect, ACTIVITIES.closeRun, state, {
          ...base,
          target: effect.target,
          how: effect.how,
          ...(effect.decisions.length === 0 ? {} : { decisions: effect.decisions }),
        });
      case 'startFollowUp': {
        const workflowId = followUpWorkflowId(runId);
        return mapped(
          context.startChild(workflowId, toFollowUpInput(input, state, effect.calls, now())),
          (): Input => ({ type: 'followUpStarted', workflowId, at: now() }),
        );
      }
      case 'notifyEnd':
        return mapped(schedule(ACTIVITIES.notifyEnd, hookActivityOptions, effect.result), (): Input => ({
          type: 'endNotified',
          at: now(),
        }));
      default:
        return assertNever(effect);
    }
  };

  const task = (effect: TaskEffect, state: MachineState) => {
    const options = taskActivityOptions(effect.type, state);
    switch (effect.type) {
      case 'notifyWaiting':
        return schedule(ACTIVITIES.notifyWaiting, options, noticeOf(state));
      case 'recordDecision':
        return schedule(ACTIVITIES.recordDecisions, options, { ...base, decisions: [effect.decision] });
      case 'recordAnswers': {
        const { run, round, outputs } = effect;
        return schedule(ACTIVITIES.recordAnswers, options, { ...base, run, round, outputs });
      }
      default:
        return assertNever(effect);
    }
  };

  return {
    now,
    perform,
    runTool: (effect, state) => {
      const call = {
        runId,
        threadId: state.threadId ?? '',
        assistantId: input.assistantId,
        callId: effect.callId,
        arguments: effect.arguments,
        deadline: effect.endBy,
        atMostOnce: effect.policy.atMostOnce,
        metadata: input.metadata,
      };
      return mapped(
        schedule(
          `${TOOL_ACTIVITY_PREFIX}${effect.name}`,
          toolActivityOptions(effect, settings, now()),
          packToolCall(call, runId),
        ),
        (outcome) => unpackOutcome(outcome as OutcomePayload),
      );
    },
    runTask: (effect, state) => mapped(task(effect, state), () => undefined),
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
      temporalRuntime(options, context),
      options.machine,
    );
    const now = (): number => context.now();
    const records = input.backend === 'chat';
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
      signal: (payload) => driver.dispatch({ type: 'answer', payload, records, at: now() }),
      cancel: () => driver.dispatch({ type: 'cancelRequested', at: now() }),
      validate(name, payload) {
        const judgement =
          name === SUBMIT_TOOL_OUTPUTS
            ? evaluateSubmit(driver.state(), payload, now())
            : evaluateAnswer(driver.state(), payload, now());
        if (judgement.verdict === 'refuse') throw refused(judgement);
      },
      update(name, payload): AnswerReply | SubmitReply {
        if (name === ANSWER) {
          const judgement = evaluateAnswer(driver.state(), payload, now());
          if (judgement.verdict === 'refuse') throw refused(judgement);
          driver.dispatch({ type: 'answer', payload, records, at: now() });
          return {
            run_id: input.runId,
            call_id: judgement.payload.call_id,
            result: judgement.verdict === 'accept' ? 'accepted' : 'repeated',
            ...(judgement.notes.length === 0 ? {} : { notes: judgement.notes }),
            ...(judgement.verdict === 'accept' && judgement.late ? { late: true } : {}),
            waiting: waitingCalls(driver.state()).map((call) => call.callId),
          };
        }
        const judgement = evaluateSubmit(driver.state(), payload, now());
        if (judgement.verdict === 'refuse') throw refused(judgement);
        driver.dispatch({ type: 'submit', payload: payload as SubmitPayload, at: now() });
        return {
          run_id: input.runId,
          round: judgement.round,
          result: judgement.verdict === 'accept' ? 'accepted' : 'repeated',
        };
      },
    };
  };
