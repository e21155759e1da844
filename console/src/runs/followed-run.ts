/**
 * One run as it is now: its object, its thread's messages, its steps, kept up to date by the run's event stream.
 *
 * Rule: lists are read once the stream is open, and events are applied by id after that, so nothing is missed. An event of the run
 * replaces what the list said. The run's page and the playground use it.
 */
import { signal, type Signal } from '@preact/signals';
import type { MessageDelta } from '../../../protocol/wire/events.ts';
import type { Message, Page, Run, RunStep } from '../../../protocol/wire/objects.ts';
import { isTerminal } from '../../../protocol/wire/objects.ts';
import { requestJson } from '../http/api.ts';
import { followEvents, type StreamState } from '../http/event-stream.ts';
import { conversationOf, type ConversationItem } from './conversation.ts';
import { withDelta } from './message-delta.ts';

export interface FollowedRunView {
  run: Run | null;
  items: ConversationItem[];
  /** Messages that were left out. */
  cut: boolean;
  stream: StreamState | 'ended';
  problem: unknown;
}

const PAGE = 100;
/** Pages that are read of one list. */
const PAGES = 10;

interface ReadList<T> {
  data: T[];
  cut: boolean;
}

const readList = async <T extends Message | RunStep>(
  path: string,
  abort: AbortSignal,
): Promise<ReadList<T>> => {
  const data: T[] = [];
  let after = '';
  for (let page = 0; page < PAGES; page++) {
    const list = await requestJson<Page<T>>(`${path}?limit=${PAGE}&order=asc${after}`, { signal: abort });
    data.push(...list.data);
    if (!list.has_more || list.last_id === null) return { data, cut: false };
    after = `&after=${encodeURIComponent(list.last_id)}`;
  }
  return { data, cut: true };
};

const emptyMessage = (run: Run, id: string): Message => ({
  id,
  object: 'thread.message',
  created_at: Math.floor(Date.now() / 1_000),
  thread_id: run.thread_id,
  status: 'in_progress',
  incomplete_details: null,
  completed_at: null,
  incomplete_at: null,
  role: 'assistant',
  content: [],
  assistant_id: run.assistant_id,
  run_id: run.id,
  attachments: null,
  metadata: {},
});

export class FollowedRun {
  readonly view: Signal<FollowedRunView> = signal({
    run: null,
    items: [],
    cut: false,
    stream: 'connecting',
    problem: null,
  });
  /** Raised with each event that changes more than a text. */
  readonly changes = signal(0);
  readonly #abort = new AbortController();
  #messages = new Map<string, Message>();
  #steps = new Map<string, RunStep>();
  #drawing = false;

  /** Follows the run until `stop`. */
  async follow(runId: string, knownRun?: Run): Promise<void> {
    const { signal: abort } = this.#abort;
    try {
      const run =
        knownRun ?? (await requestJson<Run>(`/v1/runs/${encodeURIComponent(runId)}`, { signal: abort }));
      this.#set({ run });
      await this.#readLists(run);
      await this.#followEvents(run);
      this.#set({ stream: 'ended' });
    } catch (error) {
      if (!abort.aborted) this.#set({ problem: error, stream: 'ended' });
    }
  }

  stop(): void {
    this.#abort.abort();
  }

  #set(change: Partial<FollowedRunView>): void {
    this.view.value = { ...this.view.peek(), ...change };
  }

  async #readLists(run: Run): Promise<void> {
    const path = `/v1/threads/${encodeURIComponent(run.thread_id)}`;
    const { signal: abort } = this.#abort;
    const [messages, steps] = await Promise.all([
      readList<Message>(`${path}/messages`, abort),
      readList<RunStep>(`${path}/runs/${encodeURIComponent(run.id)}/steps`, abort),
    ]);
    this.#messages = new Map(messages.data.map((message) => [message.id, message]));
    this.#steps = new Map(steps.data.map((step) => [step.id, step]));
    this.#set({ cut: messages.cut || steps.cut });
    this.#draw();
  }

  async #followEvents(run: Run): Promise<void> {
    if (isTerminal(run.status)) return;
    const path = `/v1/threads/${encodeURIComponent(run.thread_id)}/runs/${encodeURIComponent(run.id)}/events`;
    const events = followEvents(path, {
      signal: this.#abort.signal,
      onState: (stream) => this.#set({ stream }),
    });
    // The log begins with what the lists have: a message begins anew with its own deltas.
    for await (const { event, data } of events) this.#apply(event, JSON.parse(data));
  }

  #apply(event: string, data: unknown): void {
    if (event === 'thread.message.delta') this.#delta(data as MessageDelta);
    else if (event.startsWith('thread.message.')) {
      const message = data as Message;
      this.#messages.set(message.id, message);
    } else if (event.startsWith('thread.run.step.')) {
      if (event !== 'thread.run.step.delta') this.#steps.set((data as RunStep).id, data as RunStep);
    } else if (event.startsWith('thread.run.')) this.#set({ run: data as Run });
    if (!event.endsWith('.delta')) this.changes.value += 1;
    this.#draw();
  }

  #delta(data: MessageDelta): void {
    const { run } = this.view.peek();
    const known = this.#messages.get(data.id) ?? (run === null ? undefined : emptyMessage(run, data.id));
    if (known !== undefined && known.status !== 'completed')
      this.#messages.set(data.id, withDelta(known, data));
  }

  /** Once a frame, however many events come. */
  #draw(): void {
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => {
      this.#drawing = false;
      const { run } = this.view.peek();
      if (run === null) return;
      this.#set({ items: conversationOf([...this.#messages.values()], [...this.#steps.values()], run) });
    });
  }
}
