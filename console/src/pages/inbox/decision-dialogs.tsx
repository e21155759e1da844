/** Dialogs that ask for words: the reason of a denial, an answer, a hand-over, a comment. Rule: nothing is sent before its button. */
import { useState } from 'preact/hooks';
import { Button } from '../../ui/button.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import type { DecisionBody } from './inbox-types.ts';

export type DialogKind = 'deny' | 'answer' | 'delegate' | 'comment';

interface TextDialogProps {
  title: string;
  label: string;
  help: string;
  button: string;
  kind: 'primary' | 'danger';
  required: boolean;
  onClose: () => void;
  onText: (text: string) => void;
}

const TextDialog = ({ title, label, help, button, kind, required, onClose, onText }: TextDialogProps) => {
  const [text, setText] = useState('');
  const submit = (): void => {
    if (required && text.trim() === '') return;
    onText(text);
    onClose();
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        class="dialog-form"
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <label class="field">
          <span class="field-label">{label}</span>
          <textarea
            rows={4}
            value={text}
            aria-describedby="dialog-help"
            onInput={(event) => setText(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
              event.preventDefault();
              submit();
            }}
          />
          <span class="field-help" id="dialog-help">
            {help} Ctrl+Enter sends it.
          </span>
        </label>
        <div class="dialog-actions">
          <Button kind="quiet" onClick={onClose}>
            Cancel
          </Button>
          <Button kind={kind} type="submit" disabled={required && text.trim() === ''}>
            {button}
          </Button>
        </div>
      </form>
    </Dialog>
  );
};

const names = (text: string): string[] =>
  text
    .split(/[,\n]/)
    .map((name) => name.trim())
    .filter((name) => name !== '');

const DelegateDialog = ({
  onClose,
  onDecide,
}: {
  onClose: () => void;
  onDecide: (body: DecisionBody) => void;
}) => {
  const [people, setPeople] = useState('');
  const [groups, setGroups] = useState('');
  const [comment, setComment] = useState('');
  const to = { people: names(people), groups: names(groups) };
  const empty = to.people.length + to.groups.length === 0;
  return (
    <Dialog title="Hand over" onClose={onClose}>
      <form
        class="dialog-form"
        onSubmit={(event) => {
          event.preventDefault();
          if (empty) return;
          onDecide({ decision: 'delegate', to, ...(comment.trim() === '' ? {} : { comment }) });
          onClose();
        }}
      >
        <label class="field">
          <span class="field-label">People</span>
          <input type="text" value={people} onInput={(event) => setPeople(event.currentTarget.value)} />
          <span class="field-help">Names with commas between them.</span>
        </label>
        <label class="field">
          <span class="field-label">Groups</span>
          <input type="text" value={groups} onInput={(event) => setGroups(event.currentTarget.value)} />
        </label>
        <label class="field">
          <span class="field-label">Comment</span>
          <textarea rows={2} value={comment} onInput={(event) => setComment(event.currentTarget.value)} />
        </label>
        <div class="dialog-actions">
          <Button kind="quiet" onClick={onClose}>
            Cancel
          </Button>
          <Button kind="primary" type="submit" disabled={empty}>
            Hand over
          </Button>
        </div>
      </form>
    </Dialog>
  );
};

interface DecisionDialogProps {
  kind: DialogKind;
  /** Of the arguments on the screen. */
  digest: string | null;
  onClose: () => void;
  onDecide: (body: DecisionBody) => void;
  onComment: (text: string) => void;
}

export const DecisionDialog = ({ kind, digest, onClose, onDecide, onComment }: DecisionDialogProps) => {
  if (kind === 'delegate') return <DelegateDialog onClose={onClose} onDecide={onDecide} />;
  if (kind === 'comment')
    return (
      <TextDialog
        title="Comment"
        label="Comment"
        help="People who decide read it; the model does not."
        button="Add the comment"
        kind="primary"
        required
        onClose={onClose}
        onText={onComment}
      />
    );
  if (kind === 'answer')
    return (
      <TextDialog
        title="Answer the call"
        label="Output"
        help="The model reads it as the output of the call."
        button="Send the answer"
        kind="primary"
        required
        onClose={onClose}
        onText={(output) => onDecide({ decision: 'answer', output })}
      />
    );
  return (
    <TextDialog
      title="Deny the call"
      label="Reason"
      help="The model reads it and may try something else. It may be empty."
      button="Deny"
      kind="danger"
      required={false}
      onClose={onClose}
      onText={(reason) =>
        onDecide({
          decision: 'deny',
          ...(reason.trim() === '' ? {} : { reason }),
          ...(digest === null ? {} : { arguments_digest: digest }),
        })
      }
    />
  );
};
