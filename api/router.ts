/**
 * Finds the route of a request: patterns by number of segments, first match wins.
 *
 * Rule: segments are compared whole and decoded once; no regular expression runs on a path.
 * Imports nothing; imported within `api/`.
 */

export interface Pattern {
  method: string;
  /** With `{name}` for segments that are parameters. */
  path: string;
}

export interface Match<Row> {
  row: Row;
  params: Record<string, string>;
}

interface Compiled<Row> {
  row: Row;
  /** A literal segment, or the name of a parameter. */
  segments: readonly ({ literal: string } | { name: string })[];
}

const keyOf = (method: string, count: number): string => `${method} ${count}`;
const segmentsOf = (path: string): string[] => path.slice(1).split('/');

const decoded = (segment: string): string => {
  if (!segment.includes('%')) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
};

/** The path of an absolute URL, without its query, still encoded. */
export const pathOf = (url: string): string => {
  const start = url.indexOf('/', url.indexOf('://') + 3);
  const mark = url.indexOf('?', start);
  return mark < 0 ? url.slice(start) : url.slice(start, mark);
};

/** `HEAD` finds the routes of `GET`. Parameters may not be empty. */
export const createRouter = <Row extends Pattern>(
  rows: readonly Row[],
): ((method: string, path: string) => Match<Row> | null) => {
  const table = new Map<string, Compiled<Row>[]>();
  for (const row of rows) {
    const segments = segmentsOf(row.path).map((segment) =>
      segment.startsWith('{') ? { name: segment.slice(1, -1) } : { literal: segment },
    );
    const key = keyOf(row.method, segments.length);
    const known = table.get(key);
    if (known === undefined) table.set(key, [{ row, segments }]);
    else known.push({ row, segments });
  }
  return (method, path) => {
    const parts = segmentsOf(path);
    const candidates = table.get(keyOf(method === 'HEAD' ? 'GET' : method, parts.length)) ?? [];
    for (const { row, segments } of candidates) {
      const fits = segments.every((segment, at) =>
        'literal' in segment ? segment.literal === parts[at] : parts[at] !== '',
      );
      if (!fits) continue;
      const params: Record<string, string> = {};
      for (const [at, segment] of segments.entries())
        if ('name' in segment) params[segment.name] = decoded(parts[at] ?? '');
      return { row, params };
    }
    return null;
  };
};
