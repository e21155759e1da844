/**
 * The port under the `chat` backend: stores threads, messages, runs, steps and run events. The service behind the HTTP
 * API uses `ThreadStore` and `RunStore`; the chat backend on workers uses `TurnStore`.
 *
 * Rule: every method is one transaction, and its promise holds between processes. A state change is compare-and-set on
 * the locked run row; an ended run never changes again; a worker's write carries a lease, which a newer attempt takes
 * away. Callers pass the time in unix milliseconds.
 * Lookups and lifecycle conflicts throw `ApiError` with the wire's texts; other failures of the store are `StoreError`.
 * Imports protocol shapes only. `store/` implements it; `service/`, `backends/chat/` and tests import it.
 */
import type { CloseHow, LastError, Usage } from './backend.ts';
import type { ProviderTurn } from './model.ts';
import type { PlannedCall } from '../tool-calls.ts';
import type { Decision } from '../decisions.ts';
import type { AssistantParams, MessageParams, PageQuery, RunParams, ThreadParams } from './runs-service.ts';
import type { SequencedEvent, StreamEvent } from '../wire/events.ts';
import type {
  Assistant,
  Deleted,
  FunctionTool,
  Message,
  MessageContent,
  Metadata,
  Page,
  ResponseFormat,
  Run,
  RunStatus,
  RunStep,
  Thread,
  ToolChoice,
  ToolOutput,
  TruncationStrategy,
  WireToolCall,
} from '../wire/objects.ts';
import type { Approval, RunDecision } from '../wire/decisions.ts';

export type StoreErrorCode =
  /** The database can't be reached, or a lock or statement timed out: retry. */
  | 'unavailable'
  /** A newer attempt claimed the run, or the run has ended: this writer must stop. */
  | 'lease_lost'
  /** The run's row is gone: its start was rolled back, or its thread was deleted. */
  | 'no_such_run'
  /** An output differs from the one that was accepted first. `details` = call ids. */
  | 'output_conflict';

export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;
  readonly details: readonly string[];

  constructor(
    code: StoreErrorCode,
    message: string,
    more: { details?: readonly string[]; cause?: unknown } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.code = code;
    this.details = more.details ?? [];
  }
}

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
  /** Worker tools that this run may use; null = all. Never shown. */
  granted_tools: readonly string[] | null;
  /** `tools` is empty, and the run offers the worker's tools that it may use. Default false. Never shown. */
  offer_tools?: boolean;
}

/** Objects that exist without a run. Every method is scoped to a tenant; another tenant's id is a 404. */
export interface ThreadStore {
  createAssistant(tenant: string, params: AssistantParams, now: number): Promise<Assistant>;
  listAssistants(tenant: string, query: PageQuery): Promise<Page<Assistant>>;
  getAssistant(tenant: string, id: string): Promise<Assistant>;
  updateAssistant(tenant: string, id: string, params: Partial<AssistantParams>): Promise<Assistant>;
  deleteAssistant(tenant: string, id: string): Promise<Deleted<'assistant.deleted'>>;

  /** The tenant of an object, regardless of the caller; null = no such object. */
  ownerOf(kind: 'thread' | 'assistant', id: string): Promise<string | null>;

  createThread(tenant: string, params: ThreadParams, now: number): Promise<Thread>;
  listThreads(tenant: string, query: PageQuery): Promise<Page<Thread>>;
  getThread(tenant: string, id: string): Promise<Thread>;
  updateThread(tenant: string, id: string, params: { metadata?: Metadata | null }): Promise<Thread>;
  /** Refused while a run of the thread is live. */
  deleteThread(tenant: string, id: string): Promise<Deleted<'thread.deleted'>>;

  /** Refused while a run of the thread is live. */
  createMessage(tenant: string, threadId: string, params: MessageParams, now: number): Promise<Message>;
  listMessages(
    tenant: string,
    threadId: string,
    query: PageQuery & { runId?: string },
  ): Promise<Page<Message>>;
  getMessage(tenant: string, threadId: string, id: string): Promise<Message>;
  updateMessage(
    tenant: string,
    threadId: string,
    id: string,
    params: { metadata?: Metadata | null },
  ): Promise<Message>;
  deleteMessage(tenant: string, threadId: string, id: string): Promise<Deleted<'thread.message.deleted'>>;
}

export interface NewRun {
  runId: string;
  /** The thread to run on, or the parameters of a new one. */
  thread: { id: string } | { create: ThreadParams };
  params: RunParams;
  expiresAt: number;
  /** Worker tools the run may use; null = all. */
  grantedTools: readonly string[] | null;
  /** Offer the worker's tools to the model when neither the run nor its assistant declares a tool. Default false. */
  offerTools?: boolean;
  /** Digests of an `Idempotency-Key` and of the request that carried it. */
  idempotency: { key: string; request: string } | null;
  now: number;
}

