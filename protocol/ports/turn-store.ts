/**
 * The part of the store that a worker uses: claims a run, and writes one turn of the model at a time under a lease.
 *
 * Rule: as in `run-store.ts`. A write names the lease of the latest claim; an older one fails with `lease_lost`.
 * Imports protocol shapes only. `store/` implements it; `backends/chat/` and tests import it.
 */
import type { CloseHow, LastError, Usage } from './backend.ts';
import type { ProviderTurn } from './model.ts';
import type { TurnAdmission, Budget, TurnNeed } from '../rules/budget.ts';
import type { Cost } from '../rules/cost.ts';
import type { PlannedCall } from '../tool-calls.ts';
import type { Decision } from '../decisions.ts';
import type { StreamEvent } from '../wire/events.ts';
import type {
  FunctionTool,
  MessageContent,
  Metadata,
  ResponseFormat,
  Run,
  RunStatus,
  ToolChoice,
  ToolOutput,
  TruncationStrategy,
  WireToolCall,
} from '../wire/objects.ts';

/** The parameters of a run, resolved against its assistant at creation; they never change. */
export interface RunConfig {
  model: string;
  instructions: string | null;
  tools: FunctionTool[];
  temperature: number | null;
  top_p: number | null;
  max_prompt_tokens: number | null;
  max_completion_tokens: number | null;
  truncation_strategy: TruncationStrategy;
  tool_choice: ToolChoice;
  parallel_tool_calls: boolean;
  response_format: ResponseFormat;
  reasoning_effort: string | null;
  /** Our extension: what the run's turns may cost; absent = no limit. */
  max_cost?: Cost;
  /** Worker tools that this run may use; null = all. Never shown. */
  granted_tools: readonly string[] | null;
  /** `tools` is empty, and the run offers the worker's tools that it may use. Default false. Never shown. */
  offer_tools?: boolean;
  /** Name of the API key that started the run. Never shown as a parameter. */
  requested_by?: string;
}

/** One round, while its outputs arrive. */
export interface RoundState {
  round: number;
  calls: PlannedCall[];
  /** Call id → output. */
  outputs: Record<string, string>;
  done: boolean;
}

export interface Acceptance {
  run: Run;
  /** The sequence number before the events of this acceptance. */
  eventsAfter: number;
  /**
   * `accepted`: this request sent the last external output, or is the first to ask about an acceptance that a worker
   * wrote. `recorded`: other external calls are open. `repeated`: another request was first.
   */
  result: 'accepted' | 'recorded' | 'repeated';
  /** Every given output is the one that the run keeps. False when the run had ended before. */
  taken: boolean;
}

/** Proves that this attempt is the run's newest. */
export interface RunLease {
  runId: string;
  epoch: number;
}

export interface StoredRunState {
  runId: string;
  tenant: string;
  threadId: string;
  assistantId: string;
  status: RunStatus;
  metadata: Metadata;
  createdAt: number;
  expiresAt: number | null;
  config: RunConfig;
  /** Summed over the turns so far; null = the server never reported it. */
  usage: Usage | null;
  /** The newest round, if there was one. */
  round: RoundState | null;
  lastError: LastError | null;
  incompleteReason: string | null;
}

export interface Claim {
  state: StoredRunState;
  lease: RunLease;
  /**
   * `turn`: ask the model (the run is `in_progress` now, and open steps of earlier attempts are closed). `wait`: a
   * round is open. `ended`: nothing is left to do. `cancel`: a cancel was requested; close the run.
   */
  next: 'turn' | 'wait' | 'ended' | 'cancel';
  /** The model's context, as `readContext` returns it, when it was requested and already read. */
  context?: ContextItem[];
  /**
   * The claim is still under way: the model may be asked meanwhile, but nothing may be written or shown before this
   * resolves to true. false: the run has changed since it was read and was not claimed; claim again without
   * `contextItems`. Absent: the run is claimed.
   */
  taken?: Promise<boolean>;
}

/** The model's context, oldest first. */
export type ContextItem =
  | {
      kind: 'message';
      role: 'user' | 'assistant';
      content: MessageContent[];
      runId: string | null;
      round: number | null;
    }
  | {
      kind: 'round';
      runId: string;
      round: number;
      calls: WireToolCall[];
      outputs: Record<string, string>;
      /** What the model's provider must receive again with these calls; null = nothing. */
      providerTurn: ProviderTurn | null;
    };

