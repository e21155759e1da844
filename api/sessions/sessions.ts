/**
 * Sessions over a `SessionStore`: begin one, find it by its cookie, end it, end all of a person.
 *
 * Rule: a sign-in always gets a new value, and ends the session that the browser had before, so a value that another one has
 * planted there never becomes a person's. Every request reads the store: an end holds in all processes at once.
 * Imports protocol and `session-rules.ts`. Imported by `api/console/` and the codec endpoint.
 */
import type { SessionRecord, SessionStore } from '../../protocol/ports/session-store.ts';
import type { SignInWay } from '../../protocol/wire/console-session.ts';
import {
  csrfTokenOf,
  digestOf,
  hasEnded,
  isToken,
  isTouchDue,
  newToken,
  type SessionLimits,
} from './session-rules.ts';

export interface SignedIn {
  method: SignInWay;
  name: string;
  tenant: string;
  proof: string;
  groups: readonly string[];
}

/** A session with the value of its cookie. */
export interface LiveSession {
  token: string;
  csrfToken: string;
  record: SessionRecord;
}

export interface Sessions {
  /** `before`: the value of the cookie that came with the sign-in. */
  begin(person: SignedIn, before: string | null): Promise<LiveSession>;
  /** null = no such session, or it has ended. Counts as a use. */
  find(token: string): Promise<LiveSession | null>;
  end(token: string): Promise<void>;
  /** Returns how many sessions of the person there were. */
  endAllOf(person: Pick<SessionRecord, 'tenant' | 'name'>): Promise<number>;
}

const live = (token: string, record: SessionRecord): LiveSession => ({
  token,
  csrfToken: csrfTokenOf(token),
  record,
});

export const createSessions = (
  store: Omit<SessionStore, 'watchSessions'>,
  limits: SessionLimits,
  now: () => number = Date.now,
): Sessions => {
  return {
    async begin(person, before) {
      const token = newToken();
      const at = now();
      const record: SessionRecord = {
        ...person,
        digest: digestOf(token),
        createdAt: at,
        usedAt: at,
        expiresAt: at + limits.lifetimeMs,
      };
      if (before !== null && isToken(before)) await store.endSession(digestOf(before));
      await store.createSession(record, { endedBefore: at - limits.idleMs, most: limits.most });
      return live(token, record);
    },
    async find(token) {
      if (!isToken(token)) return null;
      const [record] = await store.findSessions([digestOf(token)]);
      if (record === undefined) return null;
      const at = now();
      if (hasEnded(record, limits, at)) {
        await store.endSession(record.digest);
        return null;
      }
      if (!isTouchDue(record, at)) return live(token, record);
      await store.touchSession(record.digest, at);
      return live(token, { ...record, usedAt: at });
    },
    async end(token) {
      if (isToken(token)) await store.endSession(digestOf(token));
    },
    endAllOf: ({ tenant, name }) => store.endSessionsOf(tenant, name),
  };
};
