/** The list of calls with its filters, its count, and the bar for calls that are marked. */
import { Button } from '../../ui/button.tsx';
import { EmptyState } from '../../ui/empty-state.tsx';
import { VirtualList } from '../../ui/virtual-list.tsx';
import { CallRow, ROW_HEIGHT } from './call-row.tsx';
import { complete, feedState, MOST_CALLS } from './feed.ts';
import { FilterBar } from './filter-bar.tsx';
import { isNarrowed, type InboxFilter } from './filters.ts';
import type { InboxCall } from './inbox-types.ts';
import { checkedCalls, clearChecked } from './selection.ts';

interface CallListProps {
  calls: readonly InboxCall[];
  /** Those that the filter lets through. */
  found: readonly InboxCall[];
  filter: InboxFilter;
  activeId: string | null;
  search: string;
  onReview: () => void;
}

const LIVE = {
  loading: 'Loading',
  connecting: 'Connecting',
  live: 'Live',
  reconnecting: 'Not connected: trying again',
  refused: 'Not connected',
} as const;

const ListHead = ({ calls, found }: { calls: number; found: number }) => {
  const state = feedState.value;
  return (
    <header class="list-head">
      {/* The page's heading stands outside of the list, which a narrow window hides. */}
      <p class="list-title" aria-hidden="true">
        Inbox
      </p>
      <span class="list-count" aria-live="polite">
        {found === calls
          ? calls.toLocaleString('en')
          : `${found.toLocaleString('en')} of ${calls.toLocaleString('en')}`}
        {complete.value || state === 'loading' ? '' : '+'} waiting
      </span>
      <span class={`live live-${state}`} role="status">
        <span class="live-dot" aria-hidden="true" />
        {LIVE[state]}
      </span>
    </header>
  );
};

const ReviewBar = ({ marked, onReview }: { marked: readonly InboxCall[]; onReview: () => void }) => (
  <div class="review-bar">
    <span>{marked.length} marked</span>
    <Button kind="quiet" onClick={clearChecked}>
      Clear
    </Button>
    <Button kind="primary" onClick={onReview}>
      Review and approve
    </Button>
  </div>
);

const Nothing = ({ filter }: { filter: InboxFilter }) => {
  if (isNarrowed(filter))
    return <EmptyState title="No call fits">Change the search or the filters.</EmptyState>;
  if (!complete.value) return <div class="page-loading" aria-busy="true" />;
  return (
    <EmptyState title="Nothing waits for you">
      Calls that need a decision appear here by themselves.
    </EmptyState>
  );
};

export const CallList = ({ calls, found, filter, activeId, search, onReview }: CallListProps) => {
  const marked = checkedCalls(calls);
  const [first] = marked;
  return (
    <section class="inbox-list" aria-label="Calls that wait">
      <ListHead calls={calls.length} found={found.length} />
      <FilterBar calls={calls} filter={filter} />
      {calls.length < MOST_CALLS ? null : (
        <p class="small list-note">The {MOST_CALLS.toLocaleString('en')} earliest deadlines are shown.</p>
      )}
      <div class="list-body">
        {found.length === 0 ? (
          <Nothing filter={filter} />
        ) : (
          <VirtualList
            items={found}
            rowHeight={ROW_HEIGHT}
            label="Calls that wait, the earliest deadline first"
            keyOf={({ id }) => id}
            activeIndex={activeId === null ? -1 : found.findIndex(({ id }) => id === activeId)}
            render={(call) => (
              <CallRow
                call={call}
                active={call.id === activeId}
                search={search}
                markable={call.kind !== 'output' && (first === undefined || first.tool === call.tool)}
              />
            )}
          />
        )}
      </div>
      {marked.length === 0 ? null : <ReviewBar marked={marked} onReview={onReview} />}
    </section>
  );
};
