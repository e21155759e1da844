/**
 * What callers of the client give and get. Shapes only.
 *
 * Rule: times are unix milliseconds; a default is stated where there is one.
 * Imported by the client's own files and re-exported by `index.ts`.
 */
import type { Client, ClientInterceptors } from '@temporalio/client';
import type { DataConverter } from '@temporalio/common';
import type {
  AnswerOrigin,
  BusyPolicy,
  CallPlan,
  FollowUpInput,
  RunInput,
  RunSettings,
} from '../protocol/index.ts';

/** How `RunsClient.connect` finds Temporal. What is not set comes from the environment, then from Temporal's config file. */
export interface ConnectOptions {
  /** Temporal frontend, `host:port`. Default: `TEMPORAL_ADDRESS`, the config file's profile, else `localhost:7233`. */
  address?: string;
  /** Default: `TEMPORAL_NAMESPACE`, the profile's, else `default`. */
  namespace?: string;
  /** Where runs are started. Default: `RUNS_TASK_QUEUE`, else `runs`. */
  taskQueue?: string;
  /** Profile of the Temporal config file (TLS, API key, …). Default: `TEMPORAL_PROFILE`, else `default`. */
  profile?: string;
  /** Must be the worker's: payload codecs and converters. Default: the encryption of `RUNS_ENCRYPTION_KEYS`, if set. */
  dataConverter?: DataConverter;
  /** Name shown in Temporal beside what this client did. Default `runs-client <pid>@<host>`. */
  identity?: string;
  /** How long to try, in milliseconds. Default 5,000. */
  connectTimeoutMs?: number;
  /** Environment to read instead of the process's. */
  env?: Record<string, string | undefined>;
  /** Temporal's interceptors of calls, such as those of a tracer. Default: none. */
  interceptors?: ClientInterceptors;
}

/** What a run is started with. Times are unix milliseconds. */
export interface StartOptions {
  /** Our run id, the workflow id. Starting the same id again returns the run that is there. Default: a minted `run_…`. */
  runId?: string;
  backend: RunInput['backend'];
  assistantId: string;
  /** null or absent = a thread is created first (`assistants` only). */
  threadId?: string | null;
  /** Body of the create request without `assistant_id`, `stream` and `metadata` (`assistants` only). */
  params?: Record<string, unknown>;
  /** At most 14 pairs; given to tools, and part of the run's metadata on `assistants`. */
  metadata?: Record<string, string>;
  /** What to do when the thread has a live run of another client. Default `fail`. */
  busy?: BusyPolicy;
  /** Native backends: when the run expires. */
  expiresAt?: number | null;
  /** Native backends: when its row was created. */
  createdAt?: number | null;
  /** Which hooks the worker is to be asked for. Default none. */
  hooks?: { onWaiting?: boolean; onEnd?: boolean };
  settings?: RunSettings;
  followUpOf?: NonNullable<RunInput['followUpOf']>;
}

/** The run that `start` gives back. */
export interface StartedRun {
  runId: string;
  /** false: a run with this id was there already, running or ended; nothing was started. */
  started: boolean;
}

/** `origin`: the sender, as a program that authenticates its users states it. Without it, the name is a claim. */
export interface SignedCallOptions extends CallOptions {
  origin?: AnswerOrigin;
}

/** Limits of one call that needs a worker. */
export interface CallOptions {
  /** How long to wait for a worker, in milliseconds. Default 10,000. */
  timeoutMs?: number;
  /** Gives the call up; it may have been carried out all the same. */
  signal?: AbortSignal;
}

/** How long to wait for the end of a run. Throws `RunsError` with code `cancelled` when `signal` aborts or the time is over. */
export interface WaitOptions {
  /** Default: no limit. */
  timeoutMs?: number;
  signal?: AbortSignal;
}

/** Which runs `list` gives; all conditions must hold. Default: every run. */
export interface ListOptions {
  /** Only runs that wait for an answer now. */
  waiting?: boolean;
  /** The run's status as the API names it. */
  status?: string;
  threadId?: string;
  /** Only runs whose id begins with this. */
  idPrefix?: string;
  /** Default 100. */
  limit?: number;
}

/** A run in a list, from what Temporal knows without a worker. Times are unix milliseconds. */
export interface RunListItem {
  runId: string;
  /** As the API shows the run; of one that waits, as it was when the wait began. */
  status: string;
  /** null when neither search attributes nor memo tell. */
  threadId: string | null;
  assistantId: string | null;
  backend: RunInput['backend'] | null;
  /** Names of the tools that wait for an answer. */
  waitingFor: string[];
  deadline: number | null;
  startedAt: number;
  closedAt: number | null;
  /** True for what an ended run left behind to await late answers; `runId` is the ended run's. */
  followUp: boolean;
}

/** Memo of a run's workflow: what a list or a look without a worker can show. No secrets. */
export interface RunMemo {
  backend: RunInput['backend'];
  assistantId?: FollowUpInput['assistantId'];
  threadId?: string | null;
}

/** A call as its run's history tells it. */
export interface HistoryCall {
  callId: string;
  name: string;
  /** JSON text: those that ran, or the model's while none did. */
  arguments: string;
  kind: CallPlan['kind'];
  /** What the model read; null = it has not yet. */
  output: string | null;
  /** null = not known yet. */
  ok: boolean | null;
  /** Of the worker; 0 = it ran nothing. */
  attempts: number;
  /** Of the attempt before the last one, or why there is no output. */
  lastFailure: string | null;
  /** From the first attempt's scheduling to the end of the last; null = not ended, or the worker ran nothing. */
  ms: number | null;
}

/** A round of tool calls as the run's history tells it. */
export interface HistoryRound {
  round: number;
  /** The turn at the backend that asked for the calls. */
  turn: { attempts: number; lastFailure: string | null };
  /** In the model's order. */
  calls: HistoryCall[];
}

/** A run that carries a late answer of another one. */
export interface LateAnswerRun {
  /** The call that was answered late. */
  callId: string;
  runId: string;
  /** false: its start was asked for and is not known to have succeeded, as while the thread is busy. */
  started: boolean;
}

/** The run that another one goes back to. */
export interface RunOrigin {
  runId: string;
  /** Its calls whose late answers started the other run. */
  callIds: string[];
}

/** A `RunsClient` over a Temporal client that the program has. */
export interface RunsClientOptions {
  client: Client;
  /** Where runs are started. */
  taskQueue: string;
  /** Are our search attributes registered? Default: asked once, at the first start or list. */
  searchAttributes?: boolean;
  /** For error messages. */
  address?: string;
  /**
   * Of a client over the `NativeConnection` of a worker in this process, on the same task queue: what is started here is
   * handed to that worker in the reply, which saves the way through Temporal's queue. Elsewhere a start throws. Default false.
   */
  eagerStart?: boolean;
}
