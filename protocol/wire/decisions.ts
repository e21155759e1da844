/**
 * Decisions as they stand on the wire: our extension of it.
 *
 * Rule: as in `objects.ts`: every field is there, `null` included, and times are unix seconds.
 * No imports. Anybody may import it; the workflow sandbox may too.
 */
export interface StepDecision {
  type: 'approve' | 'deny';
  decided_at: number;
  by: string | null;
  /** An API key carries the name in `by`. */
  verified: boolean;
  /** Only when the tool ran with other arguments than the model's: these, as JSON text; null = too long to be kept. */
  edited_arguments?: string | null;
}

/** Our extension: what was decided about one call. */
export interface RunDecision {
  id: string;
  object: 'thread.run.decision';
  /** When it was decided. */
  created_at: number;
  thread_id: string;
  run_id: string;
  call_id: string;
  tool: string;
  decision: 'approve' | 'deny';
  by: string | null;
  verified: boolean;
  door: 'http' | 'cli' | 'temporal_update' | 'temporal_signal';
  /** The model's, as JSON text; null = not kept. */
  arguments: string | null;
  /** The tool was run with other arguments than the model's. */
  edited: boolean;
  /** These, as JSON text; null = not edited, or too long to be kept. */
  edited_arguments: string | null;
  reason: string | null;
  note: string | null;
  /** Digest of the arguments that the decision was about, when the door sent it. */
  shown_digest: string | null;
  /** The model had gone on without it: it came with a run that followed. */
  late: boolean;
  /**
   * What the tool had against the edited arguments of the decision before it: nothing ran, and the call waits again. null = a
   * decision.
   */
  refused_edit: string | null;
}

/** Our extension: a call that waits for somebody to approve or deny it. */
export interface Approval {
  /** Its place in the list, and a page's cursor. */
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
  /** The model's, as JSON text. */
  arguments: string;
  /** Names these arguments in a decision; null = an older worker planned the call. */
  arguments_digest: string | null;
  /** A decision without the digest is refused. */
  digest_required: boolean;
  on_deadline: 'fail' | 'placeholder' | 'follow-up';
  /** Seconds from the call on in which an answer is of use; null = as long as the run lives. */
  answer_within: number | null;
  /** Of the run. */
  expires_at: number | null;
}
