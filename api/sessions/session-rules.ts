/**
 * What a session is: a random value in a cookie, and when it ends.
 *
 * Rule: the cookie holds a random value and nothing else; what is kept is its digest, from which neither the cookie nor the CSRF
 * token follows. Pure but for randomness. Imported by `api/` and the codec endpoint.
 */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { SessionRecord } from '../../protocol/ports/session-store.ts';

export interface SessionLimits {
  /** Milliseconds without a request after which a session ends. */
  idleMs: number;
  /** Milliseconds after which it ends in any case. */
  lifetimeMs: number;
  /** Of one person; the one that was unused for longest ends when there are more. */
  most: number;
}

const HOUR_MS = 3_600_000;
export const SESSION_LIMITS: SessionLimits = { idleMs: 12 * HOUR_MS, lifetimeMs: 168 * HOUR_MS, most: 50 };

/** A use within a minute of the last one that was written is not written. */
const TOUCH_MS = 60_000;

export const newToken = (): string => randomBytes(32).toString('base64url');

const TOKEN = /^[\w-]{43}$/;
export const isToken = (value: string): boolean => TOKEN.test(value);

export const digestOf = (token: string): string => hash('sha256', token, 'hex');

/** The CSRF token of a session. Who has only the digest can't compute it. */
export const csrfTokenOf = (token: string): string => hash('sha256', `csrf:${token}`, 'base64url');

/** Compares two texts in a time that depends on neither. */
export const sameSecret = (one: string, other: string): boolean =>
  timingSafeEqual(hash('sha256', one, 'buffer'), hash('sha256', other, 'buffer'));

/** When a session ends, if it is not used any more. */
export const endsAt = (session: SessionRecord, { idleMs }: SessionLimits): number =>
  Math.min(session.usedAt + idleMs, session.expiresAt);

export const hasEnded = (session: SessionRecord, limits: SessionLimits, now: number): boolean =>
  now >= endsAt(session, limits);

export const isTouchDue = ({ usedAt }: SessionRecord, now: number): boolean => now - usedAt >= TOUCH_MS;
