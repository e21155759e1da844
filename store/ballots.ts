/**
 * Votes and comments in the rows of approvals.
 *
 * Rule: the record is the truth. A row's ballot is made anew of all entries about its call in the transaction that adds one, so
 * entries may arrive in any order and more than once. `protocol/rules/ballot.ts` is the rule by which the workflow counts.
 * Imported within `store/` only.
 */
import { hash } from 'node:crypto';
import type { Decision, NewComment, Voter } from '../protocol/decisions.ts';
import { apiErrors } from '../protocol/errors.ts';
import { BALLOT_LIMITS } from '../protocol/limits.ts';
import {
  admitVote,
  ANYBODY,
  EMPTY_BALLOT,
  assignedTo,
  ballotOf,
  verdictOf,
} from '../protocol/rules/ballot.ts';
import type { Ballot, Vote } from '../protocol/rules/ballot.ts';
import type { ApprovalPolicy } from '../protocol/tool-calls.ts';
import type { Approval, ApprovalVote, WireApprovalPolicy, YourVote } from '../protocol/wire/decisions.ts';
import { wireSecondsOrNull } from '../protocol/wire/run-view.ts';
import { CHANGED } from './approval-rows.ts';
import type { ApprovalRow, StoredComment } from './approvals-schema.ts';
import type { Database } from './database.ts';
import { changeExistingRun, type RunUpdate } from './update-run.ts';

const voteView = (vote: Vote): ApprovalVote => ({
  by: vote.by,
  decision: vote.decision,
  at: Math.floor(vote.at / 1000),
  verified: vote.verified === true,
  reason: vote.reason ?? null,
  arguments_digest: vote.digest ?? null,
  edited_arguments: vote.arguments ?? null,
  in_place_of: vote.inPlaceOf ?? null,
});

const policyView = (policy: ApprovalPolicy): WireApprovalPolicy => ({
  by: policy.by,
  quorum: policy.quorum,
  veto: policy.veto,
  not_requester: policy.notRequester,
  verified: policy.verified,
  remind_after: wireSecondsOrNull(policy.remindAfterMs),
  escalate_after: wireSecondsOrNull(policy.escalateAfterMs),
  escalate_to: policy.escalateTo,
});

type BallotView = Pick<
  Approval,
  'policy' | 'votes' | 'votes_needed' | 'assigned_to' | 'reminded_at' | 'escalated_at' | 'comments'
>;

/** What an approval shows of its policy, its votes and its comments. */
export const ballotView = ({ call, ballot: kept, comments, status }: ApprovalRow): BallotView => {
  const { approvers } = call;
  const ballot: Ballot = kept ?? EMPTY_BALLOT;
  const policy = approvers ?? ANYBODY;
  const outcome = verdictOf(policy, ballot);
  return {
    policy: approvers === undefined ? null : policyView(approvers),
    votes: ballot.votes.map(voteView),
    votes_needed: status === 'waiting' && outcome.kind === 'undecided' ? outcome.needed : 0,
    assigned_to: assignedTo(policy, ballot),
    reminded_at: wireSecondsOrNull(ballot.remindedAt ?? null),
    escalated_at: wireSecondsOrNull(ballot.escalatedAt ?? null),
    comments: (comments ?? []).map(({ by, verified, at, text }) => ({
      by,
      verified: verified === true,
      at: Math.floor(at / 1000),
      text,
    })),
  };
};

/** Whether a decision of this person would be counted now, and their vote. */
export const yourVote = (
  { call, ballot, status }: ApprovalRow,
  requestedBy: string | null,
  voter: Voter,
): YourVote | null => {
  if (call.approvers === undefined || status !== 'waiting' || voter.by === undefined) return null;
  const kept = ballot ?? EMPTY_BALLOT;
  const admitted = admitVote(call.approvers, kept, requestedBy ?? undefined, voter);
  return {
    may_decide: admitted.ok,
    reason: admitted.ok ? null : admitted.why,
    decision: kept.votes.find(({ by }) => by === voter.by)?.decision ?? null,
  };
};

const keyOf = ({ round, callId }: Decision): string => JSON.stringify([round, callId]);

/** Makes the ballots of these entries' calls anew, with the entries that are about to be written. */
export const countVotes = async (
  { sql, row, later, approvalsChanged }: RunUpdate,
  added: readonly Decision[],
): Promise<void> => {
  const counted = added.filter(({ entry }) => entry !== undefined);
  if (counted.length === 0) return;
  const known = await sql.query<{ body: Decision }>(
    'select body from decisions where run_id = $1 and tool = any($2::text[])',
    [row.id, [...new Set(counted.map(({ name }) => name))]],
  );
  approvalsChanged();
  for (const key of new Set(counted.map(keyOf))) {
    const entries = [...known.map(({ body }) => body), ...counted].filter((item) => keyOf(item) === key);
    const byNumber = new Map(entries.map((item) => [item.entry, item]));
    const [first] = entries;
    if (first === undefined) continue;
    later(
      sql.query(
        `update approvals set ballot = $4::text::json, bytes = octet_length(call::text) + octet_length($4::text), ${CHANGED}
         where run_id = $1 and round = $2 and call_id = $3`,
        [row.id, first.round, first.callId, JSON.stringify(ballotOf([...byNumber.values()]))],
      ),
    );
  }
};

const COMMENT_DIGITS = 24;

/** Keeps a comment in the record and with its approval. The latest ones stay with the approval, all in the record. */
export const addComment = async (
  db: Database,
  runId: string,
  approvalId: string,
  { by, verified, text, at }: NewComment,
): Promise<void> =>
  changeExistingRun(db, runId, null, async ({ sql, row, later, approvalsChanged }) => {
    const [found] = await sql.query<Pick<ApprovalRow, 'round' | 'call_id' | 'tool' | 'comments'>>(
      'select round, call_id, tool, comments from approvals where id = $1 for update',
      [approvalId],
    );
    if (found === undefined) throw apiErrors.notFound('approval', approvalId);
    const before = found.comments ?? [];
    if (before.length >= BALLOT_LIMITS.comments)
      throw apiErrors.invalid(
        'text',
        `Approval '${approvalId}' has ${before.length} comments, and may have ${BALLOT_LIMITS.comments}. Decide, or write elsewhere.`,
        'too_many_comments',
      );
    const signed = {
      ...(by === undefined ? {} : { by }),
      ...(verified === undefined ? {} : { verified }),
    };
    const body: Decision = {
      callId: found.call_id,
      name: found.tool,
      round: found.round,
      decision: 'comment',
      at,
      door: 'http',
      ...signed,
      arguments: null,
      note: text,
      undecided: true,
    };
    const comment: StoredComment = { ...signed, by: by ?? null, at, text };
    const named = JSON.stringify([approvalId, before.length, body]);
    approvalsChanged();
    later(
      sql.query(
        `insert into decisions (id, tenant, thread_id, run_id, tool, decided_at, body)
         values ($1, $2, $3, $4, $5, $6, $7::json)`,
        [
          `dec_${hash('sha256', named, 'hex').slice(0, COMMENT_DIGITS)}`,
          row.tenant,
          row.thread_id,
          row.id,
          found.tool,
          at,
          JSON.stringify(body),
        ],
      ),
    );
    later(
      sql.query(
        `update approvals set comments = $2::json, bytes = coalesce(bytes, 0) + octet_length($3::text), ${CHANGED} where id = $1`,
        [approvalId, JSON.stringify([...before, comment]), text],
      ),
    );
  });
