/**
 * One tool call as an activity.
 *
 * Rule: an error the model can repair (bad arguments, an output that can't be sent) is an output; an error that time may
 * repair is a retryable failure; an at-most-once tool never starts twice. A tool that does not listen to its signal is
 * left behind when its time is over: the attempt ends, whatever the tool does.
 * Imported by the activities' index and by tests.
 */
import { ApplicationFailure, CancelledFailure, Context } from '@temporalio/activity';
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
import { checkArguments, issuesText } from './check-arguments.ts';
import { errorOutcome, toOutcome } from './tool-output.ts';
import { isToolError } from './tool-error.ts';
import type { ToolContext, ToolDefinition, ToolRegistry } from './types.ts';

export interface ToolRunDeps {
  tools: ToolRegistry;
  log: Logger;
  metrics: Metrics;
  clock: LeaseClock;
}

/** How long a tool that was told to stop may take to do so, in milliseconds. */
const STOP_GRACE_MS = 5_000;
/** How often Temporal is asked whether a tool without heartbeats was cancelled, in milliseconds. */
const CANCEL_CHECK_MS = 2_000;
/** A deploy may bring a tool back: worth a longer pause than a failed call. Milliseconds. */
const NOT_REGISTERED_RETRY_MS = 15_000;
const MAX_HEARTBEAT_CHARS = 32_768;

const nothing = (): void => undefined;

/** Why an attempt was stopped from outside the tool. */
type Stop = 'cancelled' | 'shutdown' | 'too_long' | 'deadline';

