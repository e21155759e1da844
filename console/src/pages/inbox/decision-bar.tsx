/**
 * What a person does with the call on the screen.
 *
 * Rule: a decision names the arguments that were on the screen. For a moment after a call came to the screen nothing is taken: a
 * second click meant for the call before must not decide this one.
 */
import { useState } from 'preact/hooks';
import { problemText, send } from '../../http/api.ts';
import { announce, notify } from '../../layout/notices.tsx';
import { Button } from '../../ui/button.tsx';
import { EscapedText } from '../../ui/escaped-text.tsx';
import { useShortcuts, type Shortcut } from '../../ui/shortcuts.tsx';
import { OutboxBadge } from './call-row.tsx';
import { DecisionDialog, type DialogKind } from './decision-dialogs.tsx';
import type { DecisionBody, InboxDetails } from './inbox-types.ts';
import { outbox, undo, type OutboxEntry } from './outbox.ts';
import { yourVoteText } from './words.ts';

/** Longer than the pause within a double click. */
export const SETTLE_MS = 400;

interface DecisionBarProps {
  details: InboxDetails;
  /** When the call came to the screen. */
  at: number;
  editing: boolean;
  onEdit: () => void;
  onDecide: (body: DecisionBody) => void;
  onCommented: () => void;
}

interface Action {
  key: string;
  label: string;
  kind: 'primary' | 'normal' | 'danger' | 'quiet';
  run: () => void;
}

const digestOf = ({ arguments_digest: digest }: InboxDetails) =>
  digest === null ? {} : { arguments_digest: digest };

const actionsOf = (
  details: InboxDetails,
  {
    onDecide,
    onEdit,
    open,
  }: Pick<DecisionBarProps, 'onDecide' | 'onEdit'> & { open: (kind: DialogKind) => void },
): Action[] => {
  const { may_decide: mayDecide = true, decision: voted = null } = details.your_vote ?? {};
  const more: Action[] = [
    // Only votes that a policy counts can be handed over, and a vote that is cast can't.
    ...(details.policy == null || !mayDecide || voted !== null
      ? []
      : [{ key: 'h', label: 'Hand over', kind: 'quiet' as const, run: () => open('delegate') }]),
    ...(details.comments === undefined
      ? []
      : [{ key: 'c', label: 'Comment', kind: 'quiet' as const, run: () => open('comment') }]),
  ];
  if (details.kind === 'output')
    return [{ key: 'a', label: 'Answer', kind: 'primary', run: () => open('answer') }, ...more];
  if (!mayDecide) return more;
  const usable = details.arguments_problem === null;
  return [
    ...(usable && voted !== 'approve'
      ? [
          {
            key: 'a',
            label: 'Approve',
            kind: 'primary' as const,
            run: () => onDecide({ decision: 'approve', ...digestOf(details) }),
          },
        ]
      : []),
    { key: 'e', label: 'Edit', kind: 'normal', run: onEdit },
    ...(voted === 'deny'
      ? []
      : [{ key: 'd', label: 'Deny', kind: 'danger' as const, run: () => open('deny') }]),
    ...more,
  ];
};

const Leaving = ({ entry }: { entry: OutboxEntry }) => (
  <div class="decision-bar">
    <OutboxBadge entry={entry} />
    {entry.state === 'held' ? (
      <Button onClick={() => undo(entry.call.id)} shortcut="u">
        Undo
      </Button>
    ) : null}
  </div>
);

export const DecisionBar = (props: DecisionBarProps) => {
  const { details, at, editing, onDecide, onCommented } = props;
  const [dialog, setDialog] = useState<DialogKind | null>(null);
  const entry = outbox.value.get(details.id);
  const actions = actionsOf(details, { ...props, open: setDialog });
  const guarded = (run: () => void) => (): void => {
    if (Date.now() - at >= SETTLE_MS && outbox.peek().get(details.id) === undefined) run();
  };
  const shortcuts: Shortcut[] =
    entry === undefined && !editing
      ? actions.map(({ key, label, run }) => ({ key, label: `${label} the call`, run: guarded(run) }))
      : [];
  useShortcuts(shortcuts);
  const comment = async (text: string): Promise<void> => {
    try {
      await send(`/v1/approvals/${encodeURIComponent(details.id)}/comments`, {
        method: 'POST',
        body: { text },
      });
      announce('The comment is there.');
      onCommented();
    } catch (error) {
      notify({ kind: 'problem', text: `The comment was not added: ${problemText(error)}` });
    }
  };
  if (entry !== undefined) return <Leaving entry={entry} />;
  if (editing) return null;
  const said = yourVoteText(details);
  return (
    <div class="decision-bar" role="group" aria-label="Decide">
      {said === null ? null : (
        <p class="your-vote">
          <EscapedText text={said} />
        </p>
      )}
      {actions.map(({ key, label, kind, run }) => (
        <Button key={key} kind={kind} shortcut={key} onClick={guarded(run)}>
          {label}
        </Button>
      ))}
      {dialog === null ? null : (
        <DecisionDialog
          kind={dialog}
          digest={details.arguments_digest}
          onClose={() => setDialog(null)}
          onDecide={onDecide}
          onComment={(text) => void comment(text)}
        />
      )}
    </div>
  );
};
