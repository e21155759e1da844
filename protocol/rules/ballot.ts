/**
 * The votes about a call that several people decide: who has a vote, what the votes decide, and what an entry of the record
 * changes.
 *
 * Rule: a person has one vote, and a later vote of the same name replaces it while the call is undecided. A vote to approve
 * counts for one set of arguments. `quorum` votes for the same arguments approve; one denial denies with a veto, `quorum`
 * denials do without one. A vote that is handed over is cast once, by the person who has it then.
 * Pure. Workflow and store share it: the workflow decides, the store shows the same ballot, made of the same entries.
 */
import type { Decision, HandOver, Voter } from '../decisions.ts';
import { BALLOT_LIMITS } from '../limits.ts';
import type { ApprovalPolicy } from '../tool-calls.ts';
import { quote } from './validation.ts';

export interface Vote {
  by: string;
  decision: 'approve' | 'deny';
  at: number;
  verified?: true;
  /** With `approve`: digest of the arguments for which it counts. */
  digest?: string;
  /** With `approve`: these arguments as JSON text, where they are not the model's. */
  arguments?: string;
  reason?: string;
  /** The person who handed this vote over. */
  inPlaceOf?: string;
}

/** A vote that was handed over: the name that had it, and who has it now. */
export interface HandedOver {
  from: string;
  to: HandOver;
}

export interface Ballot {
  votes: Vote[];
  handedOver: HandedOver[];
  /** Unix ms. */
  remindedAt?: number;
  escalatedAt?: number;
  /** Entries of the record about this call so far. */
  entries: number;
}

export const EMPTY_BALLOT: Ballot = { votes: [], handedOver: [], entries: 0 };

/** The policy of a call that names none, for handing it over. */
export const ANYBODY: ApprovalPolicy = {
  by: [],
  quorum: 1,
  veto: false,
  notRequester: false,
  verified: false,
  remindAfterMs: null,
  escalateAfterMs: null,
  escalateTo: [],
};

export type VoteAdmission = { ok: true; inPlaceOf?: string } | { ok: false; why: string };

const no = (why: string): VoteAdmission => ({ ok: false, why });
const names = (list: readonly string[]): string => list.map((name) => quote(name)).join(', ');
const shared = (groups: readonly string[], of: readonly string[]): boolean =>
  groups.some((group) => of.includes(group));

/** The groups whose people may decide now. Empty: everybody's. */
export const decidingGroups = (policy: ApprovalPolicy, { escalatedAt }: Ballot): string[] =>
  policy.by.length === 0 || escalatedAt === undefined
    ? policy.by
    : [...new Set([...policy.by, ...policy.escalateTo])];

/** A name that is not verified is a claim, and so are the groups that it names. */
const hasOwnVote = (policy: ApprovalPolicy, ballot: Ballot, { verified, groups = [] }: Voter): boolean =>
  policy.by.length === 0 || verified !== true || shared(groups, decidingGroups(policy, ballot));

const holds = ({ to }: HandedOver, { by = '', groups = [] }: Voter): boolean =>
  to.people.includes(by) || shared(groups, to.groups);

/** Reasons that hold for votes and for handing over. */
const shutOut = (
  policy: ApprovalPolicy,
  requestedBy: string | undefined,
  { by, verified }: Voter,
): VoteAdmission | null => {
  if (by === undefined || by === '')
    return no(
      'its votes are counted by name, and this one has none. Send your name in "by", or with --by of "runs answer"',
    );
  if (policy.verified && verified !== true)
    return no(
      `its tool counts only names that an API key or a sign-in verifies, and ${quote(by)} is not verified. Decide over the HTTP API with a key, as "runs answer --api" does, or in the console`,
    );
  if (policy.notRequester && by === requestedBy)
    return no(`${quote(by)} asked for the run, and the tool gives the person who asks no vote`);
  return null;
};

/** May this person vote now, and in whose place? */
export const admitVote = (
  policy: ApprovalPolicy,
  ballot: Ballot,
  requestedBy: string | undefined,
  voter: Voter,
): VoteAdmission => {
  const { by = '', verified } = voter;
  const out = shutOut(policy, requestedBy, voter);
  if (out !== null) return out;
  const before = ballot.votes.find((vote) => vote.by === by);
  if (before?.verified === true && verified !== true)
    return no(`${quote(by)} has voted with a verified name, which a name without proof does not replace`);
  const given = ballot.handedOver.find(({ from, to }) => from === by && !to.people.includes(by));
  if (given !== undefined)
    return no(
      `${quote(by)} has handed the decision over to ${names([...given.to.people, ...given.to.groups])}`,
    );
  if (before !== undefined)
    return { ok: true, ...(before.inPlaceOf === undefined ? {} : { inPlaceOf: before.inPlaceOf }) };
  const held = ballot.handedOver.filter((item) => item.from !== by && holds(item, voter));
  const free = held.find(({ from }) => ballot.votes.every((vote) => vote.inPlaceOf !== from));
  if (hasOwnVote(policy, ballot, voter)) return { ok: true };
  if (free !== undefined) return { ok: true, inPlaceOf: free.from };
  return held.length > 0
    ? no(`the vote that was handed over to ${quote(by)} is cast already`)
    : no(
        `people of ${names(decidingGroups(policy, ballot))} decide it, and ${quote(by)} is in ${voter.groups === undefined || voter.groups.length === 0 ? 'no group' : names(voter.groups)}`,
      );
};

