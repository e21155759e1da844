/** The session as the console's front end reads it. Pure. Imported by `session-routes.ts`. */
import type { ConsoleSessionObject, SignInWay } from '../../protocol/wire/console-session.ts';
import type { Principal } from '../auth.ts';
import { endsAt, type SessionLimits } from '../sessions/session-rules.ts';
import type { LiveSession } from '../sessions/sessions.ts';
import type { ConsoleLinks } from './types.ts';

const seconds = (ms: number): number => Math.floor(ms / 1_000);

export const sessionObject = (
  { csrfToken, record }: LiveSession,
  principal: Principal,
  about: {
    methods: readonly SignInWay[];
    limits: SessionLimits;
    links: ConsoleLinks;
    features: Readonly<Record<string, boolean>>;
  },
): ConsoleSessionObject => ({
  object: 'console.session',
  person: { name: record.name, groups: [...principal.groups], verified: principal.verified },
  tenant: principal.tenant,
  roles: [...principal.roles],
  csrf_token: csrfToken,
  expires_at: seconds(record.expiresAt),
  idle_expires_at: seconds(endsAt(record, about.limits)),
  sign_in: { methods: [...about.methods] },
  links: about.links,
  features: about.features,
});
