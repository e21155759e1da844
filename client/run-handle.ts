/**
 * A handle on one run, as Temporal's client has one for a workflow: `runs.getHandle(id)` looks nothing up by itself.
 *
 * Rule: each method is the client's of the same name with the run's id filled in; no rule of its own.
 * Imported by `runs-client.ts` and the public face.
 */
import type { AnswerPayload, AnswerReply, Decision, RunResult, RunSnapshot } from '../protocol/index.ts';
import type { HistoryRound, SignedCallOptions, WaitOptions } from './types.ts';

interface SignalOption {
  signal?: AbortSignal;
}

/** What a handle needs of the client. */
export interface RunHandleMethods {
  get(runId: string, options?: SignalOption): Promise<RunSnapshot>;
  result(runId: string, options?: WaitOptions): Promise<RunResult>;
  answer(runId: string, payload: AnswerPayload, options?: SignedCallOptions): Promise<AnswerReply>;
  cancel(runId: string, options?: SignalOption): Promise<void>;
  watch(runId: string, options?: SignalOption): AsyncGenerator<RunSnapshot, void, undefined>;
  decisions(runId: string, options?: SignalOption): Promise<Decision[]>;
  history(runId: string, options?: SignalOption): Promise<HistoryRound[]>;
}

/** One run of a `RunsClient`: its methods without the run's id. Makes no request before its first call. */
export class RunHandle {
  readonly runId: string;
  readonly #runs: RunHandleMethods;

  constructor(runs: RunHandleMethods, runId: string) {
    this.#runs = runs;
    this.runId = runId;
  }

  /** The run as its workflow sees it now; see `RunsClient.get`. */
  async describe(options: SignalOption = {}): Promise<RunSnapshot> {
    return await this.#runs.get(this.runId, options);
  }

  /** Waits for the run's end. */
  async result(options: WaitOptions = {}): Promise<RunResult> {
    return await this.#runs.result(this.runId, options);
  }

  /** Answers or decides one call and waits for the run's reply. */
  async answer(payload: AnswerPayload, options: SignedCallOptions = {}): Promise<AnswerReply> {
    return await this.#runs.answer(this.runId, payload, options);
  }

  /** Asks the run to end as cancelled; `result` says how it ended. */
  async cancel(options: SignalOption = {}): Promise<void> {
    await this.#runs.cancel(this.runId, options);
  }

  /** Snapshots whenever the run changes; the last one has the result. */
  watch(options: SignalOption = {}): AsyncGenerator<RunSnapshot, void, undefined> {
    return this.#runs.watch(this.runId, options);
  }

  /** What was decided about calls of the run, oldest first. */
  async decisions(options: SignalOption = {}): Promise<Decision[]> {
    return await this.#runs.decisions(this.runId, options);
  }

  /** All rounds so far, from Temporal's history. */
  async history(options: SignalOption = {}): Promise<HistoryRound[]> {
    return await this.#runs.history(this.runId, options);
  }
}