/** May this person hand the decision over now, and whose vote is it? */
export const admitHandOver = (
  policy: ApprovalPolicy,
  ballot: Ballot,
  requestedBy: string | undefined,
  voter: Voter,
): VoteAdmission => {
  const { by = '' } = voter;
  const out = shutOut(policy, requestedBy, voter);
  if (out !== null) return out;
  if (ballot.votes.some((vote) => vote.by === by))
    return no(`${quote(by)} has voted. A vote can be changed, not handed over`);
  const own = hasOwnVote(policy, ballot, voter);
  const held = ballot.handedOver.find((item) => item.from !== by && holds(item, voter));
  const from = own || held === undefined ? by : held.from;
  if (!own && held === undefined && ballot.handedOver.every((item) => item.from !== by))
    return no(`${quote(by)} has no vote to hand over`);
  if (ballot.votes.some((vote) => vote.inPlaceOf === from))
    return no('the vote that was handed over is cast already');
  if (
    ballot.handedOver.length >= BALLOT_LIMITS.handedOver &&
    ballot.handedOver.every((item) => item.from !== from)
  )
    return no(`it was handed over ${BALLOT_LIMITS.handedOver} times, which is the most`);
  return from === by ? { ok: true } : { ok: true, inPlaceOf: from };
};

export type BallotOutcome =
  /** `needed`: how many more votes for the same arguments would approve. */
  | { kind: 'undecided'; needed: number }
  | { kind: 'denied'; reason?: string }
  /** `arguments`: JSON text; absent = the model's. */
  | { kind: 'approved'; digest: string; arguments?: string };

const sameArguments = (one: Vote, other: Vote): boolean =>
  one.digest === other.digest && one.arguments === other.arguments;

export const verdictOf = ({ quorum, veto }: ApprovalPolicy, { votes }: Ballot): BallotOutcome => {
  const denials = votes.filter(({ decision }) => decision === 'deny');
  if (denials.length >= (veto ? 1 : quorum)) {
    const reasons = [...new Set(denials.flatMap(({ reason }) => (reason ? [reason] : [])))].join('; ');
    return { kind: 'denied', ...(reasons === '' ? {} : { reason: reasons }) };
  }
  const approvals = votes.filter(({ decision }) => decision === 'approve');
  const agreeing = approvals.map((vote) => approvals.filter((other) => sameArguments(vote, other)).length);
  const most = Math.max(0, ...agreeing);
  const winner = most >= quorum ? approvals[agreeing.indexOf(most)] : undefined;
  return winner === undefined
    ? { kind: 'undecided', needed: quorum - most }
    : {
        kind: 'approved',
        digest: winner.digest ?? '',
        ...(winner.arguments === undefined ? {} : { arguments: winner.arguments }),
      };
};

/** The arguments that some vote proposes, by digest. */
export const proposedArguments = ({ votes }: Ballot, digest: string): string | undefined =>
  votes.find((vote) => vote.digest === digest)?.arguments;

const voteOf = (entry: Decision): Vote | null =>
  (entry.decision === 'approve' || entry.decision === 'deny') && entry.by !== undefined
    ? {
        by: entry.by,
        decision: entry.decision,
        at: entry.at,
        ...(entry.verified === undefined ? {} : { verified: true }),
        ...(entry.countsFor === undefined ? {} : { digest: entry.countsFor }),
        ...(entry.editedArguments == null ? {} : { arguments: entry.editedArguments }),
        ...(entry.reason === undefined ? {} : { reason: entry.reason }),
        ...(entry.inPlaceOf === undefined ? {} : { inPlaceOf: entry.inPlaceOf }),
      }
    : null;

const handOver = (ballot: Ballot, from: string, to: HandOver): HandedOver[] => {
  const others = ballot.handedOver.filter((item) => item.from !== from);
  return to.people.includes(from) ? others : [...others, { from, to }];
};

/** The ballot after one more entry of the record about its call. */
export const withEntry = (ballot: Ballot, entry: Decision): Ballot => {
  const next = { ...ballot, entries: Math.max(ballot.entries, (entry.entry ?? 0) + 1) };
  // The tool refused these arguments: no vote for them counts any more.
  if (entry.refusedEdit !== undefined)
    return { ...next, votes: next.votes.filter(({ digest }) => digest !== entry.countsFor) };
  if (entry.decision === 'remind') return { ...next, remindedAt: entry.at };
  if (entry.decision === 'escalate') return { ...next, escalatedAt: entry.at };
  if (entry.decision === 'delegate' && entry.to !== undefined)
    return { ...next, handedOver: handOver(next, entry.inPlaceOf ?? entry.by ?? '', entry.to) };
  const vote = voteOf(entry);
  return vote === null ? next : { ...next, votes: [...next.votes.filter(({ by }) => by !== vote.by), vote] };
};

/** The ballot that these entries make, in whatever order they arrived. */
export const ballotOf = (entries: readonly Decision[]): Ballot =>
  entries
    .filter(({ entry }) => entry !== undefined)
    .toSorted((one, other) => (one.entry ?? 0) - (other.entry ?? 0))
    .reduce(withEntry, EMPTY_BALLOT);

/** Who may decide now: groups, and people to whom a vote was handed over. */
export const assignedTo = (policy: ApprovalPolicy, ballot: Ballot): HandOver => ({
  groups: [
    ...new Set([
      ...decidingGroups(policy, ballot),
      ...(ballot.escalatedAt === undefined ? [] : policy.escalateTo),
      ...ballot.handedOver.flatMap(({ to }) => to.groups),
    ]),
  ],
  people: [...new Set(ballot.handedOver.flatMap(({ to }) => to.people))],
});
