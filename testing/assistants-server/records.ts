/**
 * The records of the scripted server, in milliseconds.
 *
 * Rule: records change in place and stay inside; callers receive views of them (`views.ts`). Only `testing/` imports
 * it.
 */
import type { Caller, MessageParams, RunParams } from '../../protocol/ports/runs-service.ts';
import { apiErrors } from '../../protocol/errors.ts';
import type { SequencedEvent } from '../../protocol/wire/events.ts';
import type {
  Assistant,
  FunctionTool,
  Message,
  MessageContent,
  Metadata,
  RunStatus,
  StepStatus,
  ToolOutput,
  WireLastError,
  WireUsage,
} from '../../protocol/wire/objects.ts';

import type { ChosenScript } from '../script.ts';

export interface ThreadRecord {
  tenant: string;
  id: string;
  createdAt: number;
  metadata: Metadata;
  messages: MessageRecord[];
  runs: RunRecord[];
  /** The run that holds the lock. */
  active: RunRecord | null;
}

export interface MessageRecord {
  id: string;
  createdAt: number;
  status: Message['status'];
  reason: string | null;
  /** When the status became final. */
  endedAt: number | null;
  role: 'user' | 'assistant';
  content: MessageContent[];
  assistantId: string | null;
  runId: string | null;
  metadata: Metadata;
}

export interface CallRecord {
  id: string;
  name: string;
  arguments: string;
  output: string | null;
}

export interface StepRecord {
  id: string;
  createdAt: number;
  status: StepStatus;
  endedAt: number | null;
  lastError: WireLastError | null;
  usage: WireUsage | null;
  details: { messageId: string } | { calls: CallRecord[] };
}

export interface RunRecord {
  tenant: string;
  id: string;
  thread: ThreadRecord;
  params: RunParams;
  model: string;
  instructions: string | null;
  tools: FunctionTool[];
  metadata: Metadata;
  script: ChosenScript;
  assistant: { id: string; name: string | null; metadata: Metadata };
  createdAt: number;
  expiresAt: number | null;
  /** From creation to expiry. */
  lifetimeMs: number;
  startedAt: number | null;
  endedAt: number | null;
  status: RunStatus;
  lastError: WireLastError | null;
  reason: string | null;
  usage: WireUsage | null;
  /** Rounds of outputs accepted so far. */
  round: number;
  /** The tool step that awaits outputs. */
  open: StepRecord | null;
  /** Outputs given one by one through `answers`, until the round is whole. */
  answers: Map<string, string>;
  /** The last accepted round: a client's own retry is compared with it. */
  lastOutputs: ToolOutput[] | null;
  /** Position in the log before the events of that submit. */
  lastSubmitSeq: number;
  steps: StepRecord[];
  log: SequencedEvent[];
  waiters: Set<() => void>;
  /** Cancels what is scheduled for this run. */
  timers: Set<() => void>;
}

export type AssistantRecord = Assistant & { tenant: string };

/** A record, if it belongs to the caller; otherwise it is not found. */
export const owned = <T extends { tenant: string }>(
  record: T | undefined,
  caller: Caller,
  kind: 'thread' | 'run' | 'assistant',
  id: string,
): T => {
  if (record === undefined || record.tenant !== caller.tenant) throw apiErrors.notFound(kind, id);
  return record;
};

/** The parts of a new message and a new run that do not depend on who makes them. */
export const newMessage = (id: string, createdAt: number, params: MessageParams): MessageRecord => ({
  id,
  createdAt,
  status: 'completed',
  reason: null,
  endedAt: null,
  role: params.role,
  content:
    typeof params.content === 'string'
      ? [{ type: 'text', text: { value: params.content, annotations: [] } }]
      : structuredClone(params.content),
  assistantId: null,
  runId: null,
  metadata: params.metadata ?? {},
});

export type RunIdentity = Pick<
  RunRecord,
  | 'tenant'
  | 'id'
  | 'thread'
  | 'params'
  | 'model'
  | 'instructions'
  | 'tools'
  | 'metadata'
  | 'script'
  | 'assistant'
> & { createdAt: number; lifetimeMs: number | null };

export const newRun = ({ lifetimeMs, ...identity }: RunIdentity): RunRecord => ({
  ...identity,
  expiresAt: lifetimeMs === null ? null : identity.createdAt + lifetimeMs,
  lifetimeMs: lifetimeMs ?? 0,
  startedAt: null,
  endedAt: null,
  status: 'queued',
  lastError: null,
  reason: null,
  usage: null,
  round: 0,
  open: null,
  answers: new Map(),
  lastOutputs: null,
  lastSubmitSeq: 0,
  steps: [],
  log: [],
  waiters: new Set(),
  timers: new Set(),
});
