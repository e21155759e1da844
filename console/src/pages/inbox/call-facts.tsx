/** Parts of a call's page: who asks, what the assistant said, the conversation, votes, comments and the record. */
import type { ComponentChildren } from 'preact';
import { hrefOf } from '../../router.ts';
import { EscapedLines, EscapedText } from '../../ui/escaped-text.tsx';
import { TimeAgo, TimeLeft } from '../../ui/time-left.tsx';
import type { RunDecision } from '../../../../protocol/wire/decisions.ts';
import type { InboxDetails } from './inbox-types.ts';
import { entryText, votesText } from './words.ts';

export const Section = ({ title, children }: { title: string; children: ComponentChildren }) => (
  <section class="detail-section">
    <h3>{title}</h3>
    {children}
  </section>
);

const Fact = ({ name, children }: { name: string; children: ComponentChildren }) => (
  <div>
    <dt>{name}</dt>
    <dd>{children}</dd>
  </div>
);

export const CallFacts = ({ details }: { details: InboxDetails }) => (
  <dl class="facts small">
    <Fact name="Asked by">
      {details.requested_by === null ? 'not known' : <EscapedText text={details.requested_by} />}
      {details.created_at === null ? null : (
        <>
          , <TimeAgo at={details.created_at} />
        </>
      )}
    </Fact>
    <Fact name="Assistant">
      <a href={`${hrefOf('/inbox')}?assistant=${encodeURIComponent(details.assistant_id)}`}>
        {details.assistant_id}
      </a>
    </Fact>
    <Fact name="Thread">
      <a href={`${hrefOf('/inbox')}?thread=${encodeURIComponent(details.thread_id)}`}>{details.thread_id}</a>
    </Fact>
    <Fact name="Run">{details.run_id}</Fact>
    <Assigned details={details} />
  </dl>
);

const Assigned = ({ details }: { details: InboxDetails }) => {
  const to = details.assigned_to;
  if (to === undefined || to === null || to.groups.length + to.people.length === 0) return null;
  return (
    <Fact name="Waits for">
      <EscapedText text={[...to.groups, ...to.people].join(', ')} />
    </Fact>
  );
};

/** What follows when nobody decides. */
export const Consequence = ({ details }: { details: InboxDetails }) => {
  const { answer_by: by, late } = details;
  return (
    <p class="consequence">
      {late ? (
        'The run went on without this answer. A decision starts a follow-up run. '
      ) : by === null ? (
        'This call has no deadline of its own. When the run expires without a decision: '
      ) : (
        <>
          <TimeLeft deadline={by} /> until{' '}
          {new Date(by * 1_000).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' })}. Without a
          decision by then:{' '}
        </>
      )}
      {late ? null : details.consequence}
    </p>
  );
};

export const Conversation = ({ details }: { details: InboxDetails }) => {
  const { conversation, said } = details;
  const messages = conversation?.messages ?? [];
  if (messages.length === 0)
    return said === null ? null : (
      <Section title="What the assistant said">
        <blockquote class="said">
          <EscapedLines text={said} />
        </blockquote>
      </Section>
    );
  return (
    <Section title="Conversation">
      {conversation?.has_more === true ? <p class="muted small">Earlier messages are left out.</p> : null}
      <ol class="conversation">
        {messages.map((message, index) => (
          <li key={index} class={`message message-${message.role}`}>
            <span class="message-role small">{message.role === 'user' ? 'User' : 'Assistant'}</span>
            <EscapedLines text={message.text} most={1_500} />
            {message.shortened ? <span class="muted small">The rest is left out.</span> : null}
          </li>
        ))}
      </ol>
    </Section>
  );
};

const VERB = { approve: 'approved', deny: 'denied' } as const;

const Name = ({ by, verified }: { by: string | null; verified: boolean }) => (
  <>
    {by === null ? 'Somebody' : <EscapedText text={by} />}
    {verified ? null : <span class="badge">not verified</span>}
  </>
);

export const Votes = ({ details }: { details: InboxDetails }) => {
  const votes = details.votes ?? [];
  const needed = votesText(details);
  if (votes.length === 0 && needed === null) return null;
  return (
    <Section title="Votes">
      {needed === null ? null : <p>{needed}.</p>}
      <ul class="record">
        {votes.map((vote, index) => (
          <li key={index}>
            <Name by={vote.by} verified={vote.verified} /> {VERB[vote.decision]} it
            {vote.in_place_of === undefined || vote.in_place_of === null ? null : (
              <>
                {' '}
                in place of <EscapedText text={vote.in_place_of} />
              </>
            )}
            , <TimeAgo at={vote.at} />
            {vote.reason === undefined || vote.reason === null ? null : (
              <>
                : <EscapedText text={vote.reason} />
              </>
            )}
          </li>
        ))}
      </ul>
    </Section>
  );
};

export const Comments = ({ details }: { details: InboxDetails }) => {
  const comments = details.comments ?? [];
  if (comments.length === 0) return null;
  return (
    <Section title="Comments">
      <ul class="record">
        {comments.map((comment, index) => (
          <li key={index}>
            <strong>
              <EscapedText text={comment.by ?? 'Somebody'} />
            </strong>{' '}
            <span class="muted small">
              <TimeAgo at={comment.at} />
            </span>
            <EscapedLines text={comment.text} />
          </li>
        ))}
      </ul>
    </Section>
  );
};

const Entry = ({ entry }: { entry: RunDecision }) => (
  <li>
    {entry.door === 'workflow' ? 'The run' : <Name by={entry.by} verified={entry.verified} />}{' '}
    <EscapedText text={entryText(entry)} />, <TimeAgo at={entry.created_at} />
    {entry.refused === null ? null : <span class="badge">had no effect</span>}
    {[entry.reason, entry.note].map((text, index) =>
      text === null || text === '' ? null : <EscapedLines key={index} text={text} />,
    )}
  </li>
);

/** Every decision about the call that the server has, those without effect included. Comments have a section of their own. */
export const DecisionRecord = ({ details }: { details: InboxDetails }) => {
  const entries = details.decisions.filter(({ decision }) => decision !== 'comment');
  if (entries.length === 0) return null;
  return (
    <Section title="Record">
      <ul class="record">
        {entries.map((entry) => (
          <Entry key={entry.id} entry={entry} />
        ))}
      </ul>
    </Section>
  );
};
