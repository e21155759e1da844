/**
 * Entry `durable-runs/workflows`: the workflows, for a bundle of one's own, and the definitions of the messages they take.
 *
 * Rule: at most 25 names, each reported in `docs/reference/api/`. The project's own bundle is made from `index.ts`.
 */
export { followUp, run, workerTools } from './index.ts';
export {
  runAnswerSignal,
  runAnswerUpdate,
  runDecisionsQuery,
  runSnapshotQuery,
  runSubmitUpdate,
} from './message-definitions.ts';
export type { Decision } from '../protocol/decisions.ts';
export type {
  AnswerPayload,
  AnswerReply,
  CallSnapshot,
  FollowUpInput,
  FollowUpResult,
  RunResult,
  RunSnapshot,
  SubmitPayload,
  SubmitReply,
} from '../protocol/temporal/messages.ts';
