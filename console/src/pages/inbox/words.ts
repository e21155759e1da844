/** Sentences of the inbox. Rule: pure; names of people and tools are escaped where the sentence is shown. */
import type { RunDecision } from '../../../../protocol/wire/decisions.ts';
import type { DecisionBody, InboxCall, InboxDetails } from './inbox-types.ts';

const VERBS = {
  approve: { present: 'Approving', past: 'Approved' },
  deny: { present: 'Denying', past: 'Denied' },
  answer: { present: 'Answering', past: 'Answered' },
  delegate: { present: 'Handing over', past: 'Handed over' },
} as const;

export const verbOf = ({ decision }: DecisionBody): { present: string; past: string } => VERBS[decision];

/** Who decided a call that waits no more, as a sentence. */
export const decidedBy = ({
  status,
  decision,
  kind,
}: Pick<InboxCall, 'status' | 'decision' | 'kind'>): string => {
  if (decision !== null) {
    const who = decision.by ?? 'Somebody without a name';
    const name = decision.verified ? who : `${who} (name not verified)`;
    return `${name} ${decision.type === 'approve' ? 'approved' : 'denied'} it.`;
  }
  if (status === 'expired') return 'Nobody decided in time.';
  if (status === 'cancelled') return 'Its run has ended or was cancelled.';
  return kind === 'output' ? 'It was answered.' : 'It was decided.';
};

/** Such as `2 more approvals needed`; null = one decision is enough, or none is known. */
export const votesText = ({ votes_needed: needed, votes }: InboxCall): string | null => {
  if (needed === undefined || needed === 0) return null;
  if (needed === 1 && (votes === undefined || votes.length === 0)) return null;
  return needed === 1 ? '1 more approval needed' : `${needed} more approvals needed`;
};

/** What the person at the console may still do about a call whose votes are counted; null = nothing is to be said. */
export const yourVoteText = ({ your_vote: vote }: Pick<InboxDetails, 'your_vote'>): string | null => {
  if (vote == null) return null;
  if (!vote.may_decide)
    return `You have no vote on this call: ${vote.reason ?? 'the server does not say why'}.`;
  if (vote.decision === null) return null;
  return `You ${vote.decision === 'approve' ? 'approved' : 'denied'} it. Until it is decided you can change your vote.`;
};

const DONE: Record<RunDecision['decision'], string> = {
  approve: 'approved it',
  deny: 'denied it',
  delegate: 'handed it over',
  remind: 'reminded of it',
  escalate: 'passed it on',
  comment: 'commented on it',
};

/** What an entry of the record tells, without the name, such as `handed it over to carol`. */
export const entryText = ({
  decision,
  edited,
  in_place_of: inPlaceOf,
  to,
}: Pick<RunDecision, 'decision' | 'edited' | 'in_place_of' | 'to'>): string =>
  [
    DONE[decision],
    ...(edited ? ['with other arguments'] : []),
    ...(inPlaceOf === null ? [] : [`in place of ${inPlaceOf}`]),
    ...(to === null ? [] : [`to ${[...to.people, ...to.groups].join(', ')}`]),
  ].join(' ');
