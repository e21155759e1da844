/**
 * What Temporal's history says of a run's course: activities with their attempts, timers, messages; and the history as it is.
 *
 * Rule: history is read, never interpreted for decisions; what a later version wrote and this one does not know is left out.
 * Reading is bounded in events. `traceOf` is pure but for the decoding of payloads. Imported by the service.
 */
import type { Client } from '@temporalio/client';
import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow/index.js';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { GRPC, grpcCode } from './errors.ts';
import { readOutcome, TOOL_ACTIVITY_PREFIX, type OutcomePayload } from '../protocol/index.ts';
import { isRecord } from '../protocol/rules/is-record.ts';

export interface TraceFailure {
  type: string | null;
  message: string | null;
}

export interface TraceActivity {
  /** Unique within the run: execution and event. */
  id: string;
  activityId: string;
  type: string;
  /** Of a tool; null = of no tool, or its payload can't be decoded. */
  callId: string | null;
  /** Of a submit: the round whose outputs it brings; null = it names none. */
  round: number | null;
  /** Unix ms. */
  scheduledAt: number;
  endedAt: number | null;
  attempts: number;
  /** Of the attempt before the last one, or of the last one when it failed for good. */
  failure: TraceFailure | null;
  nextAttemptAt: number | null;
  outcome: 'running' | 'completed' | 'failed' | 'cancelled';
  /** Of a tool that completed: whether it had an output, as it reports itself. */
  ok: boolean | null;
}

export interface RunTrace {
  activities: TraceActivity[];
  timers: {
    id: string;
    name: string;
    startedAt: number;
    firesAt: number;
    endedAt: number | null;
    outcome: 'armed' | 'fired' | 'cancelled';
  }[];
  messages: { id: string; name: string; form: 'update' | 'signal'; at: number }[];
  /** When the run was continued as new. */
  continued: { id: string; at: number }[];
  /** Temporal's ids of its executions, oldest first. */
  executions: string[];
  /** Some events were not read. */
  cut: boolean;
  /** Every payload that was looked at could be decoded. */
  decoded: boolean;
}

type Converter = Parameters<typeof decodeArrayFromPayloads>[0];
type Payloads = Parameters<typeof decodeArrayFromPayloads>[1];
type History = Parameters<typeof historyToJSON>[0];
type Event = NonNullable<History['events']>[number];
type Failure = NonNullable<Event['activityTaskFailedEventAttributes']>['failure'];
interface WireTime {
  seconds?: unknown;
  nanos?: number | null;
}

const TIMER = 'timer';

const millis = (time: WireTime | null | undefined): number =>
  Number(time?.seconds ?? 0) * 1_000 + Math.round((time?.nanos ?? 0) / 1e6);

/** The cause says what happened; what is around it says that an activity failed. */
const failureOf = (failure: Failure): TraceFailure | null => {
  if (failure == null) return null;
  const inner = failure.message ? failure : (failure.cause ?? failure);
  return {
    type: inner.applicationFailureInfo?.type ?? (inner.timeoutFailureInfo == null ? null : 'Timeout'),
    message: inner.message ?? null,
  };
};

const numberIn = (value: unknown, key: string): number | null =>
  isRecord(value) && typeof value[key] === 'number' ? value[key] : null;

export const emptyTrace = (): RunTrace => ({
  activities: [],
  timers: [],
  messages: [],
  continued: [],
  executions: [],
  cut: false,
  decoded: true,
});

/** Reads the events of one execution into a trace. */
class TraceReader {
  readonly #trace: RunTrace;
  readonly #converter: Converter;
  readonly #execution: string;
  readonly #activities = new Map<string, TraceActivity>();
  readonly #timers = new Map<string, RunTrace['timers'][number]>();

  constructor(trace: RunTrace, converter: Converter, execution: string) {
    this.#trace = trace;
    this.#converter = converter;
    this.#execution = execution;
  }

  async read(event: Event): Promise<void> {
    const at = millis(event.eventTime);
    const id = `${this.#execution}:${String(event.eventId)}`;
    await this.#activity(event, id, at);
    await this.#timer(event, id, at);
    const update = event.workflowExecutionUpdateAcceptedEventAttributes;
    const signal = event.workflowExecutionSignaledEventAttributes;
    if (update != null)
      this.#message(id, update.acceptedRequest?.input?.name ?? update.protocolInstanceId ?? '', 'update', at);
    if (signal != null) this.#message(id, signal.signalName ?? '', 'signal', at);
    if (event.workflowExecutionContinuedAsNewEventAttributes != null) this.#trace.continued.push({ id, at });
  }

