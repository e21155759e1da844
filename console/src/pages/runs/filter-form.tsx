/** The filters above the list of runs. Rule: the address is their state; a text is applied when it is left or sent. */
import { currentSession } from '../../http/session.ts';
import { query, setQuery } from '../../router.ts';
import { statusText } from '../../runs/figures.ts';
import { Button } from '../../ui/button.tsx';
import { filtersOf, isFiltered, SPANS, STATUSES } from './filters.ts';

const SPAN_NAMES: Readonly<Record<string, string>> = {
  '1h': 'Last hour',
  '24h': 'Last 24 hours',
  '7d': 'Last 7 days',
  '30d': 'Last 30 days',
};

const TextFilter = ({ name, label, value }: { name: string; label: string; value: string }) => (
  <label class="run-filter">
    <span>{label}</span>
    <input
      type="text"
      value={value}
      spellcheck={false}
      autocomplete="off"
      onChange={(event) => setQuery({ [name]: event.currentTarget.value.trim() })}
    />
  </label>
);

const ChoiceFilter = (props: {
  name: string;
  label: string;
  value: string;
  all: string;
  choices: readonly (readonly [value: string, text: string])[];
}) => (
  <label class="run-filter">
    <span>{props.label}</span>
    <select value={props.value} onChange={(event) => setQuery({ [props.name]: event.currentTarget.value })}>
      <option value="">{props.all}</option>
      {props.choices.map(([value, text]) => (
        <option key={value} value={value}>
          {text}
        </option>
      ))}
    </select>
  </label>
);

const isOperator = (): boolean => currentSession.value?.roles.includes('operator') ?? false;

export const RunFilterForm = () => {
  const filters = filtersOf(query.value);
  return (
    <form class="run-filters" role="search" aria-label="Runs" onSubmit={(event) => event.preventDefault()}>
      <ChoiceFilter
        name="status"
        label="Status"
        value={filters.status}
        all="Any"
        choices={STATUSES.map((status) => [status, statusText(status)])}
      />
      <ChoiceFilter
        name="since"
        label="Created"
        value={filters.span}
        all="Any time"
        choices={Object.keys(SPANS).map((span) => [span, SPAN_NAMES[span] ?? span])}
      />
      <TextFilter name="tool" label="Tool" value={filters.tool} />
      <TextFilter name="assistant" label="Assistant id" value={filters.assistant} />
      <TextFilter name="thread" label="Thread id" value={filters.thread} />
      {isOperator() ? <TextFilter name="tenant" label="Tenant" value={filters.tenant} /> : null}
      {isFiltered(filters) ? (
        <Button
          kind="quiet"
          onClick={() =>
            setQuery({ status: null, since: null, tool: null, assistant: null, thread: null, tenant: null })
          }
        >
          Clear filters
        </Button>
      ) : null}
    </form>
  );
};
