/** Going from call to call, and the keys for it. Rule: the address names the open call; the focus follows it. */
import { navigate, place } from '../../router.ts';
import type { Shortcut } from '../../ui/shortcuts.tsx';
import type { DecisionBody, InboxCall } from './inbox-types.ts';
import { outbox } from './outbox.ts';

export const showCall = (id: string | null, { replace = false }: { replace?: boolean } = {}): void => {
  const path = id === null ? '/inbox' : `/inbox/${encodeURIComponent(id)}`;
  navigate(`${path}${place.peek().query}`, { replace });
};

/** The focus follows the open call, so that a screen reader reads it and Tab goes on from there. */
export const focusRow = (id: string): void => {
  requestAnimationFrame(() => {
    const row = document.querySelector(`[data-call="${CSS.escape(id)}"]`);
    if (row instanceof HTMLElement) row.focus();
  });
};

/** The call after `id` whose decision has not left; the one before it at the end of the list. */
export const neighbour = (
  calls: readonly InboxCall[],
  id: string | null,
  step: 1 | -1,
): InboxCall | undefined => {
  const at = calls.findIndex((call) => call.id === id);
  if (at < 0) return calls[0];
  return calls[at + step];
};

export const afterDecision = (calls: readonly InboxCall[], id: string): InboxCall | undefined => {
  const free = calls.filter((call) => call.id === id || !outbox.peek().has(call.id));
  const at = free.findIndex((call) => call.id === id);
  return free[at + 1] ?? free[at - 1];
};

export const approvalOf = ({ arguments_digest: digest }: InboxCall): DecisionBody => ({
  decision: 'approve',
  ...(digest === null ? {} : { arguments_digest: digest }),
});

type Actions = Record<'next' | 'back' | 'mark' | 'close' | 'undo' | 'read', () => void>;

export const keysOf = (actions: Actions): Shortcut[] => [
  { key: 'j', label: 'Next call', run: actions.next },
  { key: 'ArrowDown', run: actions.next },
  { key: 'k', label: 'Call before', run: actions.back },
  { key: 'ArrowUp', run: actions.back },
  { key: 'Enter', label: 'Read the open call', run: actions.read },
  { key: 'x', label: 'Mark the call, to approve several together', run: actions.mark },
  { key: 'u', label: 'Undo decisions of the last five seconds', run: actions.undo },
  {
    key: '/',
    label: 'Search',
    run: () => document.querySelector<HTMLElement>('#inbox-search')?.focus(),
  },
  { key: 'Escape', label: 'Back to the list', run: actions.close },
];
