/**
 * The port under the native backend: where threads, messages, runs, steps and run events live. Two sides use it, the
 * engine behind the HTTP face (`ThreadStore`, `RunStore`) and the chat backend on workers (`TurnStore`).
 *
 * Rule: every method is one transaction; what it promises holds between processes. State changes are compare-and-set
 * on the locked run row, an ended run never changes again, and a worker's writes carry a lease that a newer attempt
 * takes away. Callers bring the time; times are unix milliseconds.
 * Lookups and lifecycle conflicts throw `ApiError` with the wire's texts; what the store itself can't do is a `StoreError`.
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
  /** Can't be reached, or gave up on a lock or a statement: worth another try. */
  | 'unavailable'
  /** A newer attempt took the run over, or the run has ended: this writer must stop. */
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

/** What a run was asked to be, resolved against its assistant when it was created; never changes afterwards. */
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
  /** Worker tools this run may use; null = all. Never shown. */
  granted_tools: readonly string[] | null;
  /** `tools` is empty, and the worker's tools that the run may use stand for it. Default false. Never shown. */
  offer_tools?: boolean;
}

/** Objects that exist without a run. Everything is seen through a tenant; a foreign id is a 404. */
export interface ThreadStore {
  createAssistant(tenant: string, params: AssistantParams, now: number): Promise<Assistant>;
  listAssistants(tenant: string, query: PageQuery): Promise<Page<Assistant>>;
  getAssistant(tenant: string, id: string): Promise<Assistant>;
  updateAssistant(tenant: string, id: string, params: Partial<AssistantParams>): Promise<Assistant>;
  deleteAssistant(tenant: string, id: string): Promise<Deleted<'assistant.deleted'>>;

  /** Whose it is, whoever asks; null = no such object. */
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
  /** The thread to run on, or what to create one from. */
  thread: { id: string } | { create: ThreadParams };
  params: RunParams;
  expiresAt: number;
  /** Worker tools the run may use; null = all. */
  grantedTools: readonly string[] | null;
  /** Offer those to the model when neither the run nor its assistant declares a tool. Default false. */
  offerTools?: boolean;
  /** Digests of an `Idempotency-Key` and of what was asked with it. */
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
  /** An earlier request with the same `Idempotency-Key` created it. `claimed`: a worker has it already. */
  existing: null | { claimed: boolean };
}

/** One round as its outputs come in. */
export interface RoundState {
  round: number;
  calls: PlannedCall[];
  /** Call id → output. */
  outputs: Record<string, string>;
  done: boolean;
}

export interface RequestedRound extends RoundState {
  /** Where the events of its acceptance begin (exclusive); null = not accepted yet. */
  acceptedAfter: number | null;
  /** The request that was told `accepted`; null = none yet. */
  acceptedBy: string | null;
}

/** What a submit is checked against before the workflow is asked. */
export interface RunForSubmit {
  run: Run;
  status: RunStatus;
  /** The newest round, if there was one. */
  round: RoundState | null;
  /** The round, newest or earlier, that has the call asked about. */
  asked: RequestedRound | null;
  /** A request under this key was accepted for this run before. */
  keyUsed: boolean;
}

export interface Acceptance {
  run: Run;
  /** Where the events of this acceptance begin (exclusive). */
  eventsAfter: number;
  /**
   * `accepted`: this call is the one that brought the last external output, or it is the first request to ask about
   * an acceptance that a worker wrote. `recorded`: more external calls are awaited. `repeated`: somebody else was first.
   */
  result: 'accepted' | 'recorded' | 'repeated';
  /** Every given output is the one that the run keeps. False when the run had ended before they came. */
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
  /** A worker has had it at least once. */
  claimed: boolean;
  /** Pass as `after` to go on behind this one. */
  position: number;
}

export interface EventBatch {
  events: SequencedEvent[];
  /** No event will follow the last one here. */
  ended: boolean;
  /** The limit of rows or bytes ended the batch: the next ones may be there already. */
  more: boolean;
}

