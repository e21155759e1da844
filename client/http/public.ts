/**
 * Entry `durable-runs/http`: what a front end needs to show and decide what waits, over the HTTP API.
 *
 * Rule: at most 25 names, each reported in `docs/reference/api/`. It imports `protocol/` only, so it loads in a web page.
 */
export { ApprovalsClient } from './approvals-client.ts';
export type {
  ApprovalsClientOptions,
  ListApprovalsParams,
  ListRunsParams,
  RequestOptions,
} from './approvals-client.ts';
export { ApiError } from '../../protocol/errors.ts';
export type { ApprovalDecision } from '../../protocol/ports/runs-service.ts';
export type {
  Approval,
  ApprovalDetails,
  ApprovalEvent,
  ApprovalStatus,
  AwaitedCall,
  RunDecision,
} from '../../protocol/wire/decisions.ts';
export type { Page, Run } from '../../protocol/wire/objects.ts';
export type { RunTimeline, TimelineEntry } from '../../protocol/wire/run-timeline.ts';
export type { AnswerReply } from '../../protocol/temporal/messages.ts';
