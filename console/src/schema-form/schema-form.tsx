/**
 * A form for the arguments of a call, made from the tool's JSON Schema.
 *
 * Rule: it holds no arguments of its own: the value comes in and every change goes out. A field that holds no value yet (a number
 * half typed) is reported as a problem under its path, and the value stays the last good one.
 */
import type { ComponentChildren } from 'preact';
import { useId, useState } from 'preact/hooks';
import { visible } from '../../../protocol/rules/visible.ts';
import { EscapedText } from '../ui/escaped-text.tsx';
import { initialValue, numberProblem, schemaFields, type SchemaField } from './schema-fields.ts';

type Values = Readonly<Record<string, unknown>>;

export interface SchemaFormProps {
  schema: Readonly<Record<string, unknown>> | null;
  value: Values;
  onChange: (value: Values) => void;
  /** `problem`: why the field at `path` holds no value; null = it does. */
  onProblem: (path: string, problem: string | null) => void;
  path?: string;
}

interface InputProps {
  id: string;
  field: SchemaField;
  value: unknown;
  path: string;
  describedBy: string | undefined;
  onChange: (value: unknown) => void;
  onProblem: SchemaFormProps['onProblem'];
}

const LONG = 60;

const TextInput = ({ id, value, describedBy, onChange }: InputProps) => {
  const text = String(value);
  return text.length > LONG || text.includes('\n') ? (
    <textarea
      id={id}
      rows={Math.min(12, Math.max(3, text.split('\n').length))}
      value={text}
      aria-describedby={describedBy}
      onInput={(event) => onChange(event.currentTarget.value)}
    />
  ) : (
    <input
      id={id}
      type="text"
      value={text}
      aria-describedby={describedBy}
      onInput={(event) => onChange(event.currentTarget.value)}
    />
  );
};

/** A text that becomes a value by `read`, which throws or returns a problem. */
const ReadInput = ({
  props,
  first,
  lines,
  read,
}: {
  props: InputProps;
  first: string;
  lines: boolean;
  read: (text: string) => { value: unknown } | { problem: string };
}) => {
  const { id, path, describedBy, onChange, onProblem } = props;
  const [text, setText] = useState(first);
  const [problem, setProblem] = useState<string | null>(null);
  const take = (next: string): void => {
    setText(next);
    const result = read(next);
    const found = 'problem' in result ? result.problem : null;
    setProblem(found);
    onProblem(path, found);
    if ('value' in result) onChange(result.value);
  };
  const shared = {
    id,
    value: text,
    'aria-invalid': problem !== null,
    'aria-describedby': [describedBy, `${id}-problem`].filter((one) => one !== undefined).join(' '),
  };
  return (
    <>
      {lines ? (
        <textarea
          {...shared}
          class="code"
          rows={Math.min(10, first.split('\n').length + 1)}
          spellcheck={false}
          onInput={(event) => take(event.currentTarget.value)}
        />
      ) : (
        <input
          {...shared}
          type="text"
          inputMode="decimal"
          onInput={(event) => take(event.currentTarget.value)}
        />
      )}
      <span class="problem small" id={`${id}-problem`}>
        {problem}
      </span>
    </>
  );
};

const readJson = (text: string): { value: unknown } | { problem: string } => {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (error) {
    return { problem: error instanceof Error ? visible(error.message) : 'This is no JSON.' };
  }
};

