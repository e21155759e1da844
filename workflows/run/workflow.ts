/**
 * The workflow `run`: the driver on Temporal, and the handlers. Nothing is decided here.
 *
 * Rule: handlers are registered before the first await and never block. Everything runs in a non-cancellable scope,
 * because a cancel is an input of the machine, and its effects cancel each piece of work.
 * Exported by workflows/index.ts only.
 */
import {
  CancellationScope,
  CancelledFailure,
  allHandlersFinished,
  condition,
  makeContinueAsNewFunc,
  patched,
  setHandler,
  upsertMemo,
} from '@temporalio/workflow';
import { sourceOf } from '../../protocol/decisions.ts';
import { WORKFLOWS } from '../../protocol/temporal/names.ts';
import { readRunInput } from '../../protocol/temporal/payloads.ts';
import type { RunInputPayload } from '../../protocol/temporal/payloads.ts';
import type { RunInput, RunResult } from '../../protocol/temporal/messages.ts';
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
import { decisionsOf } from './decisions.ts';
import { createDriver } from './driver.ts';
import { createMessageHandlers } from './message-handlers.ts';
import { memoOf } from './transitions/end.ts';
import { snapshotOf } from './snapshot.ts';
import { carriedState, initialState } from './state.ts';
import { temporalRuntime } from './temporal-runtime.ts';

/** One run: it starts or adopts the run at its backend, and ends with the run's result. */
export async function run(sent: RunInputPayload): Promise<RunResult> {
  const input = readRunInput(sent);
  const cancelRequested = CancellationScope.current().cancelRequested;
  return await CancellationScope.nonCancellable(() => drive(input, cancelRequested));
}

const drive = async (input: RunInput, cancelRequested: Promise<never>): Promise<RunResult> => {
  const resumed = input.carried !== undefined;
  const driver = createDriver(
    resumed ? carriedState(input.carried) : initialState(input),
    temporalRuntime(input),
  );
  driver.dispatch({ type: resumed ? 'resume' : 'start', at: Date.now() });
  cancelRequested.catch(() => driver.dispatch({ type: 'cancelRequested', at: Date.now() }));

  const handlers = createMessageHandlers(input, driver, {
    now: () => Date.now(),
    patched,
    rejection: toUpdateRejection,
  });
  setHandler(answerUpdate, (payload, origin) => handlers.answer(payload, sourceOf(origin)), {
    description: ANSWER_DESCRIPTION,
    validator: (payload, origin) => handlers.validateAnswer(payload, sourceOf(origin)),
  });
  setHandler(submitUpdate, (payload, origin) => handlers.submit(payload, sourceOf(origin)), {
    description: SUBMIT_DESCRIPTION,
    validator: (payload, _origin) => handlers.validateSubmit(payload),
  });
  setHandler(answerSignal, (raw: unknown) => handlers.signal(decodeSignalPayload(raw)), {
    description: SIGNAL_DESCRIPTION,
  });
  setHandler(runQuery, () => snapshotOf(driver.state()), {
    description: 'The state of the run in the workflow.',
  });
  setHandler(decisionsQuery, () => decisionsOf(driver.state()), {
    description: 'The decisions about calls of this run, oldest first.',
  });

  const ending = await driver.done;
  await condition(allHandlersFinished);
  if (ending.kind === 'continue')
    return await makeContinueAsNewFunc<typeof run>({ workflowType: WORKFLOWS.run })({
      ...input,
      carried: driver.state(),
    });
  if (ending.cancelled) {
    // Temporal stores no result for a cancelled workflow; a correct status matters more than the place of the result.
    upsertMemo(memoOf(ending.result));
    throw new CancelledFailure(`Run ${input.runId} was cancelled.`);
  }
  return ending.result;
};
