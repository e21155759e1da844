/**
 * The whole of a run as Temporal's history tells it: every round, its calls with their arguments and outputs, and attempts.
 *
 * Rule: history is read, never interpreted for decisions: what a later version wrote and this one does not know is left
 * out. Payloads are decoded by the client's own converter. `roundsOf` is pure. Imported by the client only.
 */
import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow/index.js';
import {
  ACTIVITIES,
  TOOL_ACTIVITY_PREFIX,
  readOutcome,
  readSettlement,
  type OutcomePayload,
  type SettlementPayload,
  type ToolCallPayload,
  type ToolOutput,
} from '../protocol/index.ts';
import { SERVER_TIMEOUT_MS, type CallContext, type ClientSession } from './session.ts';
import type { HistoryCall, HistoryRound } from './types.ts';
import { isRecord } from '../protocol/rules/is-record.ts';

/** An activity of a history, its payloads decoded. */
export interface HistoryActivity {
  type: string;
  input: unknown;
  /** undefined = it has not completed. */
  result?: unknown;
  attempts: number;
  /** Of the attempt before the last one, or why it ended without a result. */
  lastFailure: string | null;
  /** Unix ms. */
  scheduledAt: number;
  endedAt: number | null;
}

const SETTLES: ReadonlySet<string> = new Set([
  ACTIVITIES.createRun,
  ACTIVITIES.submitToolOutputs,
  ACTIVITIES.followRun,
]);

const settledCalls = ({ type, result }: HistoryActivity): HistoryCall[] => {
  if (!SETTLES.has(type) || !isRecord(result) || result['status'] !== 'requires_action') return [];
  const settled = readSettlement(result as SettlementPayload);
  return settled.status !== 'requires_action'
    ? []
    : settled.calls.map(({ callId, name, arguments: args, plan }) => ({
        callId,
        name,
        arguments: args,
        kind: plan.kind,
        output: plan.kind === 'refused' ? plan.output : null,
        ok: plan.kind === 'refused' ? false : null,
        attempts: 0,
        lastFailure: null,
        ms: null,
      }));
};

const sameCalls = (a: readonly HistoryCall[], b: readonly HistoryCall[]): boolean =>
  a.length === b.length && a.every(({ callId }, index) => callId === b[index]?.callId);

const addTool = (calls: readonly HistoryCall[], activity: HistoryActivity): void => {
  const { callId, arguments: args } = activity.input as ToolCallPayload;
  const call = calls.findLast((item) => item.callId === callId);
  if (call === undefined) return;
  const outcome = isRecord(activity.result) ? readOutcome(activity.result as OutcomePayload) : null;
  Object.assign(call, {
    // A person may have had it run with others than the model's.
    ...(typeof args === 'string' ? { arguments: args } : {}),
    attempts: activity.attempts,
    lastFailure: activity.lastFailure,
    ms: activity.endedAt === null ? null : activity.endedAt - activity.scheduledAt,
    ...(outcome === null ? {} : { output: outcome.output, ok: outcome.ok }),
  });
};

const addOutputs = (calls: readonly HistoryCall[], { input }: HistoryActivity): void => {
  const outputs =
    isRecord(input) && Array.isArray(input['outputs']) ? (input['outputs'] as ToolOutput[]) : [];
  for (const { tool_call_id: callId, output } of outputs) {
    const call = calls.findLast((item) => item.callId === callId);
    if (call === undefined) continue;
    call.output = output;
    call.ok ??= call.attempts === 0;
  }
};

/** In the order in which they were scheduled. */
export const roundsOf = (activities: readonly HistoryActivity[]): HistoryRound[] => {
  const rounds: HistoryRound[] = [];
  for (const activity of activities) {
    const calls = rounds.at(-1)?.calls ?? [];
    if (activity.type.startsWith(TOOL_ACTIVITY_PREFIX)) addTool(calls, activity);
    if (activity.type === ACTIVITIES.submitToolOutputs) addOutputs(calls, activity);
    const asked = settledCalls(activity);
    // Looked at again, a run that still waits tells the same calls.
    if (asked.length > 0 && !sameCalls(asked, calls))
      rounds.push({
        round: rounds.length + 1,
        turn: { attempts: activity.attempts, lastFailure: activity.lastFailure },
        calls: asked,
      });
  }
  return rounds;
};

export type Converter = Parameters<typeof decodeArrayFromPayloads>[0];
type History = Awaited<ReturnType<ReturnType<ClientSession['handle']>['fetchHistory']>>;
export type Event = NonNullable<History['events']>[number];
type Failure = NonNullable<Event['activityTaskFailedEventAttributes']>['failure'];

