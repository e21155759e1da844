/**
 * The calls that wait, as the server has them now: the list once, then every change of it.
 *
 * Rule: the stream is opened first and the list is read when it says so; a change that came meanwhile is newer than the list. While
 * nobody sees the window the stream is closed after a minute: browsers open six connections to a server, over all tabs. It goes on
 * at its last event. One feed a window, started by the page.
 */
import { computed, signal } from '@preact/signals';
import { ApiError } from '../../../../protocol/errors.ts';
import type { Page } from '../../../../protocol/wire/objects.ts';
import { queryText, requestJson } from '../../http/api.ts';
import { followEvents, type StreamState } from '../../http/event-stream.ts';
import type { InboxCall } from './inbox-types.ts';

export type FeedState = 'loading' | StreamState | 'refused';

/** More are not loaded: the earliest deadlines are what a person decides. */
export const MOST_CALLS = 10_000;
const HIDDEN_MS = 60_000;

const byDeadline = (a: InboxCall, b: InboxCall): number =>
  (a.answer_by ?? Infinity) - (b.answer_by ?? Infinity) ||
  (a.created_at ?? 0) - (b.created_at ?? 0) ||
  (a.id < b.id ? -1 : 1);

const waiting = signal<ReadonlyMap<string, InboxCall>>(new Map());
export const feedState = signal<FeedState>('loading');
/** The whole list has been read. */
export const complete = signal(false);
export const feedProblem = signal<unknown>(null);
/** The newest change of each call that stopped waiting while the window is open, for the person who looks at it. */
export const settled = signal<ReadonlyMap<string, InboxCall>>(new Map());

/** Waiting calls, the earliest deadline first. */
export const listed = computed(() => [...waiting.value.values()].toSorted(byDeadline));

type Listener = (call: InboxCall) => void;
const listeners = new Set<Listener>();
/** Calls back at each change of a call. Returns how to stop. */
export const onChange = (listener: Listener): (() => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

/** Takes the newest state of calls. */
export const applyCalls = (calls: readonly InboxCall[]): void => {
  const nextWaiting = new Map(waiting.peek());
  const nextSettled = new Map(settled.peek());
  for (const call of calls) {
    if (call.status === 'waiting') {
      nextWaiting.set(call.id, call);
      nextSettled.delete(call.id);
    } else {
      nextWaiting.delete(call.id);
      nextSettled.set(call.id, call);
    }
  }
  waiting.value = nextWaiting;
  settled.value = nextSettled;
  for (const call of calls) for (const listener of listeners) listener(call);
};

const readList = async (until: AbortSignal, newer: ReadonlySet<string>): Promise<void> => {
  let after: string | null = null;
  let first = true;
  do {
    const page: Page<InboxCall> = await requestJson(
      `/v1/approvals${queryText({ status: 'waiting', limit: 100, after })}`,
      { signal: until },
    );
    const calls = page.data.filter(({ id }) => !newer.has(id));
    if (first) waiting.value = new Map([...waiting.peek()].filter(([id]) => newer.has(id)));
    first = false;
    applyCalls(calls);
    if (feedState.peek() === 'loading') feedState.value = 'live';
    after = page.has_more ? page.last_id : null;
  } while (after !== null && waiting.peek().size < MOST_CALLS);
  complete.value = true;
};

let place: string | undefined;

/** Changes in the same moment are applied together: a thousand events are one render. */
const batcher = (newer: Set<string>) => {
  let batch: InboxCall[] = [];
  return (call: InboxCall): void => {
    newer.add(call.id);
    batch.push(call);
    if (batch.length > 1) return;
    queueMicrotask(() => {
      const calls = batch;
      batch = [];
      applyCalls(calls);
    });
  };
};

const follow = async (until: AbortSignal): Promise<void> => {
  const newer = new Set<string>();
  const add = batcher(newer);
  let loaded = place !== undefined;
  const onState = (state: StreamState): void => {
    if (loaded || state === 'reconnecting') feedState.value = state;
  };
  for await (const { event, data, id } of followEvents('/v1/approvals/events', {
    signal: until,
    after: place,
    onState,
  })) {
    place = id ?? place;
    if (event.startsWith('approval.')) add(JSON.parse(data) as InboxCall);
    else if (event === 'approvals.ready' && !loaded) {
      loaded = true;
      void loadList(until, newer);
    }
  }
};

const loadList = async (until: AbortSignal, newer: ReadonlySet<string>): Promise<void> => {
  for (;;) {
    try {
      await readList(until, newer);
      feedProblem.value = null;
      return;
    } catch (error) {
      if (until.aborted) return;
      feedProblem.value = error;
      await new Promise((resolve) => {
        setTimeout(resolve, 2_000);
      });
      if (until.aborted) return;
    }
  }
};

const AGAIN_MS = 3_000;

const run = (until: AbortSignal): void => {
  follow(until).catch((error: unknown) => {
    if (until.aborted) return;
    // The server does not know the place any more: from the beginning.
    place = undefined;
    complete.value = false;
    feedProblem.value = error;
    feedState.value = 'refused';
    const isBarred = error instanceof ApiError && (error.status === 401 || error.status === 403);
    if (!isBarred) setTimeout(() => !until.aborted && run(until), AGAIN_MS);
  });
};

let hiddenTimer: ReturnType<typeof setTimeout> | undefined;

/** Starts the feed of this window. Returns how to stop it. */
export const startFeed = (): (() => void) => {
  let abort: AbortController | null = new AbortController();
  run(abort.signal);
  const onVisibility = (): void => {
    clearTimeout(hiddenTimer);
    if (document.visibilityState === 'hidden') {
      hiddenTimer = setTimeout(() => {
        // A list that is half read is read to its end first.
        if (!complete.peek()) return;
        abort?.abort();
        abort = null;
      }, HIDDEN_MS);
    } else if (abort === null) {
      abort = new AbortController();
      run(abort.signal);
    }
  };
  document.addEventListener('visibilitychange', onVisibility);
  return () => {
    clearTimeout(hiddenTimer);
    document.removeEventListener('visibilitychange', onVisibility);
    abort?.abort();
    place = undefined;
    complete.value = false;
    feedState.value = 'loading';
  };
};
