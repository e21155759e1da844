/**
 * Answers a run that requires action: the outputs of a round from the API's caller, or one call answered by a person.
 *
 * Rule: the workflow decides first, then the row is written. When the row of an accepted answer can't be written, the worker
 * writes it.
 * Imported within `service/` only.
 */
import type { Decision } from '../protocol/decisions.ts';
import type { Caller, StartedRunEvents } from '../protocol/ports/runs-service.ts';
import { apiErrors, RunsError } from '../protocol/errors.ts';
import type { RunForSubmit } from '../protocol/ports/run-store.ts';
import type { ToolOutput } from '../protocol/wire/objects.ts';
import type { AnswerPayload, AnswerReply } from '../protocol/temporal/messages.ts';
import { checkSubmit, equalsAcceptedOutputs } from './check-submit.ts';
import { answerRefusal, submitRefusal, toOutcomeUnknown } from './errors.ts';
import { withPingWatchdog } from './ping-watchdog.ts';
import { retryUntilWorkflowReady } from './retry-until-ready.ts';
import { sha256, type ServiceContext } from './service-context.ts';
import { originOf, refusedDecision, signed } from './signature.ts';

const repeated = (found: RunForSubmit): StartedRunEvents => ({
  run: found.run,
  eventsAfter: found.asked?.acceptedAfter ?? 0,
});

interface SendOptions {
  timeoutMs: number;
  signal: AbortSignal;
  origin: ReturnType<typeof originOf>;
}

/** Sends an update until the workflow knows of the call, and gives up when Temporal is gone. `isAsked`: see `retryUntilWorkflowReady`. */
const sendToWorkflow = <T>(
  { workflows, workerTimeoutMs }: ServiceContext,
  caller: Caller,
  isAsked: () => Promise<boolean>,
  send: (options: SendOptions) => Promise<T>,
): Promise<T> =>
  retryUntilWorkflowReady(
    () =>
      withPingWatchdog(workflows, (signal) =>
        send({ timeoutMs: workerTimeoutMs, signal, origin: originOf(caller) }),
      ),
    isAsked,
    workerTimeoutMs,
  );

export const submitOutputs = async (
  context: ServiceContext,
  caller: Caller,
  [threadId, runId]: [string, string],
  outputs: ToolOutput[],
): Promise<StartedRunEvents> => {
  const { store, workflows, now } = context;
  const key = caller.idempotencyKey === null ? null : sha256(`submit:${caller.idempotencyKey}`);
  const { isRetry } = caller;
  const about = { callId: outputs[0]?.tool_call_id ?? null, key };
  const found = await store.runForSubmit(caller.tenant, threadId, runId, about);
  const verdict = checkSubmit(found, outputs, isRetry);
  if (verdict === 'repeated') return repeated(found);
  if (verdict === 'send') {
    const round = found.round === null ? {} : { round: found.round.round };
    const payload = { run_id: runId, tool_outputs: outputs };
    const isAsked = async (): Promise<boolean> => {
      const current = await store.runForSubmit(caller.tenant, threadId, runId, about);
      return current.status === 'requires_action' && current.round?.round === found.round?.round;
    };
    try {
      await sendToWorkflow(context, caller, isAsked, (options) =>
        workflows.submitToolOutputs(runId, payload, { ...options, ...round }),
      );
    } catch (error) {
      if (!(error instanceof RunsError) || error.code !== 'refused') throw toOutcomeUnknown(error);
      // Another request was first; if it was an earlier try of this one, this one succeeded.
      const current = await store.runForSubmit(caller.tenant, threadId, runId, about);
      if ((isRetry || current.keyUsed) && equalsAcceptedOutputs(current.asked, outputs))
        return repeated(current);
      throw submitRefusal(error, current.status);
    }
  }
  const accepted = await store.acceptOutputs(runId, outputs, {
    now: now(),
    by: caller.requestId,
    idempotency: key === null ? null : { key, request: sha256(JSON.stringify(outputs)) },
  });
  if (accepted.result === 'repeated' && !isRetry) throw apiErrors.notWaiting(accepted.run.status);
  return { run: accepted.run, eventsAfter: accepted.eventsAfter };
};

/** The caller receives the refusal, also when it can't be stored. */
const recordRefusal = async (
  { store, log }: ServiceContext,
  runId: string,
  refused: Decision | null,
): Promise<void> => {
  if (refused === null) return;
  await store.recordRefusedDecision(runId, refused).catch((error: unknown) => {
    log?.error({ runId, callId: refused.callId, error }, 'a refused decision could not be stored');
  });
};

export const answerCall = async (
  context: ServiceContext,
  caller: Caller,
  [threadId, runId]: [string, string],
  sent: AnswerPayload,
): Promise<AnswerReply> => {
  const { store, workflows, now, log } = context;
  // The run must belong to the caller and to this thread.
  await store.getRun(caller.tenant, threadId, runId);
  const payload = signed(caller, sent);
  const { call_id: callId, run_id: named = runId } = payload;
  const isAsked = async (): Promise<boolean> => {
    const { round } = await store.runForSubmit(caller.tenant, threadId, runId, { callId, key: null });
    const isOfRound = round?.calls.some((call) => call.callId === callId) === true;
    return named === runId && isOfRound && !Object.hasOwn(round.outputs, callId);
  };
  let reply: AnswerReply;
  try {
    reply = await sendToWorkflow(context, caller, isAsked, (options) =>
      workflows.answer(runId, payload, options),
    );
  } catch (error) {
    if (!(error instanceof RunsError) || error.code !== 'refused') throw toOutcomeUnknown(error);
    const refusal = answerRefusal(error);
    await recordRefusal(context, runId, refusedDecision(caller, payload, refusal, now()));
    throw refusal;
  }
  // Written at once, to be shown early. A text that was changed is left to the worker, which knows the final one. A
  // late answer is no output of its call: written before the placeholder, it would contradict the submit.
  const { notes, late, result } = reply;
  if (typeof payload.output === 'string' && notes === undefined && late !== true && result === 'accepted')
    await store
      .acceptOutputs(runId, [{ tool_call_id: payload.call_id, output: payload.output }], {
        now: now(),
        by: null,
      })
      .catch((error: unknown) => {
        log?.warn({ runId, error }, 'the API could not store an accepted answer: the worker stores it later');
      });
  return reply;
};
