/**
 * One tool call as an activity.
 *
 * Rule: an error that the model can repair (bad arguments, an output that can't be sent) is an output; an error that
 * may pass is a retryable failure; an at-most-once tool never starts twice. When a tool ignores its signal, the attempt
 * ends at its timeout without it.
 * Imported by the activities' index and by tests.
 */
import { ApplicationFailure, CancelledFailure, Context } from '@temporalio/activity';
import { setTimeout as pause } from 'node:timers/promises';
import {
  FAILURES,
  quote,
  type CallOutcome,
  type Logger,
  type ToolActivityInput,
} from '../../protocol/index.ts';
import { throwFailure } from '../failure.ts';
import type { LeaseClock } from '../lease.ts';
import type { Metrics, ToolAttemptOutcome } from '../metrics.ts';
import { createAttemptMarks, MAX_LOST_ATTEMPTS, type AttemptMarks } from './attempt-mark.ts';
import {
  closeCall,
  ENDING_RETRY_MS,
  isProcessEnding,
  openCall,
  withinCall,
  type CallScope,
} from './call-scope.ts';
import { checkArguments, issuesText } from './check-arguments.ts';
import { makeStopper, type Stop, type Stopper } from './stopper.ts';
import { errorOutcome, MadeOutcome, toOutcome } from './tool-output.ts';
import { isToolError, NoAnswerError } from './tool-error.ts';
import type { ToolContext, ToolDefinition, ToolRegistry } from './types.ts';

export interface ToolRunDeps {
  tools: ToolRegistry;
  log: Logger;
  metrics: Metrics;
  clock: LeaseClock;
}

/** A deployment may bring a tool back, so the pause is longer than after a failed call. Milliseconds. */
const NOT_REGISTERED_RETRY_MS = 15_000;
/** After a lost attempt, the mark has this long to reach Temporal before the tool runs. Milliseconds. */
const MARK_SENT_MS = 250;

export const runTool = async (deps: ToolRunDeps, input: ToolActivityInput): Promise<CallOutcome> => {
  const { log, metrics, clock } = deps;
  const begun = clock.monotonic();
  const context = Context.current();
  const { info } = context;
  metrics.started('tool', clock.wall() - info.currentAttemptScheduledTimestampMs);
  const marks = createAttemptMarks(context, () => clock.monotonic() - begun);
  let outcome: ToolAttemptOutcome = 'failed';
  try {
    const result = await attempt(deps, input, begun, marks);
    outcome = result.ok ? 'ok' : 'rejected';
    return result;
  } catch (error) {
    if (error instanceof CancelledFailure) outcome = 'cancelled';
    else if (error instanceof ApplicationFailure && error.type === FAILURES.toolOutcomeUnknown)
      outcome = 'unknown';
    if (!(error instanceof LostAttempt)) marks.end();
    throw error instanceof LostAttempt ? error.failure : error;
  } finally {
    const ms = Math.round(clock.monotonic() - begun);
    metrics.toolAttempt(input.name, outcome, ms);
    const fields = {
      runId: input.runId,
      callId: input.callId,
      tool: input.name,
      attempt: info.attempt,
      outcome,
      ms,
    };
    if (outcome === 'ok') log.debug(fields, 'tool call done');
    else log.warn(fields, 'tool call gave no output');
  }
};

