/** What is known of one entry of a timeline. Rule: texts of models, tools, workers and people are shown as text. */
import type { ComponentChildren } from 'preact';
import type { TimelineEntry } from '../../../../protocol/wire/run-timeline.ts';
import { countText, moneyText, spanText, statusText } from '../../runs/figures.ts';
import { EscapedLines, EscapedText } from '../../ui/escaped-text.tsx';
import { JsonText } from '../../ui/json-view.tsx';

const Fact = ({ name, children }: { name: string; children: ComponentChildren }) => (
  <div>
    <dt>{name}</dt>
    <dd>{children}</dd>
  </div>
);

const moment = (ms: number): string =>
  new Date(ms).toLocaleString(undefined, { timeStyle: 'medium', dateStyle: 'medium' });

const Tokens = ({ entry }: { entry: Extract<TimelineEntry, { kind: 'turn' }> }) => {
  const { usage } = entry;
  if (usage === null) return null;
  const cost = moneyText(usage);
  return (
    <Fact name="Tokens">
      {countText(usage.prompt_tokens)} in, {countText(usage.completion_tokens)} out
      {usage.prompt_token_details === undefined
        ? ''
        : `, ${countText(usage.prompt_token_details.cached_tokens)} of a cache`}
      {cost === '' ? '' : ` · ${cost}`}
    </Fact>
  );
};

const Attempts = ({ entry }: { entry: Extract<TimelineEntry, { kind: 'turn' | 'tool' }> }) => (
  <>
    <Fact name="Attempts">{entry.attempts ?? 'not known'}</Fact>
    {entry.next_attempt_at_ms === null ? null : (
      <Fact name="Next attempt">{moment(entry.next_attempt_at_ms)}</Fact>
    )}
    {entry.failure === null ? null : (
      <Fact name={entry.outcome === 'failed' ? 'Failure' : 'Failure before'}>
        <EscapedText text={entry.failure.type ?? 'Failure'} />
        {entry.failure.message === null ? null : (
          <div class="failure-text">
            <EscapedLines text={entry.failure.message} most={1_000} />
          </div>
        )}
      </Fact>
    )}
  </>
);

const Decided = ({ entry }: { entry: Extract<TimelineEntry, { kind: 'decision' }> }) => (
  <>
    <Fact name="By">
      {entry.door === 'workflow' ? (
        'a timer of the run'
      ) : (
        <>
          {entry.by === null ? 'no name was given' : <EscapedText text={entry.by} />}
          {entry.verified ? ' (verified)' : ' (unverified)'} · {statusText(entry.door)}
        </>
      )}
    </Fact>
    {entry.in_place_of === null ? null : (
      <Fact name="In place of">
        <EscapedText text={entry.in_place_of} />
      </Fact>
    )}
    {entry.to === null ? null : (
      <Fact name="To">
        <EscapedText text={[...entry.to.people, ...entry.to.groups.map((group) => `@${group}`)].join(', ')} />
      </Fact>
    )}
    {entry.reason === null ? null : (
      <Fact name="Reason">
        <EscapedLines text={entry.reason} most={1_000} />
      </Fact>
    )}
    {entry.note === null ? null : (
      <Fact name={entry.decision === 'comment' ? 'Comment' : 'Note'}>
        <EscapedLines text={entry.note} most={1_000} />
      </Fact>
    )}
    {entry.refused === null ? null : (
      <Fact name="Refused">
        <EscapedLines text={entry.refused} most={1_000} />
      </Fact>
    )}
  </>
);

const Waited = ({ entry }: { entry: Extract<TimelineEntry, { kind: 'wait' }> }) => (
  <>
    <Fact name="Answer by">
      {entry.answer_by_ms === null ? 'as long as the run lives' : moment(entry.answer_by_ms)}
    </Fact>
    <Fact name="Then">{entry.on_deadline}</Fact>
  </>
);

const Texts = ({ entry }: { entry: Extract<TimelineEntry, { kind: 'tool' | 'wait' }> }) => (
  <>
    {entry.arguments === null ? null : (
      <Fact name="Arguments">
        <JsonText text={entry.arguments} />
      </Fact>
    )}
    {entry.output === null ? null : (
      <Fact name="Output">
        <EscapedLines text={entry.output} most={1_000} />
      </Fact>
    )}
  </>
);

/** `begin`: of the run, unix ms. */
export const EntryDetails = ({ entry, begin }: { entry: TimelineEntry; begin: number }) => (
  <dl class="entry-details">
    <Fact name="From">
      {moment(entry.start_ms)} ({spanText(entry.start_ms - begin)} after the run’s creation)
    </Fact>
    {entry.round === null ? null : <Fact name="Round">{entry.round}</Fact>}
    {entry.kind === 'turn' ? <Tokens entry={entry} /> : null}
    {entry.kind === 'turn' && entry.finish_reason !== null ? (
      <Fact name="Finished by">{statusText(entry.finish_reason)}</Fact>
    ) : null}
    {entry.kind === 'turn' || entry.kind === 'tool' ? <Attempts entry={entry} /> : null}
    {entry.kind === 'wait' ? <Waited entry={entry} /> : null}
    {entry.kind === 'decision' ? <Decided entry={entry} /> : null}
    {entry.kind === 'timer' ? <Fact name="Fires">{moment(entry.fires_at_ms)}</Fact> : null}
    {entry.kind === 'tool' || entry.kind === 'wait' ? <Texts entry={entry} /> : null}
    {entry.source === 'store' && (entry.kind === 'tool' || entry.kind === 'turn') ? (
      <Fact name="Times">of the rows of the run: as exact as its rounds</Fact>
    ) : null}
  </dl>
);
