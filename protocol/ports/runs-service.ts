/**
 * The port under the HTTP API: what a runs server can do. The scripted server (in memory) and the service (store and
 * workflows) implement it; `api/` does not know which one it has.
 *
 * Rule: an implementation receives checked parameters and returns wire objects or throws `ApiError`. Every call names
 * the tenant, and no tenant sees another's objects: their ids are a 404.
 * Imports wire shapes only.
 */
import type { SequencedEvent } from '../wire/events.ts';
import type { AnswerPayload, AnswerReply } from '../temporal/messages.ts';
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
  RunStep,
  Thread,
  ToolChoice,
  ToolOutput,
  TruncationStrategy,
} from '../wire/objects.ts';
import type { DayUsage, ThreadUsage } from '../wire/usage.ts';
import type { WebhooksService } from './webhooks-service.ts';
import type { Overview } from '../wire/overview.ts';
import type { HistoryExport, RunExport, RunTimeline } from '../wire/run-timeline.ts';
import type { RunListQuery } from './run-records.ts';
import type {
  Approval,
  ApprovalDetails,
  ApprovalEvent,
  ApprovalStatus,
  RunDecision,
} from '../wire/decisions.ts';

/**
 * What a key may do. `caller`: assistants, threads, runs and the outputs of its own tools. `approver`: lists and decides the
 * calls that wait for an approval. `operator`: reads every tenant's runs, cancels them, reads metrics.
 */
export const KEY_ROLES = ['caller', 'approver', 'operator'] as const;
export type KeyRole = (typeof KEY_ROLES)[number];

export interface Caller {
  tenant: string;
  requestId: string;
  /** The client repeats a request whose response it lost (`X-Stainless-Retry-Count` above 0). */
  isRetry: boolean;
  /** `Idempotency-Key`, when sent. */
  idempotencyKey: string | null;
  /**
   * Worker tools that runs of this caller may use; null or absent = all. The caller answers calls of other tools
   * itself.
   */
  grantedTools?: readonly string[] | null;
  /** The name that signs answers and decisions: an API key's, or that of a signed-in person; null or absent = none. */
  keyName?: string | null;
  /** An API key, or an identity provider, proves `keyName`. False: there is no name, or it is what the sender says. */
  verified: boolean;
  /** Groups that the person belongs to, such as `support-leads`. */
  groups: readonly string[];
  /** Absent = all. */
  roles?: readonly KeyRole[];
}

export interface PageQuery {
  limit: number;
  order: 'asc' | 'desc';
  after?: string;
  before?: string;
}

export interface AssistantParams {
  model: string;
  name?: string | null;
  description?: string | null;
  instructions?: string | null;
  tools?: FunctionTool[];
  metadata?: Metadata | null;
  temperature?: number | null;
  top_p?: number | null;
  response_format?: ResponseFormat | null;
  reasoning_effort?: string | null;
}

export interface MessageParams {
  role: 'user' | 'assistant';
  content: string | MessageContent[];
  metadata?: Metadata | null;
}

export interface ThreadParams {
  messages?: MessageParams[];
  metadata?: Metadata | null;
}

export interface RunParams {
  assistant_id: string;
  model?: string | null;
  instructions?: string | null;
  additional_instructions?: string | null;
  additional_messages?: MessageParams[] | null;
  tools?: FunctionTool[] | null;
  metadata?: Metadata | null;
  temperature?: number | null;
  top_p?: number | null;
  max_prompt_tokens?: number | null;
  max_completion_tokens?: number | null;
  truncation_strategy?: TruncationStrategy | null;
  tool_choice?: ToolChoice | null;
  parallel_tool_calls?: boolean;
  response_format?: ResponseFormat | null;
  reasoning_effort?: string | null;
  /** Our extension: currency → decimal amount that the run's turns may cost. Default: no limit. */
  max_cost?: Readonly<Record<string, string>> | null;
  /** Our extension: seconds from creation to expiry. Default 600. */
  expires_in?: number | null;
}