export interface CreatedRun {
  run: Run;
  thread: Thread;
  eventsAfter: number;
  /** The run's first events, when this call created it. */
  initialEvents?: readonly SequencedEvent[];
  /** Unix ms as stored; the workflow's input repeats them. */
  createdAt: number;
  expiresAt: number | null;
  /** An earlier request with the same `Idempotency-Key` created the run. `claimed`: a worker has it already. */
  existing: null | { claimed: boolean };
}

/** One round, while its outputs arrive. */
export interface RoundState {
  round: number;
  calls: PlannedCall[];
  /** Call id → output. */
  outputs: Record<string, string>;
  done: boolean;
}

export interface RequestedRound extends RoundState {
  /** The sequence number before the events of its acceptance; null = not accepted yet. */
  acceptedAfter: number | null;
  /** The request that received `accepted`; null = none yet. */
  acceptedBy: string | null;
}

/** The rows against which a submit is checked before the workflow is asked. */
export interface RunForSubmit {
  run: Run;
  status: RunStatus;
  /** The newest round, if there was one. */
  round: RoundState | null;
  /** The round, newest or earlier, that has the requested call. */
  asked: RequestedRound | null;
  /** A request with this key was accepted for this run before. */
  keyUsed: boolean;
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

export interface FoundRun {
  tenant: string;
  run: Run;
  config: RunConfig;
  /** Unix ms as stored. */
  createdAt: number;
  expiresAt: number | null;
}

export interface LiveRun {
  runId: string;
  tenant: string;
  threadId: string;
  assistantId: string;
  status: RunStatus;
  metadata: Metadata;
  createdAt: number;
  expiresAt: number | null;
  cancelAskedAt: number | null;
  /** A worker has claimed it at least once. */
  claimed: boolean;
  /** The cursor for `after`. */
  position: number;
}

export interface EventBatch {
  events: SequencedEvent[];
  /** No event follows the last one of this batch. */
  ended: boolean;
  /** A limit of rows or bytes ended the batch: more events may exist. */
  more: boolean;
}

export interface EventWatch {
  /** Resolves when events after `after` may exist, after `timeoutMs` at the latest, or when `signal` aborts. */
  wait(after: number, options: { timeoutMs: number; signal: AbortSignal }): Promise<void>;
  /**
   * Resolves when the run's row may have changed since the last call or the beginning of the watch, after `timeoutMs`
   * at the latest, or when `signal` aborts. Deltas of a message or a step change no row.
   */
  nextChange(options: { timeoutMs: number; signal: AbortSignal }): Promise<void>;
  close(): void;
}

/** Selects waiting calls: of one tenant (null = all), of some tools (null = all), behind a cursor. `now`: unix ms. */
export interface ApprovalQuery {
  tenant: string | null;
  tools: readonly string[] | null;
  limit: number;
  after?: string;
  now: number;
  /** How long after a run's end its late calls take an answer. */
  followUpWithinMs: number;
}

/** Runs as the service creates, reads and cancels them. */
export interface RunStore {
  /**
   * Inserts row, thread lock, messages and first events in one transaction. Throws the wire's 400 when the thread is
   * busy.
   */
  createRun(tenant: string, run: NewRun): Promise<CreatedRun>;
  /**
   * Undoes `createRun`, unless a worker has claimed the run or a request has acknowledged it; true when the run is
   * gone.
   */
  removeUnclaimed(runId: string): Promise<boolean>;
  /**
   * Keeps the run, because a request with the same `Idempotency-Key` is about to return it. False: it was rolled back.
   */
  acknowledgeRun(runId: string): Promise<boolean>;
  getRun(tenant: string, threadId: string, runId: string): Promise<Run>;
  listRuns(tenant: string, threadId: string, query: PageQuery): Promise<Page<Run>>;
  updateRun(
    tenant: string,
    threadId: string,
    runId: string,
    params: { metadata?: Metadata | null },
  ): Promise<Run>;
  listSteps(tenant: string, threadId: string, runId: string, query: PageQuery): Promise<Page<RunStep>>;
  getStep(tenant: string, threadId: string, runId: string, stepId: string): Promise<RunStep>;

  /** Calls that wait for an approval, oldest run first. */
  listApprovals(query: ApprovalQuery): Promise<Page<Approval>>;
  /** Keeps a decision that was refused. Round, tool and the model's arguments are those of the call that it names. */
  recordRefusedDecision(runId: string, refused: Decision): Promise<void>;
  /**
   * Decisions about calls of the run, also after its thread was deleted. `tools`: of calls of these only; null = all.
   */
  listDecisions(
    tenant: string,
    threadId: string,
    runId: string,
    query: PageQuery & { tools: readonly string[] | null },
  ): Promise<Page<RunDecision>>;

  runForSubmit(
    tenant: string,
    threadId: string,
    runId: string,
    about: { callId: string | null; key: string | null },
  ): Promise<RunForSubmit>;
  /** Writes status `cancelling` and its event; 400 when the run has ended. A repeat changes nothing. */
  markCancelling(tenant: string, threadId: string, runId: string, now: number): Promise<Run>;

