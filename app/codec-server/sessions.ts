/**
 * Sign-in of people at the codec endpoint: an operator's API key is exchanged for a session.
 *
 * Rule: the cookie holds a random id and nothing else, no script reads it, and the server keeps only a digest of it. A
 * session ends when it is not used for twelve hours, after a day in any case, at sign-out, and with the process.
 * Imported by `app.ts` and tests.
 */
import { hash, randomBytes } from 'node:crypto';

export const SESSION_COOKIE = 'runs_codec_session';

const HOUR_MS = 3_600_000;
const IDLE_MS = 12 * HOUR_MS;
const ABSOLUTE_MS = 24 * HOUR_MS;
/** The session that was unused for longest ends when there are more. */
const MAX_SESSIONS = 1_000;

interface Session {
  name: string;
  createdAt: number;
  usedAt: number;
}

export interface Sessions {
  /** The value of the cookie. */
  create(name: string): string;
  /** The name that signed in; null = no such session, or it has ended. */
  nameOf(id: string | undefined): string | null;
  end(id: string | undefined): void;
}

const keyOf = (id: string): string => hash('sha256', id, 'hex');

export const createSessions = (now: () => number = Date.now): Sessions => {
  const sessions = new Map<string, Session>();
  const hasEnded = ({ createdAt, usedAt }: Session): boolean =>
    now() - usedAt > IDLE_MS || now() - createdAt > ABSOLUTE_MS;
  return {
    create(name) {
      const [oldest] = sessions.keys();
      if (sessions.size >= MAX_SESSIONS && oldest !== undefined) sessions.delete(oldest);
      const id = randomBytes(32).toString('base64url');
      sessions.set(keyOf(id), { name, createdAt: now(), usedAt: now() });
      return id;
    },
    nameOf(id) {
      if (id === undefined) return null;
      const key = keyOf(id);
      const session = sessions.get(key);
      if (session === undefined) return null;
      sessions.delete(key);
      if (hasEnded(session)) return null;
      // Kept in the order of their last use.
      sessions.set(key, { ...session, usedAt: now() });
      return session.name;
    },
    end(id) {
      if (id !== undefined) sessions.delete(keyOf(id));
    },
  };
};
