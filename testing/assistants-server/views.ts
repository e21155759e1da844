/**
 * Records of the scripted server → objects of the wire.
 *
 * Rule: a view is a fresh object in seconds with every documented field, so an event in the log never changes after it
 * was written. Only `testing/` imports it.
 */
import { shownTools } from '../../protocol/wire/objects.ts';
import type {
  Assistant,
  Message,
  Run,
  RunCommon,
  RunStatus,
  RunStep,
  Thread,
  WireUsage,
} from '../../protocol/wire/objects.ts';
import { viewOfRun, wireSeconds, wireSecondsOrNull } from '../../protocol/wire/run-view.ts';
import { sumUsage, fromWireUsage } from '../../protocol/rules/usage.ts';
import type { ThreadUsage } from '../../protocol/wire/usage.ts';
import type {
  AssistantRecord,
  CallRecord,
  MessageRecord,
  RunRecord,
  StepRecord,
  ThreadRecord,
} from './records.ts';

export const toThread = (thread: ThreadRecord): Thread => ({
  id: thread.id,
  object: 'thread',
  created_at: wireSeconds(thread.createdAt),
  metadata: { ...thread.metadata },
  tool_resources: {},
});

export const threadUsageOf = (thread: ThreadRecord): ThreadUsage => {
  const used = thread.runs.map(({ usage }) => usage).filter((usage) => usage !== null);
  const usage = used.reduce<WireUsage | null>((sum, one) => sumUsage(sum, fromWireUsage(one)), null);
  return { object: 'thread.usage', thread_id: thread.id, runs: used.length, usage };
};

export const toMessage = (message: MessageRecord, threadId: string): Message => ({
  id: message.id,
  object: 'thread.message',
  created_at: wireSeconds(message.createdAt),
  assistant_id: message.assistantId,
  thread_id: threadId,
  run_id: message.runId,
  status: message.status,
  incomplete_details: message.reason === null ? null : { reason: message.reason },
  incomplete_at: message.status === 'incomplete' ? wireSecondsOrNull(message.endedAt) : null,
  completed_at: message.status === 'completed' ? wireSecondsOrNull(message.endedAt) : null,
  role: message.role,
  content: structuredClone(message.content),
  attachments: null,
  metadata: { ...message.metadata },
});

export const toRunStep = (step: StepRecord, run: RunRecord): RunStep => ({
  id: step.id,
  object: 'thread.run.step',
  created_at: wireSeconds(step.createdAt),
  run_id: run.id,
  assistant_id: run.assistant.id,
  thread_id: run.thread.id,
  type: 'calls' in step.details ? 'tool_calls' : 'message_creation',
  status: step.status,
  cancelled_at: step.status === 'cancelled' ? wireSecondsOrNull(step.endedAt) : null,
  completed_at: step.status === 'completed' ? wireSecondsOrNull(step.endedAt) : null,
  expired_at: step.status === 'expired' ? wireSecondsOrNull(step.endedAt) : null,
  expires_at: wireSecondsOrNull(run.expiresAt),
  failed_at: step.status === 'failed' ? wireSecondsOrNull(step.endedAt) : null,
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

/** The fields that a run has in every status. */
const commonFields = (run: RunRecord): RunCommon => {
  const { params } = run;
  return {
    id: run.id,
    object: 'thread.run',
    created_at: wireSeconds(run.createdAt),
    assistant_id: run.assistant.id,
    thread_id: run.thread.id,
    started_at: wireSecondsOrNull(run.startedAt),
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
      type: params.truncation_strategy?.type ?? 'auto',
      last_messages: params.truncation_strategy?.last_messages ?? null,
    },
    response_format: params.response_format ?? 'auto',
    tool_choice: params.tool_choice ?? 'auto',
    parallel_tool_calls: params.parallel_tool_calls ?? true,
  };
};

export const toRun = (run: RunRecord): Run => {
  const endedAt = (status: RunStatus): number | null => (run.status === status ? run.endedAt : null);
  return viewOfRun(commonFields(run), {
    status: run.status,
    createdAt: run.createdAt,
    expiresAt: run.expiresAt,
    cancelledAt: endedAt('cancelled'),
    completedAt: endedAt('completed'),
    failedAt: endedAt('failed'),
    required: openCalls(run).map(({ id, name, arguments: args }) => ({
      id,
      type: 'function',
      function: { name, arguments: args },
    })),
    lastError: run.lastError,
    incompleteReason: run.reason,
    usage: run.usage,
  });
};

export const toAssistant = ({ tenant: _tenant, ...rest }: AssistantRecord): Assistant =>
  structuredClone(rest);
