/** The console's routes as the OpenAPI document describes them. Imported by `app.ts` and the script that writes the reference. */
import type { RouteDescription } from '../route.ts';
import { signInSchema } from './session-responses.ts';

const none = { body: null, query: [] } as const;

export const CONSOLE_ROUTES: readonly RouteDescription[] = [
  {
    method: 'GET',
    path: '/console/session',
    summary:
      'Read the session of the cookie; 401 names the ways to sign in (error.sign_in.methods). Begins one where a trusted proxy names the person',
    ...none,
    returns: { object: 'ConsoleSession' },
  },
  {
    method: 'POST',
    path: '/console/session',
    summary: 'Sign in: exchange a key for a session cookie, or state a name where the server has no keys',
    body: signInSchema,
    query: [],
    returns: { object: 'ConsoleSession' },
  },
  {
    method: 'DELETE',
    path: '/console/session',
    summary: 'Sign out',
    ...none,
    returns: { object: 'ConsoleSessionEnd' },
  },
  {
    method: 'DELETE',
    path: '/console/sessions',
    summary: 'Sign out everywhere: end every session of this person',
    ...none,
    returns: { object: 'ConsoleSessionEnd' },
  },
  {
    method: 'GET',
    path: '/console/oidc/login',
    summary: 'Sign in at the OpenID provider; return_to is a path of the console',
    body: null,
    query: ['return_to'],
    returns: { object: 'Redirect' },
  },
  {
    method: 'GET',
    path: '/console/oidc/callback',
    summary: 'Where the OpenID provider sends the browser back to',
    body: null,
    query: ['code', 'state'],
    returns: { object: 'Redirect' },
  },
];
