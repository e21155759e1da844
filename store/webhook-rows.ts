/**
 * Endpoints of webhooks: add, change, list, delete. Their secrets never leave the store but for the code that signs.
 *
 * Rule: a change is computed under the row's lock, so that two rotations at once keep both new secrets.
 * Imported within `store/` only.
 */
import { ApiError, apiErrors } from '../protocol/errors.ts';
import type { NewWebhook, WebhookChange, WebhookStore } from '../protocol/ports/webhook-store.ts';
import type { WebhookEndpoint } from '../protocol/wire/webhooks.ts';
import { wireSecondsOrNull } from '../protocol/wire/run-view.ts';
import type { Database, Sql } from './database.ts';
import { readPage } from './paging.ts';
import type { WebhookRow } from './webhooks-schema.ts';

const seconds = (ms: number): number => Math.floor(ms / 1000);

const endpointView = (row: WebhookRow): WebhookEndpoint => ({
  id: row.id,
  object: 'webhook',
  created_at: seconds(row.created_at),
  tenant: row.tenant,
  url: row.url,
  description: row.description,
  events: row.events,
  disabled_at: wireSecondsOrNull(row.disabled_at),
  disabled_reason: row.disabled_reason,
  secrets: row.secrets.map(({ createdAt, expiresAt }) => ({
    created_at: seconds(createdAt),
    expires_at: wireSecondsOrNull(expiresAt),
  })),
});

/** `tenant` null = of all tenants. */
export const ofTenant = (tenant: string | null): [condition: string, params: string[]] =>
  tenant === null ? ['true', []] : ['tenant = $1', [tenant]];

const createWebhook = (db: Database, webhook: NewWebhook, most: number): Promise<WebhookEndpoint> =>
  db.transaction(async (sql) => {
    const { id, tenant, url, description, events, secrets, now } = webhook;
    // Two creations of one tenant at once must not exceed the limit together.
    await sql.query("select pg_advisory_xact_lock(hashtext('webhooks ' || $1))", [tenant]);
    const [counted] = await sql.query<{ count: number }>(
      'select count(*)::int as count from webhooks where tenant = $1',
      [tenant],
    );
    if ((counted?.count ?? 0) >= most)
      throw new ApiError(
        400,
        `Tenant ${JSON.stringify(tenant)} has ${most} webhooks, the most that it may have. Delete one first.`,
        { code: 'too_many_webhooks' },
      );
    const [row] = await sql.query<WebhookRow>(
      `insert into webhooks (id, tenant, created_at, url, description, events, secrets)
       values ($1, $2, $3, $4, $5::json, $6::text[], $7::json) returning *`,
      [
        id,
        tenant,
        now,
        url,
        description === null ? null : JSON.stringify(description),
        events,
        JSON.stringify(secrets),
      ],
    );
    if (row === undefined) throw new Error('insert into webhooks returned no row');
    return endpointView(row);
  });

/** Throws `ApiError` 404. */
export const findWebhook = async (
  sql: Sql,
  tenant: string | null,
  id: string,
  lock: '' | 'for update' = '',
): Promise<WebhookRow> => {
  const [condition, params] = ofTenant(tenant);
  const [row] = await sql.query<WebhookRow>(
    `select * from webhooks where ${condition} and id = $${params.length + 1} ${lock}`,
    [...params, id],
  );
  if (row === undefined) throw apiErrors.notFound('webhook', id);
  return row;
};

/** The row with the fields of the change. Pure. */
export const changedRow = (row: WebhookRow, change: WebhookChange, now: number): WebhookRow => {
  const { url = row.url, description = row.description, events = row.events, disabled } = change;
  const disabling =
    disabled === undefined
      ? {}
      : disabled === null
        ? { disabled_at: null, disabled_reason: null }
        : { disabled_at: row.disabled_at ?? now, disabled_reason: row.disabled_reason ?? disabled };
  const secrets = change.secrets?.(row.secrets) ?? row.secrets;
  return { ...row, url, description, events, secrets, ...disabling };
};

const changeWebhook = (
  db: Database,
  [tenant, id]: [string | null, string],
  change: WebhookChange,
  now: number,
): Promise<WebhookEndpoint> =>
  db.transaction(async (sql) => {
    const row = changedRow(await findWebhook(sql, tenant, id, 'for update'), change, now);
    await sql.query(
      `update webhooks set url = $2, description = $3::json, events = $4::text[], secrets = $5::json,
         disabled_at = $6, disabled_reason = $7 where id = $1`,
      [
        id,
        row.url,
        row.description === null ? null : JSON.stringify(row.description),
        row.events,
        JSON.stringify(row.secrets),
        row.disabled_at,
        row.disabled_reason,
      ],
    );
    return endpointView(row);
  });

export const webhookRowStore = (
  db: Database,
): Pick<
  WebhookStore,
  'createWebhook' | 'listWebhooks' | 'getWebhook' | 'changeWebhook' | 'deleteWebhook'
> => ({
  createWebhook: (webhook, most) => createWebhook(db, webhook, most),
  listWebhooks: ({ tenant, limit, after }) => {
    const [where, params] = ofTenant(tenant);
    return readPage<WebhookRow, WebhookEndpoint>(
      db,
      {
        table: 'webhooks',
        where,
        params,
        view: endpointView,
        notFound: (id) => apiErrors.notFound('webhook', id),
      },
      { limit, order: 'desc', ...(after === undefined ? {} : { after }) },
    );
  },
  getWebhook: async (tenant, id) => endpointView(await findWebhook(db, tenant, id)),
  changeWebhook: (tenant, id, change, now) => changeWebhook(db, [tenant, id], change, now),
  async deleteWebhook(tenant, id) {
    await findWebhook(db, tenant, id);
    await db.query('delete from webhooks where id = $1', [id]);
  },
});