const millis = ({ eventTime }: Event): number =>
  Number(eventTime?.seconds ?? 0) * 1_000 + Math.round((eventTime?.nanos ?? 0) / 1e6);

/** The cause says what happened; what is around it says that an activity failed. */
const failureText = (failure: Failure): string | null => failure?.message || failure?.cause?.message || null;

/** Exported for tests. */
export const activitiesOf = async (converter: Converter, history: History): Promise<HistoryActivity[]> => {
  const decoded = async (payloads: Parameters<typeof decodeArrayFromPayloads>[1]): Promise<unknown> =>
    (await decodeArrayFromPayloads(converter, payloads ?? []))[0];
  const found = new Map<string, HistoryActivity>();
  for (const event of history.events ?? []) {
    const scheduled = event.activityTaskScheduledEventAttributes;
    if (scheduled != null)
      found.set(String(event.eventId), {
        type: scheduled.activityType?.name ?? '',
        input: await decoded(scheduled.input?.payloads),
        attempts: 1,
        lastFailure: null,
        scheduledAt: millis(event),
        endedAt: null,
      });
    const started = event.activityTaskStartedEventAttributes;
    const completed = event.activityTaskCompletedEventAttributes;
    const failed = event.activityTaskFailedEventAttributes ?? event.activityTaskTimedOutEventAttributes;
    const of = started ?? completed ?? failed ?? event.activityTaskCanceledEventAttributes;
    const activity = found.get(String(of?.scheduledEventId));
    if (activity === undefined) continue;
    if (started != null) {
      activity.attempts = started.attempt ?? 1;
      activity.lastFailure = failureText(started.lastFailure);
    } else activity.endedAt = millis(event);
    if (completed != null) activity.result = await decoded(completed.result?.payloads);
    if (failed != null) activity.lastFailure = failureText(failed.failure) ?? activity.lastFailure;
  }
  return [...found.values()];
};

export const readingOf = (runId: string, signal?: AbortSignal): CallContext & { runId: string } => ({
  what: `Reading the history of run ${JSON.stringify(runId)}`,
  runId,
  timeoutMs: SERVER_TIMEOUT_MS,
  ...(signal === undefined ? {} : { signal }),
});

/** The run of the first execution, before any continue-as-new. */
const firstExecution = async (session: ClientSession, context: CallContext, workflowId: string) => {
  const { raw } = await session.call(context, () => session.handle(workflowId).describe());
  return raw.workflowExecutionInfo?.firstRunId ?? raw.workflowExecutionInfo?.execution?.runId;
};

/** Activities of all executions of a workflow, which may have been continued as new. Throws `run_not_found`. */
export const readActivities = async (
  session: ClientSession,
  workflowId: string,
  signal?: AbortSignal,
): Promise<HistoryActivity[]> => {
  const context = readingOf(workflowId, signal);
  let execution = await firstExecution(session, context, workflowId);
  const activities: HistoryActivity[] = [];
  while (execution != null && execution !== '') {
    const handle = session.client.workflow.getHandle(workflowId, execution);
    // Decoded within the call, so that payloads which this client can't read are named as such.
    const { events, read } = await session.call(context, async () => {
      const history = await handle.fetchHistory();
      return {
        events: history.events,
        read: await activitiesOf(session.client.options.loadedDataConverter, history),
      };
    });
    activities.push(...read);
    execution = events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId;
  }
  return activities;
};

/** What the workflow was first started with, as it was sent. Throws `run_not_found`. */
export const readInput = async (
  session: ClientSession,
  workflowId: string,
  signal?: AbortSignal,
): Promise<unknown> => {
  const context = readingOf(workflowId, signal);
  const runId = await firstExecution(session, context, workflowId);
  const { workflowService, options } = session.client;
  return await session.call(context, async () => {
    const { history } = await workflowService.getWorkflowExecutionHistory({
      namespace: options.namespace,
      execution: { workflowId, runId: runId ?? '' },
      maximumPageSize: 1,
    });
    const started = history?.events?.[0]?.workflowExecutionStartedEventAttributes;
    const [input] = await decodeArrayFromPayloads(
      options.loadedDataConverter,
      started?.input?.payloads ?? [],
    );
    return input;
  });
};

export const runHistory = async (
  session: ClientSession,
  runId: string,
  signal?: AbortSignal,
): Promise<HistoryRound[]> => roundsOf(await readActivities(session, runId, signal));
