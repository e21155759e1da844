/**
 * Sending answers and outputs to a run.
 *
 * Rule: state decides, this only carries. An update's id is the call (or round) and a digest of the payload, so a
 * lost reply can be asked for again, and a different answer never counts as the first. A run that has ended may have
 * left a workflow that awaits late answers: those go there.
 * Imported by the client only.
 */
import { randomUUID } from 'node:crypto';
import {
  ANSWER,
  FAILURES,
  followUpWorkflowId,
  isVerdict,
  RunsError,
  SUBMIT_TOOL_OUTPUTS,
  type AnswerOrigin,
  type AnswerPayload,
  type AnswerReply,
  type RunResult,
  type SubmitPayload,
  type SubmitReply,
} from '../protocol/index.ts';
import { followUpRunOf } from './follow-up-runs.ts';
import { readDecisions } from './decisions.ts';
import { updateIdDigest } from './update-id.ts';
import { checkAnswerPayload, checkSubmitPayload } from './payloads.ts';
import { notFound, SERVER_TIMEOUT_MS, type ClientSession } from './session.ts';
import type { SignedCallOptions, CallOptions } from './types.ts';
import { isOpen, toListItem } from './view.ts';

/** How long a worker is waited for by default, in milliseconds. */
const WORKER_TIMEOUT_MS = 10_000;

interface Message<Payload> {
  name: string;
  id: string;
  payload: Payload;
  /** What this program says about the sender; absent = nothing. */
  origin: AnswerOrigin | undefined;
  what: string;
}

/** Who sent it is a part of the message: another sender's same answer is weighed anew. */
const answerDigest = (payload: unknown, origin: AnswerOrigin | undefined): string =>
  updateIdDigest(origin === undefined ? payload : { payload, origin });

const isGone = (error: unknown): boolean => error instanceof RunsError && error.code === 'run_not_found';

/**
 * Sends an update to a run or a follow-up workflow; an exceeded deadline is examined, since a run that has just closed, a
 * missing worker and a missing server all look alike from here.
 */
const send = async <Reply, Payload>(
  session: ClientSession,
  workflowId: string,
  message: Message<Payload>,
  { timeoutMs = WORKER_TIMEOUT_MS, signal }: CallOptions,
): Promise<Reply> => {
  const { name, id, payload, origin, what } = message;
  const args: [Payload] | [Payload, AnswerOrigin] = origin === undefined ? [payload] : [payload, origin];
  try {
    return await session.call(
      {
        what,
        runId: workflowId,
        timeoutMs,
        awaitsWorker: true,
        ...(signal === undefined ? {} : { signal }),
      },
      () =>
        session
          .handle(workflowId)
          .executeUpdate<Reply, [Payload] | [Payload, AnswerOrigin]>(name, { args, updateId: id }),
    );
  } catch (error) {
    if (error instanceof RunsError && error.code === 'no_worker') await session.look(workflowId, signal);
    throw error;
  }
};

/**
 * What was decided about a call of a run that has ended: who, what and when. Needs a worker; without one, what the result
 * tells. A sentence with a space before it, or nothing.
 */
const earlierDecisionText = async (
  session: ClientSession,
  runId: string,
  callId: string,
  result: RunResult | null,
): Promise<string> => {
  const subject = ` Call ${JSON.stringify(callId)} was`;
  const decisions = await readDecisions(session, runId, {}).catch(() => []);
  const decided = decisions.filter(isVerdict).findLast((item) => item.callId === callId);
  if (decided !== undefined) {
    const { decision, by, verified, at } = decided;
    const signed =
      by === undefined ? '' : ` by ${JSON.stringify(by)} (${verified === true ? 'API key' : 'not verified'})`;
    return `${subject} ${decision === 'approve' ? 'approved' : 'denied'}${signed} at ${new Date(at).toISOString()}.`;
  }
  const summary = result?.calls.findLast((call) => call.callId === callId);
  return summary?.by === undefined ? '' : `${subject} answered by ${JSON.stringify(summary.by)}.`;
};

