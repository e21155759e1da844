/**
 * The objects of the Assistants v2 wire, as this project writes them, and a tolerant form for reading.
 *
 * Rule: written objects have every documented field, `null` included; objects read may lack any (servers omit
 * `required_action`, send `expires_at: null`, add fields, use unknown statuses). Times are unix seconds here, and only here;
 * elsewhere they are milliseconds. Imports the shapes of our extensions. Any room may import it, the workflow sandbox too.
 */
import type { AwaitedCall, StepToolCall } from './decisions.ts';

export type Metadata = Record<string, string>;

/** A function that the model may call, as the API has it. `parameters` is a JSON schema. */
export interface FunctionTool {
  type: 'function';
  function: {
    name: string;
    description?: string;
    parameters?: Record<string, unknown>;
    strict?: boolean | null;
  };
}

/** A tool in a response: clients with strict types require `parameters`, which a request may leave out. */
export interface ShownTool extends FunctionTool {
  function: FunctionTool['function'] & { parameters: Record<string, unknown> };
}

export const shownTools = (tools: readonly FunctionTool[]): ShownTool[] =>
  tools.map((tool) => ({
    ...tool,
    function: { ...tool.function, parameters: tool.function.parameters ?? {} },
  }));

/** Files for tools that this server does not have. Never null: clients with strict types accept objects only. */
export type ToolResources = Record<string, unknown>;

export interface WireToolCall {
  id: string;
  type: 'function';
  function: { name: string; arguments: string };
}

export interface RequiredAction {
  type: 'submit_tool_outputs';
  submit_tool_outputs: { tool_calls: WireToolCall[] };
}

export interface WireUsage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  /** Parts of `prompt_tokens` and of `completion_tokens`; absent = the model's server counts none. */
  prompt_token_details?: { cached_tokens: number };
  completion_tokens_details?: { reasoning_tokens: number };
  /** Our extensions. `cost`: currency → decimal amount; absent = no model had a price. `model`: on steps, who answered. */
  cost?: Readonly<Record<string, string>>;
  model?: string;
}

export interface WireLastError {
  code: string;
  message: string;
}

export type ToolChoice = 'none' | 'auto' | 'required' | { type: 'function'; function: { name: string } };
export type ResponseFormat =
  | 'auto'
  | { type: 'text' }
  | { type: 'json_object' }
  | { type: 'json_schema'; json_schema: Record<string, unknown> };
export interface TruncationStrategy {
  type: 'auto' | 'last_messages';
  last_messages?: number | null;
}

/** Statuses after which a run never changes. */
export const TERMINAL_STATUSES = ['completed', 'failed', 'incomplete', 'cancelled', 'expired'] as const;
/** Statuses in which the run locks its thread. */
export const ACTIVE_STATUSES = ['queued', 'in_progress', 'requires_action', 'cancelling'] as const;
export type TerminalStatus = (typeof TERMINAL_STATUSES)[number];
export type ActiveStatus = (typeof ACTIVE_STATUSES)[number];
/** Status of a run, as the API has it. */
export type RunStatus = ActiveStatus | TerminalStatus;

export const isTerminal = (status: string): status is TerminalStatus =>
  (TERMINAL_STATUSES as readonly string[]).includes(status);
export const isRunStatus = (status: string): status is RunStatus =>
  isTerminal(status) || (ACTIVE_STATUSES as readonly string[]).includes(status);

/** Fields that a run has in every status. */
export interface RunCommon {
  id: string;
  object: 'thread.run';
  created_at: number;
  assistant_id: string;
  thread_id: string;
  started_at: number | null;
  model: string;
  /** Empty when there are none. */
  instructions: string;
  tools: ShownTool[];
  tool_resources: ToolResources;
  metadata: Metadata;
  temperature: number | null;
  top_p: number | null;
  max_prompt_tokens: number | null;
  max_completion_tokens: number | null;
  truncation_strategy: TruncationStrategy;
  response_format: ResponseFormat;
  tool_choice: ToolChoice;
  parallel_tool_calls: boolean;
  reasoning_effort?: string | null;
  /** Our extension: currency → decimal amount; absent = no limit. */
  max_cost?: Readonly<Record<string, string>>;
  /** Our extension, while the run waits: what for, and until when. */
  awaiting?: AwaitedCall[];
  /** Our extension: the models whose turns the run has, each once, in order. Absent before the first. */
  models_used?: string[];
}

/**
 * A run as this project writes it, discriminated on `status`: the union says which fields are set in which status.
 * `expires_at` is null once the run has completed; a run has no `expired_at`.
 */
