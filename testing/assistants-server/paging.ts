/**
 * Cursor paging over a list in creation order, as the API does it: newest first unless asked otherwise.
 *
 * Rule: a cursor names an item of the list; one that does not is refused, never treated as "from the start".
 * Only `testing/assistants-server/` imports it.
 */
import type { PageQuery } from '../../protocol/ports/runs-service.ts';
import { apiErrors } from '../../protocol/errors.ts';
import type { Page } from '../../protocol/wire/objects.ts';

export const paged = <T extends { id: string }, View extends { id: string }>(
  items: readonly T[],
  query: PageQuery,
  view: (item: T) => View,
): Page<View> => {
  const ordered = query.order === 'asc' ? items : items.toReversed();
  const place = (param: 'after' | 'before', id: string): number => {
    const index = ordered.findIndex((item) => item.id === id);
    if (index < 0) throw apiErrors.invalid(param, `Invalid '${param}': the list has no item '${id}'.`);
    return index;
  };
  const from = query.after === undefined ? 0 : place('after', query.after) + 1;
  const to = query.before === undefined ? ordered.length : place('before', query.before);
  const within = ordered.slice(from, Math.max(from, to));
  // With `before` alone the page is the one that ends at the cursor.
  const backwards = query.before !== undefined && query.after === undefined;
  const data = (backwards ? within.slice(-query.limit) : within.slice(0, query.limit)).map(view);
  return {
    object: 'list',
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: within.length > data.length,
  };
};
