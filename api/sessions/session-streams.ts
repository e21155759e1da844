/**
 * Ends the event streams of sessions that have ended: by sign-out, in this process or another one, or by time.
 *
 * Rule: an open stream does not keep its session in use. The store is asked once for all open streams, when it announces an end
 * and every fifteen seconds; without an answer, a session still ends by its time. Nothing runs while no stream is open.
 * Imports protocol and `session-rules.ts`. Imported by `api/console/`.
 */
import type { SessionRecord, SessionStore } from '../../protocol/ports/session-store.ts';
import { endsAt, hasEnded, type SessionLimits } from './session-rules.ts';

const CHECK_MS = 15_000;

interface Watched {
  record: SessionRecord;
  readonly listeners: Set<() => void>;
}

export interface SessionStreams {
  /** Calls `tell` once, when the session has ended. Returns what stops that. */
  onEnd(session: SessionRecord, tell: () => void): () => void;
  close(): void;
}

export const createSessionStreams = (
  store: Pick<SessionStore, 'findSessions' | 'watchSessions'>,
  limits: SessionLimits,
  now: () => number = Date.now,
): SessionStreams => {
  const watched = new Map<string, Watched>();
  let running: AbortController | null = null;

  const tell = (digest: string): void => {
    const { listeners } = watched.get(digest) ?? {};
    watched.delete(digest);
    for (const listener of listeners ?? []) listener();
  };

  const check = async (): Promise<void> => {
    const asked = [...watched.keys()];
    const found = await store.findSessions(asked).catch(() => null);
    const records = new Map(found?.map((record) => [record.digest, record]));
    for (const digest of asked) {
      const one = watched.get(digest);
      if (one === undefined) continue;
      const record = found === null ? one.record : records.get(digest);
      if (record === undefined || hasEnded(record, limits, now())) tell(digest);
      else one.record = record;
    }
  };

  const follow = async (signal: AbortSignal): Promise<void> => {
    const watch = store.watchSessions();
    try {
      while (!signal.aborted) {
        await check();
        if (watched.size === 0) return;
        const next = Math.min(...[...watched.values()].map(({ record }) => endsAt(record, limits)));
        const timeoutMs = Math.min(CHECK_MS, Math.max(1, next - now()));
        await watch.nextChange({ timeoutMs, signal });
      }
    } finally {
      watch.close();
    }
  };

  const start = (): void => {
    if (running !== null) return;
    const own = new AbortController();
    running = own;
    void follow(own.signal).finally(() => {
      running = null;
      // A stream may have come while the last check was under way.
      if (watched.size > 0) start();
    });
  };

  return {
    onEnd(session, listener) {
      const known = watched.get(session.digest) ?? { record: session, listeners: new Set() };
      known.listeners.add(listener);
      watched.set(session.digest, known);
      start();
      return () => {
        known.listeners.delete(listener);
        if (known.listeners.size === 0 && watched.get(session.digest) === known)
          watched.delete(session.digest);
        if (watched.size === 0) running?.abort();
      };
    },
    close() {
      watched.clear();
      running?.abort();
    },
  };
};
