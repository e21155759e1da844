/** What the inbox reads and sends. Rule: fields that an older server does not have are optional here. Types only. */
import type { Approval, ApprovalDetails, YourVote } from '../../../../protocol/wire/decisions.ts';

/** One vote about a call that several people decide. */
export interface InboxVote {
  by: string | null;
  decision: 'approve' | 'deny';
  at: number;
  verified: boolean;
  reason?: string | null;
  in_place_of?: string | null;
}

export interface InboxComment {
  by: string | null;
  at: number;
  text: string;
}

interface Shared {
  kind?: 'approval' | 'output';
  votes?: readonly InboxVote[];
  votes_needed?: number;
  assigned_to?: { groups: readonly string[]; people: readonly string[] } | null;
  reminded_at?: number | null;
  escalated_at?: number | null;
  comments?: readonly InboxComment[];
}

type Known<T> = Omit<T, keyof Shared>;

export type InboxCall = Known<Approval> & Shared;

export type InboxDetails = Omit<Known<ApprovalDetails>, 'conversation' | 'your_vote'> &
  Shared &
  Partial<Pick<ApprovalDetails, 'conversation'>> & { your_vote?: YourVote | null };

/** Body of `POST /v1/approvals/{id}`. */
export type DecisionBody =
  | { decision: 'approve'; arguments?: Record<string, unknown>; arguments_digest?: string }
  | { decision: 'deny'; reason?: string; arguments_digest?: string }
  | { decision: 'answer'; output: string }
  | { decision: 'delegate'; to: { people: string[]; groups: string[] }; comment?: string };
