/**
 * Reads of single rows that are asked for at the same time, in one statement: under load a statement costs more than
 * its rows.
 *
 * Rule: a statement is sent after the reads it answers were asked for, so a reader sees everything that was committed
 * before it asked; and a read that comes alone goes out at once. Requests that arrive together are all taken in before
 * the first statement goes, and while one is under way the next ones gather; a slow one holds nobody up for long.
 * Imported within `store/` only.
 */

/** So long the reads that come later wait for the statement under way; then they get one of their own. */
const YOUNG_MS = 10;
/** Statements under way at most. */
const IN_FLIGHT = 4;
/** Rows of one statement. */
const BATCH = 64;

interface Waiting<Row> {
  resolve: (row: Row | undefined) => void;
  reject: (error: unknown) => void;
}

/** `load` answers with the rows that exist, in any order. */
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
    if (inFlight === 0 || (inFlight < IN_FLIGHT && now() - sentAt >= YOUNG_MS)) void send();
  };

  return (key) =>
    new Promise((resolve, reject) => {
      const readers = waiting.get(key);
      if (readers === undefined) waiting.set(key, [{ resolve, reject }]);
      else readers.push({ resolve, reject });
      if (due) return;
      due = true;
      // After everything that has arrived by now.
      setImmediate(flush);
    });
};
