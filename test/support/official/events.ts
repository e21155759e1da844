/** A server-sent event stream as it is on the wire, for tests that look below the official clients. */

export interface SentEvent {
  id: number | null;
  event: string;
  /** Parsed; the text itself when it is `[DONE]`. */
  data: unknown;
}

export interface EventReader {
  /** The next event; null = the response has ended. Rejects when the connection broke. */
  next(): Promise<SentEvent | null>;
  /** All that is left. */
  rest(): Promise<SentEvent[]>;
  /** Hangs up. */
  abort(): void;
}

export interface ReadOptions {
  method?: string;
  headers?: Record<string, string>;
  body?: unknown;
}

const parse = (frame: string): SentEvent | null => {
  const sent: SentEvent = { id: null, event: 'message', data: null };
  let found = false;
  for (const line of frame.split('\n')) {
    const [, field, value = ''] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (field === 'id') sent.id = Number(value);
    if (field === 'event') sent.event = value;
    if (field !== 'data') continue;
    found = true;
    sent.data = value === '[DONE]' ? value : (JSON.parse(value) as unknown);
  }
  return found ? sent : null;
};

/** Throws with the answer's body when it is not a stream. */
export const openEvents = async (url: string, options: ReadOptions = {}): Promise<EventReader> => {
  const hangUp = new AbortController();
  const response = await fetch(url, {
    method: options.method ?? 'GET',
    headers: {
      ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...options.headers,
    },
    body: options.body === undefined ? null : JSON.stringify(options.body),
    signal: hangUp.signal,
  });
  const { body } = response;
  if (!response.ok || body === null)
    throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let buffered = '';
  const next = async (): Promise<SentEvent | null> => {
    for (;;) {
      const end = buffered.indexOf('\n\n');
      if (end >= 0) {
        const sent = parse(buffered.slice(0, end));
        buffered = buffered.slice(end + 2);
        if (sent !== null) return sent;
        continue;
      }
      const { done, value } = await reader.read();
      if (done) return null;
      buffered += value;
    }
  };
  return {
    next,
    async rest() {
      const events: SentEvent[] = [];
      for (let event = await next(); event !== null; event = await next()) events.push(event);
      return events;
    },
    abort: () => hangUp.abort(),
  };
};

/** Reads on up to and with the first event that fits. */
export const readUntil = async (
  reader: EventReader,
  fits: (event: SentEvent) => boolean,
): Promise<SentEvent[]> => {
  const events: SentEvent[] = [];
  for (;;) {
    const event = await reader.next();
    if (event === null) throw new Error(`The stream ended after ${JSON.stringify(events.at(-1))}.`);
    events.push(event);
    if (fits(event)) return events;
  }
};

export const idsOf = (events: readonly SentEvent[]): number[] =>
  events.flatMap(({ id }) => (id === null ? [] : [id]));

/** What the message deltas among the events add up to. */
export const deltasOf = (events: readonly SentEvent[]): string =>
  events
    .filter(({ event }) => event === 'thread.message.delta')
    .map(
      ({ data }) =>
        (data as { delta: { content: { text: { value: string } }[] } }).delta.content[0]?.text.value,
    )
    .join('');