  #message(id: string, name: string, form: 'update' | 'signal', at: number): void {
    this.#trace.messages.push({ id, name, form, at });
  }

  async #decoded(payloads: Payloads): Promise<unknown> {
    try {
      return (await decodeArrayFromPayloads(this.#converter, payloads ?? []))[0];
    } catch {
      this.#trace.decoded = false;
      return undefined;
    }
  }

  async #activity(event: Event, id: string, at: number): Promise<void> {
    const scheduled = event.activityTaskScheduledEventAttributes;
    if (scheduled != null) {
      const input = await this.#decoded(scheduled.input?.payloads);
      const callId = isRecord(input) ? input['callId'] : undefined;
      const activity: TraceActivity = {
        id,
        activityId: scheduled.activityId ?? '',
        type: scheduled.activityType?.name ?? '',
        callId: typeof callId === 'string' ? callId : null,
        round: numberIn(input, 'round'),
        scheduledAt: at,
        endedAt: null,
        attempts: 1,
        failure: null,
        nextAttemptAt: null,
        outcome: 'running',
        ok: null,
      };
      this.#activities.set(String(event.eventId), activity);
      this.#trace.activities.push(activity);
    }
    const started = event.activityTaskStartedEventAttributes;
    const completed = event.activityTaskCompletedEventAttributes;
    const failed = event.activityTaskFailedEventAttributes ?? event.activityTaskTimedOutEventAttributes;
    const of = started ?? completed ?? failed ?? event.activityTaskCanceledEventAttributes;
    const activity = of == null ? undefined : this.#activities.get(String(of.scheduledEventId));
    if (activity === undefined) return;
    if (started != null) {
      activity.attempts = started.attempt ?? 1;
      activity.failure = failureOf(started.lastFailure);
      return;
    }
    activity.endedAt = at;
    activity.outcome = completed != null ? 'completed' : failed != null ? 'failed' : 'cancelled';
    if (failed != null) activity.failure = failureOf(failed.failure) ?? activity.failure;
    if (completed == null || !activity.type.startsWith(TOOL_ACTIVITY_PREFIX)) return;
    const result = await this.#decoded(completed.result?.payloads);
    if (isRecord(result)) activity.ok = readOutcome(result as OutcomePayload).ok;
  }

  async #timer(event: Event, id: string, at: number): Promise<void> {
    const started = event.timerStartedEventAttributes;
    if (started != null) {
      const summary = event.userMetadata?.summary;
      const name = summary == null ? undefined : await this.#decoded([summary]);
      const timer: RunTrace['timers'][number] = {
        id,
        name: typeof name === 'string' ? name : TIMER,
        startedAt: at,
        firesAt: at + millis(started.startToFireTimeout),
        endedAt: null,
        outcome: 'armed',
      };
      this.#timers.set(String(event.eventId), timer);
      this.#trace.timers.push(timer);
    }
    const fired = event.timerFiredEventAttributes;
    const ended = fired ?? event.timerCanceledEventAttributes;
    const timer = ended == null ? undefined : this.#timers.get(String(ended.startedEventId));
    if (timer === undefined) return;
    timer.endedAt = at;
    timer.outcome = fired == null ? 'cancelled' : 'fired';
  }
}

/** The trace of histories, one an execution, oldest first. For tests, and for histories that are read already. */
export const traceOf = async (
  converter: Converter,
  histories: readonly { execution: string; history: History }[],
): Promise<RunTrace> => {
  const trace = emptyTrace();
  for (const { execution, history } of histories) {
    trace.executions.push(execution);
    const reader = new TraceReader(trace, converter, execution);
    for (const event of history.events ?? []) await reader.read(event);
  }
  return trace;
};

/** Events of all executions that a trace reads: a run of a thousand calls has less. */
const MAX_EVENTS = 8_000;

interface Pending {
  activityId?: string | null;
  attempt?: number | null;
  lastFailure?: Failure;
  nextAttemptScheduleTime?: WireTime | null;
}

/** Temporal writes an attempt into the history when it ends; of those under way it tells beside the history. */
const addPending = (trace: RunTrace, pending: readonly Pending[]): void => {
  for (const { activityId, attempt, lastFailure, nextAttemptScheduleTime: next } of pending) {
    const activity = trace.activities.findLast(
      (one) => one.activityId === activityId && one.outcome === 'running',
    );
    if (activity === undefined) continue;
    activity.attempts = Math.max(1, attempt ?? 1);
    activity.failure = failureOf(lastFailure);
    activity.nextAttemptAt = next == null ? null : millis(next);
  }
};

/** Reads the course of a workflow. Throws the errors of Temporal's client. */
export const readTrace = async (client: Client, workflowId: string): Promise<RunTrace> => {
  const { workflowService, options } = client;
  const { raw } = await client.workflow.getHandle(workflowId).describe();
  const info = raw.workflowExecutionInfo;
  const trace = emptyTrace();
  let execution = info?.firstRunId ?? info?.execution?.runId;
  let events = 0;
  while (execution != null && execution !== '') {
    const runId: string = execution;
    execution = null;
    trace.executions.push(runId);
    const reader = new TraceReader(trace, options.loadedDataConverter, runId);
    let token: Uint8Array | null | undefined;
    do {
      const page = await workflowService.getWorkflowExecutionHistory({
        namespace: options.namespace,
        execution: { workflowId, runId },
        maximumPageSize: 1_000,
        ...(token == null ? {} : { nextPageToken: token }),
      });
      for (const event of page.history?.events ?? []) {
        await reader.read(event);
        execution = event.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId ?? execution;
        events++;
      }
      token = page.nextPageToken;
      if (events >= MAX_EVENTS) {
        trace.cut = token != null && token.length > 0 ? true : execution != null;
        execution = null;
        break;
      }
    } while (token != null && token.length > 0);
  }
  addPending(trace, raw.pendingActivities ?? []);
  return trace;
};

/**
 * The history of one execution as Temporal's command line exports it; the newest execution by default. null = Temporal has no
 * such execution.
 */
export const readHistoryExport = async (
  client: Client,
  workflowId: string,
  execution: string | null,
): Promise<{ events: unknown[] } | null> => {
  let history: History;
  try {
    history = await client.workflow.getHandle(workflowId, execution ?? undefined).fetchHistory();
  } catch (error) {
    // This call of Temporal's client has no error class of its own.
    if (grpcCode(error) === GRPC.notFound) return null;
    throw error;
  }
  return JSON.parse(historyToJSON(history)) as { events: unknown[] };
};
