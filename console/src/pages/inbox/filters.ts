/** Which calls the list shows: by tool, assistant, thread, deadline and words. Rule: pure; the query of the address is the state. */
import type { InboxCall } from './inbox-types.ts';

export const DEADLINES = {
  hour: 'Within an hour',
  day: 'Within a day',
  none: 'Without a deadline',
} as const;
export type DeadlineFilter = keyof typeof DEADLINES;

export interface InboxFilter {
  tool: string | null;
  assistant: string | null;
  thread: string | null;
  deadline: DeadlineFilter | null;
  words: string;
}

const isDeadline = (text: string | null): text is DeadlineFilter =>
  text !== null && Object.hasOwn(DEADLINES, text);

export const filterOf = (query: URLSearchParams): InboxFilter => {
  const due = query.get('due');
  return {
    tool: query.get('tool'),
    assistant: query.get('assistant'),
    thread: query.get('thread'),
    deadline: isDeadline(due) ? due : null,
    words: query.get('q') ?? '',
  };
};

export const isNarrowed = ({ tool, assistant, thread, deadline, words }: InboxFilter): boolean =>
  tool !== null || assistant !== null || thread !== null || deadline !== null || words.trim() !== '';

/** Of a call's arguments: a search for words must not read megabytes at each key. */
const SEARCHED = 20_000;

const has = (call: InboxCall, word: string): boolean =>
  [call.tool, call.requested_by ?? '', call.assistant_id, call.thread_id, call.run_id, call.id].some((text) =>
    text.toLowerCase().includes(word),
  ) || call.arguments.slice(0, SEARCHED).toLowerCase().includes(word);

const isDue = ({ answer_by: by }: InboxCall, deadline: DeadlineFilter | null, nowMs: number): boolean => {
  if (deadline === null) return true;
  if (deadline === 'none') return by === null;
  return by !== null && by * 1_000 - nowMs <= (deadline === 'hour' ? 3_600_000 : 86_400_000);
};

export const filtered = (calls: readonly InboxCall[], filter: InboxFilter, nowMs: number): InboxCall[] => {
  const words = filter.words
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  return calls.filter(
    (call) =>
      (filter.tool === null || call.tool === filter.tool) &&
      (filter.assistant === null || call.assistant_id === filter.assistant) &&
      (filter.thread === null || call.thread_id === filter.thread) &&
      isDue(call, filter.deadline, nowMs) &&
      words.every((word) => has(call, word)),
  );
};

/** Values of a field with their counts, the most frequent first; at most `most`. */
export const choicesOf = (
  calls: readonly InboxCall[],
  field: 'tool' | 'assistant_id',
  most = 100,
): { value: string; count: number }[] => {
  const counts = new Map<string, number>();
  for (const call of calls) counts.set(call[field], (counts.get(call[field]) ?? 0) + 1);
  return [...counts]
    .map(([value, count]) => ({ value, count }))
    .toSorted((a, b) => b.count - a.count || a.value.localeCompare(b.value))
    .slice(0, most);
};