export interface EventWatch {
  /** Resolves when events after `after` may exist, after `timeoutMs` at the latest, or when `signal` aborts. */
  wait(after: number, options: { timeoutMs: number; signal: AbortSignal }): Promise<void>;
  /**
   * Resolves when the run's row may have changed since the last call or since the watch began, after `timeoutMs` at the latest,
   * or when `signal` aborts. Deltas of a message or a step change no row.
   */
  nextChange(options: { timeoutMs: number; signal: AbortSignal }): Promise<void>;
  close(): void;
}

/** Which waiting calls: of one tenant (null = all), of some tools (null = all), behind a cursor. `now`: unix ms. */
export interface ApprovalQuery {
  tenant: string | null;
  tools: readonly string[] | null;
  limit: number;
  after?: string;
  now: number;
}

/** The engine's side: from a request to a row, and back. */
export interface RunStore {
  /**
   * Row, thread lock, messages and the first events in one transaction. Throws the wire's 400 when the thread is busy.
   */
  createRun(tenant: string, run: NewRun): Promise<CreatedRun>;
  /** Undoes `createRun` unless a worker has claimed the run or somebody vouched for it; true when nothing of it is left. */
  removeUnclaimed(runId: string): Promise<boolean>;
  /** A request under the same `Idempotency-Key` is about to tell of the run: it stays. False: it has been taken back. */
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
  /** What was decided about calls of the run, also when its thread is gone. `tools`: of calls of these only; null = all. */
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
  /** Writes status `cancelling` and its event; 400 when the run has ended. Repeating it changes nothing. */
  markCancelling(tenant: string, threadId: string, runId: string, now: number): Promise<Run>;

  /**
   * At most `limit` events after `after`, fewer when they are large, but at least one that is there. `gaps: 'refuse'` throws 410 `events_pruned` when some of them are gone;
   * `'allow'` gives what is left (completed messages carry what pruned deltas said), unless nothing is.
   */
  readEvents(
    runId: string,
    options: { after: number; limit: number; gaps: 'refuse' | 'allow' },
  ): Promise<EventBatch>;
  /** Begins to listen for events of a run: watch first, then read, and nothing falls between the two. */
  watchEvents(runId: string): EventWatch;
  /** False while changes made by other processes are found by polling only. */
  receivesNotifications(): boolean;

  /** Any tenant's run, for work that belongs to no request. null: no such row. */
  findRun(runId: string): Promise<FoundRun | null>;
  /** How many runs are in each status that is not an end. Statuses without any are left out. */
  countLiveRuns(): Promise<Partial<Record<RunStatus, number>>>;
  /** How many runs of a tenant have not ended. */
  countLiveRunsOf(tenant: string): Promise<number>;
  /** Bytes of a tenant's assistants, threads, messages, runs and steps, about; costs a scan of their index entries. */
  storedBytesOf(tenant: string): Promise<number>;
  /** Facts about the whole store, such as which Temporal namespace its runs live in. */
  getFact(name: string): Promise<string | null>;
  setFact(name: string, value: string): Promise<void>;

  /** Live runs created before `before`, oldest first. */
  liveRuns(options: { before: number; after: number; limit: number }): Promise<LiveRun[]>;
  /** Deletes deltas (or all events) of runs that ended before the given times, and old idempotency keys. */
  prune(options: {
    deltasOfRunsEndedBefore: number;
    eventsOfRunsEndedBefore: number;
    keysBefore: number;
    limit: number;
  }): Promise<{ runs: number; keys: number }>;
}

/** Proof that this attempt is the run's newest. */
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
  /** Summed over the turns so far; null = never told by the server. */
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
   * `turn`: ask the model (the run is `in_progress` now and earlier attempts' leftovers are closed).
   * `wait`: a round is open. `ended`: nothing left to do. `cancel`: somebody asked to cancel; close it.
   */
  next: 'turn' | 'wait' | 'ended' | 'cancel';
  /** What the model may read, as `readContext` gives it, when it was asked for and came along. */
  context?: ContextItem[];
  /**
   * The run is being taken over: the model may be asked meanwhile, but nothing may be written or shown before this is true.
   * false: the run has changed since it was read and was not taken; claim again, without `contextItems`. Absent: it is taken.
   */
  taken?: Promise<boolean>;
}

