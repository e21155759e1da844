/** What the files of the codec endpoint share. Imported by them and by tests. */
import type { PayloadCodec } from '@temporalio/common';
import type { Context } from 'hono';
import type { Authenticator } from '../../api/index.ts';
import { requireRole } from '../../api/auth.ts';
import type { Sessions } from '../../api/sessions/sessions.ts';
import type { Logger } from '../../protocol/ports/backend.ts';

export const SESSION_COOKIE = 'runs_codec_session';

export interface CodecServerOptions {
  codec: PayloadCodec;
  /** Keys; an open one serves one person on this machine without any. */
  auth: Authenticator;
  /** Exact origins of the Web UI. */
  origins: readonly string[];
  /** Address under which browsers reach the endpoint, without a slash at the end. `https:` makes its cookies secure. */
  publicUrl: string;
  log: Logger;
  now?: () => number;
}

/** A refusal in the form that the Web UI shows. */
export const refuse = (c: Context, status: 400 | 403 | 413 | 422, message: string): Response =>
  c.json({ message }, status);

/** The operator's name of a session; null = there is none, or it has ended. */
export const operatorOfSession = async (
  sessions: Sessions,
  token: string | undefined,
): Promise<string | null> =>
  token === undefined ? null : ((await sessions.find(token))?.record.name ?? null);

/** The operator's name of a key. Throws `ApiError` 401, or 403 for a key of another role. */
export const operatorOf = (auth: Authenticator, headers: Headers): string => {
  const principal = auth.authenticate(headers);
  requireRole(principal, ['operator'], 'Decrypting payloads');
  return principal.name ?? principal.tenant;
};