export interface StartedRunEvents {
  run: Run;
  /** The caller knows events up to this `seq`. */
  eventsAfter: number;
  /** The first of the later events, when they are at hand: `events` then need not read them. */
  initialEvents?: readonly SequencedEvent[];
}

export interface ApprovalListQuery {
  limit: number;
  after?: string;
  /** Default `waiting`. */
  status?: ApprovalStatus;
  tool?: string;
  assistantId?: string;
  threadId?: string;
  /** Unix seconds. */
  beforeDeadline?: number;
}

export type ApprovalAnswer = Pick<AnswerPayload, 'by' | 'note'> & { output: string };
/** A decision about an approval: an answer without what the approval's id says. `comment` is another name of `note`. */
export type ApprovalDecision = Omit<AnswerPayload, 'call_id' | 'run_id' | 'output' | 'decision'> & {
  decision: 'approve' | 'deny' | 'delegate';
  comment?: string | undefined;
};

/** Waits until a log may be read, and throws when it may not; to be called back when it has been read. */
export type AdmitRead = () => Promise<() => void>;

export interface EventsOptions {
  after: number;
  signal: AbortSignal;
  initialEvents?: readonly SequencedEvent[];
  /** Asked before each reading of the log. Default: it may always be read. */
  admit?: AdmitRead;
}

export interface RunsService extends WebhooksService<Caller> {
  createAssistant(caller: Caller, params: AssistantParams): Promise<Assistant>;
  listAssistants(caller: Caller, query: PageQuery): Promise<Page<Assistant>>;
  getAssistant(caller: Caller, assistantId: string): Promise<Assistant>;
  updateAssistant(caller: Caller, assistantId: string, params: Partial<AssistantParams>): Promise<Assistant>;
  deleteAssistant(caller: Caller, assistantId: string): Promise<Deleted<'assistant.deleted'>>;

  /** The worker's tools that the caller's runs may use, as an assistant's `tools` takes them. At most seconds old. */
  listTools(caller: Caller): Promise<FunctionTool[]>;

  createThread(caller: Caller, params: ThreadParams): Promise<Thread>;
  listThreads(caller: Caller, query: PageQuery): Promise<Page<Thread>>;
  getThread(caller: Caller, threadId: string): Promise<Thread>;
  updateThread(caller: Caller, threadId: string, params: { metadata?: Metadata | null }): Promise<Thread>;
  deleteThread(caller: Caller, threadId: string): Promise<Deleted<'thread.deleted'>>;

  createMessage(caller: Caller, threadId: string, params: MessageParams): Promise<Message>;
  listMessages(
    caller: Caller,
    threadId: string,
    query: PageQuery & { runId?: string },
  ): Promise<Page<Message>>;
  getMessage(caller: Caller, threadId: string, messageId: string): Promise<Message>;
  updateMessage(
    caller: Caller,
    threadId: string,
    messageId: string,
    params: { metadata?: Metadata | null },
  ): Promise<Message>;
  deleteMessage(
    caller: Caller,
    threadId: string,
    messageId: string,
  ): Promise<Deleted<'thread.message.deleted'>>;

  createRun(caller: Caller, threadId: string, params: RunParams): Promise<StartedRunEvents>;
  createThreadAndRun(
    caller: Caller,
    thread: ThreadParams,
    params: RunParams,
  ): Promise<StartedRunEvents & { thread: Thread }>;
  listRuns(caller: Caller, threadId: string, query: PageQuery): Promise<Page<Run>>;
  getRun(caller: Caller, threadId: string, runId: string): Promise<Run>;
  updateRun(
    caller: Caller,
    threadId: string,
    runId: string,
    params: { metadata?: Metadata | null },
  ): Promise<Run>;
  cancelRun(caller: Caller, threadId: string, runId: string): Promise<Run>;
  submitToolOutputs(
    caller: Caller,
    threadId: string,
    runId: string,
    outputs: ToolOutput[],
  ): Promise<StartedRunEvents>;
  /** Tenant of an object, for operators, who see every tenant; null = there is no such object. */
  ownerOf(kind: 'thread' | 'assistant' | 'run', id: string): Promise<string | null>;
  /** Our extension: a person answers or decides one call. */
  answer(caller: Caller, threadId: string, runId: string, payload: AnswerPayload): Promise<AnswerReply>;