/** What the model may read, oldest first. */
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
      /** What the model's provider must get back with these calls; null = nothing. */
      providerTurn: ProviderTurn | null;
    };

export type TurnOutcome =
  | { kind: 'completed' }
  | { kind: 'incomplete'; reason: 'max_completion_tokens' | 'max_prompt_tokens' | 'content_filter' }
  | { kind: 'calls'; calls: PlannedCall[]; expiresAt: number | null };

/** A message and everything said in it so far. */
export interface StreamedMessage {
  id: string;
  content: MessageContent[];
}

/** The worker's side: one turn of the model at a time. */
export interface TurnStore {
  /**
   * Takes the run over from any earlier attempt. null: no such row. `contextItems`: the thread's newest items are wanted
   * too, and come along if that costs nothing; then the taking may still be under way (`Claim.taken`).
   */
  claim(runId: string, now: number, contextItems?: number): Promise<Claim | null>;
  /** Reads now what a `claim` of this process will want in a moment. Takes nothing over; what it read is soon forgotten. */
  prefetch(runId: string, contextItems: number): void;
  /** The run as it is; takes nothing over. null: no such row. */
  readState(runId: string): Promise<StoredRunState | null>;
  /** Finished messages and rounds of the thread: the newest `limit` items at most, fewer when they are large, at least the newest. */
  readContext(threadId: string, limit: number): Promise<ContextItem[]>;

  /** The message of this turn, and its step. */
  openMessage(lease: RunLease, now: number): Promise<{ messageId: string; stepId: string }>;
  /**
   * The step of this turn's calls, whoever will answer them. `said`: the message that came before them; it is completed
   * first, since clients take one open step at a time. When the turn is repeated it becomes incomplete after all.
   */
  openCalls(lease: RunLease, said: StreamedMessage | null, now: number): Promise<{ stepId: string }>;
  /** Appends deltas, and nothing else, to the run's log. */
  appendDeltas(lease: RunLease, events: StreamEvent[]): Promise<void>;
  /**
   * Ends the turn in one transaction: message and steps closed or filled, usage added, status and events written.
   * `message` is the turn's message with all its content; id null = none was opened, the model spoke after its calls.
   */
  settleTurn(
    lease: RunLease,
    turn: {
      outcome: TurnOutcome;
      message: StreamedMessage | { id: null; content: MessageContent[] } | null;
      usage: Usage | null;
      /** Kept with a round of calls, as it is; its maker has bounded it. Default null. */
      providerTurn?: ProviderTurn | null;
    },
    now: number,
  ): Promise<StoredRunState>;

  /**
   * Outputs of a round arrive: some or all, in any number of calls, each call id once. Idempotent; a differing output is
   * `output_conflict`. When the external calls are all answered their step completes and the run is `queued` again.
   * `by` names the request that wants to be told `accepted`; null for a worker.
   */
  acceptOutputs(
    runId: string,
    outputs: readonly ToolOutput[],
    options: {
      now: number;
      by: string | null;
      idempotency?: { key: string; request: string } | null;
      /** Kept with the outputs, in the same transaction; see `recordDecisions`. */
      decisions?: readonly Decision[];
    },
  ): Promise<Acceptance>;

  /**
   * Adds decisions about calls of a run, each once however often it is written, and leaves a trace in the step of the call
   * while that is open. `arguments` null: the model's are copied from the call. Nothing ever changes or deletes one.
   */
  recordDecisions(runId: string, decisions: readonly Decision[]): Promise<void>;

  /**
   * Ends the run, unless it has ended: then the truth is returned and only `decisions` are added. null: no such row.
   */
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
