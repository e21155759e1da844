/**
 * The call that a run waits for, from the end of its history: one request to Temporal, none to a worker.
 *
 * Rule: told only where the history leaves no doubt: the round has one call that can wait, and since the turn that asked for it
 * nothing came that could have changed it (a message, a deadline). Everything else is the workflow's to tell. `waitingCallIn` is pure but
 * for the decoding. Imported by the client only.
 */
import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow/index.js';
import {
  ACTIVITIES,
  readSettlement,
  type CallSnapshot,
  type PlannedCall,
  type SettlementPayload,
} from '../protocol/index.ts';
import { isRecord } from '../protocol/rules/is-record.ts';
import { readingOf, type Converter, type Event } from './run-history.ts';
import type { ClientSession } from './session.ts';

/** A call that waits, as far as the turn that asked for it tells. */
export type WaitingHistoryCall = Pick<
  CallSnapshot,
  'callId' | 'name' | 'arguments' | 'kind' | 'argumentsDigest'
>;

/** Activities whose result begins a round. Another poll of a round (`followRun`) does not tell what was answered before it. */
const BEGINS_ROUND: ReadonlySet<string> = new Set([ACTIVITIES.createRun, ACTIVITIES.submitToolOutputs]);

/** Events that change no call that waits. */
const HARMLESS = [
  'workflowTaskScheduledEventAttributes',
  'workflowTaskStartedEventAttributes',
  'workflowTaskCompletedEventAttributes',
  'workflowTaskFailedEventAttributes',
  'workflowTaskTimedOutEventAttributes',
  'upsertWorkflowSearchAttributesEventAttributes',
  'timerStartedEventAttributes',
  'activityTaskScheduledEventAttributes',
  'activityTaskStartedEventAttributes',
  'activityTaskCompletedEventAttributes',
] as const satisfies (keyof Event)[];

const waitable = (call: PlannedCall): boolean => 'wait' in call.plan;

const callOf = ({
  callId,
  name,
  arguments: text,
  plan,
  argumentsDigest,
}: PlannedCall): WaitingHistoryCall => ({
  callId,
  name,
  arguments: text,
  kind: plan.kind,
  ...(argumentsDigest === undefined ? {} : { argumentsDigest }),
});

/**
 * `events`: the latest of a run that waits, the newest first. Null = a worker must tell; `further` = the turn is not among them.
 * Exported for tests.
 */
export const waitingCallIn = async (
  converter: Converter,
  events: readonly Event[],
): Promise<WaitingHistoryCall | 'further' | null> => {
  const types = new Map(
    events.map(({ eventId, activityTaskScheduledEventAttributes: scheduled }) => [
      String(eventId),
      scheduled?.activityType?.name ?? '',
    ]),
  );
  for (const event of events) {
    if (!HARMLESS.some((kind) => event[kind] != null)) return null;
    const completed = event.activityTaskCompletedEventAttributes;
    const type = types.get(String(completed?.scheduledEventId)) ?? '';
    if (completed == null || !BEGINS_ROUND.has(type)) continue;
    const [result] = await decodeArrayFromPayloads(converter, completed.result?.payloads ?? []);
    if (!isRecord(result) || result['status'] !== 'requires_action') return null;
    const settled = readSettlement(result as SettlementPayload);
    const calls = settled.status === 'requires_action' ? settled.calls.filter(waitable) : [];
    const [call, another] = calls;
    return call === undefined || another !== undefined ? null : callOf(call);
  }
  return 'further';
};

/** Of the first request, which suffices for most; of the second, for runs whose tools ran beside the wait. */
const EVENTS = [12, 200] as const;

/** Of a run that waits. Null = a worker must tell. */
export const readWaitingCall = async (
  session: ClientSession,
  workflowId: string,
): Promise<WaitingHistoryCall | null> => {
  const { workflowService, options } = session.client;
  return await session.call(readingOf(workflowId), async () => {
    for (const maximumPageSize of EVENTS) {
      const { history } = await workflowService.getWorkflowExecutionHistoryReverse({
        namespace: options.namespace,
        execution: { workflowId },
        maximumPageSize,
      });
      const told = await waitingCallIn(options.loadedDataConverter, history?.events ?? []);
      if (told !== 'further') return told;
    }
    return null;
  });
};
