/**
 * Copies of a recorded history in which one thing did not happen, or happened otherwise: for proofs that replay refuses them.
 *
 * Rule: a copy is a history that a server could have written. Events are numbered without a gap, and every reference to an
 * event follows its new number; what belongs to a removed event is removed with it. Imported by tests.
 */
export interface HistoryEvent {
  eventId: string;
  eventType: string;
  workflowExecutionStartedEventAttributes?: object;
  activityTaskScheduledEventAttributes?: { activityType: { name: string } };
  timerStartedEventAttributes?: { timerId: string };
  markerRecordedEventAttributes?: { details: Record<string, { payloads: Payload[] }> };
  workflowExecutionUpdateAcceptedEventAttributes?: {
    acceptedRequest: { input: { args: { payloads: Payload[] } } };
  };
}
export interface History {
  events: HistoryEvent[];
}
interface Payload {
  data: string;
}

const decoded = ({ data }: Payload): unknown => JSON.parse(Buffer.from(data, 'base64').toString('utf8'));

const REFERENCE = /EventId$/;
/** Whoever refers to the removed event by one of these is a later part of the same thing. */
const BELONGS = /"(?:scheduledEventId|startedEventId|acceptedEventId|initiatedEventId)":"(\d+)"/g;

const withNumbers = (value: unknown, numberOf: (id: string) => string): unknown => {
  if (Array.isArray(value)) return value.map((item) => withNumbers(item, numberOf));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]: [string, unknown]) => [
      key,
      typeof item === 'string' && (key === 'eventId' || REFERENCE.test(key))
        ? numberOf(item)
        : withNumbers(item, numberOf),
    ]),
  );
};

/** The history without these events, and without what belongs to them. */
export const without = ({ events }: History, removed: readonly HistoryEvent[]): History => {
  if (removed.length === 0) throw new Error('The history has no such event.');
  const gone = new Set(removed.map(({ eventId }) => eventId));
  for (const event of events) {
    const refersTo = [...JSON.stringify(event).matchAll(BELONGS)].map(([, id]) => id ?? '');
    if (!event.eventType.includes('WORKFLOW_TASK') && refersTo.some((id) => gone.has(id)))
      gone.add(event.eventId);
  }
  const ids = events.map(({ eventId }) => eventId);
  // A reference to a removed event, such as the one before which an update was sent, means the event before it.
  const numberOf = (id: string): string => {
    const place = ids.indexOf(id);
    return place < 0 ? id : String(ids.slice(0, place + 1).filter((one) => !gone.has(one)).length);
  };
  const kept = events.filter(({ eventId }) => !gone.has(eventId));
  return { events: withNumbers(kept, numberOf) as HistoryEvent[] };
};

export const activitiesNamed = ({ events }: History, activity: string): HistoryEvent[] =>
  events.filter((event) => event.activityTaskScheduledEventAttributes?.activityType.name === activity);

export const timersStarted = ({ events }: History): HistoryEvent[] =>
  events.filter((event) => event.timerStartedEventAttributes !== undefined);

export const signals = ({ events }: History): HistoryEvent[] =>
  events.filter(({ eventType }) => eventType === 'EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED');

/** The marker of a patch, and the search attribute that the SDK writes with it. */
export const patchMarker = ({ events }: History, change: string): HistoryEvent[] => {
  const at = events.findIndex((event) =>
    (event.markerRecordedEventAttributes?.details['patch-data']?.payloads ?? []).some(
      (payload) => (decoded(payload) as { id: string }).id === change,
    ),
  );
  return at < 0 ? [] : events.slice(at, at + 2);
};

/** Updates that a person of this name sent. */
export const updatesBy = ({ events }: History, by: string): HistoryEvent[] =>
  events.filter((event) => answerOf(event)?.by === by);

const answerOf = (event: HistoryEvent): { by?: string } | undefined => {
  const [payload] =
    event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest.input.args.payloads ?? [];
  return payload === undefined ? undefined : (decoded(payload) as { by?: string });
};

/** The history in which this update said something else, too. */
export const resaid = ({ events }: History, update: HistoryEvent | undefined, said: object): History => {
  if (update === undefined) throw new Error('The history has no such update.');
  const copy = structuredClone(update);
  const [payload] =
    copy.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest.input.args.payloads ?? [];
  if (payload === undefined) throw new Error('The update has no payload.');
  payload.data = Buffer.from(JSON.stringify({ ...answerOf(update), ...said })).toString('base64');
  return { events: events.map((event) => (event === update ? copy : event)) };
};
