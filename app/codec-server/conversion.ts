/**
 * `POST /encode` and `POST /decode`: payloads in, payloads out.
 *
 * Rule: these routes give out plain text, so a request is judged before its body is read: it comes from an allowed page
 * with a session, or from a program with an operator's key. Imported by `app.ts`.
 */
import type { Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { getCookie } from 'hono/cookie';
import { cors } from 'hono/cors';
import { readPayloads, writePayloads } from './payloads.ts';
import type { Sessions } from '../../api/sessions/sessions.ts';
import { operatorOf, operatorOfSession, refuse, SESSION_COOKIE, type CodecServerOptions } from './types.ts';

/** A page of the UI's history has dozens of payloads of at most 2 MB each. */
const MAX_BODY_BYTES = 64 * 1024 * 1024;

/** Why a conversion is refused; null = it may go on. Throws `ApiError` for a key that may not. */
const refusalOf = async (
  c: Context,
  { origins, auth }: CodecServerOptions,
  sessions: Sessions,
): Promise<Response | null> => {
  const origin = c.req.header('origin');
  if (origin !== undefined && !origins.includes(origin))
    return refuse(
      c,
      403,
      `Pages of ${JSON.stringify(origin)} may not use this endpoint. Add the origin to RUNS_CODEC_ORIGINS.`,
    );
  // A form of another site can't send this type without a preflight.
  if (!/^application\/json\b/i.test(c.req.header('content-type') ?? ''))
    return refuse(c, 400, 'The content type must be application/json.');
  if (auth.open || (await operatorOfSession(sessions, getCookie(c, SESSION_COOKIE))) !== null) return null;
  operatorOf(auth, c.req.raw.headers);
  return null;
};

export const addConversion = (app: Hono, options: CodecServerOptions, sessions: Sessions): void => {
  const { codec, origins } = options;
  const allowOrigins = cors({
    origin: (origin) => (origins.includes(origin) ? origin : null),
    allowMethods: ['POST'],
    allowHeaders: ['content-type', 'authorization', 'authorization-extras', 'x-namespace'],
    credentials: true,
    maxAge: 7_200,
  });
  const limit = bodyLimit({
    maxSize: MAX_BODY_BYTES,
    onError: (c) => refuse(c, 413, `The payloads are larger than ${MAX_BODY_BYTES} bytes together.`),
  });
  for (const path of ['/encode', '/decode'] as const) {
    app.use(path, allowOrigins);
    app.use(path, async (c, next) => (await refusalOf(c, options, sessions)) ?? (await next()));
    app.post(path, limit, async (c) => {
      const payloads = readPayloads(await c.req.json().catch(() => null));
      if (payloads === null)
        return refuse(
          c,
          400,
          'The body must be {"payloads":[{"metadata":{…},"data":"…"}]} with values in base64.',
        );
      try {
        return c.json(
          writePayloads(path === '/encode' ? await codec.encode(payloads) : await codec.decode(payloads)),
        );
      } catch (error) {
        // A key is missing here. The Web UI shows the text.
        return refuse(c, 422, error instanceof Error ? error.message : String(error));
      }
    });
  }
};
