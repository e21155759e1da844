/**
 * Who sends a request: the owner of a key, a person with a session, or the one person of this machine.
 *
 * Imports `auth.ts`. Imported by `api/`.
 */
import type { Authenticator, Principal } from './auth.ts';

export interface Sender {
  principal: Principal;
  /** Calls `tell` when the sender's session ends; returns what stops that. null = there is no session. */
  onEnd: ((tell: () => void) => () => void) | null;
}

/** `peer`: address of the connection's other end; null = not known. Throws `ApiError` 401 or 403. */
export type Identify = (request: Request, peer: string | null) => Sender | Promise<Sender>;

export const byKey =
  (auth: Authenticator): Identify =>
  ({ headers }) => ({ principal: auth.authenticate(headers), onEnd: null });
