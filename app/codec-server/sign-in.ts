/**
 * The sign-in page of the codec endpoint: `GET /`, `POST /sign-in`, `POST /sign-out`.
 *
 * Rule: forms of other sites are refused, and failed sign-ins are counted. Imported by `app.ts`.
 */
import type { Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { deleteCookie, getCookie, setCookie } from 'hono/cookie';
import { ApiError } from '../../protocol/errors.ts';
import { PAGE_POLICY, signedInPage, signInPage } from './page.ts';
import type { Sessions } from '../../api/sessions/sessions.ts';
import { createSignInThrottle } from '../../api/sessions/sign-in-throttle.ts';
import { operatorOf, operatorOfSession, refuse, SESSION_COOKIE, type CodecServerOptions } from './types.ts';

const MAX_FORM_BYTES = 4_096;
/** Keys are long, and are pasted. */
const MAX_FAILURES_A_MINUTE = 30;

/** All clients together. */
const EVERYBODY = 'all';

export const addSignIn = (app: Hono, options: CodecServerOptions, sessions: Sessions): void => {
  const { auth, publicUrl, log, now = Date.now } = options;
  const throttle = createSignInThrottle(now, { ofOne: MAX_FAILURES_A_MINUTE, ofAll: MAX_FAILURES_A_MINUTE });
  // The UI may be another site than the endpoint; browsers then send only a cookie that says so, and only over TLS.
  const secure = publicUrl.startsWith('https:');
  const cookie = { httpOnly: true, secure, sameSite: secure ? 'None' : 'Strict', path: '/' } as const;
  const own = new URL(publicUrl).origin;
  const isOwnForm = (c: Context): boolean => [own, undefined].includes(c.req.header('origin'));

  app.get('/', async (c) => {
    c.header('content-security-policy', PAGE_POLICY);
    const name = auth.open ? null : await operatorOfSession(sessions, getCookie(c, SESSION_COOKIE));
    return c.html(auth.open || name !== null ? signedInPage(name, publicUrl) : signInPage(null));
  });
  app.post('/sign-in', bodyLimit({ maxSize: MAX_FORM_BYTES }), async (c) => {
    if (!isOwnForm(c)) return refuse(c, 403, 'Sign in on the page of this endpoint.');
    c.header('content-security-policy', PAGE_POLICY);
    const { key } = await c.req.parseBody();
    try {
      throttle.check(EVERYBODY);
      const name = operatorOf(auth, new Headers({ 'api-key': typeof key === 'string' ? key.trim() : '' }));
      const person = { method: 'key', name, tenant: '', proof: '', groups: [] } as const;
      const { token } = await sessions.begin(person, getCookie(c, SESSION_COOKIE) ?? null);
      setCookie(c, SESSION_COOKIE, token, cookie);
      log.info({ operator: name }, 'signed in at the codec endpoint');
      return c.redirect(`${publicUrl}/`, 303);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 429) return c.html(signInPage(error.message), 429, error.headers);
      throttle.failed(EVERYBODY);
      const why =
        error.status === 403
          ? 'This key does not have the role operator.'
          : 'This is not a key of RUNS_API_KEYS.';
      return c.html(signInPage(why), 401);
    }
  });
  app.post('/sign-out', async (c) => {
    if (!isOwnForm(c)) return refuse(c, 403, 'Sign out on the page of this endpoint.');
    await sessions.end(getCookie(c, SESSION_COOKIE) ?? '');
    deleteCookie(c, SESSION_COOKIE, { path: '/', secure });
    return c.redirect(`${publicUrl}/`, 303);
  });
};
