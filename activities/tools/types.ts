/**
 * The options of a tool as a user writes them, and its definition as the worker keeps it.
 *
 * Rule: options use the user's units (durations as "90s"); a definition is checked, complete, frozen, and in numbers.
 * Imported by the other files of this folder; users import the types from the worker's index.
 */
import type { z } from 'zod';
import type { FunctionTool, JsonSchema, OnDeadline, ToolPolicy, WaitPolicy } from '../../protocol/index.ts';

/** `"500ms"`, `"90s"`, `"15m"`, `"2h"`, `"3d"`, or a number of milliseconds. */
export type DurationText = string | number;

/** What `execute` knows about one attempt. */
export interface ToolContext {
  /**
   * The same on every attempt of a call, different for every call: pass it to services that take an idempotency key.
   */
  idempotencyKey: string;
  /**
   * Aborts when the run is cancelled, the worker shuts down, or the time of the attempt or the run's deadline is over.
   */
  signal: AbortSignal;
  /** 1 on the first attempt. */
  attempt: number;
  /** Unix milliseconds after which the output is useless; null = no deadline is known. */
  deadline: number | null;
  /** Tells Temporal that this attempt lives. Required at least every `heartbeat` where that option is set. */
  heartbeat(details?: unknown): void;
  /** Details of the previous attempt's last heartbeat; undefined on the first attempt. */
  previous: unknown;
  /** Ids of the run, its thread and its assistant. */
  run: string;
  thread: string;
  assistant: string;
  metadata: Record<string, string>;
}

export interface RetryOptions {
  /** Attempts in total, the first included. Default 5; 0 = until the time is over. */
  maximumAttempts?: number;
  /** Pause before the second attempt. Default "1s". */
  initialInterval?: DurationText;
  /** Each pause is this many times the one before. Default 2. */
  backoffCoefficient?: number;
  /** Longest pause. Default "60s". */
  maximumInterval?: DurationText;
}

export interface ToolOptions<
  Parameters extends z.ZodObject = z.ZodObject,
  Output extends z.ZodType = z.ZodType,
> {
  /** The model reads it. */
  description: string;
  /** Schema of the model's arguments. They are checked before `execute` sees them. */
  parameters: Parameters;
  /** Schema of the return value; another value becomes an error output, without a retry. */
  output?: Output;
  /** Does the work. A string is the output; another value is sent as JSON. Throw to be retried. */
  execute?(args: z.infer<Parameters>, context: ToolContext): z.input<Output> | Promise<z.input<Output>>;
  retry?: RetryOptions;
  /** How long one attempt may take. Default "5m". */
  timeout?: DurationText;
  /** An attempt that is silent for this long counts as lost. Default: none, only `timeout` bounds it. */
  heartbeat?: DurationText;
  /** A person must approve before `execute` runs: always, or when the function says so of the model's arguments. */
  needsApproval?: boolean | ((args: z.infer<Parameters>) => boolean);
  /** @deprecated The former name of `needsApproval`. */
  approval?: boolean | ((args: z.infer<Parameters>) => boolean);
  /** A person or the API's caller sends the output; there is no `execute`. */
  external?: boolean;
  /** Never run again after a lost attempt: the model reads that the outcome is unknown. */
  atMostOnce?: boolean;
  /** How long an answer may take, from the start of the wait. Default: as long as the run lives. */
  answerWithin?: DurationText;
  /** What happens when the deadline passes without an answer. Default 'fail': the run expires. */
  onDeadline?: OnDeadline;
  /** Longer outputs are cut, and say so. UTF-8 bytes, default 65,536, at most 500,000. */
  maxOutputBytes?: number;
}

/** A tool as the worker keeps it. */
export interface ToolDefinition {
  readonly name: string;
  readonly description: string;
  readonly parameters: z.ZodObject;
  readonly output: z.ZodType | null;
  readonly execute: ((args: unknown, context: ToolContext) => unknown) | null;
  readonly policy: ToolPolicy;
  readonly wait: WaitPolicy;
  readonly needsApproval: boolean | ((args: unknown) => boolean);
  readonly external: boolean;
  readonly maxOutputBytes: number;
  /** Schema of edited arguments, for every channel; null = only the tool checks them. */
  readonly editSchema: JsonSchema | null;
}

/** The tools of a worker. Created by `defineTools` only; never changes. */
export interface ToolRegistry {
  readonly names: readonly string[];
  get(name: string): ToolDefinition | undefined;
  /** The `tools` array of an assistant or a run. */
  definitions(): FunctionTool[];
}
