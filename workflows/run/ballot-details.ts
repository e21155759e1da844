/**
 * The votes about a waiting call in the current details: who decides, what the votes are so far, how many are missing, and
 * which other arguments they propose.
 *
 * Rule: names and reasons are claims of people and stand in code spans; arguments stand in code blocks. Pure; imports the
 * protocol and how the details write text. Imported by `current-details.ts`.
 */
import { ANYBODY, EMPTY_BALLOT, assignedTo, verdictOf } from '../../protocol/rules/ballot.ts';
import type { Ballot, Vote } from '../../protocol/rules/ballot.ts';
import { showArguments, wrapShown } from '../../protocol/rules/show-arguments.ts';
import type { ApprovalPolicy } from '../../protocol/tool-calls.ts';
import { codeFence, inline, utc } from './details-text.ts';
import { DETAILS_COLUMNS, MIN_SHOWN_CHARS } from './timeouts.ts';

const listed = (names: readonly string[]): string => names.map((name) => inline(name)).join(', ');

const whoDecides = (policy: ApprovalPolicy, ballot: Ballot, requestedBy: string | undefined): string => {
  const { groups, people } = assignedTo(policy, ballot);
  const who = [
    ...(groups.length === 0 ? [] : [`people of ${listed(groups)}`]),
    ...(people.length === 0 ? [] : [listed(people)]),
  ].join(' and ');
  return [
    who === '' ? 'Anybody decides' : `${who} decide`,
    policy.veto
      ? 'one denial denies'
      : policy.quorum === 1
        ? 'the first vote decides'
        : `${policy.quorum} denials deny`,
    ...(policy.notRequester && requestedBy !== undefined ? [`${inline(requestedBy)} has no vote`] : []),
    ...(policy.verified ? ['only verified names count: votes sent here are refused'] : []),
  ].join('; ');
};

const voteLine = ({ by, decision, at, verified, digest, arguments: edited, inPlaceOf }: Vote): string =>
  `- ${utc(at)}: ${inline(by)}${verified === true ? '' : ' (not verified)'} ${
    decision === 'deny'
      ? 'denies'
      : edited === undefined
        ? 'approves'
        : `approves with the arguments \`${digest ?? ''}\``
  }${inPlaceOf === undefined ? '' : `, in place of ${inline(inPlaceOf)}`}`;

const proposals = (votes: readonly Vote[]): string[] =>
  [
    ...new Map(
      votes.flatMap(({ digest, arguments: edited }) =>
        digest === undefined || edited === undefined ? [] : [[digest, edited] as const],
      ),
    ),
  ].map(
    ([digest, edited]) =>
      `Proposed arguments, digest \`${digest}\`; to agree, approve with this digest as \`arguments_digest\`:\n\n${codeFence(wrapShown(showArguments(edited, MIN_SHOWN_CHARS).text, DETAILS_COLUMNS).join('\n'), 'json')}`,
  );

/** Nothing when the first decision of anybody decides, and nobody has handed it over. */
export const ballotDetails = (
  approvers: ApprovalPolicy | undefined,
  kept: Ballot | undefined,
  requestedBy: string | undefined,
): string[] => {
  if (approvers === undefined && kept === undefined) return [];
  const policy = approvers ?? ANYBODY;
  const ballot = kept ?? EMPTY_BALLOT;
  const outcome = verdictOf(policy, ballot);
  const needed = outcome.kind === 'undecided' ? outcome.needed : 0;
  const { votes, handedOver, remindedAt, escalatedAt } = ballot;
  return [
    `**${needed} more vote${needed === 1 ? '' : 's'} needed.** ${whoDecides(policy, ballot, requestedBy)}.`,
    ...(votes.length === 0 ? [] : [votes.map(voteLine).join('\n')]),
    ...(handedOver.length === 0
      ? []
      : [
          handedOver
            .map(({ from, to }) => `- ${inline(from)} handed over to ${listed([...to.people, ...to.groups])}`)
            .join('\n'),
        ]),
    ...(remindedAt === undefined ? [] : [`Reminded ${utc(remindedAt)}.`]),
    ...(escalatedAt === undefined ? [] : [`Escalated ${utc(escalatedAt)} to ${listed(policy.escalateTo)}.`]),
    ...proposals(votes),
  ];
};
