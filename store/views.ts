/**
 * Rows → objects of the wire. Pure.
 *
 * Rule: every documented field is there, `null` included, in the order that clients know. Milliseconds become seconds
 * only here.
 * Imported within `store/` only.
 */
import type { RunConfig, StoredRunState, RoundState } from '../protocol/ports/turn-store.ts';
import {
  shownTools,
  type Assistant,
  type Message,
  type Run,
  type RunStep,
  type ShownTool,
  type StepDetails,
  type Thread,
  type ToolResources,
  type WireLastError,
  type WireToolCall,
} from '../protocol/wire/objects.ts';
import { viewOfRun, wireSeconds, wireSecondsOrNull } from '../protocol/wire/run-view.ts';
import { fromWireUsage } from '../protocol/rules/usage.ts';
import type { AwaitedCall } from '../protocol/wire/decisions.ts';
import type { AssistantRow, MessageRow, RoundRow, RunRow, StepRow, ThreadRow } from './schema.ts';

export const assistantView = (row: AssistantRow): Assistant => {
  const { reasoning_effort, ...body } = row.body;
  return {
    id: row.id,
    object: 'assistant',
    created_at: wireSeconds(row.created_at),
    ...body,
    tools: shownTools(body.tools),
    // Rows of an older version hold null.
    tool_resources: {},
    // The default when the caller names none.
    temperature: body.temperature ?? 1,
    top_p: body.top_p ?? 1,
    ...(reasoning_effort == null ? {} : { reasoning_effort }),
  };
};

export const threadView = (row: ThreadRow): Thread => ({
  id: row.id,
  object: 'thread',
  created_at: wireSeconds(row.created_at),
  metadata: row.metadata,
  tool_resources: {},
});

export const messageView = (row: MessageRow): Message => ({
  id: row.id,
  object: 'thread.message',
  created_at: wireSeconds(row.created_at),
  assistant_id: row.assistant_id,
  thread_id: row.thread_id,
  run_id: row.run_id,
  status: row.status,
  incomplete_details: row.incomplete_reason === null ? null : { reason: row.incomplete_reason },
  incomplete_at: wireSecondsOrNull(row.incomplete_at),
  completed_at: wireSecondsOrNull(row.completed_at),
  role: row.role,
  content: row.content,
  attachments: [],
  metadata: row.metadata,
});

/** Codes that clients know. Rows of an older version have others, with messages that name the model server. */
const KNOWN_ERRORS: ReadonlySet<string> = new Set(['server_error', 'rate_limit_exceeded', 'invalid_prompt']);

const errorView = (error: WireLastError | null): WireLastError | null =>
  error === null || KNOWN_ERRORS.has(error.code)
    ? error
    : { code: 'server_error', message: 'The run could not be finished.' };

/** A step that has ended waits for nothing, whatever was open in it. */
const withoutAwaiting = (details: StepDetails): StepDetails =>
  details.type === 'tool_calls'
    ? { ...details, tool_calls: details.tool_calls.map(({ awaiting: _awaiting, ...call }) => call) }
    : details;

export const stepView = (row: StepRow): RunStep => ({
  id: row.id,
  object: 'thread.run.step',
  created_at: wireSeconds(row.created_at),
  run_id: row.run_id,
  assistant_id: row.assistant_id,
  thread_id: row.thread_id,
  type: row.kind === 'message' ? 'message_creation' : 'tool_calls',
  status: row.status,
  cancelled_at: wireSecondsOrNull(row.cancelled_at),
  completed_at: wireSecondsOrNull(row.completed_at),
  expired_at: wireSecondsOrNull(row.expired_at),
  expires_at: wireSecondsOrNull(row.expires_at),
  failed_at: wireSecondsOrNull(row.failed_at),
  last_error: errorView(row.last_error),
  step_details: row.status === 'in_progress' ? row.details : withoutAwaiting(row.details),
  metadata: {},
  // Known when the model has answered, shown when the step has ended.
  usage: row.status === 'in_progress' ? null : row.usage,
  ...(row.model === null ? {} : { model: row.model }),
});

const config = (
  row: RunRow,
): Omit<
  RunConfig,
  'instructions' | 'tools' | 'reasoning_effort' | 'granted_tools' | 'offer_tools' | 'requested_by'
> & {
  instructions: string;
  tools: ShownTool[];
  tool_resources: ToolResources;
  reasoning_effort?: string;
} => {
  const {
    reasoning_effort,
    granted_tools: _granted,
    offer_tools: _offer,
    requested_by: _by,
    ...rest
  } = row.config;
  return {
    ...rest,
    instructions: rest.instructions ?? '',
    tools: shownTools(rest.tools),
    tool_resources: {},
    temperature: rest.temperature ?? 1,
    top_p: rest.top_p ?? 1,
    ...(reasoning_effort === null ? {} : { reasoning_effort }),
  };
};

/** The calls that the run waits for now. */
export const awaitedNow = ({ awaiting: calls }: Pick<RunRow, 'awaiting'>): AwaitedCall[] =>
  (calls ?? []).flatMap(({ decided, ...call }) => (decided === true ? [] : [call]));

const awaiting = (row: RunRow): Pick<Run, 'awaiting'> => {
  const waits = row.status === 'in_progress' || row.status === 'requires_action';
  const calls = waits ? awaitedNow(row) : [];
  return calls.length === 0 ? {} : { awaiting: calls };
};

export const runView = (row: RunRow): Run =>
  viewOfRun(
    {
      id: row.id,
      object: 'thread.run',
      created_at: wireSeconds(row.created_at),
      assistant_id: row.assistant_id,
      thread_id: row.thread_id,
      started_at: wireSecondsOrNull(row.started_at),
      ...config(row),
      ...(row.models_used === null ? {} : { models_used: row.models_used }),
      metadata: row.metadata,
      ...awaiting(row),
    },
    {
      status: row.status,
      createdAt: row.created_at,
      expiresAt: row.expires_at,
      cancelledAt: row.cancelled_at,
      completedAt: row.completed_at,
      failedAt: row.failed_at,
      required: row.required ?? [],
      lastError: errorView(row.last_error),
      incompleteReason: row.incomplete_reason,
      usage: row.usage,
    },
  );

export const roundState = (row: RoundRow): RoundState => ({
  round: row.round,
  calls: row.calls,
  outputs: row.outputs,
  done: row.done,
});

export const runState = (row: RunRow, round: RoundRow | null): StoredRunState => ({
  runId: row.id,
  tenant: row.tenant,
  threadId: row.thread_id,
  assistantId: row.assistant_id,
  status: row.status,
  metadata: row.metadata,
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  config: row.config,
  usage: row.usage === null ? null : fromWireUsage(row.usage),
  round: round === null ? null : roundState(round),
  lastError: row.last_error,
  incompleteReason: row.incomplete_reason,
});

export const wireCall = (call: { callId: string; name: string; arguments: string }): WireToolCall => ({
  id: call.callId,
  type: 'function',
  function: { name: call.name, arguments: call.arguments },
});
