/**
 * Decisions on the wire: our extension.
 *
 * Rule: as in `objects.ts`: every field is there, `null` included, and times are unix seconds. No imports. Any room may
 * import it; the workflow sandbox may too.
 */
export interface StepDecision {
  type: 'approve' | 'deny';
  decided_at: number;
  by: string | null;
  /** The name in `by` belongs to an API key. */
  verified: boolean;
  /** Set only when the tool ran with edited arguments: these, as JSON text; null = too long to be kept. */
  edited_arguments?: string | null;
}

/** Our extension: a decision about one call. */
export interface RunDecision {
  id: string;
  object: 'thread.run.decision';
  /** Time of the decision. */
  created_at: number;
  thread_id: string;
  run_id: string;
  call_id: string;
  tool: string;
  /** `approve` and `deny` are decisions or votes. The others tell what happened while the call waited. */
  decision: 'approve' | 'deny' | 'delegate' | 'remind' | 'escalate' | 'comment';
  by: string | null;
  verified: boolean;
  /** `workflow`: the run itself, by a timer. */
  door: 'http' | 'cli' | 'temporal_update' | 'temporal_signal' | 'workflow';
  /** It left the call undecided: a vote that needs others, or an entry that is no vote. */
  undecided: boolean;
  /** Digest of the arguments for which a vote counts; null = not a vote to approve, or the call counts no votes. */
  counts_for: string | null;
  /** The person who handed this vote over. */
  in_place_of: string | null;
  /** Of `delegate` and `escalate`: who may decide from then on. */
  to: { people: string[]; groups: string[] } | null;
  /** The model's arguments, as JSON text; null = not kept. */
  arguments: string | null;
  /** The tool ran with edited arguments. */
  edited: boolean;
  /** The edited arguments, as JSON text; null = not edited, or too long to be kept. */
  edited_arguments: string | null;
  reason: string | null;
  note: string | null;
  /** Digest of the arguments that the decision names, when the channel sent it. */
  shown_digest: string | null;
  /** The model had continued without it: a follow-up run carries it. */
  late: boolean;
  /**
   * Why the tool refused the edited arguments of the previous decision: nothing ran, and the call waits again. null =
   * this entry is a decision.
   */
  refused_edit: string | null;
  /** Why this decision was refused when it came in: it changed nothing. null = it counts. */
  refused: { code: string; message: string } | null;
}

/** Our extension: a call that waits for a person, or for the API's caller. */
export interface AwaitedCall {
  call_id: string;
  tool: string;
  /** `approval`: a person approves or denies the call. `output`: the API's caller sends its output. */
  kind: 'approval' | 'output';
  on_deadline: 'fail' | 'placeholder' | 'follow-up';
  /** Until when an answer is in time; null = as long as the run lives. */
  answer_by: number | null;
}

/** Our extension: what a step shows of a call. */
export interface CallMarks {
  /** On calls that were approved or denied. */
  decision?: StepDecision;
  /** On calls that wait. */
  awaiting?: Pick<AwaitedCall, 'kind' | 'on_deadline' | 'answer_by'>;
}

export interface StepToolCall extends CallMarks {
  id: string;
  type: 'function';
  function: { name: string; arguments: string; output: string | null };
}

/**
 * `waiting`: a decision counts. `decided`: approved or denied. `expired`: the deadline passed without a decision.
 * `cancelled`: the run ended before, or is being cancelled.
 */
export type ApprovalStatus = 'waiting' | 'decided' | 'expired' | 'cancelled';

/** Who decides calls of a tool, as the tool's definition says. Seconds. */
export interface WireApprovalPolicy {
  /** Groups; empty = everybody who may decide calls of the tool. */
  by: string[];
  quorum: number;
  veto: boolean;
  not_requester: boolean;
  verified: boolean;
  remind_after: number | null;
  escalate_after: number | null;
  escalate_to: string[];
}

/** One person's vote about a call, as it stands now. */
export interface ApprovalVote {
  by: string;
  decision: 'approve' | 'deny';
  at: number;
  verified: boolean;
  reason: string | null;
  /** Digest of the arguments for which it counts; null = a denial. */
  arguments_digest: string | null;
  /** These arguments as JSON text, where they are not the model's. */
  edited_arguments: string | null;
  in_place_of: string | null;
}

