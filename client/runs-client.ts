/**
 * Start, answer, watch, cancel and list runs: Temporal behind a run's vocabulary.
 *
 * Rule: every method may be called again after an error without doing anything twice; errors are `RunsError`s whose
 * code says who can do something about it.
 * Imported by everything that drives runs: user programs, the CLI, the service, the worker (for follow-up runs).
 */
import { Client } from '@temporalio/client';
import { setTimeout as pause } from 'node:timers/promises';
import {
  type AnswerPayload,
  type AnswerReply,
  type Decision,
  type RunResult,
  type RunSnapshot,
  type SubmitPayload,
  type SubmitReply,
  type WorkerTool,
  type WorkerToolList,
} from '../protocol/index.ts';
import * as answers from './answers.ts';
import { Calls, retryUntilClosing } from './temporal-calls.ts';
import { openConnection, temporalTarget } from './connect.ts';
import { clientConverter } from './encryption.ts';
import { checkRunId } from './payloads.ts';
import { readDecisions } from './decisions.ts';
import { RunHandle } from './run-handle.ts';
import { cancelRun, awaitResult } from './result.ts';
import { checkSearchAttributes } from './search-attributes.ts';
import { createSession, SERVER_TIMEOUT_MS, type ClientSession } from './session.ts';
import { startRunWorkflow } from './start.ts';
import type {
  SignedCallOptions,
  CallOptions,
  ConnectOptions,
  LateAnswerRun,
  HistoryRound,
  ListOptions,
  RunListItem,
  RunOrigin,
  RunsClientOptions,
  StartedRun,
  StartOptions,
  WaitOptions,
} from './types.ts';
import { listRuns } from './list-runs.ts';
import { followUpRuns, runOrigin } from './follow-up-runs.ts';
import { runHistory } from './run-history.ts';
import { readWaitingCall, type WaitingHistoryCall } from './waiting-call.ts';
import { readSnapshot } from './read-snapshot.ts';
import { listWorkerTools } from './worker-tools.ts';
import { watchRun } from './watch.ts';

/** What `connect` made and `close` must end. */
interface Owned {
  closing: AbortController;
  /** Called when no call is in flight. */
  idle(): void;
  close(): Promise<void>;
}

/** How long an absent search attribute is believed to be absent, in milliseconds. */
const ATTRIBUTES_RECHECK_MS = 60_000;

/** Runs in Temporal: start, answer, watch, cancel and list. A method may be called again after an error. Throws `RunsError`. */
export class RunsClient {
  readonly #session: ClientSession;
  readonly #calls: Calls;
  readonly #owned: Owned | null;
  #attributes: { available: boolean; checkedAt: number } | null;

  /** Over a client of yours, which stays yours: `close` waits for calls in flight and leaves the connection open. */
  constructor(options: RunsClientOptions, owned: Owned | null = null) {
    const { client, taskQueue, searchAttributes } = options;
    const { address = 'the given connection', eagerStart = false } = options;
    this.#owned = owned;
    this.#calls = new Calls(client, owned?.closing ?? new AbortController(), () => owned?.idle());
    this.#session = createSession(client, this.#calls, { taskQueue, address, eagerStart });
    this.#attributes =
      searchAttributes === undefined ? null : { available: searchAttributes, checkedAt: Infinity };
  }

  /** Connects by options, environment and Temporal's config file. Throws `temporal_unavailable` or `config`. */
  static async connect(options: ConnectOptions = {}): Promise<RunsClient> {
    const target = temporalTarget(options);
    const closing = new AbortController();
    const connection = await openConnection(target, {
      interceptors: [retryUntilClosing(closing.signal)],
      ...(options.connectTimeoutMs === undefined ? {} : { timeoutMs: options.connectTimeoutMs }),
    });
    const client = new Client({
      connection,
      namespace: target.namespace,
      ...clientConverter(options),
      ...(options.identity === undefined ? {} : { identity: options.identity }),
      ...(options.interceptors === undefined ? {} : { interceptors: options.interceptors }),
    });
    return new RunsClient(
      { client, taskQueue: target.taskQueue, address: target.address },
      {
        closing,
        // Once used, the storage that carries deadlines makes Node (before 24) follow every promise of the process, which
        // costs a busy server a good part of its CPU. It is empty between calls; the next call enables it.
        idle: () => connection.callContextStorage.disable(),
        close: () => connection.close(),
      },
    );
  }

