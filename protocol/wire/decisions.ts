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
  decision: 'approve' | 'deny';
  by: string | null;
  verified: boolean;
  door: 'http' | 'cli' | 'temporal_update' | 'temporal_signal';
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

/** Our extension: a call that waits for an approval. */
export interface Approval {
  /** Its position in the list, and the cursor of a page. */
  id: string;
  object: 'approval';
  /** When the model made the call; null = not known. */
  created_at: number | null;
  tenant: string;
  thread_id: string;
  run_id: string;
  assistant_id: string;
  call_id: string;
  tool: string;
  /** The model's arguments, as JSON text. */
  arguments: string;
  /** The digest that a decision names; null = an older worker planned the call. */
  arguments_digest: string | null;
  /** A decision without the digest is refused. */
  digest_required: boolean;
  on_deadline: 'fail' | 'placeholder' | 'follow-up';
  /** Seconds from the call in which an answer counts; null = as long as the run lives. */
  answer_within: number | null;
  /** The run went on without this call's answer: an approval starts a follow-up run. */
  late: boolean;
  /** Expiry of the run. Of a late call: until when its answer is accepted; null while the run goes on. */
  expires_at: number | null;
}
