/**
 * The part of the store that keeps the sessions of people who signed in.
 *
 * Rule: a session is known by a digest of its cookie, never by the cookie. It ends in every process at once: each request reads
 * it, and who holds a stream open is told of changes. Times are unix milliseconds of the server's clock.
 * Imports the wire. `store/` and `api/sessions/` implement it; `api/` and tests import it.
 */
import type { SignInWay } from '../wire/console-session.ts';

export interface SessionRecord {
  /** SHA-256 of the cookie's value, hex. */
  digest: string;
  method: SignInWay;
  /** The name that signs. */
  name: string;
  tenant: string;
  /** What proved the name: it must still hold at each request. */
  proof: string;
  /** Groups that the identity provider stated. */
  groups: readonly string[];
  createdAt: number;
  /** Last request, to the minute. */
  usedAt: number;
  /** It has ended then, whatever happens. */
  expiresAt: number;
}

/** Tells that sessions were ended, in this process or another one. */
export interface SessionWatch {
  /** Resolves when sessions may have ended since the last call, after `timeoutMs` at the latest, or when `signal` aborts. */
  nextChange(options: { timeoutMs: number; signal: AbortSignal }): Promise<void>;
  close(): void;
}

export interface SessionStore {
  /** Deletes what has ended (`endedBefore` by last use), and the oldest sessions of this person beyond `most`. */
  createSession(session: SessionRecord, limits: { endedBefore: number; most: number }): Promise<void>;
  /** Those that exist; ended ones may be among them. */
  findSessions(digests: readonly string[]): Promise<SessionRecord[]>;
  touchSession(digest: string, usedAt: number): Promise<void>;
  endSession(digest: string): Promise<void>;
  /** Ends every session of a person. Returns how many there were. */
  endSessionsOf(tenant: string, name: string): Promise<number>;
  watchSessions(): SessionWatch;
}
