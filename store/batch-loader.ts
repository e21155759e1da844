/**
 * Batches reads of single rows into one statement: under load a statement costs more than its rows.
 *
 * Rule: a statement is sent after the reads that it answers were requested, so a reader sees all earlier commits. A
 * single read is sent at once. Requests that arrive together share the first statement; while it runs, later ones
 * gather; after a limit they no longer wait for a slow one.
 * Imported within `store/` only.
 */

/** How long later reads wait for the running statement before they get their own. */
const MAX_BATCH_AGE_MS = 10;
/** Statements in flight at most. */
const MAX_IN_FLIGHT = 4;
/** Rows per statement. */
const BATCH = 64;

interface Waiting<Row> {
  resolve: (row: Row | undefined) => void;
  reject: (error: unknown) => void;
}

/** `load` returns the rows that exist, in any order. */
export const batchLoader = <Row>(
  load: (keys: string[]) => Promise<Row[]>,
  keyOf: (row: Row) => string,
  now: () => number = () => performance.now(),
): ((key: string) => Promise<Row | undefined>) => {
  let waiting = new Map<string, Waiting<Row>[]>();
  let inFlight = 0;
  let sentAt = 0;
  let due = false;

  const take = (): Map<string, Waiting<Row>[]> => {
    if (waiting.size <= BATCH) {
      const all = waiting;
      waiting = new Map();
      return all;
    }
    const some = new Map([...waiting].slice(0, BATCH));
    for (const key of some.keys()) waiting.delete(key);
    return some;
  };

  const send = async (): Promise<void> => {
    inFlight += 1;
    while (waiting.size > 0) {
      sentAt = now();
      const batch = take();
      try {
        const rows = new Map((await load([...batch.keys()])).map((row) => [keyOf(row), row]));
        for (const [key, readers] of batch) for (const { resolve } of readers) resolve(rows.get(key));
      } catch (error) {
        for (const readers of batch.values()) for (const { reject } of readers) reject(error);
      }
    }
    inFlight -= 1;
  };

  const flush = (): void => {
    due = false;
    if (inFlight === 0 || (inFlight < MAX_IN_FLIGHT && now() - sentAt >= MAX_BATCH_AGE_MS)) void send();
  };

  return (key) =>
    new Promise((resolve, reject) => {
      const readers = waiting.get(key);
      if (readers === undefined) waiting.set(key, [{ resolve, reject }]);
      else readers.push({ resolve, reject });
      if (due) return;
      due = true;
      // Runs after all I/O that has arrived by now.
      setImmediate(flush);
    });
};
