/**
 * The activities that call a backend: a thin layer over its port.
 *
 * Rule: the backend settles; this file provides the attempt and translates errors. A cancelled attempt ends as
 * cancelled. An attempt that a stopping worker gave up, or that lost its lease, is retried. Any other error is a bug;
 * it is reported as one and retried, since a fixed worker may succeed.
 * Imported by the activities' index.
 */
import { ApplicationFailure, CancelledFailure, Context } from '@temporalio/activity';
import {
  BackendError,
  FAILURES,
  readCreate,
  type Backend,
  type BackendActivityBase,
  type BackendContext,
  type RunActivities,
  type Settled,
} from '../protocol/index.ts';
import { beginAttempt, LeaseLostError } from './attempt.ts';
import type { ActivityDeps } from './dependencies.ts';
import { throwFailure, fromBackendError } from './failure.ts';
import { systemClock } from './lease.ts';
import { ENDING_RETRY_MS, isProcessEnding } from './tools/call-scope.ts';
import { noMetrics, type Metrics } from './metrics.ts';

/** Temporal refuses a payload over 2 MB at every attempt; a codec may add a little. */
const SETTLEMENT_MOST_BYTES = 1_900_000;

export type BackendActivities = Pick<
  RunActivities,
  | 'createThread'
  | 'createRun'
  | 'submitToolOutputs'
  | 'followRun'
  | 'closeRun'
  | 'recordAnswers'
  | 'recordDecisions'
>;

/** Inputs of versions before 0.2 name only a run that is not the calling workflow. */
const runIdOf = (input: BackendActivityBase): string =>
  input.runId ?? Context.current().info.workflowExecution?.workflowId ?? '';

/** Translates an error of a backend into a failure of Temporal. */
const translate = async (thrown: unknown, activity: Context, lost: string | undefined): Promise<unknown> => {
  if (activity.cancellationSignal.aborted) {
    // The SDK's own failure. When the worker is stopping, Temporal starts another attempt elsewhere.
    return await activity.cancelled.catch((reason: unknown) => reason);
  }
  if (thrown instanceof LeaseLostError || lost !== undefined) {
    return throwFailure(
      FAILURES.backendUnavailable,
      `The attempt stopped because another attempt may have replaced it: ${lost ?? (thrown as Error).message}.`,
      { retryable: true },
    );
  }
  if (thrown instanceof BackendError) return fromBackendError(thrown);
  if (thrown instanceof ApplicationFailure || thrown instanceof CancelledFailure) return thrown;
  return throwFailure(
    FAILURES.backendUnavailable,
    `The backend failed with an unexpected error: ${thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown)}.`,
    { retryable: true },
  );
};

/** Throws when this worker cannot run the attempt: its process is exiting, or it has no such backend. */
const servingBackend = (deps: ActivityDeps, name: BackendActivityBase['backend']): Backend => {
  if (isProcessEnding())
    throw throwFailure(FAILURES.backendUnavailable, 'The worker of this attempt is shutting down.', {
      retryable: true,
      retryAfterMs: ENDING_RETRY_MS,
    });
  const backend = deps.backends[name];
  if (backend === undefined)
    throw throwFailure(
      FAILURES.backendUnavailable,
      `This worker has no backend ${JSON.stringify(name)} (RUNS_BACKEND). Start a worker that has it on this task queue.`,
      { retryable: true },
    );
  return backend;
};

/** Throws when history cannot hold what the backend reports. */
const assertFitsHistory = (settled: Settled): void => {
  const bytes = Buffer.byteLength(JSON.stringify(settled));
  if (bytes > SETTLEMENT_MOST_BYTES)
    throw throwFailure(
      FAILURES.backendUnsupported,
      `The run's state (${settled.status}${settled.status === 'requires_action' ? `, ${settled.calls.length} calls` : ''}) takes ${bytes} bytes; Temporal's history takes at most ${SETTLEMENT_MOST_BYTES}.`,
      { retryable: false },
    );
};