export type TurnOutcome =
  | { kind: 'completed' }
  | {
      kind: 'incomplete';
      reason: 'max_completion_tokens' | 'max_prompt_tokens' | 'max_cost' | 'content_filter';
    }
  | { kind: 'calls'; calls: PlannedCall[]; expiresAt: number | null };

/** A message with all its content so far. */
export interface StreamedMessage {
  id: string;
  content: MessageContent[];
}

/** What one turn used, and who answered it. */
export interface TurnUsage extends Usage {
  /** Default: not known. */
  model?: string;
}

/** One turn of the model at a time, as a worker runs it. */
export interface TurnStore {
  /**
   * Claims the run from any earlier attempt. null: no such row. `contextItems`: also return the thread's newest items
   * if they are at no cost; the claim may then still be under way (`Claim.taken`).
   */
  claim(runId: string, now: number, contextItems?: number): Promise<Claim | null>;
  /** The run as it is; claims nothing. null: no such row. */
  readState(runId: string): Promise<StoredRunState | null>;
  /** Finished messages and rounds of the thread: the newest `limit` items at most, fewer when they are large, at least the newest. */
  readContext(threadId: string, limit: number): Promise<ContextItem[]>;

  /** Opens the message of this turn and its step. `model`: id of the model that speaks. */
  openMessage(lease: RunLease, now: number, model?: string): Promise<{ messageId: string; stepId: string }>;
  /**
   * Opens the step of this turn's calls. `said`: the message before the calls, which is completed first, because
   * clients accept one open step at a time. A repeated turn makes it incomplete again.
   */
  openCalls(
    lease: RunLease,
    said: StreamedMessage | null,
    now: number,
    model?: string,
  ): Promise<{ stepId: string }>;
  /** Appends deltas, and nothing else, to the run's log. */
  appendDeltas(lease: RunLease, events: StreamEvent[]): Promise<void>;
  /**
   * Ends the turn in one transaction: closes message and steps, adds usage, writes status and events. `message` is the
   * turn's message with all its content; id null = none was opened, because the model wrote text after its calls.
   */
  settleTurn(
    lease: RunLease,
    turn: {
      outcome: TurnOutcome;
      message: StreamedMessage | { id: null; content: MessageContent[] } | null;
      usage: TurnUsage | null;
      /** Stored with a round of calls, unchanged; the adapter has bounded it. Default null. */
      providerTurn?: ProviderTurn | null;
      /** Id of the model that spoke. Default null: not known. */
      model?: string | null;
    },
    now: number,
  ): Promise<StoredRunState>;

  /**
   * Counts what an attempt used whose answer broke off: added to the run and its day, and the turn goes on. Not
   * idempotent: call it once for an attempt.
   */
  countTurn(lease: RunLease, usage: TurnUsage, now: number): Promise<void>;

  /**
   * Reserves what the turn may use of its tenant's budget for the day, until the turn is counted or the run has ended. A
   * repeated attempt replaces its own reservation. `wanted`: answer tokens of the run's own limits; null = none.
   */
  reserveTurn(
    lease: RunLease,
    request: { budget: Budget; need: TurnNeed; wanted: number | null },
    now: number,
  ): Promise<TurnAdmission>;

  /**
   * Stores outputs of a round: some or all, in any number of calls, each call id once. Idempotent; a different output
   * is `output_conflict`. When all external calls have outputs, their step completes and the run is `queued` again.
   * `by` names the request that reports `accepted`; null for a worker.
   */
  acceptOutputs(
    runId: string,
    outputs: readonly ToolOutput[],
    options: {
      now: number;
      by: string | null;
      idempotency?: { key: string; request: string } | null;
      /** Stored with the outputs, in the same transaction; see `recordDecisions`. */
      decisions?: readonly Decision[];
    },
  ): Promise<Acceptance>;

  /**
   * Appends decisions about calls of a run, each once however often it is written, and marks the step of the call while
   * that is open. `arguments` null: copied from the call. Entries never change.
   */
  recordDecisions(runId: string, decisions: readonly Decision[]): Promise<void>;

  /** Ends the run. If it has ended already, its state is returned and only `decisions` are added. null: no such row. */
  closeRun(
    runId: string,
    how: CloseHow,
    now: number,
    decisions?: readonly Decision[],
  ): Promise<StoredRunState | null>;
}