export const runTool = async (deps: ToolRunDeps, input: ToolActivityInput): Promise<CallOutcome> => {
  const { log, metrics, clock } = deps;
  const begun = clock.monotonic();
  const { info } = Context.current();
  let outcome: ToolAttemptOutcome = 'failed';
  try {
    const result = await attempt(deps, input, begun);
    outcome = result.ok ? 'ok' : 'rejected';
    return result;
  } catch (error) {
    if (error instanceof CancelledFailure) outcome = 'cancelled';
    else if (error instanceof ApplicationFailure && error.type === FAILURES.toolOutcomeUnknown)
      outcome = 'unknown';
    throw error;
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
): Promise<CallOutcome> => {
  const { info } = Context.current();
  if (input.atMostOnce && info.attempt > 1) {
    throw outcomeUnknown(input, `attempt ${info.attempt - 1} was lost`);
  }
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

  // Right before the effect: an attempt that slept through its own time may have a successor at work.
  const bound = Math.min(info.startToCloseTimeoutMs || Infinity, info.heartbeatTimeoutMs || Infinity);
  if (clock.monotonic() - begun >= bound) {
    throw throwFailure(
      FAILURES.toolFailed,
      'The attempt was given up before it began: its worker stood still.',
      {
        retryable: true,
      },
    );
  }
  const value = await runEffect(tool, execute, checked.value, input, clock);
  return await toResult(tool, value);
};

const toResult = async (tool: ToolDefinition, value: unknown): Promise<CallOutcome> => {
  if (tool.output === null) return toOutcome(tool.name, value, tool.maxOutputBytes);
  const checked = await tool.output.safeParseAsync(value);
  return checked.success
    ? toOutcome(tool.name, checked.data, tool.maxOutputBytes)
    : errorOutcome(
        'invalid_output',
        `${quote(tool.name)} ran, but returned something else than it promises: ${issuesText(checked.error.issues)}.`,
      );
};

const outcomeUnknown = (input: ToolActivityInput, why: string): ApplicationFailure =>
  throwFailure(
    FAILURES.toolOutcomeUnknown,
    `It is unknown whether ${quote(input.name)} took effect: ${why}, and it must not run twice.`,
    { retryable: false },
  );

/** Runs the tool against its signal. Rejects with what Temporal is to be told. */
const runEffect = async (
  tool: ToolDefinition,
  execute: NonNullable<ToolDefinition['execute']>,
  args: unknown,
  input: ToolActivityInput,
  clock: LeaseClock,
): Promise<unknown> => {
  const context = Context.current();
  const stopper = makeStopper(context, input.deadline, clock);
  try {
    if (stopper.stopped() !== null) throw await stopFailure(stopper.stopped(), context, tool, input, false);
    try {
      return await new Promise((resolve, reject) => {
        stopper.whenGivenUp(reject);
        // Left behind when it ignores its signal: both handlers are set, so that its late rejection is nobody's business.
        Promise.resolve(execute(args, toolContext(context, input, stopper))).then(resolve, reject);
      });
    } catch (error) {
      const stop = stopper.stopped();
      throw stop === null ? toolFailure(error) : await stopFailure(stop, context, tool, input, true);
    }
  } finally {
    stopper.dispose();
  }
};

/** A thrown error. The tool's own `ApplicationFailure` keeps its say over retries; its stack stays here. */
const toolFailure = (error: unknown): ApplicationFailure => {
  const message = error instanceof Error ? error.message || error.name : quote(error, 500);
  const own = error instanceof ApplicationFailure ? error : null;
  return throwFailure(FAILURES.toolFailed, message, {
    retryable: !isToolError(error) && own?.nonRetryable !== true,
    retryAfterMs: typeof own?.nextRetryDelay === 'number' ? own.nextRetryDelay : null,
  });
};

/** What to tell Temporal of an attempt that was stopped; `begun` = the tool may have done something. */
const stopFailure = async (
  stop: Stop | null,
  context: Context,
  tool: ToolDefinition,
  input: ToolActivityInput,
  begun: boolean,
): Promise<unknown> => {
  if (begun && tool.policy.atMostOnce && stop !== 'cancelled') {
    return outcomeUnknown(input, 'it was stopped before it reported');
  }
  if (stop === 'cancelled' || stop === 'shutdown') {
    // The SDK's own failure: on shutdown it makes the server give the attempt to another worker.
    return await context.cancelled.catch((error: unknown) => error);
  }
  return stop === 'deadline'
    ? throwFailure(FAILURES.toolFailed, 'The run reached its deadline before the tool was done.', {
        retryable: false,
      })
    : throwFailure(
        FAILURES.toolFailed,
        `The tool took longer than the ${context.info.startToCloseTimeoutMs} ms it has. Raise its "timeout", or make it listen to its signal.`,
        { retryable: true },
      );
};

interface Stopper {
  /** Made when it is first asked for: most tools never do, and thousands of calls a second need none. */
  signal(): AbortSignal;
  /** Calls `giveUp` when the tool's time is over; after a cancellation only when the grace is over too. */
  whenGivenUp(giveUp: (reason: Error) => void): void;
  stopped(): Stop | null;
  dispose(): void;
}

/** Joins everything that ends an attempt into one signal, and says which it was. */
const makeStopper = (context: Context, deadline: number | null, clock: LeaseClock): Stopper => {
  const { info, cancellationSignal } = context;
  let abort: AbortController | null = null;
  let stopped: { why: Stop; reason: Error } | null = null;
  let giveUp: (reason: Error) => void = nothing;
  const timers: NodeJS.Timeout[] = [];

  const after = (ms: number, act: () => void) => {
    // setTimeout takes 31 bits; anything longer is beyond any attempt.
    if (ms < 2 ** 31 - 1) timers.push(setTimeout(act, Math.max(0, ms)));
  };
  const stop = (why: Stop, graceMs: number) => {
    if (stopped !== null) return;
    const reason = new Error(`the tool was stopped: ${why}`);
    reason.name = 'AbortError';
    stopped = { why, reason };
    abort?.abort(reason);
    if (graceMs === 0) giveUp(reason);
    else after(graceMs, () => giveUp(reason));
  };
  const onCancel = () =>
    stop(context.cancellationDetails?.workerShutdown === true ? 'shutdown' : 'cancelled', STOP_GRACE_MS);

  if (cancellationSignal.aborted) onCancel();
  else cancellationSignal.addEventListener('abort', onCancel, { once: true });
  const attemptMs = info.startToCloseTimeoutMs > 0 ? info.startToCloseTimeoutMs : Infinity;
  const leftMs = deadline === null ? Infinity : deadline - clock.wall();
  after(Math.min(attemptMs, leftMs), () => stop(attemptMs <= leftMs ? 'too_long' : 'deadline', 0));
  // Temporal tells of a cancellation in its reply to a heartbeat. Without a heartbeat timeout a beat commits to nothing.
  const asker =
    info.heartbeatTimeoutMs === undefined || info.heartbeatTimeoutMs === 0
      ? setInterval(() => context.heartbeat(), CANCEL_CHECK_MS)
      : undefined;

  return {
    signal: () => {
      if (abort === null) {
        abort = new AbortController();
        if (stopped !== null) abort.abort(stopped.reason);
      }
      return abort.signal;
    },
    whenGivenUp: (act) => {
      giveUp = act;
    },
    stopped: () => stopped?.why ?? null,
    dispose: () => {
      cancellationSignal.removeEventListener('abort', onCancel);
      for (const timer of timers) clearTimeout(timer);
      clearInterval(asker);
    },
  };
};

const toolContext = (context: Context, input: ToolActivityInput, stopper: Stopper): ToolContext => ({
  idempotencyKey: input.idempotencyKey,
  get signal() {
    return stopper.signal();
  },
  attempt: context.info.attempt,
  deadline: input.deadline,
  heartbeat: (details) => context.heartbeat(sendable(details)),
  previous: context.info.heartbeatDetails,
  run: input.runId,
  thread: input.threadId,
  assistant: input.assistantId,
  metadata: { ...input.metadata },
});

/** Details that JSON can't hold would make the SDK cancel the attempt: they are left out instead. */
const sendable = (details: unknown): unknown => {
  try {
    const text = JSON.stringify(details);
    return text === undefined || text.length > MAX_HEARTBEAT_CHARS ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
};