export type Run = RunCommon &
  (
    | {
        status: 'queued' | 'in_progress' | 'cancelling';
        required_action: null;
        last_error: null;
        incomplete_details: null;
        expires_at: number | null;
        cancelled_at: null;
        failed_at: null;
        completed_at: null;
        usage: null;
      }
    | {
        status: 'requires_action';
        required_action: RequiredAction;
        last_error: null;
        incomplete_details: null;
        expires_at: number | null;
        cancelled_at: null;
        failed_at: null;
        completed_at: null;
        usage: null;
      }
    | {
        status: 'completed';
        required_action: null;
        last_error: null;
        incomplete_details: null;
        expires_at: null;
        cancelled_at: null;
        failed_at: null;
        completed_at: number;
        usage: WireUsage | null;
      }
    | {
        status: 'incomplete';
        required_action: null;
        last_error: null;
        incomplete_details: { reason?: string };
        expires_at: number | null;
        cancelled_at: null;
        failed_at: null;
        completed_at: number | null;
        usage: WireUsage | null;
      }
    | {
        status: 'failed';
        required_action: null;
        last_error: WireLastError;
        incomplete_details: null;
        expires_at: number | null;
        cancelled_at: null;
        failed_at: number;
        completed_at: null;
        usage: WireUsage | null;
      }
    | {
        status: 'cancelled';
        required_action: null;
        last_error: WireLastError | null;
        incomplete_details: null;
        expires_at: number | null;
        cancelled_at: number;
        failed_at: null;
        completed_at: null;
        usage: WireUsage | null;
      }
    | {
        status: 'expired';
        required_action: null;
        last_error: WireLastError | null;
        incomplete_details: null;
        expires_at: number | null;
        cancelled_at: null;
        failed_at: null;
        completed_at: null;
        usage: WireUsage | null;
      }
  );

export type StepDetails =
  | { type: 'message_creation'; message_creation: { message_id: string } }
  | { type: 'tool_calls'; tool_calls: StepToolCall[] };
export type StepStatus = 'in_progress' | 'cancelled' | 'failed' | 'completed' | 'expired';

export interface RunStep {
  id: string;
  object: 'thread.run.step';
  created_at: number;
  assistant_id: string;
  thread_id: string;
  run_id: string;
  type: 'message_creation' | 'tool_calls';
  status: StepStatus;
  step_details: StepDetails;
  last_error: WireLastError | null;
  /** Sent beside `expires_at`: the schema names one, and every streamed example shows the other. */
  expired_at: number | null;
  expires_at: number | null;
  cancelled_at: number | null;
  failed_at: number | null;
  completed_at: number | null;
  metadata: Metadata;
  usage: WireUsage | null;
  /** Our extension: the model that spoke in this step. */
  model?: string;
}

export type MessageContent =
  | { type: 'text'; text: { value: string; annotations: unknown[] } }
  | { type: 'image_url'; image_url: { url: string; detail?: 'auto' | 'low' | 'high' } }
  | { type: 'refusal'; refusal: string };

export interface Message {
  id: string;
  object: 'thread.message';
  created_at: number;
  thread_id: string;
  status: 'in_progress' | 'incomplete' | 'completed';
  incomplete_details: { reason: string } | null;
  completed_at: number | null;
  incomplete_at: number | null;
  role: 'user' | 'assistant';
  content: MessageContent[];
  assistant_id: string | null;
  run_id: string | null;
  attachments: unknown[] | null;
  metadata: Metadata;
}

export interface Thread {
  id: string;
  object: 'thread';
  created_at: number;
  metadata: Metadata;
  tool_resources: ToolResources;
}

export interface Assistant {
  id: string;
  object: 'assistant';
  created_at: number;
  name: string | null;
  description: string | null;
  model: string;
  instructions: string | null;
  tools: ShownTool[];
  tool_resources: ToolResources;
  metadata: Metadata;
  temperature: number | null;
  top_p: number | null;
  response_format: ResponseFormat;
  reasoning_effort?: string | null;
}

export interface Deleted<Kind extends string> {
  id: string;
  object: Kind;
  deleted: true;
}

/** A page of a list. `first_id` and `last_id` are cursors; null = there is none. `has_more`: the list goes on after it. */
export interface Page<T> {
  object: 'list';
  data: T[];
  first_id: string | null;
  last_id: string | null;
  has_more: boolean;
}

export interface ToolOutput {
  tool_call_id: string;
  output: string;
}