export interface ApprovalComment {
  by: string | null;
  verified: boolean;
  at: number;
  text: string;
}

/** Our extension: a call that waits for a person, or waited for one. */
export interface Approval {
  id: string;
  object: 'approval';
  /** `approval`: it is approved or denied. `output`: an external call, for which a person gives the output. */
  kind: 'approval' | 'output';
  /** When the model made the call; null = not known. */
  created_at: number | null;
  tenant: string;
  thread_id: string;
  run_id: string;
  assistant_id: string;
  call_id: string;
  tool: string;
  status: ApprovalStatus;
  /** The model's arguments, as JSON text. */
  arguments: string;
  /** The digest that a decision names; null = an older worker planned the call. */
  arguments_digest: string | null;
  /** A decision without the digest is refused. */
  digest_required: boolean;
  /** Name of the API key that started the run; null = none is known. */
  requested_by: string | null;
  /** Until when an answer is in time; null = as long as the run lives. */
  answer_by: number | null;
  on_deadline: 'fail' | 'placeholder' | 'follow-up';
  /** Seconds from the call in which an answer counts; null = as long as the run lives. */
  answer_within: number | null;
  /** The run went on without this call's answer: an approval starts a follow-up run. */
  late: boolean;
  /** Expiry of the run. Of a late call: until when its answer is accepted; null while the run goes on. */
  expires_at: number | null;
  /** The decision that counts; null = none. */
  decision: StepDecision | null;
  /** Why the tool refused the arguments of the last approval: the call waits again. null = it did not. */
  refused_edit: string | null;
  /** What the tool says about who decides; null = the first decision of anybody decides. */
  policy: WireApprovalPolicy | null;
  /** Where votes are counted: those that count now. */
  votes: ApprovalVote[];
  /** How many more votes for the same arguments approve the call; 0 = it does not wait. */
  votes_needed: number;
  /** Groups and people who may decide now; both empty = everybody who may decide calls of the tool. */
  assigned_to: { groups: string[]; people: string[] };
  reminded_at: number | null;
  escalated_at: number | null;
  /** The latest comments, oldest first. */
  comments: ApprovalComment[];
}

/** The end of the thread's conversation before a call. */
export interface CallConversation {
  /** Oldest first. */
  messages: { role: 'user' | 'assistant'; created_at: number; text: string; shortened: boolean }[];
  /** Earlier messages are left out. */
  has_more: boolean;
}

/** The vote of the person who asks, about a call whose votes are counted. */
export interface YourVote {
  /** A decision of this person would be counted now. */
  may_decide: boolean;
  /** Why it would not; null = it would. */
  reason: string | null;
  /** Their vote that counts now; null = none. */
  decision: 'approve' | 'deny' | null;
}

/** One approval with what a person needs in order to decide. */
export interface ApprovalDetails extends Approval {
  /** Of the person who asks; null = votes are not counted, the call does not wait, or the name is not known. */
  your_vote: YourVote | null;
  /** The arguments as JSON text, one key on each line, control and format characters escaped. */
  arguments_shown: string;
  /** The parsed arguments; null when the model's text is no arguments. */
  arguments_value: unknown;
  /** Why the model's text is no arguments; null = it is. */
  arguments_problem: string | null;
  /** What the tool does; null = the run does not declare it. */
  description: string | null;
  /** JSON Schema of the arguments; null = not known. */
  parameters: Record<string, unknown> | null;
  /** What the assistant wrote before the call; null = nothing. */
  said: string | null;
  /** The latest messages before the call, its own turn's included. */
  conversation: CallConversation;
  /** What the run does when the deadline passes without a decision. */
  consequence: string;
  /** All decisions about the call, refused ones included, oldest first. */
  decisions: RunDecision[];
}

/** The id of such an event: `<transaction>-<number>`, a place among all changes. */
export const APPROVAL_EVENT_ID = /^(\d{1,16})-(\d{1,16})$/;

/**
 * An event of the stream of approvals. `approvals.ready` comes first: a list that is read after it has every later change in
 * this stream. Each other event is named after the status of its approval, which it holds as it is now; of several changes
 * that a reader missed, it gets the last one.
 */
export type ApprovalEvent = { id: string } & (
  | { event: 'approvals.ready'; data: { object: 'approvals.ready' } }
  | { event: `approval.${ApprovalStatus}`; data: Approval }
);
