/**
 * Sessions of people who signed in, shared by all servers of one database.
 *
 * Rule: the cookie's value is not here, only a digest of it. An end is announced with its commit, so that streams of other
 * processes end, too. Imported within `store/` only.
 */
import type { SessionRecord, SessionStore } from '../protocol/ports/session-store.ts';
import type { SignInWay } from '../protocol/wire/console-session.ts';
import { CHANNEL, SESSIONS, type Database } from './database.ts';

interface Row {
  digest: string;
  method: SignInWay;
  name: string;
  tenant: string;
  proof: string;
  groups: readonly string[];
  created_at: number;
  used_at: number;
  expires_at: number;
}

const toRecord = (row: Row): SessionRecord => ({
  digest: row.digest,
  method: row.method,
  name: row.name,
  tenant: row.tenant,
  proof: row.proof,
  groups: row.groups,
  createdAt: row.created_at,
  usedAt: row.used_at,
  expiresAt: row.expires_at,
});

const COLUMNS = 'digest, method, name, tenant, proof, groups, created_at, used_at, expires_at';

const INSERT = `insert into sessions (${COLUMNS}) values ($1, $2, $3, $4, $5, $6::json, $7, $8, $9)`;
const DELETE_ENDED = 'delete from sessions where used_at < $1 or expires_at <= $2';
const DELETE_OLDEST = `delete from sessions where digest in
  (select digest from sessions where tenant = $1 and name = $2 order by used_at desc, digest offset $3)`;

/** Deletes, and announces it with the same commit where rows were deleted. */
const ENDING = (where: string): string =>
  `with ended as (delete from sessions where ${where} returning 1),
   told as (select pg_notify('${CHANNEL}', '${SESSIONS} 0') from (select 1 from ended limit 1) one)
   select (select count(*) from ended) as ended, (select count(*) from told) as told`;

export const sessionStore = (db: Database): SessionStore => {
  const end = async (where: string, params: string[], name: string): Promise<number> => {
    const [row] = await db.query<{ ended: number }>(ENDING(where), params, name);
    db.announcements.announce(SESSIONS, 0, 'change');
    return row?.ended ?? 0;
  };
  return {
    async createSession(session, { endedBefore, most }) {
      const { digest, method, name, tenant, proof, groups, createdAt, usedAt, expiresAt } = session;
      await db.transaction(async (sql) => {
        await sql.query(DELETE_ENDED, [endedBefore, createdAt]);
        await sql.query(INSERT, [
          digest,
          method,
          name,
          tenant,
          proof,
          JSON.stringify(groups),
          createdAt,
          usedAt,
          expiresAt,
        ]);
        await sql.query(DELETE_OLDEST, [tenant, name, most]);
      });
    },
    async findSessions(digests) {
      const rows = await db.query<Row>(
        `select ${COLUMNS} from sessions where digest = any($1::text[])`,
        [digests],
        'find-sessions',
      );
      return rows.map(toRecord);
    },
    async touchSession(digest, usedAt) {
      await db.query(
        'update sessions set used_at = $2 where digest = $1 and used_at < $2',
        [digest, usedAt],
        'touch-session',
      );
    },
    async endSession(digest) {
      await end('digest = $1', [digest], 'end-session');
    },
    endSessionsOf: (tenant, name) => end('tenant = $1 and name = $2', [tenant, name], 'end-sessions-of'),
    watchSessions: () => db.announcements.watch(SESSIONS),
  };
};