const attempt = async (
  { tools, clock }: ToolRunDeps,
  input: ToolActivityInput,
  begun: number,
  marks: AttemptMarks,
): Promise<CallOutcome> => {
  const { info } = Context.current();
  if (input.atMostOnce && info.attempt > 1) {
    throw outcomeUnknown(input, `attempt ${info.attempt - 1} was lost`);
  }
  if (isProcessEnding())
    throw throwFailure(FAILURES.toolFailed, 'The worker of this attempt is shutting down.', {
      retryable: true,
      retryAfterMs: ENDING_RETRY_MS,
    });
  const tool = tools.get(input.name);
  const execute = tool?.execute;
  if (tool === undefined || execute == null) {
    throw throwFailure(
      FAILURES.toolNotRegistered,
      `Tool ${quote(input.name)} is not registered on this worker, which has ${quote(tools.names, 300)}. Deploy a tools file (RUNS_TOOLS) that defines it.`,
      { retryable: true, retryAfterMs: NOT_REGISTERED_RETRY_MS },
    );
  }
  const checked = await checkArguments(tool, input.arguments);
  if (!checked.ok) {
    const outcome = errorOutcome('invalid_arguments', checked.problem);
    return input.edited === true ? { ...outcome, refusedEdit: checked.reason } : outcome;
  }

  // Checked right before the effect: an attempt that was frozen past its timeout may have been replaced.
  const bound = Math.min(info.startToCloseTimeoutMs || Infinity, info.heartbeatTimeoutMs || Infinity);
  if (clock.monotonic() - begun >= bound) {
    throw throwFailure(
      FAILURES.toolFailed,
      'The attempt did not run the tool: its worker was suspended before it began.',
      {
        retryable: true,
      },
    );
  }
  if (marks.lost >= MAX_LOST_ATTEMPTS) return endsWorkers(input);
  if (info.attempt > 1 || toolBeats(info, input)) marks.beat();
  if (marks.lost > 0) await pause(MARK_SENT_MS);
  const ran = await runEffect(tool, execute, checked.value, input, { clock, marks });
  return 'outcome' in ran ? ran.outcome : await toResult(tool, ran.value);
};

/** The tool sends the heartbeats itself. */
const toolBeats = ({ heartbeatTimeoutMs }: Context['info'], { workerBeats }: ToolActivityInput): boolean =>
  (heartbeatTimeoutMs ?? 0) > 0 && workerBeats !== true;

/** The output for the model when the call is given up to protect the workers. */
const endsWorkers = (input: ToolActivityInput): CallOutcome =>
  errorOutcome(
    'tool_failed',
    `The worker died ${MAX_LOST_ATTEMPTS} times while it ran ${quote(input.name)}, so the tool is not run again. It may have taken effect.`,
  );

/** Thrown when an exception of the tool ends the process. The mark is written already. */
class LostAttempt extends Error {
  readonly failure: ApplicationFailure;
  constructor(failure: ApplicationFailure) {
    super(failure.message);
    this.failure = failure;
  }
}

const toResult = async (tool: ToolDefinition, value: unknown): Promise<CallOutcome> => {
  if (value instanceof MadeOutcome) return value.outcome;
  if (tool.output === null) return toOutcome(tool.name, value, tool.maxOutputBytes);
  const checked = await tool.output.safeParseAsync(value);
  return checked.success
    ? toOutcome(tool.name, checked.data, tool.maxOutputBytes)
    : errorOutcome(
        'invalid_output',
        `${quote(tool.name)} ran, but its result does not match its output schema: ${issuesText(checked.error.issues)}.`,
      );
};

const outcomeUnknown = (input: ToolActivityInput, why: string): ApplicationFailure =>
  throwFailure(
    FAILURES.toolOutcomeUnknown,
    `It is unknown whether ${quote(input.name)} took effect: ${why}, and it must not run twice.`,
    { retryable: false },
  );

