/** Search and filters above the list. Rule: their state is the query of the address, so a link shows the same list. */
import { EscapedText } from '../../ui/escaped-text.tsx';
import { visible } from '../../../../protocol/rules/visible.ts';
import { setQuery } from '../../router.ts';
import { choicesOf, DEADLINES, isNarrowed, type InboxFilter } from './filters.ts';
import type { InboxCall } from './inbox-types.ts';

interface ChoiceProps {
  label: string;
  all: string;
  name: string;
  value: string | null;
  choices: readonly { value: string; label: string }[];
}

const Choice = ({ label, all, name, value, choices }: ChoiceProps) => (
  <div class="filter">
    <select
      aria-label={label}
      value={value ?? ''}
      class={value === null ? undefined : 'is-set'}
      onChange={(event) => setQuery({ [name]: event.currentTarget.value })}
    >
      <option value="">{all}</option>
      {value !== null && !choices.some((choice) => choice.value === value) ? (
        <option value={value}>{visible(value)}</option>
      ) : null}
      {choices.map((choice) => (
        <option key={choice.value} value={choice.value}>
          {choice.label}
        </option>
      ))}
    </select>
  </div>
);

const counted = (calls: readonly InboxCall[], field: 'tool' | 'assistant_id') =>
  choicesOf(calls, field).map(({ value, count }) => ({ value, label: `${visible(value)} (${count})` }));

const DUE = Object.entries(DEADLINES).map(([value, label]) => ({ value, label }));

export const FilterBar = ({ calls, filter }: { calls: readonly InboxCall[]; filter: InboxFilter }) => (
  <div class="filter-bar" role="search">
    <input
      type="search"
      id="inbox-search"
      placeholder="Search  ( / )"
      aria-label="Search the calls that wait"
      value={filter.words}
      onInput={(event) => setQuery({ q: event.currentTarget.value })}
    />
    <div class="filters">
      <Choice label="Tool" all="All tools" name="tool" value={filter.tool} choices={counted(calls, 'tool')} />
      <Choice
        label="Assistant"
        all="All assistants"
        name="assistant"
        value={filter.assistant}
        choices={counted(calls, 'assistant_id')}
      />
      <Choice label="Deadline" all="Any deadline" name="due" value={filter.deadline} choices={DUE} />
    </div>
    {filter.thread === null ? null : (
      <p class="small">
        Only the thread <EscapedText text={filter.thread} />
      </p>
    )}
    {isNarrowed(filter) ? (
      <button
        type="button"
        class="link-button small"
        onClick={() => setQuery({ tool: null, assistant: null, thread: null, due: null, q: null })}
      >
        Show all calls
      </button>
    ) : null}
  </div>
);
