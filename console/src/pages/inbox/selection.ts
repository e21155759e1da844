/**
 * Calls that are marked for one decision, and calls whose arguments the person has seen.
 *
 * Rule: only calls of one tool are marked together. A call counts as seen for the arguments that were on the screen, not for others.
 */
import { signal } from '@preact/signals';
import type { InboxCall } from './inbox-types.ts';

export const checked = signal<ReadonlySet<string>>(new Set());
const shown = signal<ReadonlySet<string>>(new Set());

const keyOf = ({ id, arguments_digest: digest, arguments: text }: InboxCall): string =>
  `${id} ${digest ?? text.length}`;

export const markShown = (call: InboxCall): void => {
  const key = keyOf(call);
  if (!shown.peek().has(key)) shown.value = new Set([...shown.peek(), key]);
};

export const wasShown = (call: InboxCall): boolean => shown.value.has(keyOf(call));

/** Marks a call, or takes the mark away. */
export const toggleChecked = (id: string): void => {
  const next = new Set(checked.peek());
  if (!next.delete(id)) next.add(id);
  checked.value = next;
};

export const clearChecked = (): void => {
  if (checked.peek().size > 0) checked.value = new Set();
};

/** The marked calls that still wait, in the order of the list. */
export const checkedCalls = (calls: readonly InboxCall[]): InboxCall[] =>
  checked.value.size === 0 ? [] : calls.filter(({ id }) => checked.value.has(id));
