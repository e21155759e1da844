/**
 * The votes about a waiting call as lines for people: how many are missing, who decides, and what the votes are so far.
 *
 * Rule: pure; names are claims of people and are escaped before they reach a terminal. Imported by `view.ts`.
 */
import { ANYBODY, EMPTY_BALLOT, assignedTo, verdictOf, type Vote } from '../../protocol/rules/ballot.ts';
import type { CallSnapshot } from '../../protocol/temporal/messages.ts';
import { oneLine } from './format.ts';

const name = (text: string): string => oneLine(text, 60);

const saidText = ({ decision, digest, arguments: edited, reason }: Vote): string => {
  if (decision === 'deny') return `denies${reason === undefined ? '' : `: ${oneLine(reason, 200)}`}`;
  return edited === undefined ? 'approves' : `approves with other arguments, --digest ${digest ?? ''}`;
};

const voteText = (vote: Vote): string =>
  `${name(vote.by)}${vote.verified === true ? '' : ' (not verified)'}${
    vote.inPlaceOf === undefined ? '' : ` in place of ${name(vote.inPlaceOf)}`
  } ${saidText(vote)}`;

/** No lines where the first decision of anybody decides, and nobody has handed it over. */
export const voteLines = ({ approvers, ballot: kept }: CallSnapshot): string[] => {
  if (approvers === undefined && kept === undefined) return [];
  const policy = approvers ?? ANYBODY;
  const ballot = kept ?? EMPTY_BALLOT;
  const outcome = verdictOf(policy, ballot);
  const needed = outcome.kind === 'undecided' ? outcome.needed : 0;
  const { people, groups } = assignedTo(policy, ballot);
  const who = [...groups.map((group) => `@${group}`), ...people].map(name).join(', ');
  return [
    `${needed} more vote${needed === 1 ? '' : 's'} needed${who === '' ? '' : `, from ${who}`}`,
    ...(policy.verified ? ['only names that an API key or a sign-in verifies count'] : []),
    ...ballot.votes.map(voteText),
    ...ballot.handedOver.map(
      ({ from, to }) =>
        `${name(from)} handed over to ${[...to.people, ...to.groups.map((group) => `@${group}`)].map(name).join(', ')}`,
    ),
    ...(ballot.remindedAt === undefined ? [] : ['reminded']),
    ...(ballot.escalatedAt === undefined ? [] : ['escalated']),
  ];
};