const INPUTS: Record<SchemaField['kind'], (props: InputProps) => ComponentChildren> = {
  text: (props) => <TextInput {...props} />,
  number: (props) => (
    <ReadInput
      props={props}
      first={String(props.value)}
      lines={false}
      read={(text) => {
        const problem = numberProblem(text, props.field.schema);
        return problem === null ? { value: Number(text) } : { problem };
      }}
    />
  ),
  boolean: ({ id, value, describedBy, onChange }) => (
    <select
      id={id}
      value={String(value)}
      aria-describedby={describedBy}
      onChange={(event) => onChange(event.currentTarget.value === 'true')}
    >
      <option value="true">true</option>
      <option value="false">false</option>
    </select>
  ),
  choice: ({ id, field, value, describedBy, onChange }) => (
    <select
      id={id}
      value={String(value)}
      aria-describedby={describedBy}
      onChange={(event) => onChange(event.currentTarget.value)}
    >
      {field.choices.map((choice) => (
        <option key={choice} value={choice}>
          {visible(choice)}
        </option>
      ))}
    </select>
  ),
  texts: (props) => (
    <ReadInput
      props={props}
      first={(props.value as string[]).map((text) => JSON.stringify(text)).join(',\n')}
      lines
      read={(text) => {
        const result = readJson(`[${text}]`);
        if ('problem' in result) return { problem: 'Write each text in quotes, with commas between them.' };
        const { value } = result;
        return Array.isArray(value) && value.every((one) => typeof one === 'string')
          ? { value }
          : { problem: 'Each entry is a text in quotes.' };
      }}
    />
  ),
  group: ({ field, value, path, onChange, onProblem }) => (
    <SchemaForm
      schema={field.schema}
      value={value as Values}
      path={path}
      onChange={onChange}
      onProblem={onProblem}
    />
  ),
  json: (props) => (
    <ReadInput props={props} first={JSON.stringify(props.value, null, 2)} lines read={readJson} />
  ),
};

interface FieldRowProps {
  field: SchemaField;
  value: unknown;
  path: string;
  onChange: (value: unknown) => void;
  onProblem: SchemaFormProps['onProblem'];
}

const FieldRow = ({ field, value, path, onChange, onProblem }: FieldRowProps) => {
  const id = useId();
  const absent = value === undefined;
  const isGroup = field.kind === 'group';
  const described = field.description === null ? undefined : `${id}-help`;
  const toggle = (): void => {
    onProblem(path, null);
    onChange(absent ? initialValue(field) : undefined);
  };
  const label = <EscapedText text={field.name} />;
  return (
    <div
      class={isGroup ? 'field field-group' : 'field'}
      {...(isGroup ? { role: 'group', 'aria-labelledby': `${id}-label` } : {})}
    >
      <span class="field-head">
        {isGroup || absent ? (
          <span class="field-label" id={`${id}-label`}>
            {label}
          </span>
        ) : (
          <label class="field-label" htmlFor={id}>
            {label}
          </label>
        )}
        {field.required && !absent ? null : (
          <button
            type="button"
            class="link-button small"
            aria-label={`${absent ? 'Add' : 'Leave out'} ${visible(field.name)}`}
            onClick={toggle}
          >
            {absent ? 'Add' : 'Leave out'}
          </button>
        )}
      </span>
      {absent
        ? null
        : INPUTS[field.kind]({ id, field, value, path, describedBy: described, onChange, onProblem })}
      {absent && field.required ? <span class="problem small">The tool requires it.</span> : null}
      {field.description === null ? null : (
        <span class="field-help" id={`${id}-help`}>
          <EscapedText text={field.description} />
        </span>
      )}
    </div>
  );
};

export const SchemaForm = ({ schema, value, onChange, onProblem, path = '' }: SchemaFormProps) => {
  // The kinds of the first value stay: a field must not change under the person who types into it.
  const [fields] = useState(() => schemaFields(schema, value));
  if (fields === null) return null;
  return (
    <div class="schema-form">
      {fields.map((field) => (
        <FieldRow
          key={field.name}
          field={field}
          value={Object.hasOwn(value, field.name) ? value[field.name] : undefined}
          path={`${path}/${field.name}`}
          onProblem={onProblem}
          onChange={(next) => {
            const { [field.name]: _, ...others } = value;
            const order = [...new Set([...Object.keys(value), field.name])];
            const merged = next === undefined ? others : { ...others, [field.name]: next };
            onChange(
              Object.fromEntries(order.filter((key) => key in merged).map((key) => [key, merged[key]])),
            );
          }}
        />
      ))}
    </div>
  );
};