/** Runs the tool with its signal and in its scope. Rejects with the failure for Temporal. */
const runEffect = async (
  tool: ToolDefinition,
  execute: NonNullable<ToolDefinition['execute']>,
  args: unknown,
  input: ToolActivityInput,
  { clock, marks }: { clock: LeaseClock; marks: AttemptMarks },
): Promise<{ value: unknown } | { outcome: CallOutcome }> => {
  const context = Context.current();
  const stopper = makeStopper(context, {
    deadline: input.deadline,
    clock,
    beat: () => marks.beat(),
    beats: !toolBeats(context.info, input),
    onStop: () => marks.end(),
  });
  let scope: CallScope | null = null;
  try {
    if (stopper.stopped() !== null) throw await stopFailure(stopper.stopped(), context, tool, input, false);
    try {
      return await new Promise((resolve, reject) => {
        stopper.whenGivenUp(reject);
        scope = {
          tool: input.name,
          runId: input.runId,
          callId: input.callId,
          attempt: context.info.attempt,
          blame(error) {
            const lost = marks.lost + 1;
            marks.end(lost);
            if (lost >= MAX_LOST_ATTEMPTS && !tool.policy.atMostOnce)
              resolve({ outcome: endsWorkers(input) });
            else reject(new LostAttempt(lostFailure(error, tool, input)));
          },
          spare: () => marks.end(),
        };
        openCall(scope);
        const value = withinCall(scope, () => execute(args, toolContext(context, input, stopper, marks)));
        // Both handlers are set: when the tool ignores its signal, its late rejection is ignored.
        Promise.resolve(value).then((done) => resolve({ value: done }), reject);
      });
    } catch (error) {
      if (error instanceof LostAttempt) throw error;
      const stop = stopper.stopped();
      throw stop === null ? toolFailure(error, input) : await stopFailure(stop, context, tool, input, true);
    }
  } finally {
    stopper.dispose();
    if (scope !== null) closeCall(scope);
  }
};

/** Code that the tool left behind has thrown: the process ends, and the attempt is lost. */
const lostFailure = (error: unknown, tool: ToolDefinition, input: ToolActivityInput): ApplicationFailure =>
  tool.policy.atMostOnce
    ? outcomeUnknown(input, 'an exception outside of its call ended its worker')
    : throwFailure(
        FAILURES.toolFailed,
        `An exception that the tool threw outside of its call ended the worker: ${error instanceof Error ? error.message || error.name : quote(error, 500)}`,
        { retryable: true, retryAfterMs: ENDING_RETRY_MS },
      );

/** The failure for a thrown error. The tool's own `ApplicationFailure` decides about retries; its stack stays here. */
const toolFailure = (error: unknown, input: ToolActivityInput): ApplicationFailure => {
  if (error instanceof NoAnswerError && input.atMostOnce) return outcomeUnknown(input, error.message);
  const message = error instanceof Error ? error.message || error.name : quote(error, 500);
  const own = error instanceof ApplicationFailure ? error : null;
  return throwFailure(FAILURES.toolFailed, message, {
    retryable: !isToolError(error) && own?.nonRetryable !== true,
    retryAfterMs: typeof own?.nextRetryDelay === 'number' ? own.nextRetryDelay : null,
  });
};

/** The failure for a stopped attempt; `begun` = the tool may have had an effect. */
const stopFailure = async (
  stop: Stop | null,
  context: Context,
  tool: ToolDefinition,
  input: ToolActivityInput,
  begun: boolean,
): Promise<unknown> => {
  if (begun && tool.policy.atMostOnce && stop !== 'cancelled') {
    return outcomeUnknown(input, 'it was stopped before it reported a result');
  }
  if (stop === 'cancelled' || stop === 'shutdown') {
    // The SDK's own failure: on shutdown, the server starts the attempt on another worker.
    return await context.cancelled.catch((error: unknown) => error);
  }
  return stop === 'deadline'
    ? throwFailure(FAILURES.toolFailed, 'The run reached its deadline before the tool was done.', {
        retryable: false,
      })
    : throwFailure(
        FAILURES.toolFailed,
        `The tool took longer than its timeout of ${context.info.startToCloseTimeoutMs} ms. Raise its "timeout", or let it stop at its abort signal.`,
        { retryable: true },
      );
};

const toolContext = (
  context: Context,
  input: ToolActivityInput,
  stopper: Stopper,
  marks: AttemptMarks,
): ToolContext => ({
  idempotencyKey: input.idempotencyKey,
  get signal() {
    return stopper.signal();
  },
  attempt: context.info.attempt,
  deadline: input.deadline,
  heartbeat: (details) => marks.beat({ value: details }),
  previous: marks.previous,
  run: input.runId,
  thread: input.threadId,
  assistant: input.assistantId,
  metadata: { ...input.metadata },
});
