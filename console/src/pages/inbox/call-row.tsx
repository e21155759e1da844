/** One call in the list. Rule: its height is fixed; a model's text stays in one line. */
import { memo } from './memo.ts';
import { hrefOf } from '../../router.ts';
import { now } from '../../ui/clock.ts';
import { EscapedText } from '../../ui/escaped-text.tsx';
import { TimeAgo, TimeLeft } from '../../ui/time-left.tsx';
import { argumentPairs, sizeText } from './argument-pairs.ts';
import type { InboxCall } from './inbox-types.ts';
import { outbox, type OutboxEntry } from './outbox.ts';
import { checked, toggleChecked } from './selection.ts';
import { verbOf, votesText } from './words.ts';

export const ROW_HEIGHT = 84;

const pairsOf = memo((call: InboxCall) => argumentPairs(call.arguments));

const Arguments = ({ call }: { call: InboxCall }) => {
  const pairs = pairsOf(call);
  if (pairs === null) return <span class="muted">{sizeText(call.arguments.length)} of arguments</span>;
  if (pairs.length === 0) return <span class="muted">no arguments</span>;
  return (
    <>
      {pairs.map(({ key, value }) => (
        <span key={key} class="row-pair">
          <span class="muted">
            <EscapedText text={key} />
          </span>{' '}
          <EscapedText text={value} />
        </span>
      ))}
    </>
  );
};

const STATES: Record<OutboxEntry['state'], (entry: OutboxEntry) => string> = {
  held: (entry) =>
    `${verbOf(entry.body).present} in ${Math.max(0, Math.ceil((entry.at - now.value) / 1_000))} s`,
  sending: ({ body }) => `${verbOf(body).present}…`,
  retrying: () => 'Not sent yet, trying again',
  sent: ({ body }) => verbOf(body).past,
};

/** What happens with a decision about the call. */
export const OutboxBadge = ({ entry }: { entry: OutboxEntry }) => (
  <span class={`badge badge-${entry.state}`}>{STATES[entry.state](entry)}</span>
);

interface CallRowProps {
  call: InboxCall;
  active: boolean;
  /** Of the address, kept while calls are opened. */
  search: string;
  /** Another tool's calls are marked. */
  markable: boolean;
}

export const CallRow = ({ call, active, search, markable }: CallRowProps) => {
  const entry = outbox.value.get(call.id);
  const votes = votesText(call);
  return (
    <div class={`call-row${active ? ' is-active' : ''}${entry === undefined ? '' : ' is-leaving'}`}>
      <label class="row-check">
        <input
          type="checkbox"
          checked={checked.value.has(call.id)}
          disabled={!markable}
          aria-label={`Mark ${call.tool} for a decision together`}
          onChange={() => toggleChecked(call.id)}
        />
      </label>
      <a
        class="row-link"
        href={`${hrefOf(`/inbox/${encodeURIComponent(call.id)}`)}${search}`}
        aria-current={active ? 'true' : undefined}
        data-call={call.id}
      >
        <span class="row-head">
          <span class="row-tool">
            <EscapedText text={call.tool} />
          </span>
          {entry === undefined ? <TimeLeft deadline={call.answer_by} /> : <OutboxBadge entry={entry} />}
        </span>
        <span class="row-arguments">
          <Arguments call={call} />
        </span>
        <span class="row-foot muted">
          {votes === null ? null : <span class="badge badge-votes">{votes}</span>}
          {call.late ? <span class="badge">late</span> : null}
          {call.refused_edit === null ? null : <span class="badge badge-held">came back</span>}
          <span class="row-who">
            {call.requested_by === null ? 'asked' : <EscapedText text={call.requested_by} />}
            {call.created_at === null ? null : (
              <>
                {' · '}
                <TimeAgo at={call.created_at} />
              </>
            )}
          </span>
        </span>
      </a>
    </div>
  );
};
