/** The inbox: calls that wait for a person, live, and the one that is open. Rule: the address names the open call and the filters. */
import { useEffect, useMemo, useState } from 'preact/hooks';
import { setBadge, windowTitle } from '../../layout/badges.ts';
import type { PageProps } from '../../page-props.ts';
import { place, query } from '../../router.ts';
import { useShortcuts } from '../../ui/shortcuts.tsx';
import { now } from '../../ui/clock.ts';
import { BulkReview } from './bulk-review.tsx';
import { CallDetail } from './call-detail.tsx';
import { CallList } from './call-list.tsx';
import { refreshAfterAnswer, useDetails } from './details.ts';
import { listed, onChange, startFeed } from './feed.ts';
import { filtered, filterOf } from './filters.ts';
import type { DecisionBody, InboxCall } from './inbox-types.ts';
import { afterDecision, approvalOf, focusRow, keysOf, neighbour, showCall } from './inbox-moves.ts';
import { guardOutbox, hold, onCallChanged, undoHeld } from './outbox.ts';
import { checkedCalls, clearChecked, toggleChecked } from './selection.ts';
import './inbox.css';

const WIDE = globalThis.matchMedia('(min-width: 900px)');

const useFeed = (): void =>
  useEffect(() => {
    guardOutbox();
    const stops = [onChange(onCallChanged), refreshAfterAnswer(), startFeed()];
    return () => {
      for (const stop of stops) stop();
    };
  }, []);

const useCount = (count: number): void =>
  useEffect(() => {
    setBadge('/inbox', count);
    windowTitle.value = count === 0 ? null : `(${count}) Inbox`;
    return () => {
      windowTitle.value = null;
    };
  }, [count]);

/** The review of the marked calls, while it is open. */
const MarkedReview = ({ marked, onClose }: { marked: readonly InboxCall[]; onClose: () => void }) =>
  marked.length === 0 ? null : (
    <BulkReview
      calls={marked}
      onClose={onClose}
      onApprove={(all) => {
        for (const call of all) hold(call, approvalOf(call));
        clearChecked();
        onClose();
      }}
    />
  );

const InboxPage = ({ params }: PageProps) => {
  useFeed();
  const calls = listed.value;
  useCount(calls.length);
  const filter = filterOf(query.value);
  // A deadline filter moves with the time, by the minute.
  const minute = Math.floor(now.value / 60_000);
  const found = useMemo(() => filtered(calls, filter, minute * 60_000), [calls, place.value.query, minute]);
  const id = params['id'] ?? null;
  const state = useDetails(id);
  const [reviewing, setReviewing] = useState(false);
  const marked = checkedCalls(calls);

  useEffect(() => {
    const [first] = found;
    // Fixed in the address at once: a call with an earlier deadline must not slip under the person's finger.
    if (id === null && first !== undefined && WIDE.matches) showCall(first.id, { replace: true });
  }, [id, found]);

  const go = (call: InboxCall | undefined): void => {
    if (call === undefined) return;
    showCall(call.id, { replace: id !== null });
    focusRow(call.id);
  };
  const decide = (call: InboxCall, body: DecisionBody): void => {
    const next = afterDecision(found, call.id);
    hold(call, body);
    if (next !== undefined && WIDE.matches) go(next);
    else if (!WIDE.matches) showCall(null, { replace: true });
  };
  useShortcuts(
    keysOf({
      next: () => go(neighbour(found, id, 1)),
      back: () => go(neighbour(found, id, -1)),
      mark: () => {
        const active = found.find((call) => call.id === id);
        const [first] = marked;
        if (active !== undefined && (first === undefined || first.tool === active.tool))
          toggleChecked(active.id);
      },
      close: () => showCall(null),
      undo: () => {
        const [undone] = undoHeld();
        if (undone !== undefined) showCall(undone, { replace: true });
      },
      read: () => document.querySelector<HTMLElement>('#call-title')?.focus(),
    }),
  );
  return (
    <div class={id === null ? 'inbox' : 'inbox has-open'}>
      <h1 class="sr-only">Inbox</h1>
      <CallList
        calls={calls}
        found={found}
        filter={filter}
        activeId={id}
        search={place.value.query}
        onReview={() => setReviewing(true)}
      />
      <div class="inbox-detail">
        {id === null ? null : (
          <CallDetail
            {...state}
            search={place.value.query}
            onDecide={decide}
            onNext={() => go(neighbour(found, id, 1) ?? found[0])}
          />
        )}
      </div>
      {reviewing ? <MarkedReview marked={marked} onClose={() => setReviewing(false)} /> : null}
    </div>
  );
};

export default InboxPage;
