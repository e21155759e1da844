/**
 * Definitions of the messages that a run takes, typed for the programs that send them: `handle.executeUpdate(runAnswerUpdate, …)`.
 *
 * Rule: the names are the wire's. The handlers have definitions of their own, since they take whatever was sent.
 * Imported by the public face; workflow code of users may import it, too.
 */
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { Decision } from '../protocol/decisions.ts';
import { ANSWER, DECISIONS_QUERY, RUN_QUERY, SUBMIT_TOOL_OUTPUTS } from '../protocol/temporal/names.ts';
import type {
  AnswerPayload,
  AnswerReply,
  RunSnapshot,
  SubmitPayload,
  SubmitReply,
} from '../protocol/temporal/messages.ts';

/** Answers one call and waits for the run's reply. */
export const runAnswerUpdate = defineUpdate<AnswerReply, [AnswerPayload]>(ANSWER);
/** Leaves an answer for the run, without a reply. */
export const runAnswerSignal = defineSignal<[AnswerPayload]>(ANSWER);
/** Answers all open external calls of a round at once. */
export const runSubmitUpdate = defineUpdate<SubmitReply, [SubmitPayload]>(SUBMIT_TOOL_OUTPUTS);
/** The run as its workflow sees it. */
export const runSnapshotQuery = defineQuery<RunSnapshot>(RUN_QUERY);
/** What was decided about the run's calls, oldest first. */
export const runDecisionsQuery = defineQuery<Decision[]>(DECISIONS_QUERY);