/** Runs attempts at backend activities: the attempt's context in, metrics and Temporal's failures out. */
class AttemptRunner {
  readonly #deps: ActivityDeps;
  readonly metrics: Metrics;

  constructor(deps: ActivityDeps) {
    this.#deps = deps;
    this.metrics = deps.metrics ?? noMetrics;
  }

  async withBackend<T>(
    input: BackendActivityBase,
    work: (backend: Backend, context: BackendContext) => Promise<T>,
  ): Promise<T> {
    const activity = Context.current();
    const { activityType } = activity.info;
    const backend = servingBackend(this.#deps, input.backend);
    const attempt = beginAttempt(activity, this.#deps, input.backend, {
      runId: runIdOf(input),
      activity: activityType,
      backend: input.backend,
    });
    const clock = this.#deps.clock ?? systemClock;
    const begun = clock.monotonic();
    this.metrics.started('backend', clock.wall() - activity.info.currentAttemptScheduledTimestampMs);
    let outcome: 'ok' | 'failed' | 'cancelled' = 'failed';
    try {
      const result = await work(backend, attempt.context);
      outcome = 'ok';
      return result;
    } catch (error) {
      const failure = await translate(error, activity, attempt.lost());
      outcome = failure instanceof CancelledFailure ? 'cancelled' : 'failed';
      attempt.context.log.warn(
        {
          outcome,
          failure: failure instanceof ApplicationFailure ? failure.type : 'Cancelled',
          retryable: failure instanceof ApplicationFailure && failure.nonRetryable !== true,
        },
        'backend attempt ended without a settlement',
      );
      throw failure;
    } finally {
      attempt.dispose();
      this.metrics.backendActivity(activityType, outcome, clock.monotonic() - begun);
    }
  }

  async settle(
    input: BackendActivityBase,
    work: (backend: Backend, context: BackendContext) => Promise<Settled>,
  ): Promise<Settled> {
    return await this.withBackend(input, async (backend, context) => {
      const settled = await work(backend, context);
      if (settled.status === 'requires_action') this.metrics.roundBegan(input.backend, settled.calls.length);
      else this.metrics.runEnded(input.backend, settled.status);
      context.log.info(
        {
          status: settled.status,
          backendRunId: settled.run?.backendRunId,
          ...(settled.status === 'requires_action' ? { calls: settled.calls.length } : {}),
        },
        'run settled',
      );
      assertFitsHistory(settled);
      return settled;
    });
  }
}

export const backendActivities = (deps: ActivityDeps): BackendActivities => {
  const attempts = new AttemptRunner(deps);
  return {
    createThread: ({ metadata, ...base }) =>
      attempts.withBackend(base, (backend, context) =>
        backend.createThread({ runId: runIdOf(base), metadata }, context),
      ),
    createRun: (input) =>
      attempts.settle(input, (backend, context) =>
        backend.create(readCreate(input.request, runIdOf(input)), context),
      ),
    submitToolOutputs: (input) => {
      // Only the first attempt counts it: a repeated submit is no second wait.
      if (input.waitedMs !== undefined && Context.current().info.attempt === 1)
        attempts.metrics.waited(input.waitedMs);
      return attempts.settle(input, (backend, context) =>
        backend.submit(input.run, input.round, input.outputs, context, input.decisions ?? []),
      );
    },
    followRun: (input) => attempts.settle(input, (backend, context) => backend.follow(input.run, context)),
    closeRun: (input) =>
      attempts.settle(input, (backend, context) =>
        backend.close(input.target, input.how, context, input.decisions ?? []),
      ),
    recordDecisions: (input) =>
      attempts.withBackend(input, async (backend, context) => {
        await backend.recordDecisions?.(runIdOf(input), input.decisions, context);
      }),
    recordAnswers: (input) =>
      attempts.withBackend(input, async (backend, context) => {
        // A backend without a store shows answers with the submit.
        await backend.recordAnswers?.(input.run, input.round, input.outputs, context);
      }),
  };
};