/** Why a run that has ended cannot use a message; names how it ended. */
const tooLate = async (
  session: ClientSession,
  runId: string,
  what: string,
  callId?: string,
): Promise<RunsError> => {
  const view = await session.look(runId);
  if (view === null) return notFound(runId, session);
  if (isOpen(view)) {
    return new RunsError(
      'temporal_unavailable',
      `${what} failed: the workflow was continuing as new. Send it again.`,
    );
  }
  const result = await session.closedResult(view);
  const { status } = toListItem(view, result);
  if (callId !== undefined && result !== null && !result.calls.some((call) => call.callId === callId))
    return new RunsError(
      'refused',
      `Run ${JSON.stringify(runId)} has no call ${JSON.stringify(callId)}, and it has ended, ${status}. Its calls were: ${result.calls.map((call) => JSON.stringify(call.callId)).join(', ') || 'none'}.`,
      { failure: FAILURES.refusedUnknownCall, details: { status, result } },
    );
  const before = callId === undefined ? '' : await earlierDecisionText(session, runId, callId, result);
  return new RunsError(
    'refused',
    `${what} came too late: the run has ended, ${status}${
      result?.lastError === undefined ? '' : ` (${result.lastError.code}: ${result.lastError.message})`
    }.${before} Start a new run on the thread to go on.`,
    { failure: FAILURES.refusedTooLate, details: { status, result } },
  );
};

/**
 * Update id of an answer (deduplication). A person may send arguments that the tool refused again, unchanged, after the tool has
 * changed: with the first update id, Temporal would return the first reply without asking the workflow.
 */
const answerUpdateId = (payload: AnswerPayload, origin: AnswerOrigin | undefined): string => {
  const id = `${payload.call_id}:${answerDigest(payload, origin)}`;
  return payload.arguments == null ? id : `${id}:${randomUUID()}`;
};

/**
 * A person may vote as before after having voted otherwise: with the first vote's update id, Temporal would return that vote's
 * reply without asking the workflow. So a vote that decides nothing is sent twice; the workflow knows a repeat.
 */
const sendVote = async (
  session: ClientSession,
  workflowId: string,
  message: Message<AnswerPayload>,
  options: CallOptions,
): Promise<AnswerReply> => {
  const first = await send<AnswerReply, AnswerPayload>(session, workflowId, message, options);
  if (first.votes_needed === undefined) return first;
  const again = { ...message, id: `${message.id}:${randomUUID()}` };
  const second = await send<AnswerReply, AnswerPayload>(session, workflowId, again, options);
  return second.result === 'accepted' ? second : first;
};

export const sendAnswer = async (
  session: ClientSession,
  runId: string,
  payload: AnswerPayload,
  options: SignedCallOptions = {},
): Promise<AnswerReply> => {
  checkAnswerPayload(runId, payload);
  const { origin } = options;
  const what = `Answering call ${JSON.stringify(payload.call_id)} of run ${JSON.stringify(runId)}`;
  const message = {
    name: ANSWER,
    id: answerUpdateId(payload, origin),
    payload,
    origin,
    what,
  };
  try {
    return await sendVote(session, runId, message, options);
  } catch (error) {
    if (!isGone(error)) throw error;
  }
  try {
    const reply = await sendVote(session, followUpWorkflowId(runId), message, options);
    const next = await followUpRunOf(session, runId, payload.call_id, options.signal);
    return next === undefined ? reply : { ...reply, follow_up_run_id: next };
  } catch (error) {
    throw isGone(error) ? await tooLate(session, runId, what, payload.call_id) : error;
  }
};

export const signalAnswer = async (
  session: ClientSession,
  runId: string,
  payload: AnswerPayload,
): Promise<void> => {
  checkAnswerPayload(runId, payload);
  const what = `Signalling an answer to call ${JSON.stringify(payload.call_id)} of run ${JSON.stringify(runId)}`;
  const signal = (workflowId: string) =>
    session.call({ what, runId: workflowId, timeoutMs: SERVER_TIMEOUT_MS }, () =>
      session.handle(workflowId).signal<[AnswerPayload]>(ANSWER, payload),
    );
  try {
    await signal(runId);
    return;
  } catch (error) {
    if (!isGone(error)) throw error;
  }
  try {
    await signal(followUpWorkflowId(runId));
  } catch (error) {
    throw isGone(error) ? await tooLate(session, runId, what, payload.call_id) : error;
  }
};

export const submitToolOutputs = async (
  session: ClientSession,
  runId: string,
  payload: SubmitPayload,
  options: SignedCallOptions & { round?: number } = {},
): Promise<SubmitReply> => {
  checkSubmitPayload(runId, payload);
  const what = `Submitting tool outputs to run ${JSON.stringify(runId)}`;
  const message = {
    name: SUBMIT_TOOL_OUTPUTS,
    id: `submit:${options.round ?? 'any'}:${answerDigest(payload, options.origin)}`,
    payload,
    origin: options.origin,
    what,
  };
  try {
    return await send(session, runId, message, options);
  } catch (error) {
    throw isGone(error) ? await tooLate(session, runId, what) : error;
  }
};