  /** A call of Temporal's own client, with limits. Errors are Temporal's. */
  async call<T>(
    work: (temporal: Client) => Promise<T>,
    limits: { timeoutMs?: number; signal?: AbortSignal } = {},
  ): Promise<T> {
    return await this.#calls.run(() => work(this.#session.client), limits);
  }

  /**
   * Temporal's own client, for what this one does not do. Limits of calls (`withDeadline` and the like) belong to `call`:
   * set here, they may end early.
   */
  get temporal(): Client {
    return this.#session.client;
  }

  /** Where this client looks for runs. `address` is the configured one, for messages. */
  get place(): { address: string; namespace: string; taskQueue: string } {
    const { address, client, taskQueue } = this.#session;
    return { address, namespace: client.options.namespace, taskQueue };
  }

  /**
   * Starts a run. The same `runId` never runs twice while its namespace remembers it: an existing run, live or ended,
   * is returned with `started: false`. On an error with a minted id, `error.details.runId` is the id to repeat with.
   */
  async start(options: StartOptions, call: Pick<CallOptions, 'signal'> = {}): Promise<StartedRun> {
    const attributes = {
      available: () => this.#searchAttributes(),
      refused: () => {
        this.#attributes = null;
      },
    };
    return await startRunWorkflow(this.#session, options, attributes, call);
  }

  /** A handle on the run with this id, which need not exist yet. Throws `invalid_input` for what is no run id. */
  getHandle(runId: string): RunHandle {
    checkRunId(runId);
    return new RunHandle(this, runId);
  }

  /** The run as its workflow sees it. Without a worker: what Temporal itself knows, marked `partial`. */
  async get(runId: string, options: { signal?: AbortSignal } = {}): Promise<RunSnapshot> {
    checkRunId(runId);
    return await readSnapshot(this.#session, runId, options.signal);
  }

  /** Does Temporal know a run of exactly this id? Needs no worker. */
  async has(runId: string, options: { signal?: AbortSignal } = {}): Promise<boolean> {
    checkRunId(runId);
    return (await this.#session.look(runId, options.signal)) !== null;
  }

  /**
   * Waits for the run's end. A cancelled run has a result too. Throws `run_failed` when the workflow itself ended
   * without one (terminated, timed out), and `cancelled` when `signal` aborts or `timeoutMs` passes.
   */
  async result(runId: string, options: WaitOptions = {}): Promise<RunResult> {
    return await awaitResult(this.#session, runId, options);
  }

  /**
   * Asks a run to end as cancelled; `result` tells how it ended, which may be otherwise if it was faster.
   * An ended run: nothing happens when it was cancelled, else `refused`.
   */
  async cancel(runId: string, call: Pick<CallOptions, 'signal'> = {}): Promise<void> {
    await cancelRun(this.#session, runId, call);
  }

  /** Answers or decides one call. Waits for the run's verdict; see `RunsError` codes `refused` and `no_worker`. */
  async answer(runId: string, payload: AnswerPayload, options: SignedCallOptions = {}): Promise<AnswerReply> {
    return await answers.sendAnswer(this.#session, runId, payload, options);
  }

  /**
   * What was decided about calls of the run, oldest first, late calls included. Needs a worker. Empty for a run of a version
   * that kept no decisions.
   */
  async decisions(runId: string, options: { signal?: AbortSignal } = {}): Promise<Decision[]> {
    checkRunId(runId);
    return await readDecisions(this.#session, runId, options);
  }

  /** Leaves an answer for the run, worker or not; whether it could be used is shown by the run only. */
  async signalAnswer(runId: string, payload: AnswerPayload): Promise<void> {
    await answers.signalAnswer(this.#session, runId, payload);
  }

  /** Answers all open external calls of a round at once, as the runs API does. */
  async submitToolOutputs(
    runId: string,
    payload: SubmitPayload,
    options: SignedCallOptions & { round?: number } = {},
  ): Promise<SubmitReply> {
    return await answers.submitToolOutputs(this.#session, runId, payload, options);
  }

  /** Runs, newest first, as far as Temporal's visibility store has caught up (a second or so behind). */
  async *list(options: ListOptions = {}): AsyncGenerator<RunListItem, void, undefined> {
    yield* listRuns(this.#session, options, await this.#searchAttributes());
  }

  /**
   * All rounds of the run so far, from Temporal's history: needs no worker. What an earlier execution of a run that was
   * continued as new did is there as long as the namespace keeps it.
   */
  async history(runId: string, options: { signal?: AbortSignal } = {}): Promise<HistoryRound[]> {
    checkRunId(runId);
    return await runHistory(this.#session, runId, options.signal);
  }

  /**
   * The only call that a listed run waits for, from the end of its history; its deadline is the run's. Needs no worker. Null = only a
   * worker can tell (`get`): several calls may wait, or something happened since the wait began.
   */
  async waitingCall({ runId, followUp, waitingFor }: RunListItem): Promise<WaitingHistoryCall | null> {
    return followUp || waitingFor.length !== 1 ? null : await readWaitingCall(this.#session, runId);
  }

  /** Runs that carry late answers of this one. Needs no worker. */
  async followUpRuns(runId: string, options: { signal?: AbortSignal } = {}): Promise<LateAnswerRun[]> {
    checkRunId(runId);
    return await followUpRuns(this.#session, runId, options.signal);
  }

  /** The run whose late answer this one carries; null = it carries none. Needs no worker. */
  async origin(runId: string, options: { signal?: AbortSignal } = {}): Promise<RunOrigin | null> {
    checkRunId(runId);
    return await runOrigin(this.#session, runId, options.signal);
  }

  /** The tools of the workers on this client's task queue, as one of them has them now. `no_worker` without one. */
  async tools(options: CallOptions = {}): Promise<WorkerTool[]> {
    return (await listWorkerTools(this.#session, options)).tools;
  }

  /** The same, and the MCP servers of that worker. */
  async toolList(options: CallOptions = {}): Promise<WorkerToolList> {
    return await listWorkerTools(this.#session, options);
  }

  /** Snapshots of the run whenever they change; the last one has the result. Ends with the run or with `signal`. */
  watch(runId: string, options: { signal?: AbortSignal } = {}): AsyncGenerator<RunSnapshot, void, undefined> {
    return watchRun(
      {
        snapshot: (signal) => this.get(runId, { signal }),
        ended: (signal) => this.result(runId, { signal }),
        sleep: (ms, signal) => pause(ms, undefined, { signal }).catch(() => undefined),
      },
      options,
    );
  }

  /** Gives up calls in flight, waits for them to settle, then closes the connection if `connect` made it. */
  async close(): Promise<void> {
    await this.#calls.close();
    await this.#owned?.close();
  }

  /** Are the search attributes there? Asked once; absence is asked again after a while. */
  async #searchAttributes(): Promise<boolean> {
    const known = this.#attributes;
    if (known !== null && (known.available || Date.now() - known.checkedAt < ATTRIBUTES_RECHECK_MS))
      return known.available;
    const { connection, options } = this.#session.client;
    const state = await this.#session.call(
      { what: 'Asking for the search attributes', timeoutMs: SERVER_TIMEOUT_MS },
      () => checkSearchAttributes(connection, options.namespace),
    );
    this.#attributes = { available: state.available, checkedAt: Date.now() };
    return state.available;
  }
}
