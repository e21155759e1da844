/**
 * Other arguments for a call: as a form of the tool's schema, or as JSON text.
 *
 * Rule: both are the same value, and all of it is sent. What differs from the model's arguments is listed before it is approved. A
 * draft stays while the window is open, so a refused edit is not typed twice.
 */
import { useState } from 'preact/hooks';
import { isRecord } from '../../../../protocol/rules/is-record.ts';
import { parseArguments } from '../../../../protocol/rules/tool-arguments.ts';
import { changedArguments, schemaFields } from '../../schema-form/schema-fields.ts';
import { SchemaForm } from '../../schema-form/schema-form.tsx';
import { Button } from '../../ui/button.tsx';
import { EscapedText } from '../../ui/escaped-text.tsx';
import { visible } from '../../../../protocol/rules/visible.ts';
import type { InboxDetails } from './inbox-types.ts';

type Values = Readonly<Record<string, unknown>>;

const drafts = new Map<string, Values>();

const short = (value: unknown): string => {
  if (value === undefined) return 'absent';
  const text = JSON.stringify(value);
  return text.length > 200 ? `${text.slice(0, 200).replace(/[\uD800-\uDBFF]$/, '')}…` : text;
};

const Changes = ({ before, after }: { before: Values; after: Values }) => {
  const changes = changedArguments(before, after);
  if (changes.length === 0) return <p class="muted small">Nothing is changed yet.</p>;
  return (
    <ul class="changes small" aria-label="Changes">
      {changes.map((change) => (
        <li key={change.key}>
          <strong>
            <EscapedText text={change.key} />
          </strong>{' '}
          <del>
            <EscapedText text={short(change.before)} />
          </del>{' '}
          <span aria-hidden="true">→</span>{' '}
          <ins>
            <EscapedText text={short(change.after)} />
          </ins>
        </li>
      ))}
    </ul>
  );
};

interface JsonEditorProps {
  value: Values;
  onChange: (value: Values) => void;
  onProblem: (problem: string | null) => void;
}

const JsonEditor = ({ value, onChange, onProblem }: JsonEditorProps) => {
  const [text, setText] = useState(() => JSON.stringify(value, null, 2));
  const [problem, setProblem] = useState<string | null>(null);
  const take = (next: string): void => {
    setText(next);
    const parsed = parseArguments(next);
    const found = parsed.ok ? null : visible(`These are no arguments: ${parsed.problem}.`);
    setProblem(found);
    onProblem(found);
    if (parsed.ok && isRecord(parsed.value)) onChange(parsed.value);
  };
  return (
    <label class="field">
      <span class="field-label">Arguments as JSON</span>
      <textarea
        class="code"
        rows={Math.min(20, text.split('\n').length + 1)}
        spellcheck={false}
        value={text}
        aria-invalid={problem !== null}
        onInput={(event) => take(event.currentTarget.value)}
      />
      <span class="problem small" role="alert">
        {problem}
      </span>
    </label>
  );
};

interface EditArgumentsProps {
  details: InboxDetails;
  onApprove: (value: Record<string, unknown>) => void;
  onCancel: () => void;
}

export const EditArguments = ({ details, onApprove, onCancel }: EditArgumentsProps) => {
  const original: Values = isRecord(details.arguments_value) ? details.arguments_value : {};
  const [value, setValue] = useState<Values>(() => drafts.get(details.id) ?? original);
  const [asText, setAsText] = useState(() => schemaFields(details.parameters, value) === null);
  const [problems, setProblems] = useState<Readonly<Record<string, string>>>({});
  const change = (next: Values): void => {
    drafts.set(details.id, next);
    setValue(next);
  };
  const report = (path: string, problem: string | null): void =>
    setProblems((before) => {
      const others = Object.entries(before).filter(([at]) => at !== path);
      return Object.fromEntries(problem === null ? others : [...others, [path, problem]]);
    });
  const wrong = Object.keys(problems).length;
  return (
    <form
      class="edit-arguments"
      aria-label="Edit the arguments"
      onSubmit={(event) => {
        event.preventDefault();
        if (wrong === 0) onApprove({ ...value });
      }}
    >
      {asText ? (
        <JsonEditor value={value} onChange={change} onProblem={(problem) => report('', problem)} />
      ) : (
        <SchemaForm schema={details.parameters} value={value} onChange={change} onProblem={report} />
      )}
      {schemaFields(details.parameters, value) === null ? null : (
        <button
          type="button"
          class="link-button small"
          onClick={() => {
            setProblems({});
            setAsText(!asText);
          }}
        >
          {asText ? 'Edit in a form' : 'Edit as JSON'}
        </button>
      )}
      <Changes before={original} after={value} />
      <div class="dialog-actions">
        <Button kind="quiet" onClick={onCancel}>
          Cancel
        </Button>
        <Button
          kind="primary"
          type="submit"
          disabled={wrong > 0 || changedArguments(original, value).length === 0}
        >
          Approve with these arguments
        </Button>
      </div>
    </form>
  );
};
