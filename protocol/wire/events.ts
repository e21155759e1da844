/**
 * The server-sent events of a run: names, payloads, and which of them end a stream.
 *
 * Rule: one name, one payload shape. `requires_action` and the terminal events end a stream; `cancelling` does not.
 * Imports wire shapes only; the workflow sandbox may load it.
 */
import type { Message, MessageContent, Run, RunStatus, RunStep, Thread } from './objects.ts';

export interface MessageDelta {
  id: string;
  object: 'thread.message.delta';
  delta: {
    role?: 'assistant';
    content: {
      index: number;
      type: MessageContent['type'];
      text?: { value?: string; annotations?: unknown[] };
      refusal?: string;
    }[];
  };
}

export interface ToolCallDelta {
  index: number;
  type: 'function';
  /** Only in the first delta of a call: clients concatenate strings, so a repeated id or name would be doubled. */
  id?: string;
  function?: { name?: string; arguments?: string; output?: string | null };
}

export interface RunStepDelta {
  id: string;
  object: 'thread.run.step.delta';
  delta: { step_details: { type: 'tool_calls'; tool_calls: ToolCallDelta[] } };
}

export type RunEventName = `thread.run.${'created' | RunStatus}`;
export type StepEventName =
  `thread.run.step.${'created' | 'in_progress' | 'completed' | 'failed' | 'cancelled' | 'expired'}`;
export type MessageEventName = `thread.message.${'created' | 'in_progress' | 'completed' | 'incomplete'}`;

export type StreamEvent =
  | { event: 'thread.created'; data: Thread }
  | { event: RunEventName; data: Run }
  | { event: StepEventName; data: RunStep }
  | { event: 'thread.run.step.delta'; data: RunStepDelta }
  | { event: MessageEventName; data: Message }
  | { event: 'thread.message.delta'; data: MessageDelta }
  | {
      event: 'error';
      data: { error: { message: string; type: string; param: string | null; code: string | null } };
    };

/** An event with its position in the run's log. `seq` starts at 1 and has no gaps while the log is unpruned. */
export type SequencedEvent = StreamEvent & { seq: number };

const RUN_END_EVENTS: ReadonlySet<string> = new Set([
  'thread.run.completed',
  'thread.run.failed',
  'thread.run.incomplete',
  'thread.run.cancelled',
  'thread.run.expired',
]);

/** True for events after which the run emits none. */
export const endsRun = (event: string): boolean => RUN_END_EVENTS.has(event);
/** True for events after which a create or submit stream sends `[DONE]`. */
export const endsStream = (event: string): boolean =>
  event === 'thread.run.requires_action' || RUN_END_EVENTS.has(event);
