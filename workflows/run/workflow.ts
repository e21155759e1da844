/**
 * The workflow `run`: the driver on Temporal, and the handlers. Nothing is decided here.
 *
 * Rule: handlers are registered before the first await and never block. Everything runs in a non-cancellable scope, since
 * a cancel is an input of the machine, whose effects tell the single pieces of work to stop.
 * Exported by workflows/index.ts only.
 */
import {
  CancellationScope,
  CancelledFailure,
  allHandlersFinished,
  condition,
  makeContinueAsNewFunc,
  patched,
  proxySinks,
  setHandler,
  upsertMemo,
  workflowInfo,
} from '@temporalio/workflow';
import { sourceOf } from '../../protocol/decisions.ts';
import type { AnswerSource } from '../../protocol/decisions.ts';
import { WORKFLOWS } from '../../protocol/temporal/names.ts';
import { packRunInput, unpackRunInput } from '../../protocol/temporal/run-input.ts';
import type { RunInputPayload } from '../../protocol/temporal/run-input.ts';
import type {
  AnswerReply,
  RunInput,
  RunResult,
  SubmitPayload,
  SubmitReply,
} from '../../protocol/temporal/messages.ts';
import type { RunSinks } from '../../protocol/temporal/activities.ts';
import {
  ANSWER_DESCRIPTION,
  SIGNAL_DESCRIPTION,
  SUBMIT_DESCRIPTION,
  answerSignal,
  answerUpdate,
  decisionsQuery,
  decodeSignalPayload,
  toUpdateRejection,
  runQuery,
  submitUpdate,
} from '../messages.ts';
import { evaluateAnswer } from './evaluate-answer.ts';
import type { AnswerEvaluation } from './evaluate-answer.ts';
import { decisionsOf } from './decisions.ts';
import { createDriver } from './driver.ts';
import { memoOf } from './transitions/end.ts';
import { snapshotOf } from './snapshot.ts';
import { carriedState, initialState, waitingCalls } from './state.ts';
import { evaluateSubmit } from './evaluate-submit.ts';
import { temporalRuntime } from './temporal-runtime.ts';

const { durableRuns: worker } = proxySinks<RunSinks>();

/** Not `async`, like much of what follows: for each promise that a workflow makes, the SDK keeps a stack. */
export function run(sent: RunInputPayload): Promise<RunResult> {
  const input = unpackRunInput(sent);
  const cancelRequested = CancellationScope.current().cancelRequested;
  return CancellationScope.nonCancellable(() => drive(input, cancelRequested));
}

/** A signal names nobody who could be asked: whatever it says of its sender is a claim. */
const SIGNAL: AnswerSource = { door: 'temporal_signal' };

/** Is a decision to be sent to the store at once? Asked for those alone: the answer leaves a marker in history. */
const recordsDecision = ({ backend }: RunInput, judgement: AnswerEvaluation): boolean =>
  backend === 'chat' &&
  judgement.verdict === 'accept' &&
  judgement.payload.decision !== undefined &&
  patched('decisions-in-store');

const drive = async (input: RunInput, cancelRequested: Promise<never>): Promise<RunResult> => {
  const resumed = input.carried !== undefined;
  const driver = createDriver(
    resumed ? carriedState(input.carried) : initialState(input),
    temporalRuntime(input),
  );
  // Its activity takes ten milliseconds to come: long enough to read what it will need.
  if (!resumed && input.backend === 'chat' && !workflowInfo().unsafe.isReplaying)
    worker.runStarted(input.runId);
  driver.dispatch({ type: resumed ? 'resume' : 'start', at: Date.now() });
  cancelRequested.catch(() => driver.dispatch({ type: 'cancelRequested', at: Date.now() }));

  setHandler(
    answerUpdate,
    (payload, origin): AnswerReply => {
      const source = sourceOf(origin);
      const judgement = evaluateAnswer(driver.state(), payload, Date.now(), source);
      if (judgement.verdict === 'refuse') throw toUpdateRejection(judgement);
      const records = recordsDecision(input, judgement);
      driver.dispatch({ type: 'answer', payload, source, records, at: Date.now() });
      return {
        run_id: input.runId,
        call_id: judgement.payload.call_id,
        result: judgement.verdict === 'accept' ? 'accepted' : 'repeated',
        ...(judgement.notes.length === 0 ? {} : { notes: judgement.notes }),
        ...(judgement.verdict === 'accept' && judgement.late ? { late: true } : {}),
        waiting: waitingCalls(driver.state()).map((call) => call.callId),
      };
    },
    {
      description: ANSWER_DESCRIPTION,
      validator: (payload, origin) => {
        const judgement = evaluateAnswer(driver.state(), payload, Date.now(), sourceOf(origin));
        if (judgement.verdict === 'refuse') throw toUpdateRejection(judgement);
      },
    },
  );
  setHandler(
    submitUpdate,
    (payload: SubmitPayload, origin: unknown): SubmitReply => {
      const judgement = evaluateSubmit(driver.state(), payload, Date.now());
      if (judgement.verdict === 'refuse') throw toUpdateRejection(judgement);
      driver.dispatch({ type: 'submit', payload, source: sourceOf(origin), at: Date.now() });
      return {
        run_id: input.runId,
        round: judgement.round,
        result: judgement.verdict === 'accept' ? 'accepted' : 'repeated',
      };
    },
    {
      description: SUBMIT_DESCRIPTION,
      validator: (payload: SubmitPayload, _origin: unknown) => {
        const judgement = evaluateSubmit(driver.state(), payload, Date.now());
        if (judgement.verdict === 'refuse') throw toUpdateRejection(judgement);
      },
    },
  );
  setHandler(
    answerSignal,
    (raw: unknown) => {
      const payload = decodeSignalPayload(raw);
      const records = recordsDecision(input, evaluateAnswer(driver.state(), payload, Date.now(), SIGNAL));
      driver.dispatch({ type: 'answer', payload, source: SIGNAL, records, at: Date.now() });
    },
    { description: SIGNAL_DESCRIPTION },
  );
  setHandler(runQuery, () => snapshotOf(driver.state()), {
    description: 'The run as the workflow knows it.',
  });
  setHandler(decisionsQuery, () => decisionsOf(driver.state()), {
    description: 'What was decided about calls of this run, oldest first.',
  });

  const ending = await driver.done;
  await condition(allHandlersFinished);
  if (ending.kind === 'continue')
    return await makeContinueAsNewFunc<typeof run>({ workflowType: WORKFLOWS.run })(
      packRunInput({ ...input, carried: driver.state() }),
    );
  if (ending.cancelled) {
    // Temporal keeps no result of a cancelled workflow; its status matters more to people than the result's place.
    upsertMemo(memoOf(ending.result));
    throw new CancelledFailure(`Run ${input.runId} was cancelled.`);
  }
  return ending.result;
};
