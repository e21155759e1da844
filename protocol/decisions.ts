/**
 * Decisions about calls that wait for an approval: who made them, through which door, and whether a key vouches for the name.
 *
 * Rule: a call is decided once, and what was decided is only ever added to. A name counts as verified when an API key
 * carries it; everything that a person typed beside it is a claim. Plain JSON: it crosses updates, activities and
 * continue-as-new. No imports. Anybody may import it; the workflow sandbox may too.
 */

/** Where an answer came in. `temporal_*`: Temporal's Web UI, its command line, or a program with a client of its own. */
export type AnswerDoor = 'http' | 'cli' | 'temporal_update' | 'temporal_signal';

/** How an answer came in. */
export interface AnswerSource {
  door: AnswerDoor;
  /** Name of the API key that signed it; absent = nobody vouches for the sender's name. */
  keyName?: string;
  /** Tools whose calls the key may decide; absent = all. */
  tools?: readonly string[];
}

/**
 * Second argument of the updates `answer` and `submitToolOutputs`: what the program that sends one says about the sender.
 * Apart from the payload, since a person may paste any payload into Temporal's Web UI.
 */
export type AnswerOrigin = AnswerSource & { door: 'http' | 'cli' };

/** An origin as it arrives, unchecked. What is none says nothing: the update came straight from Temporal. */
export const sourceOf = (origin: unknown): AnswerSource => {
  const fields: Partial<Record<keyof AnswerOrigin, unknown>> =
    typeof origin === 'object' && origin !== null ? origin : {};
  const { door, keyName, tools } = fields;
  if (door !== 'http' && door !== 'cli') return { door: 'temporal_update' };
  return {
    door,
    ...(typeof keyName === 'string' ? { keyName } : {}),
    ...(Array.isArray(tools) ? { tools: tools.filter((name) => typeof name === 'string') } : {}),
  };
};

/** May a key with these tools decide calls of this tool? Absent or null = all. */
export const mayDecide = (tools: readonly string[] | null | undefined, tool: string): boolean =>
  tools == null || tools.includes(tool);

export interface Decision {
  callId: string;
  /** Of the tool. */
  name: string;
  round: number;
  decision: 'approve' | 'deny';
  /** Unix ms. */
  at: number;
  door: AnswerDoor;
  /** The key's name, or what the sender claims; absent = no name was given. */
  by?: string;
  /** An API key carries the name in `by`. */
  verified?: true;
  /** The model's arguments, JSON text; null = left out here, being too long. */
  arguments: string | null;
  /** The arguments that ran instead, JSON text; null = left out here. Absent = the model's ran. */
  editedArguments?: string | null;
  /** With `deny`: told to the model. */
  reason?: string;
  /** Free text of the sender; not told to the model. */
  note?: string;
  /** Digest of the arguments as the sender was shown them, when the door sent one. */
  shownDigest?: string;
  /** The round had gone on with a placeholder before. */
  late?: true;
  /** What the tool had against the edited arguments: nothing ran, and the call waits on. An entry after the decision's own. */
  refusedEdit?: string;
}

/** A decision without its long texts. */
export const withoutTexts = ({ reason: _reason, note: _note, ...rest }: Decision): Decision => ({
  ...rest,
  arguments: null,
  ...(rest.editedArguments === undefined ? {} : { editedArguments: null }),
});
