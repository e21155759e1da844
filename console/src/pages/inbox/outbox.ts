/**
 * Decisions on their way: held for five seconds in which they may be taken back, then sent until the server has answered.
 *
 * Rule: what a person decided is sent once or more, never lost in silence: the server takes the same decision again and says so. A
 * window that closes sends what it holds. When somebody else decides first, a held decision is not sent, and its person is told.
 * Imported by the inbox only.
 */
import { signal } from '@preact/signals';
import { ApiError } from '../../../../protocol/errors.ts';
import { mayWorkLater, problemText, requestJson, send } from '../../http/api.ts';
import { announce, notify } from '../../layout/notices.tsx';
import { visible } from '../../../../protocol/rules/visible.ts';
import type { DecisionBody, InboxCall } from './inbox-types.ts';
import { decidedBy, verbOf } from './words.ts';

export const HOLD_MS = 5_000;
/** Browsers refuse more in a request that outlives its page. */
const KEEPALIVE_BYTES = 60_000;
const LONGEST_PAUSE_MS = 15_000;

export type OutboxState = 'held' | 'sending' | 'retrying' | 'sent';

export interface OutboxEntry {
  call: InboxCall;
  body: DecisionBody;
  state: OutboxState;
  /** When it is sent, or sent again: unix milliseconds. */
  at: number;
}

export const outbox = signal<ReadonlyMap<string, OutboxEntry>>(new Map());
const timers = new Map<string, ReturnType<typeof setTimeout>>();

const put = (id: string, entry: OutboxEntry | null): void => {
  const next = new Map(outbox.peek());
  if (entry === null) next.delete(id);
  else next.set(id, entry);
  outbox.value = next;
};

const later = (id: string, ms: number, run: () => void): void => {
  clearTimeout(timers.get(id));
  timers.set(id, setTimeout(run, ms));
};

const forget = (id: string): void => {
  clearTimeout(timers.get(id));
  timers.delete(id);
  put(id, null);
};

const fits = (body: DecisionBody): boolean => new Blob([JSON.stringify(body)]).size < KEEPALIVE_BYTES;

/** The run may have ended on the other person's decision, and then refuses for that: the call itself tells who it was. */
const refusalText = async ({ call }: OutboxEntry, error: ApiError): Promise<string> => {
  const tool = visible(call.tool);
  if (error.code === 'conflicting_answer') return `${tool}: somebody else decided first. ${error.message}`;
  const plain = `${tool} was not decided: ${error.message}`;
  try {
    const now = await requestJson<InboxCall>(`/v1/approvals/${encodeURIComponent(call.id)}`);
    if (now.status === 'waiting') return plain;
    return now.decision === null
      ? `${tool}: ${decidedBy(now)}`
      : `${tool}: somebody else decided first. ${decidedBy(now)}`;
  } catch {
    return plain;
  }
};

const onRefused = async (entry: OutboxEntry, error: ApiError): Promise<void> => {
  const { call } = entry;
  const text = await refusalText(entry, error);
  forget(call.id);
  notify({ kind: 'problem', text });
  for (const listener of answered) listener(call.id);
};

type Answered = (id: string) => void;
const answered = new Set<Answered>();
/** Calls back when the server has answered a decision, whatever it said. Returns how to stop. */
export const onAnswered = (listener: Answered): (() => void) => {
  answered.add(listener);
  return () => answered.delete(listener);
};

const sendNow = async (id: string, attempt: number): Promise<void> => {
  const entry = outbox.peek().get(id);
  if (entry === undefined || entry.state === 'sending' || entry.state === 'sent') return;
  put(id, { ...entry, state: 'sending', at: Date.now() });
  try {
    await send(`/v1/approvals/${encodeURIComponent(id)}`, {
      method: 'POST',
      body: entry.body,
      keepalive: fits(entry.body),
    });
    if (outbox.peek().has(id)) put(id, { ...entry, state: 'sent', at: Date.now() });
    announce(`${verbOf(entry.body).past} ${visible(entry.call.tool)}`);
    for (const listener of answered) listener(id);
  } catch (error) {
    // A session that has ended: the decision waits for the sign-in.
    const isEnded = error instanceof ApiError && error.status === 401;
    if (!isEnded && error instanceof ApiError && !mayWorkLater(error)) {
      await onRefused(entry, error);
      return;
    }
    if (attempt === 1)
      notify({
        kind: 'problem',
        text: `The decision about ${visible(entry.call.tool)} has not arrived yet. It is sent again until the server answers. ${problemText(error)}`,
      });
    const wait = Math.min(1_000 * 2 ** (attempt - 1), LONGEST_PAUSE_MS);
    put(id, { ...entry, state: 'retrying', at: Date.now() + wait });
    later(id, wait, () => void sendNow(id, attempt + 1));
  }
};

/** Holds a decision, then sends it. A call has one decision at a time. */
export const hold = (call: InboxCall, body: DecisionBody): void => {
  if (outbox.peek().has(call.id)) return;
  put(call.id, { call, body, state: 'held', at: Date.now() + HOLD_MS });
  announce(`${verbOf(body).present} ${visible(call.tool)} in five seconds. Press u to undo.`);
  later(call.id, HOLD_MS, () => void sendNow(call.id, 1));
};

/** Takes a held decision back. False = it has left. */
export const undo = (id: string): boolean => {
  const entry = outbox.peek().get(id);
  if (entry?.state !== 'held') return false;
  forget(id);
  announce(`Taken back: ${visible(entry.call.tool)} waits.`);
  return true;
};

/** Takes back everything that is still held; the ids. */
export const undoHeld = (): string[] =>
  [...outbox.peek()].flatMap(([id, { state }]) => (state === 'held' && undo(id) ? [id] : []));

/** A call has changed at the server. */
export const onCallChanged = (call: InboxCall): void => {
  const entry = outbox.peek().get(call.id);
  if (entry === undefined) return;
  if (entry.state === 'sent') {
    forget(call.id);
    return;
  }
  if (call.status === 'waiting' || entry.state !== 'held') return;
  forget(call.id);
  notify({
    kind: 'problem',
    text: `${visible(call.tool)}: ${decidedBy(call)} Your decision was not sent.`,
  });
};

const onPageHide = (): void => {
  for (const [id, { state, body }] of outbox.peek())
    if ((state === 'held' || state === 'retrying') && fits(body)) void sendNow(id, 2);
};

/** A decision that is too large to outlive the page, or did not arrive: the browser asks the person to stay. */
const onBeforeUnload = (event: BeforeUnloadEvent): void => {
  const stuck = [...outbox.peek().values()].some(
    ({ state, body }) => state === 'retrying' || (state !== 'sent' && !fits(body)),
  );
  if (stuck) event.preventDefault();
};

let guarded = false;
/** From now on, what is held is sent when the window closes, on whatever page it is then. */
export const guardOutbox = (): void => {
  if (guarded) return;
  guarded = true;
  globalThis.addEventListener('pagehide', onPageHide);
  globalThis.addEventListener('beforeunload', onBeforeUnload);
};
