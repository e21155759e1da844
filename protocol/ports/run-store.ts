/**
 * The store under the `chat` backend: threads, messages, runs, steps and run events. The service behind the HTTP API uses
 * `ThreadStore` and `RunStore`; the chat backend on workers uses `TurnStore`.
 *
 * Rule: every method is one transaction, and its promise holds between processes. A state change is compare-and-set on the
 * locked run row; an ended run never changes again; a worker's write carries a lease, which a newer attempt takes away.
 * Lookups and lifecycle conflicts throw `ApiError` with the wire's texts; other failures of the store are `StoreError`.
 * Callers pass the time in unix milliseconds. Imports protocol shapes only. `store/` implements it; `service/`, `backends/chat/` and tests import it.
 */
import type { RunRecordStore } from './run-records.ts';
import type { CooldownStore, ProviderLimitStore } from './provider-limits.ts';
import type { SessionStore } from './session-store.ts';
import type { Decision, NewComment, Voter } from '../decisions.ts';
import type { PageQuery, RunParams, ThreadParams } from './runs-service.ts';
import type { SequencedEvent } from '../wire/events.ts';
import type { Metadata, Page, Run, RunStatus, RunStep, Thread } from '../wire/objects.ts';
import type { Approval, ApprovalDetails, ApprovalStatus, RunDecision } from '../wire/decisions.ts';
import type { RunConfig, RoundState, TurnStore } from './turn-store.ts';
import type { ThreadStore } from './thread-store.ts';
import type { UsageStore } from './usage-store.ts';
import type { WebhookStore } from './webhook-store.ts';

export interface NewRun {
  /** Checks the parameters of the run, resolved against its assistant, before anything is written. Throws `ApiError`. */
  admit?: (config: RunConfig) => void;
  runId: string;
  /** The thread to run on, or the parameters of a new one. */
  thread: { id: string } | { create: ThreadParams };
  params: RunParams;
  expiresAt: number;
  /** Worker tools the run may use; null = all. */
  grantedTools: readonly string[] | null;
  /** Offer the worker's tools to the model when neither the run nor its assistant declares a tool. Default false. */
  offerTools?: boolean;
  /** Name of the API key that starts the run; absent = no key. */
  requestedBy?: string;
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

/** Whose approvals are read: of one tenant (null = all), of some tools (null = all). */
export interface ApprovalScope {
  tenant: string | null;
  tools: readonly string[] | null;
  /** How long after a run's end its late calls take an answer. */
  followUpWithinMs: number;
}

/** A page of approvals, behind a cursor. `now`: unix ms. */
export interface ApprovalQuery extends ApprovalScope {
  limit: number;
  after?: string;
  now: number;
  /** Default `waiting`. */
  status?: ApprovalStatus;
  tool?: string;
  assistantId?: string;
  threadId?: string;
  /** Only calls whose deadline is before this time, unix ms. */
  beforeDeadline?: number;
}

/** Approvals that have changed, each as it is now, in the order of their latest changes. */
export interface ApprovalChanges {
  changes: { id: string; approval: Approval }[];
  /** Where the next read begins. */
  after: string;
  /** More changes are there. */
  more: boolean;
  /** Changes are committed that count only when an older transaction has ended: read again soon. */
  behind: boolean;
}

/** A page of runs over all threads, the newest first. `tenant` null = of all tenants. */
export interface RunQuery {
  tenant: string | null;
  limit: number;
  after?: string;
  status?: RunStatus;
  assistantId?: string;
  threadId?: string;
  /** Only runs that called this tool. */
  tool?: string;
  /** Unix ms: created at this time or later, and before this time. */
  createdFrom?: number;
  createdBefore?: number;
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
  listAllRuns(query: RunQuery): Promise<Page<Run>>;
  updateRun(
    tenant: string,
    threadId: string,
    runId: string,
    params: { metadata?: Metadata | null },
  ): Promise<Run>;
  listSteps(tenant: string, threadId: string, runId: string, query: PageQuery): Promise<Page<RunStep>>;
  getStep(tenant: string, threadId: string, runId: string, stepId: string): Promise<RunStep>;

  /** Calls that wait for an approval, the earliest deadline first; of another status, the latest change first. */
  listApprovals(query: ApprovalQuery): Promise<Page<Approval>>;
  findApproval(scope: ApprovalScope, id: string): Promise<Approval>;
  /** The same, with what a person needs in order to decide; `voter`: who asks, if that is known. */
  getApproval(scope: ApprovalScope, id: string, voter?: Voter): Promise<ApprovalDetails>;
  /** Keeps a comment about the call, in the record and with the approval; 400 when there are too many. */
  commentApproval(scope: ApprovalScope, id: string, comment: NewComment): Promise<Approval>;
  /** Changes after this place; `after` null: none, and the place where the log ends now. */
  approvalChanges(query: ApprovalScope & { limit: number; after: string | null }): Promise<ApprovalChanges>;
  /** Starts listening for changes of approvals: watch first, then read. */
  watchApprovals(): Pick<EventWatch, 'nextChange' | 'close'>;
  /** Adds the approvals that a process of an older version left out, of at most `limit` runs; returns of how many. */
  adoptApprovals(limit: number): Promise<number>;
  /** Late calls of runs that ended before this time (Unix ms) expire; returns how many. */
  expireLateApprovals(endedBefore: number, limit: number): Promise<number>;
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

export interface Store
  extends
    ThreadStore,
    RunStore,
    RunRecordStore,
    TurnStore,
    UsageStore,
    ProviderLimitStore,
    CooldownStore,
    WebhookStore,
    SessionStore {
  /** Throws `StoreError` when the database does not answer. */
  ping(): Promise<void>;
  close(): Promise<void>;
}
