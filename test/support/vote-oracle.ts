/**
 * Counts votes a second time, from the record alone and with other code than the run's, and says what is wrong.
 *
 * Rule: it knows the promise (enough different people agree on exactly these arguments), and nothing of ballots.
 */
import { ok as must } from 'node:assert';
import type { Decision } from '../../protocol/decisions.ts';
import type { ApprovalPolicy } from '../../protocol/tool-calls.ts';

interface Subject {
  callId: string;
  round: number;
  /** The model's arguments as JSON text. */
  arguments: string;
  policy: ApprovalPolicy;
  requestedBy?: string | undefined;
}

const stable = (text: string): string => {
  const sorted = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(sorted);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.keys(value)
        .toSorted()
        .map((key) => [key, sorted((value as Record<string, unknown>)[key])]),
    );
  };
  return JSON.stringify(sorted(JSON.parse(text)));
};

/** The last word of each person, after everything that the record says about the call. */
const lastWords = (record: readonly Decision[], subject: Subject): Decision[] => {
  const words = new Map<string, Decision>();
  for (const entry of record) {
    if (entry.callId !== subject.callId || entry.round !== subject.round) continue;
    if (entry.refusedEdit !== undefined) {
      for (const [person, word] of words) if (word.countsFor === entry.countsFor) words.delete(person);
    } else if ((entry.decision === 'approve' || entry.decision === 'deny') && entry.by !== undefined)
      words.set(entry.by, entry);
  }
  return [...words.values()];
};

const checkVoters = (words: readonly Decision[], { policy, requestedBy }: Subject): void => {
  for (const word of words) {
    must(!policy.notRequester || word.by !== requestedBy, 'the vote of the person who asked was counted');
    must(!policy.verified || word.verified === true, 'a name without proof was counted');
  }
  const places = words.map(({ by, inPlaceOf }) => inPlaceOf ?? by);
  must(new Set(places).size === places.length, `one vote was counted twice: ${JSON.stringify(places)}`);
};

/** Throws unless the record lets the call run with these arguments. */
export const mustRun = (record: readonly Decision[], subject: Subject, ran: string): void => {
  const words = lastWords(record, subject);
  const agree = words.filter(
    ({ decision, editedArguments }) =>
      decision === 'approve' && stable(editedArguments ?? subject.arguments) === stable(ran),
  );
  const against = words.filter(({ decision }) => decision === 'deny');
  must(
    agree.length >= subject.policy.quorum,
    `${agree.length} people agreed on ${ran}, ${subject.policy.quorum} are needed: ${JSON.stringify(words)}`,
  );
  must(against.length < (subject.policy.veto ? 1 : subject.policy.quorum), 'a denied call ran');
  checkVoters(words, subject);
};

/** Throws unless the record denies the call. */
export const mustBeDenied = (record: readonly Decision[], subject: Subject): void => {
  const words = lastWords(record, subject);
  const against = words.filter(({ decision }) => decision === 'deny');
  must(against.length >= (subject.policy.veto ? 1 : subject.policy.quorum), 'too few denials denied');
  checkVoters(words, subject);
};