  /**
   * Our extension: calls that wait for an approval, or waited for one, of the caller's tenant and tools; for an operator, of
   * all tenants.
   */
  listApprovals(caller: Caller, query: ApprovalListQuery): Promise<Page<Approval>>;
  getApproval(caller: Caller, id: string): Promise<ApprovalDetails>;
  /** Decides by the approval's id; the same as `answer` for the call that it names. */
  decideApproval(caller: Caller, id: string, decision: ApprovalDecision): Promise<AnswerReply>;
  /** Answers an external call of a worker's tool, by the approval's id. A decision about it is refused, as for `answer`. */
  answerApproval(caller: Caller, id: string, answer: ApprovalAnswer): Promise<AnswerReply>;
  /** Keeps a comment about the call, signed like a decision. */
  commentApproval(caller: Caller, id: string, comment: { text: string; by?: string }): Promise<Approval>;
  /**
   * Changes of approvals as they happen, each with the approval as it is now. `after`: the id of an event; null = from now
   * on. The first event says that the stream has begun. Throws `ApiError` when `after` is no such id.
   */
  approvalEvents(
    caller: Caller,
    options: { after: string | null; signal: AbortSignal; admit?: AdmitRead },
  ): AsyncIterable<ApprovalEvent>;
  /** Our extension: decisions about calls of the run. An approver sees those of the tools granted to it. */
  listDecisions(
    caller: Caller,
    threadId: string,
    runId: string,
    query: PageQuery,
  ): Promise<Page<RunDecision>>;

  /** Our extension: runs of all threads of the caller's tenant, the newest first; for an operator, of all or of the named one. */
  listAllRuns(caller: Caller, query: RunListQuery): Promise<Page<Run>>;
  findRun(caller: Caller, runId: string): Promise<Run>;
  /** Never fails because Temporal does: the timeline says what is missing. */
  runTimeline(caller: Caller, runId: string): Promise<RunTimeline>;
  /** `execution`: of a run that was continued as new; null = the newest. Throws `ApiError` 404 when it is gone. */
  runHistory(caller: Caller, runId: string, execution: string | null): Promise<HistoryExport>;
  exportRun(caller: Caller, runId: string): Promise<RunExport>;
  /** For operators. `hours`: the time that the buckets span, up to now. `tenant` null = all. */
  overview(caller: Caller, query: { tenant: string | null; hours: number }): Promise<Overview>;

  listSteps(caller: Caller, threadId: string, runId: string, query: PageQuery): Promise<Page<RunStep>>;
  getStep(caller: Caller, threadId: string, runId: string, stepId: string): Promise<RunStep>;

  /**
   * The run's event log after `after`, then new events, until a terminal event, an abort of `signal`, or shutdown.
   * Ending the iteration does not touch the run. Throws `ApiError` (code `events_pruned`) when `after` is too old.
   */
  events(
    caller: Caller,
    threadId: string,
    runId: string,
    options: EventsOptions,
  ): AsyncIterable<SequencedEvent>;

  /**
   * The run, as soon as it requires action or has ended; otherwise as it is after `timeoutMs`, or when `signal` aborts.
   */
  awaitRun(
    caller: Caller,
    threadId: string,
    runId: string,
    options: { timeoutMs: number; signal: AbortSignal },
  ): Promise<Run>;

  /**
   * Milliseconds after which a poller should read again (`openai-poll-after-ms`): a tenth of the time since the last
   * change.
   */
  pollAfterMs(run: Run): number;

  /** Our extension: what models used by day; `tenant` null = of all tenants. The list may be cut: `has_more`. */
  usage(caller: Caller, query: { tenant: string | null; from: string; to: string }): Promise<Page<DayUsage>>;
  /** Our extension: what the runs of a thread used. */
  threadUsage(caller: Caller, threadId: string): Promise<ThreadUsage>;
  /** The UTC day, `YYYY-MM-DD`. */
  today(): string;

  /** For `/readyz`: what is not in order; empty = ready. */
  readiness(): Promise<string[]>;
}
