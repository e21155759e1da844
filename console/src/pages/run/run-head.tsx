/** A run's name, status and figures. */
import type { ComponentChildren } from 'preact';
import { isTerminal, type Run } from '../../../../protocol/wire/objects.ts';
import type { RunTimeline } from '../../../../protocol/wire/run-timeline.ts';
import { hrefOf } from '../../router.ts';
import { moneyText, countText, spanText } from '../../runs/figures.ts';
import type { FollowedRunView } from '../../runs/followed-run.ts';
import { RunStatusBadge } from '../../runs/status-badge.tsx';
import { now } from '../../ui/clock.ts';
import { EscapedLines, EscapedText } from '../../ui/escaped-text.tsx';
import { TimeAgo, TimeLeft } from '../../ui/time-left.tsx';

const Figure = ({ name, children }: { name: string; children: ComponentChildren }) => (
  <div>
    <dt>{name}</dt>
    <dd>{children}</dd>
  </div>
);

/** While the run lives, its usage is that of the turns so far. */
const tokensOf = (run: Run, timeline: RunTimeline | null): { tokens: number; cost: string } => {
  if (run.usage !== null) return { tokens: run.usage.total_tokens, cost: moneyText(run.usage) };
  const turns = (timeline?.entries ?? []).flatMap((entry) =>
    entry.kind === 'turn' && entry.usage !== null ? [entry.usage] : [],
  );
  return { tokens: turns.reduce((sum, usage) => sum + usage.total_tokens, 0), cost: '' };
};

const STREAMS: Readonly<Record<FollowedRunView['stream'], string>> = {
  connecting: 'connecting',
  live: 'live',
  reconnecting: 'the connection broke: trying again',
  ended: '',
};

const Waits = ({ run }: { run: Run }) =>
  (run.awaiting ?? []).length === 0 ? null : (
    <ul class="waits">
      {(run.awaiting ?? []).map((call) => (
        <li key={call.call_id}>
          {call.kind === 'approval' ? 'A person decides ' : 'The caller answers '}
          <code>
            <EscapedText text={call.tool} />
          </code>{' '}
          · <TimeLeft deadline={call.answer_by} />
        </li>
      ))}
    </ul>
  );

export const RunHead = (props: {
  run: Run;
  timeline: RunTimeline | null;
  stream: FollowedRunView['stream'];
}) => {
  const { run, timeline, stream } = props;
  const end = timeline?.ended_at_ms ?? null;
  const begin = timeline?.created_at_ms ?? run.created_at * 1_000;
  const { tokens, cost } = tokensOf(run, timeline);
  const ended = isTerminal(run.status);
  return (
    <header class="run-head">
      <p class="small">
        <a href={hrefOf('/runs')}>Runs</a>
      </p>
      <div class="run-title">
        <h1>
          <code>{run.id}</code>
        </h1>
        <RunStatusBadge run={run} />
        <span class={`stream stream-${stream}`} role="status">
          {ended ? '' : STREAMS[stream]}
        </span>
      </div>
      <dl class="run-figures">
        <Figure name="Model">
          <EscapedText text={run.model} />
        </Figure>
        <Figure name="Created">
          <TimeAgo at={run.created_at} />
        </Figure>
        <Figure name="Took">{spanText((end ?? Math.max(begin, now.value)) - begin)}</Figure>
        <Figure name="Tokens">
          {countText(tokens)}
          {cost === '' ? '' : ` · ${cost}`}
        </Figure>
        <Figure name="Assistant">
          <a href={hrefOf(`/runs?assistant=${encodeURIComponent(run.assistant_id)}`)}>
            <code>{run.assistant_id}</code>
          </a>
        </Figure>
        <Figure name="Thread">
          <a href={hrefOf(`/runs?thread=${encodeURIComponent(run.thread_id)}`)}>
            <code>{run.thread_id}</code>
          </a>
        </Figure>
      </dl>
      <Waits run={run} />
      {run.last_error === null ? null : (
        <div class="run-error" role="note">
          <strong>
            <EscapedText text={run.last_error.code} />
          </strong>
          <EscapedLines text={run.last_error.message} most={1_000} />
        </div>
      )}
    </header>
  );
};
