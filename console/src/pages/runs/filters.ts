/** The filters of the list of runs, as the address has them. Rule: pure; an unknown value counts as none. */
import { ACTIVE_STATUSES, TERMINAL_STATUSES } from '../../../../protocol/wire/objects.ts';

export const STATUSES: readonly string[] = [...ACTIVE_STATUSES, ...TERMINAL_STATUSES];

/** Spans of time up to now, by their name in the address, in seconds. */
export const SPANS: Readonly<Record<string, number>> = {
  '1h': 3_600,
  '24h': 86_400,
  '7d': 604_800,
  '30d': 2_592_000,
};

export interface RunFilters {
  status: string;
  assistant: string;
  thread: string;
  tool: string;
  tenant: string;
  /** A key of `SPANS`, or empty. */
  span: string;
}

export const filtersOf = (query: URLSearchParams): RunFilters => {
  const text = (name: string): string => query.get(name)?.trim() ?? '';
  const status = text('status');
  const span = text('since');
  return {
    status: STATUSES.includes(status) ? status : '',
    assistant: text('assistant'),
    thread: text('thread'),
    tool: text('tool'),
    tenant: text('tenant'),
    span: Object.hasOwn(SPANS, span) ? span : '',
  };
};

export const isFiltered = (filters: RunFilters): boolean =>
  Object.values(filters).some((value) => value !== '');

/** Parameters of `GET /v1/runs`. `now`: unix ms. A span begins at a full minute, so that a repeated request is the same. */
export const listParams = (
  { status, assistant, thread, tool, tenant, span }: RunFilters,
  now: number,
): Record<string, string | number> => ({
  status,
  assistant_id: assistant,
  thread_id: thread,
  tool,
  tenant,
  ...(span === '' ? {} : { created_from: Math.floor((now / 1_000 - (SPANS[span] ?? 0)) / 60) * 60 }),
});

/** The runs that are known, with a newer reading of the first page: each once, the newest first. */
export const mergedRuns = <T extends { id: string }>(
  known: readonly T[],
  first: readonly T[],
  complete: boolean,
): T[] => {
  if (complete) return [...first];
  const last = first.at(-1);
  const at = last === undefined ? -1 : known.findIndex(({ id }) => id === last.id);
  // Without a common run, more runs came than a page holds: what is known would leave a gap.
  return at < 0 ? [...first] : [...first, ...known.slice(at + 1)];
};
