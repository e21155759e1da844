/**
 * What a tool is: the options a user writes and the definition the worker keeps.
 *
 * Rule: options are the user's words (durations as "90s"); a definition is checked, complete and frozen, in numbers.
 * Imported by the other files of this folder; users get the types through the worker's index.
 */
import type { z } from 'zod';
import type { FunctionTool, JsonSchema, OnDeadline, ToolPolicy, WaitPolicy } from '../../protocol/index.ts';

/** `"500ms"`, `"90s"`, `"15m"`, `"2h"`, `"3d"`, or a number of milliseconds. */
export type DurationText = string | number;

/** What one attempt of a call is told. */
export interface ToolContext {
  /** The same on every attempt of a call, different for every call: hand it to whatever takes an idempotency key. */
  idempotencyKey: string;
  /** Aborted when the run is cancelled, the worker shuts down, the attempt's time or the run's deadline is over. */
  signal: AbortSignal;
  /** 1 on the first attempt. */
  attempt: number;
  /** Unix milliseconds by which the output must exist to be of use; null = no deadline known. */
  deadline: number | null;
  /** Tells Temporal that this attempt lives. Needed at least every `heartbeat` where that option is set. */
  heartbeat(details?: unknown): void;
  /** What the latest heartbeat of the previous attempt carried; undefined on the first. */
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
  /** Told to the model. */
  description: string;
  /** What the model's arguments must be. They are checked before `execute` sees them. */
  parameters: Parameters;
  /** What `execute` must return; anything else becomes an error output, without another attempt. */
  output?: Output;
  /** Does the work. A string is the output as it is; anything else is sent as JSON. Throw to be tried again. */
  execute?(args: z.infer<Parameters>, context: ToolContext): z.input<Output> | Promise<z.input<Output>>;
  retry?: RetryOptions;
  /** How long one attempt may take. Default "5m". */
  timeout?: DurationText;
  /** Silence after which an attempt counts as lost. Default: none, only `timeout` bounds it. */
  heartbeat?: DurationText;
  /** A person must approve before `execute` runs: always, or when the function says so of the model's arguments. */
  approval?: boolean | ((args: z.infer<Parameters>) => boolean);
  /** Somebody outside supplies the output (a person, or the API's caller); there is no `execute`. */
  external?: boolean;
  /** Never run again after an attempt was lost: the model is told that the outcome is unknown. */
  atMostOnce?: boolean;
  /** How long a person or the caller has, from the moment the wait begins. Default: as long as the run lives. */
  answerWithin?: DurationText;
  /** What happens when the run's deadline comes and nobody answered. Default 'fail': the run expires. */
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
  readonly approval: boolean | ((args: unknown) => boolean);
  readonly external: boolean;
  readonly maxOutputBytes: number;
  /** What a person's own arguments are checked against at every door; null = by the tool alone. */
  readonly editSchema: JsonSchema | null;
}

/** The tools of a worker. Made by `defineTools` only; never changes afterwards. */
export interface ToolRegistry {
  readonly names: readonly string[];
  get(name: string): ToolDefinition | undefined;
  /** The `tools` array of an assistant or a run. */
  definitions(): FunctionTool[];
}
