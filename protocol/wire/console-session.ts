/**
 * The session of a person at the console, as `/console/session` returns it.
 * Imports nothing of the wire. Imported by `api/` and the console's front end.
 */

/** How a person signs in. `name`: on a server without keys, by stating a name. */
export const SIGN_IN_WAYS = ['name', 'key', 'oidc', 'header'] as const;
export type SignInWay = (typeof SIGN_IN_WAYS)[number];

export interface ConsoleSessionObject {
  object: 'console.session';
  /** `verified`: a key, an identity provider or a proxy proves the name. */
  person: { name: string; groups: string[]; verified: boolean };
  tenant: string;
  /** `caller`, `approver`, `operator`. */
  roles: string[];
  /** Sent in `x-csrf-token` with each request that changes something. */
  csrf_token: string;
  /** Unix seconds: it has ended then in any case. */
  expires_at: number;
  /** Unix seconds: it has ended then if no request comes before. */
  idle_expires_at: number;
  sign_in: { methods: SignInWay[] };
  links: { temporal_ui: string | null; namespace: string | null };
  /** What this server offers beyond the least. */
  features: Readonly<Record<string, boolean>>;
}

/** The end of one session, or of all of a person. */
export interface ConsoleSessionEnd {
  object: 'console.session.ended';
  /** How many sessions have ended. */
  ended: number;
}