  /**
   * At most `limit` events after `after`, fewer when they are large, but at least one if any exists. `gaps: 'refuse'`
   * throws 410 `events_pruned` when some are gone; `'allow'` returns the rest (completed messages repeat pruned
   * deltas), unless none is left.
   */
  readEvents(
    runId: string,
    options: { after: number; limit: number; gaps: 'refuse' | 'allow' },
  ): Promise<EventBatch>;
  /** Starts listening for events of a run: watch first, then read, so that no event is missed. */
  watchEvents(runId: string): EventWatch;
  /** False while changes by other processes are found by polling only. */
  receivesNotifications(): boolean;

  /** A run of any tenant, for work outside of requests. null: no such row. */
  findRun(runId: string): Promise<FoundRun | null>;
  /** How many runs are in each status that is not terminal. Statuses without runs are left out. */
  countLiveRuns(): Promise<Partial<Record<RunStatus, number>>>;
  /** How many runs of a tenant have not ended. */
  countLiveRunsOf(tenant: string): Promise<number>;
  /**
   * Approximate bytes of a tenant's assistants, threads, messages, runs and steps; costs a scan of their index entries.
   */
  storedBytesOf(tenant: string): Promise<number>;
  /** Values about the whole store, such as the Temporal namespace of its runs. */
  getFact(name: string): Promise<string | null>;
  setFact(name: string, value: string): Promise<void>;

  /** Live runs created before `before`, oldest first. */
  liveRuns(options: LiveRunQuery): Promise<LiveRun[]>;
  /** The live runs among these ids, in no order. */
  liveRunsById(runIds: readonly string[]): Promise<LiveRun[]>;
  /**
   * Lets one process at a time do periodic work: a claim is granted when the last one is at least `everyMs` old by the
   * database's clock. `previous`: when that was, Unix ms, null = never. null = another process did it in time.
   */
  claimPass(name: string, everyMs: number): Promise<{ previous: number | null } | null>;
  /** Deletes deltas (or all events) of runs that ended before the given times, and old idempotency keys. */
  prune(options: {
    deltasOfRunsEndedBefore: number;
    eventsOfRunsEndedBefore: number;
    keysBefore: number;
    limit: number;
  }): Promise<{ runs: number; keys: number }>;
}

export interface LiveRunQuery {
  /** Only runs created before this time, Unix ms. */
  before: number;
  /** Only runs whose `position` is greater. */
  after: number;
  limit: number;
  /** Only runs that no workflow has claimed, whose cancellation was requested, or whose expiry was before this time. */
  unsettledAt?: number;
}

/** Proves that this attempt is the run's newest. */
export interface RunLease {
  runId: string;
  epoch: number;
}

export interface StoredRunState {
  runId: string;
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
  | { kind: 'incomplete'; reason: 'max_completion_tokens' | 'max_prompt_tokens' | 'content_filter' }
  | { kind: 'calls'; calls: PlannedCall[]; expiresAt: number | null };

/** A message with all its content so far. */
export interface StreamedMessage {
  id: string;
  content: MessageContent[];
}

/** One turn of the model at a time, as a worker runs it. */
export interface TurnStore {
  /**
   * Claims the run from any earlier attempt. null: no such row. `contextItems`: also return the thread's newest items
   * if they are at no cost; the claim may then still be under way (`Claim.taken`).
   */
  claim(runId: string, now: number, contextItems?: number): Promise<Claim | null>;
  /** Reads rows that a `claim` of this process needs in a moment. Claims nothing; the rows are soon forgotten. */
  prefetch(runId: string, contextItems: number): void;
  /** The run as it is; claims nothing. null: no such row. */
  readState(runId: string): Promise<StoredRunState | null>;
  /** Finished messages and rounds of the thread: the newest `limit` items at most, fewer when they are large, at least the newest. */
  readContext(threadId: string, limit: number): Promise<ContextItem[]>;

  /** Opens the message of this turn and its step. */
  openMessage(lease: RunLease, now: number): Promise<{ messageId: string; stepId: string }>;
  /**
   * Opens the step of this turn's calls. `said`: the message before the calls, which is completed first, because
   * clients accept one open step at a time. A repeated turn makes it incomplete again.
   */
  openCalls(lease: RunLease, said: StreamedMessage | null, now: number): Promise<{ stepId: string }>;
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
      usage: Usage | null;
      /** Stored with a round of calls, unchanged; the adapter has bounded it. Default null. */
      providerTurn?: ProviderTurn | null;
    },
    now: number,
  ): Promise<StoredRunState>;

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

export interface Store extends ThreadStore, RunStore, TurnStore {
  /** Throws `StoreError` when the database does not answer. */
  ping(): Promise<void>;
  close(): Promise<void>;
}
