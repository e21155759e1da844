/**
 * The options of a tool as a user writes them, and its definition as the worker keeps it.
 *
 * Rule: options use the user's units (durations as "90s"); a definition is checked, complete, frozen, and in numbers.
 * Imported by the other files of this folder; users import the types from the worker's index.
 */
import type { z } from 'zod';
import type {
  ApprovalPolicy,
  FunctionTool,
  JsonSchema,
  OnDeadline,
  ToolPolicy,
  WaitPolicy,
} from '../../protocol/index.ts';

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

/** How often a tool that throws is tried again. Durations are texts such as "30s" or "5m". */
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

/** The people who approve a tool's calls, the number of approvals, and the reminder and escalation of a call that still waits. */
export interface ApprovalOptions<Arguments = never> {
  /** Groups whose people may decide. Default: everybody who may decide calls of the tool. */
  by?: readonly string[];
  /** How many must agree, on the same arguments. Default 1. */
  quorum?: number;
  /** One denial denies the call. Default false: as many denials as `quorum` deny it. */
  veto?: boolean;
  /** The person who asked for the run has no vote. Default false. */
  notRequester?: boolean;
  /** Only names count that an API key or a sign-in verifies. Default false: a name given in Temporal counts, too. */
  verified?: boolean;
  /** After this time without a decision, those who may decide are reminded once. */
  remindAfter?: DurationText;
  /** After this time without a decision, people of `escalateTo` may decide, too. */
  escalateAfter?: DurationText;
  /** Groups, with `escalateAfter`. */
  escalateTo?: readonly string[];
  /** Which calls need the approval, by the model's arguments. Default: all. */
  when?(args: Arguments): boolean;
}

/** A tool, as `defineTools` takes it: what the model reads, who answers a call, and how long it may take. */
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
  /**
   * An attempt of this tool that is silent for this long counts as lost. Default: the worker reports for the tool, and an attempt is lost
   * a minute after its worker died.
   */
  heartbeat?: DurationText;
  /**
   * A person must approve before `execute` runs: always, when the function says so of the model's arguments, or as the
   * object says: by whom, by how many.
   */
  needsApproval?: boolean | ((args: z.infer<Parameters>) => boolean) | ApprovalOptions<z.infer<Parameters>>;
  /** @deprecated The former name of `needsApproval`. */
  approval?: boolean | ((args: z.infer<Parameters>) => boolean) | ApprovalOptions<z.infer<Parameters>>;
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

/** What a user may say about a tool of an MCP server. */
export type McpToolOptions = Pick<
  ToolOptions,
  | 'needsApproval'
  | 'atMostOnce'
  | 'retry'
  | 'timeout'
  | 'heartbeat'
  | 'answerWithin'
  | 'onDeadline'
  | 'maxOutputBytes'
>;

export type McpHeaders = Readonly<Record<string, string | undefined>>;

export interface McpServerOptions {
  /** Program of a stdio server. It runs as a child of the worker. */
  command?: string;
  args?: readonly string[];
  /** Added to PATH, HOME, USER and a few more; other variables of the worker do not reach the server. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Folder in which the program runs. Default: the worker's. */
  cwd?: string;
  /** URL of a streamable HTTP server. */
  url?: string;
  /** Sent with every request. A function is called before each of them, for tokens that expire. */
  headers?: McpHeaders | (() => McpHeaders | Promise<McpHeaders>);
  /** The server's names of the tools to offer. Default: all. */
  include?: readonly string[];
  /** The server's names of tools that are not offered. */
  exclude?: readonly string[];
  /** For all tools of the server, in the place of what its annotations say. */
  toolDefaults?: McpToolOptions;
  /** For single tools, by the server's name. */
  tools?: Readonly<Record<string, McpToolOptions>>;
}

export type McpServers = Readonly<Record<string, McpServerOptions>>;

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
  /** null = the first decision of anybody decides. */
  readonly approvers: ApprovalPolicy | null;
  readonly external: boolean;
  readonly maxOutputBytes: number;
  /** The parameters as an MCP server wrote them; null = `parameters` tell them. */
  readonly schema: JsonSchema | null;
  /** Schema of edited arguments, for every channel; null = only the tool checks them. */
  readonly editSchema: JsonSchema | null;
}

/** The tools of a worker. `defineTools` creates it and it never changes. A worker with MCP servers makes a second registry of it and the servers' tools. */
export interface ToolRegistry {
  readonly names: readonly string[];
  get(name: string): ToolDefinition | undefined;
  /** The `tools` array of an assistant or a run. */
  definitions(): FunctionTool[];
  /** MCP servers that the worker connects to, by name. */
  readonly servers?: McpServers;
  /** Why a name that belongs to an MCP server can't be called now; undefined = the name is of no server. */
  unavailable?(name: string): string | undefined;
}
