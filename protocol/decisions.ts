/**
 * Decisions about calls that wait for an approval: the sender, the channel, and whether an API key verifies the
 * sender's name.
 *
 * Rule: a call is decided once, and entries are only ever appended; a refused decision is an entry, too, and so are a vote that
 * decides nothing yet, a hand-over, a reminder, an escalation and a comment. A name is verified when an API key carries it; a
 * name in a payload is a claim. Plain JSON: it crosses updates, activities and
 * continue-as-new. No imports. Any room may import it; the workflow sandbox may too.
 */

/**
 * The channel of an answer. `temporal_*`: Temporal's Web UI, its command line, or a program with its own client. `workflow`: the
 * run itself, by a timer.
 */
export type AnswerDoor = 'http' | 'cli' | 'temporal_update' | 'temporal_signal' | 'workflow';

/** The source of an answer. */
export interface AnswerSource {
  door: AnswerDoor;
  /** Name of the API key that signed it; absent = the sender's name is not verified. */
  keyName?: string;
  /** Tools whose calls the key may decide; absent = all. */
  tools?: readonly string[];
  /** Groups of the person; absent = none are known. */
  groups?: readonly string[];
}

/**
 * Second argument of the updates `answer` and `submitToolOutputs`: what the sending program states about the sender. It
 * is no part of the payload, because a person may paste any payload into Temporal's Web UI.
 */
export type AnswerOrigin = AnswerSource & { door: 'http' | 'cli' };

const texts = (list: readonly unknown[]): string[] => list.filter((name) => typeof name === 'string');

/** An unchecked origin → a source. Anything else counts as an update from Temporal directly. */
export const sourceOf = (origin: unknown): AnswerSource => {
  const fields: Partial<Record<keyof AnswerOrigin, unknown>> =
    typeof origin === 'object' && origin !== null ? origin : {};
  const { door, keyName, tools, groups } = fields;
  if (door !== 'http' && door !== 'cli') return { door: 'temporal_update' };
  return {
    door,
    ...(typeof keyName === 'string' ? { keyName } : {}),
    ...(Array.isArray(tools) ? { tools: texts(tools) } : {}),
    ...(Array.isArray(groups) ? { groups: texts(groups) } : {}),
  };
};

/** May a key with these tools decide calls of this tool? Absent or null = all. */
export const mayDecide = (tools: readonly string[] | null | undefined, tool: string): boolean =>
  tools == null || tools.includes(tool);

/** How long after a run's end its late calls accept an answer, unless settings say otherwise: 30 days. */
export const FOLLOW_UP_WITHIN_MS = 2_592_000_000;

/** A comment about a call; `at` in unix ms. */
export interface NewComment {
  by?: string;
  verified?: true;
  text: string;
  at: number;
}

/** Why an answer was refused: nothing was decided. */
export interface DecisionRefusal {
  /** As the HTTP error's `code`. */
  code: string;
  message: string;
}

/** A person as a call's votes know them. */
export interface Voter {
  by?: string;
  verified?: true;
  /** Absent = not known. */
  groups?: readonly string[];
}

/** People and groups to whom a decision is handed over. */
export interface HandOver {
  people: string[];
  groups: string[];
}

/** What an entry of the record is about; only `approve` and `deny` are votes. */
export type DecisionKind = 'approve' | 'deny' | 'delegate' | 'remind' | 'escalate' | 'comment';

/** A person's decision about a call that needed approval; or another entry of the record about such a call. */
export interface Decision {
  callId: string;
  /** Name of the tool. */
  name: string;
  round: number;
  decision: DecisionKind;
  /** Unix ms. */
  at: number;
  door: AnswerDoor;
  /** The key's name, or the sender's claim; absent = no name was given. */
  by?: string;
  /** The name in `by` belongs to an API key. */
  verified?: true;
  /** The model's arguments, JSON text; null = too long to be kept here. */
  arguments: string | null;
  /** The edited arguments that ran, JSON text; null = too long to be kept here. Absent = the model's ran. */
  editedArguments?: string | null;
  /** With `deny`: the reason that the model reads. */
  reason?: string;
  /** The sender's free text; the model does not read it. */
  note?: string;
  /** Digest of the arguments that the sender read, when the channel sent one. */
  shownDigest?: string;
  /** The round had already continued with a placeholder. */
  late?: true;
  /**
   * Why the tool refused the edited arguments: nothing ran, and the call waits again. This is an entry after the
   * decision.
   */
  refusedEdit?: string;
  /** Number of this entry among those of its call; only where the call's policy counts votes, or it was handed over. */
  entry?: number;
  /** This vote left the call undecided: it waits for more votes. */
  undecided?: true;
  /** With `approve`, where votes count: digest of the arguments for which this vote counts. */
  countsFor?: string;
  /** The person whose vote this is, where it was handed over. */
  inPlaceOf?: string;
  /** With `delegate` and `escalate`: who may decide from now on. */
  to?: HandOver;
  /** The decision was refused when it came in and changed nothing. Only in the store, of decisions over HTTP. */
  refused?: DecisionRefusal;
}

/**
 * Entries in the order in which the workflow made them, which may send two at once. Entries without a number keep their places.
 */
export const inOrderMade = <Item>(items: readonly Item[], entryOf: (item: Item) => Decision): Item[] => {
  const isNumbered = (item: Item): boolean => entryOf(item).entry !== undefined;
  const numbered = items.filter(isNumbered).toSorted((one, other) => {
    const [a, b] = [entryOf(one), entryOf(other)];
    return a.at - b.at || (a.entry ?? 0) - (b.entry ?? 0);
  });
  return items.map((item) => (isNumbered(item) ? (numbered.shift() ?? item) : item));
};

/** Did this entry decide its call? Not when the tool refused its arguments later, which is an entry of its own. */
export const isVerdict = <Entry extends Decision>(
  entry: Entry,
): entry is Entry & { decision: 'approve' | 'deny' } =>
  (entry.decision === 'approve' || entry.decision === 'deny') &&
  entry.undecided !== true &&
  entry.refusedEdit === undefined &&
  entry.refused === undefined;

/** A decision without its long texts. */
export const stripTexts = ({ reason: _reason, note: _note, ...rest }: Decision): Decision => ({
  ...rest,
  arguments: null,
  ...(rest.editedArguments === undefined ? {} : { editedArguments: null }),
});
