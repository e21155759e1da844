/** One call on the screen: what it is about, its arguments in full, and what a person does with it. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from '../../../../protocol/errors.ts';
import { problemText } from '../../http/api.ts';
import { hrefOf } from '../../router.ts';
import { Button } from '../../ui/button.tsx';
import { EmptyState } from '../../ui/empty-state.tsx';
import { EscapedLines, EscapedText } from '../../ui/escaped-text.tsx';
import { JsonTable, JsonText } from '../../ui/json-view.tsx';
import { useShortcuts } from '../../ui/shortcuts.tsx';
import {
  CallFacts,
  Comments,
  Consequence,
  Conversation,
  DecisionRecord,
  Section,
  Votes,
} from './call-facts.tsx';
import { DecisionBar } from './decision-bar.tsx';
import type { DetailsState } from './details.ts';
import { EditArguments } from './edit-arguments.tsx';
import type { DecisionBody, InboxDetails } from './inbox-types.ts';
import { markShown } from './selection.ts';
import { decidedBy } from './words.ts';

interface CallDetailProps extends DetailsState {
  search: string;
  onDecide: (details: InboxDetails, body: DecisionBody) => void;
  onNext: () => void;
  reload: () => void;
}

const Arguments = ({ details }: { details: InboxDetails }) => {
  const [exact, setExact] = useState(false);
  if (details.arguments_problem !== null)
    return (
      <>
        <p class="problem">
          The model’s text can’t be used as arguments:{' '}
          <EscapedText text={details.arguments_problem} already />
        </p>
        <JsonText text={details.arguments_shown} already />
      </>
    );
  return (
    <>
      {exact ? (
        <JsonText text={details.arguments_shown} already />
      ) : (
        <JsonTable value={details.arguments_value} caption="Arguments of the call" />
      )}
      <button type="button" class="link-button small" onClick={() => setExact(!exact)}>
        {exact ? 'Show as a table' : 'Show the exact text'}
      </button>
    </>
  );
};

const Settled = ({ details, onNext }: { details: InboxDetails; onNext: () => void }) => (
  <div class="settled" role="status">
    <p>
      <EscapedText text={decidedBy(details)} />
    </p>
    <Button onClick={onNext} shortcut="j">
      Next call
    </Button>
  </div>
);

const Heading = ({ details, search }: { details: InboxDetails; search: string }) => {
  const heading = useRef<HTMLHeadingElement>(null);
  return (
    <header class="detail-head">
      <a class="detail-back" href={`${hrefOf('/inbox')}${search}`}>
        ← All calls
      </a>
      <h2 ref={heading} tabIndex={-1} id="call-title">
        <EscapedText text={details.tool} />
      </h2>
      {details.description === null ? null : (
        <p class="muted">
          <EscapedLines text={details.description} most={600} />
        </p>
      )}
      {details.status === 'waiting' ? <Consequence details={details} /> : null}
      {details.refused_edit === null ? null : (
        <p class="came-back">
          The tool refused the arguments of the last approval, and nothing ran:{' '}
          <EscapedText text={details.refused_edit} />
        </p>
      )}
    </header>
  );
};

const Failed = ({ problem, reload }: { problem: unknown; reload: () => void }) =>
  problem instanceof ApiError && problem.status === 404 ? (
    <EmptyState title="There is no such call">
      It may be another tenant’s, or of a tool that you don’t decide.
    </EmptyState>
  ) : (
    <EmptyState title="The call did not load">
      {problemText(problem)} <Button onClick={reload}>Try again</Button>
    </EmptyState>
  );

export const CallDetail = ({ details, problem, at, search, onDecide, onNext, reload }: CallDetailProps) => {
  const [editing, setEditing] = useState<string | null>(null);
  const waits = details?.status === 'waiting';
  useEffect(() => {
    if (details !== null) markShown(details);
  }, [details]);
  const isEditing = waits && details !== null && editing === details.id;
  useShortcuts(isEditing ? [{ key: 'Escape', run: () => setEditing(null) }] : []);
  if (details === null)
    return problem === null ? (
      <div class="page-loading" aria-busy="true" />
    ) : (
      <Failed problem={problem} reload={reload} />
    );
  const decide = (body: DecisionBody): void => {
    setEditing(null);
    onDecide(details, body);
  };
  return (
    <article class="call-detail" aria-labelledby="call-title" key={details.id}>
      <div class="detail-scroll">
        <Heading details={details} search={search} />
        {waits ? null : <Settled details={details} onNext={onNext} />}
        <Conversation details={details} />
        <Section title={isEditing ? 'Other arguments' : 'Arguments'}>
          {isEditing ? (
            <EditArguments
              details={details}
              onCancel={() => setEditing(null)}
              onApprove={(value) =>
                decide({
                  decision: 'approve',
                  arguments: value,
                  ...(details.arguments_digest === null
                    ? {}
                    : { arguments_digest: details.arguments_digest }),
                })
              }
            />
          ) : (
            <Arguments details={details} />
          )}
        </Section>
        <Votes details={details} />
        <Comments details={details} />
        <DecisionRecord details={details} />
        <Section title="About this call">
          <CallFacts details={details} />
        </Section>
      </div>
      {waits ? (
        <DecisionBar
          details={details}
          at={at}
          editing={isEditing}
          onEdit={() => setEditing(details.id)}
          onDecide={decide}
          onCommented={reload}
        />
      ) : null}
    </article>
  );
};
