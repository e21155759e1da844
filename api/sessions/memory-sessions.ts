/**
 * Sessions in the memory of one process, for a server without a database.
 *
 * Rule: the session that was unused for longest ends when there are more than `most` in all. They end with the process.
 * Imports protocol only. Imported by the codec endpoint and tests.
 */
import type { SessionRecord, SessionStore } from '../../protocol/ports/session-store.ts';

export const memorySessions = (most = 1_000): Omit<SessionStore, 'watchSessions'> => {
  /** In the order of their last use. */
  const sessions = new Map<string, SessionRecord>();
  const keep = (session: SessionRecord): void => {
    sessions.delete(session.digest);
    sessions.set(session.digest, session);
  };
  const endWhere = (isEnded: (session: SessionRecord) => boolean): number => {
    const ended = [...sessions.values()].filter(isEnded);
    for (const { digest } of ended) sessions.delete(digest);
    return ended.length;
  };
  return {
    createSession: (session, limits) => {
      endWhere(({ usedAt, expiresAt }) => usedAt < limits.endedBefore || expiresAt <= session.createdAt);
      keep(session);
      const own = [...sessions.values()].filter(
        ({ tenant, name }) => tenant === session.tenant && name === session.name,
      );
      for (const { digest } of own.slice(0, -limits.most)) sessions.delete(digest);
      const [oldest] = sessions.keys();
      if (sessions.size > most && oldest !== undefined) sessions.delete(oldest);
      return Promise.resolve();
    },
    findSessions: (digests) => Promise.resolve(digests.flatMap((digest) => sessions.get(digest) ?? [])),
    touchSession: (digest, usedAt) => {
      const session = sessions.get(digest);
      if (session !== undefined) keep({ ...session, usedAt });
      return Promise.resolve();
    },
    endSession: (digest) => {
      sessions.delete(digest);
      return Promise.resolve();
    },
    endSessionsOf: (tenant, name) =>
      Promise.resolve(endWhere((session) => session.tenant === tenant && session.name === name)),
  };
};
