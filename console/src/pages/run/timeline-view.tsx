/**
 * A run's timeline: one line for each entry, with a bar where it took time, and its details below when it is opened.
 *
 * Rule: the list is complete without its bars, so a screen reader and a narrow window lose nothing. Texts are shown as text.
 */
import { useMemo, useState } from 'preact/hooks';
import type { RunTimeline, TimelineEntry } from '../../../../protocol/wire/run-timeline.ts';
import { spanText } from '../../runs/figures.ts';
import { timeScale, type TimeScale } from '../../runs/time-scale.ts';
import { EscapedText } from '../../ui/escaped-text.tsx';
import { EntryDetails } from './entry-details.tsx';
import { entryFacts, entryLine, entrySpan, entryTitle, entryTone, isInternal, isSpan } from './entry-text.ts';

const isWork = (entry: TimelineEntry): boolean => entry.kind === 'turn' || entry.kind === 'tool';
const percent = (part: number): string => `${(part * 100).toFixed(3)}%`;

/** A bar is at least so wide, or nobody sees it. */
const LEAST_WIDTH = 0.006;

export const scaleOf = ({ entries, created_at_ms: from }: RunTimeline, until: number): TimeScale => {
  const last = Math.max(until, ...entries.map(({ start_ms: start, end_ms: end }) => end ?? start));
  return timeScale(
    from,
    last,
    entries
      .filter((entry) => isWork(entry) || !isSpan(entry))
      .map(({ start_ms: start, end_ms: end }) => ({ start, end: end ?? until })),
  );
};

const Bar = ({ entry, scale, until }: { entry: TimelineEntry; scale: TimeScale; until: number }) => {
  const left = scale.at(entry.start_ms);
  const tone = entryTone(entry);
  if (!isSpan(entry))
    return <span class={`mark tone-${tone}`} style={{ insetInlineStart: percent(Math.min(left, 0.994)) }} />;
  const right = scale.at(entry.end_ms ?? until);
  const width = Math.max(LEAST_WIDTH, right - left);
  return (
    <span
      class={`bar bar-${entry.kind} tone-${tone}${entry.end_ms === null ? ' bar-open' : ''}`}
      style={{ insetInlineStart: percent(Math.min(left, 1 - width)), width: percent(width) }}
    />
  );
};

const Line = (props: { entry: TimelineEntry; scale: TimeScale; until: number; begin: number }) => {
  const { entry, scale, until, begin } = props;
  const { what, name } = entryTitle(entry);
  const facts = entryFacts(entry);
  return (
    <li>
      <details class="entry">
        <summary title={entryLine(entry, until)}>
          <span class="entry-name">
            <span class={`entry-dot tone-${entryTone(entry)}`} aria-hidden="true" />
            <span>{what}</span>
            {name === '' ? null : (
              <code>
                <EscapedText text={name} />
              </code>
            )}
          </span>
          <span class="entry-track" aria-hidden="true">
            {scale.breaks.map((gap) => (
              <span
                key={gap.start}
                class="gap"
                style={{ insetInlineStart: percent(gap.from), width: percent(gap.to - gap.from) }}
              />
            ))}
            <Bar entry={entry} scale={scale} until={until} />
          </span>
          <span class="entry-figures">
            <span>{entrySpan(entry, until) || `at ${spanText(entry.start_ms - begin)}`}</span>
            {facts.length === 0 ? null : <span class="muted"> {facts.join(' · ')}</span>}
          </span>
        </summary>
        <EntryDetails entry={entry} begin={begin} />
      </details>
    </li>
  );
};

const Breaks = ({ scale }: { scale: TimeScale }) =>
  scale.breaks.length === 0 ? null : (
    <p class="muted small">
      Hatched: {scale.breaks.map((gap) => spanText(gap.end - gap.start)).join(', ')} in which neither a model
      nor a tool worked, drawn short.
    </p>
  );

/** `until`: unix ms, where entries that go on end for now. */
export const TimelineView = ({ timeline, until }: { timeline: RunTimeline; until: number }) => {
  const [internals, setInternals] = useState(false);
  const entries = timeline.entries.filter((entry) => internals || !isInternal(entry));
  const hidden = timeline.entries.length - timeline.entries.filter((entry) => !isInternal(entry)).length;
  const scale = useMemo(() => scaleOf(timeline, until), [timeline, until]);
  return (
    <section class="timeline" aria-labelledby="timeline-title">
      <header class="part-head">
        <h2 id="timeline-title">Timeline</h2>
        {hidden === 0 ? null : (
          <label class="check small">
            <input
              type="checkbox"
              checked={internals}
              onChange={(event) => setInternals(event.currentTarget.checked)}
            />{' '}
            Timers and messages ({hidden})
          </label>
        )}
      </header>
      {timeline.history.state === 'read' ? null : <p class="history-note">{timeline.history.note}</p>}
      <ol class="entries">
        {entries.map((entry) => (
          <Line key={entry.id} entry={entry} scale={scale} until={until} begin={timeline.created_at_ms} />
        ))}
      </ol>
      <Breaks scale={scale} />
      {timeline.truncated ? <p class="muted">The run has more entries than a timeline holds.</p> : null}
    </section>
  );
};
