/**
 * The cookies of the console: the session's, and that of a sign-in under way at an identity provider.
 *
 * Rule: no script reads them. Over https they carry the prefix `__Host-`, so that no other site of the domain can plant one. The
 * session's is never sent with a request of another site. Imports hono's cookie code. Imported by `api/console/`.
 */
import { parse, serialize } from 'hono/utils/cookie';

const SESSION = 'runs_session';
const SIGN_IN = 'runs_sign_in';
const SIGN_IN_SECONDS = 600;

/** Is the browser's side of this request https? A header of a stranger can make the own cookie stricter, nothing else. */
export const isHttps = (request: Request, publicUrl: string | null): boolean =>
  publicUrl === null
    ? request.headers.get('x-forwarded-proto')?.split(',')[0]?.trim() === 'https'
    : publicUrl.startsWith('https:');

const nameOf = (name: string, secure: boolean): string => (secure ? `__Host-${name}` : name);

const read = (request: Request, name: string, secure: boolean): string | null => {
  const header = request.headers.get('cookie');
  return header === null ? null : (parse(header)[nameOf(name, secure)] ?? null);
};

const write = (
  name: string,
  value: string,
  secure: boolean,
  more: { sameSite: 'Strict' | 'Lax'; maxAge: number },
): string => serialize(nameOf(name, secure), value, { httpOnly: true, path: '/', secure, ...more });

export interface CookieJar {
  session(request: Request): string | null;
  setSession(request: Request, token: string, seconds: number): string;
  clearSession(request: Request): string;
  signIn(request: Request): string | null;
  setSignIn(request: Request, value: string): string;
  clearSignIn(request: Request): string;
}

/** Texts for `set-cookie`, and values of `cookie`. */
export const cookieJar = (publicUrl: string | null): CookieJar => {
  const secure = (request: Request): boolean => isHttps(request, publicUrl);
  return {
    session: (request) => read(request, SESSION, secure(request)),
    setSession: (request, token, maxAge) =>
      write(SESSION, token, secure(request), { sameSite: 'Strict', maxAge }),
    clearSession: (request) => write(SESSION, '', secure(request), { sameSite: 'Strict', maxAge: 0 }),
    signIn: (request) => read(request, SIGN_IN, secure(request)),
    // The way back from the provider is a navigation from another site.
    setSignIn: (request, value) =>
      write(SIGN_IN, value, secure(request), { sameSite: 'Lax', maxAge: SIGN_IN_SECONDS }),
    clearSignIn: (request) => write(SIGN_IN, '', secure(request), { sameSite: 'Lax', maxAge: 0 }),
  };
};
