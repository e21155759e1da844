/**
 * Records of the scripted server → objects of the wire.
 *
 * Rule: a view is a fresh object in seconds with every documented field, so an event in the log never changes after it
 * was written. Only `testing/` imports it.
 */
import { shownTools } from '../../protocol/wire/objects.ts';
import type { Assistant, Message, Run, RunStep, Thread } from '../../protocol/wire/objects.ts';
import type {
  AssistantRecord,
  CallRecord,
  MessageRecord,
  RunRecord,
  StepRecord,
  ThreadRecord,
} from './records.ts';

const seconds = (ms: number): number => Math.floor(ms / 1000);
const secondsOrNull = (ms: number | null): number | null => (ms === null ? null : seconds(ms));

export const toThread = (thread: ThreadRecord): Thread => ({
  id: thread.id,
  object: 'thread',
  created_at: seconds(thread.createdAt),
  metadata: { ...thread.metadata },
  tool_resources: {},
});

export const toMessage = (message: MessageRecord, threadId: string): Message => ({
  id: message.id,
  object: 'thread.message',
  created_at: seconds(message.createdAt),
  assistant_id: message.assistantId,
  thread_id: threadId,
  run_id: message.runId,
  status: message.status,
  incomplete_details: message.reason === null ? null : { reason: message.reason },
  incomplete_at: message.status === 'incomplete' ? secondsOrNull(message.endedAt) : null,
  completed_at: message.status === 'completed' ? secondsOrNull(message.endedAt) : null,
  role: message.role,
  content: structuredClone(message.content),
  attachments: null,
  metadata: { ...message.metadata },
});

export const toRunStep = (step: StepRecord, run: RunRecord): RunStep => ({
  id: step.id,
  object: 'thread.run.step',
  created_at: seconds(step.createdAt),
  run_id: run.id,
  assistant_id: run.assistant.id,
  thread_id: run.thread.id,
  type: 'calls' in step.details ? 'tool_calls' : 'message_creation',
  status: step.status,
  cancelled_at: step.status === 'cancelled' ? secondsOrNull(step.endedAt) : null,
  completed_at: step.status === 'completed' ? secondsOrNull(step.endedAt) : null,
  expired_at: step.status === 'expired' ? secondsOrNull(step.endedAt) : null,
  expires_at: secondsOrNull(run.expiresAt),
  failed_at: step.status === 'failed' ? secondsOrNull(step.endedAt) : null,
  last_error: step.lastError,
  step_details:
    'calls' in step.details
      ? {
          type: 'tool_calls',
          tool_calls: step.details.calls.map((call) => ({
            id: call.id,
            type: 'function',
            function: { name: call.name, arguments: call.arguments, output: call.output },
          })),
        }
      : { type: 'message_creation', message_creation: { message_id: step.details.messageId } },
  metadata: {},
  usage: step.usage,
});

/** Calls of the open step without an answer. */
export const openCalls = (run: RunRecord): CallRecord[] =>
  run.open !== null && 'calls' in run.open.details
    ? run.open.details.calls.filter((call) => call.output === null && !run.answers.has(call.id))
    : [];

/** Compile error when a status is left out. */
const never = (status: never): never => {
  throw new Error(`Unknown status ${String(status)}`);
};

/** The fields that a run has in every status. */
const commonFields = (run: RunRecord) => {
  const { params } = run;
  return {
    id: run.id,
    object: 'thread.run' as const,
    created_at: seconds(run.createdAt),
    assistant_id: run.assistant.id,
    thread_id: run.thread.id,
    started_at: secondsOrNull(run.startedAt),
    model: run.model,
    instructions: run.instructions ?? '',
    tools: shownTools(run.tools),
    tool_resources: {},
    metadata: { ...run.metadata },
    temperature: params.temperature ?? 1,
    top_p: params.top_p ?? 1,
    max_prompt_tokens: params.max_prompt_tokens ?? null,
    max_completion_tokens: params.max_completion_tokens ?? null,
    truncation_strategy: {
      type: params.truncation_strategy?.type ?? ('auto' as const),
      last_messages: params.truncation_strategy?.last_messages ?? null,
    },
    response_format: params.response_format ?? ('auto' as const),
    tool_choice: params.tool_choice ?? ('auto' as const),
    parallel_tool_calls: params.parallel_tool_calls ?? true,
  };
};

/** Fields that are null unless the status sets them. */
const absentFields = (run: RunRecord) => ({
  required_action: null,
  last_error: null,
  incomplete_details: null,
  expires_at: secondsOrNull(run.expiresAt),
  cancelled_at: null,
  failed_at: null,
  completed_at: null,
  usage: null,
});

const requiredAction = (run: RunRecord): Extract<Run, { status: 'requires_action' }>['required_action'] => ({
  type: 'submit_tool_outputs',
  submit_tool_outputs: {
    tool_calls: openCalls(run).map((call) => ({
      id: call.id,
      type: 'function',
      function: { name: call.name, arguments: call.arguments },
    })),
  },
});

export const toRun = (run: RunRecord): Run => {
  const base = { ...commonFields(run), ...absentFields(run) };
  const { usage, lastError: last_error } = run;
  const endedAt = seconds(run.endedAt ?? run.createdAt);
  switch (run.status) {
    case 'queued':
    case 'in_progress':
    case 'cancelling':
      return { ...base, status: run.status };
    case 'requires_action':
      return { ...base, status: 'requires_action', required_action: requiredAction(run) };
    case 'completed':
      return { ...base, status: 'completed', expires_at: null, completed_at: endedAt, usage };
    case 'incomplete':
      return {
        ...base,
        status: 'incomplete',
        incomplete_details: run.reason === null ? {} : { reason: run.reason },
        usage,
      };
    case 'failed':
      return {
        ...base,
        status: 'failed',
        last_error: last_error ?? { code: 'server_error', message: 'The run failed.' },
        failed_at: endedAt,
        usage,
      };
    case 'cancelled':
      return { ...base, status: 'cancelled', last_error, cancelled_at: endedAt, usage };
    case 'expired':
      return { ...base, status: 'expired', last_error, usage };
    default:
      return never(run.status);
  }
};

export const toAssistant = ({ tenant: _tenant, ...rest }: AssistantRecord): Assistant =>
  structuredClone(rest);
