/**
 * The connection that listens for notifications of run events, and reconnects when it breaks.
 *
 * Rule: a notification is a hint to read. While this connection is down, readers poll; when it is back, all of them
 * read once, so nothing depends on a notification.
 * Imported by the PostgreSQL driver.
 */
import { Client, type ClientConfig } from 'pg';
import { CHANNEL, type Announcements } from './database.ts';

const RECONNECT_MIN_MS = 100;
const RECONNECT_MAX_MS = 5_000;
/** A half-open connection stays silent; a statement detects it. */
const CHECK_EVERY_MS = 15_000;

/** Resolves after `ms`, or when `signal` aborts. */
const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    timer.unref();
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });

export const listen = (
  connection: ClientConfig,
  announcements: Announcements,
): { close(): Promise<void> } => {
  const stop = new AbortController();
  /** Listens until the connection breaks or the listener stops; true when it had begun to listen. */
  const session = async (): Promise<boolean> => {
    const client = new Client({ ...connection, query_timeout: 10_000 });
    let listening = false;
    const lost = new AbortController();
    const onLost = (): void => lost.abort();
    client.on('error', onLost);
    client.on('end', onLost);
    client.on('notification', ({ payload }) => {
      const [runId, seq, kind] = (payload ?? '').split(' ');
      if (runId !== undefined && seq !== undefined)
        announcements.announce(runId, Number(seq), kind === 'd' ? 'deltas' : 'change');
    });
    const over = AbortSignal.any([lost.signal, stop.signal]);
    try {
      await client.connect();
      await client.query(`listen ${CHANNEL}`);
      listening = true;
      announcements.setHealthy(true);
      while (!over.aborted) {
        await pause(CHECK_EVERY_MS, over);
        if (!over.aborted) await client.query('select 1');
      }
    } catch {
      // Not reachable, or silent: the loop below tries again.
    } finally {
      announcements.setHealthy(false);
      await client.end().catch(() => {});
    }
    return listening;
  };

  const run = async (): Promise<void> => {
    let wait = RECONNECT_MIN_MS;
    while (!stop.signal.aborted) {
      const listened = await session();
      wait = listened ? RECONNECT_MIN_MS : Math.min(wait * 2, RECONNECT_MAX_MS);
      if (!stop.signal.aborted) await pause(wait, stop.signal);
    }
  };
  const running = run();

  return {
    async close() {
      stop.abort();
      await running;
    },
  };
};
