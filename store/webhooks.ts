/**
 * Deliveries of webhooks: which are pending, which the dispatcher has still to hand to a workflow, and what each attempt did.
 *
 * Rule: the triggers of the migration add deliveries; here they only move on. A delivery that is not pending takes no
 * attempt, so what a late attempt reports cannot undo an end.
 * Imported within `store/` only.
 */
import { randomUUID } from 'node:crypto';
import { apiErrors } from '../protocol/errors.ts';
import type {
  DeliveryQuery,
  PendingDelivery,
  UndispatchedLane,
  WebhookLane,
  WebhookStore,
} from '../protocol/ports/webhook-store.ts';
import { isVerdict, type Decision } from '../protocol/decisions.ts';
import { TEST_EVENT, type DeliveryAttempt, type WebhookDelivery } from '../protocol/wire/webhooks.ts';
import { wireSeconds, wireSecondsOrNull } from '../protocol/wire/run-view.ts';
import type { WireLastError } from '../protocol/wire/objects.ts';
import type { ApprovalRow } from './approvals-schema.ts';
import { WEBHOOKS, type Database, type Param, type Sql } from './database.ts';
import { decisionMark, REFUSED_ID } from './decisions.ts';
import { readPage } from './paging.ts';
import { findWebhook, ofTenant, webhookRowStore } from './webhook-rows.ts';
import type { DeliveryRow, WebhookEventRow, WebhookRow } from './webhooks-schema.ts';

/** Attempts that the log keeps. */
const LOG_KEPT = 20;
const MIN_DIGITS = 24;

const newId = (prefix: 'evt' | 'dlv'): string =>
  `${prefix}_${randomUUID().replaceAll('-', '').slice(0, MIN_DIGITS)}`;

const deliveryView = (row: DeliveryRow): WebhookDelivery => ({
  id: row.id,
  object: 'webhook.delivery',
  created_at: wireSeconds(row.created_at),
  tenant: row.tenant,
  webhook_id: row.webhook_id,
  event_id: row.event_id,
  event: row.type,
  run_id: row.run_id,
  sequence: row.sequence,
  status: row.status,
  attempts: row.attempts,
  delivered_at: wireSecondsOrNull(row.delivered_at),
  log: row.log,
});

const notFound = (id: string) => apiErrors.notFound('delivery', id);

const listDeliveries = (db: Database, query: DeliveryQuery) => {
  const [first, own] = ofTenant(query.tenant);
  const params: Param[] = [...own];
  const conditions = [first];
  const columns = {
    webhook_id: query.webhookId,
    run_id: query.runId,
    type: query.event,
    status: query.status,
  };
  for (const [column, value] of Object.entries(columns)) {
    if (value === undefined) continue;
    params.push(value);
    conditions.push(`${column} = $${params.length}`);
  }
  return readPage<DeliveryRow, WebhookDelivery>(
    db,
    {
      table: 'webhook_deliveries',
      where: conditions.join(' and '),
      params,
      view: deliveryView,
      notFound,
    },
    { limit: query.limit, order: 'desc', ...(query.after === undefined ? {} : { after: query.after }) },
  );
};

const findDelivery = async (sql: Sql, tenant: string | null, id: string): Promise<DeliveryRow> => {
  const [condition, params] = ofTenant(tenant);
  const [row] = await sql.query<DeliveryRow>(
    `select * from webhook_deliveries where ${condition} and id = $${params.length + 1}`,
    [...params, id],
  );
  if (row === undefined) throw notFound(id);
  return row;
};

const addTestDelivery = (
  db: Database,
  [tenant, id]: [string | null, string],
  now: number,
): Promise<WebhookDelivery> =>
  db.transaction(async (sql) => {
    const webhook = await findWebhook(sql, tenant, id);
    const event = newId('evt');
    await sql.query(
      `insert into webhook_events (id, tenant, run_id, sequence, type, created_at, data)
       values ($1, $2, null, 0, $3, $4, '{}'::json)`,
      [event, webhook.tenant, TEST_EVENT, now],
    );
    const [row] = await sql.query<DeliveryRow>(
      `insert into webhook_deliveries (id, tenant, created_at, webhook_id, event_id, run_id, sequence, type)
       values ($1, $2, $3, $4, $5, null, 0, $6) returning *`,
      [newId('dlv'), webhook.tenant, now, id, event, TEST_EVENT],
    );
    if (row === undefined) throw new Error('insert into webhook_deliveries returned no row');
    return deliveryView(row);
  });

const redeliver = async (db: Database, tenant: string | null, id: string): Promise<WebhookDelivery> => {
  await findDelivery(db, tenant, id);
  const [row] = await db.query<DeliveryRow>(
    `update webhook_deliveries set status = 'pending', dispatch = 'again' where id = $1 returning *`,
    [id],
  );
  if (row === undefined) throw notFound(id);
  return deliveryView(row);
};

const undispatchedLanes = async (db: Database, limit: number): Promise<UndispatchedLane[]> => {
  const rows = await db.query<Pick<DeliveryRow, 'id' | 'webhook_id' | 'run_id' | 'dispatch'>>(
    `select id, webhook_id, run_id, dispatch from webhook_deliveries where dispatch is not null
     order by position limit $1`,
    [limit],
  );
  const lanes = new Map<string, UndispatchedLane>();
  for (const { id, webhook_id: webhookId, run_id: runId, dispatch } of rows) {
    const key = JSON.stringify([webhookId, runId]);
    const lane = lanes.get(key) ?? { webhookId, runId, deliveryIds: [], now: false };
    lane.deliveryIds.push(id);
    lanes.set(key, { ...lane, now: lane.now || dispatch === 'again' });
  }
  return [...lanes.values()];
};

/** The decision that an event of an approval tells of. */
const decisionOf = async (sql: Sql, event: WebhookEventRow): Promise<PendingDelivery['decision']> => {
  const { approval, decided_at: at } = event.data;
  if (event.type !== 'approval.decided' || approval === undefined || at == null) return null;
  const [row] = await sql.query<Pick<ApprovalRow, 'call_id' | 'round'>>(
    'select call_id, round from approvals where id = $1',
    [approval.id],
  );
  const found = await sql.query<{ body: Decision }>(
    `select body from decisions d where d.run_id = $1 and d.tool = $2 and d.decided_at = $3
       and d.id not like '${REFUSED_ID}%' order by position`,
    [event.run_id, approval.tool, at],
  );
  const decision = found.find(
    ({ body }) => isVerdict(body) && (row === undefined || body.callId === row.call_id),
  )?.body;
  if (decision === undefined || !isVerdict(decision)) return null;
  const { type, by, verified } = decisionMark(decision);
  return { type, by, verified, edited: decision.editedArguments !== undefined };
};

const errorCodeOf = async (sql: Sql, event: WebhookEventRow): Promise<string | null> => {
  if (event.type !== 'run.ended') return null;
  const [run] = await sql.query<{ last_error: WireLastError | null }>(
    'select last_error from runs where id = $1',
    [event.run_id],
  );
  return run?.last_error?.code ?? null;
};

const pendingDelivery = async (sql: Sql, id: string): Promise<PendingDelivery | null> => {
  const [delivery] = await sql.query<DeliveryRow>(
    "select * from webhook_deliveries where id = $1 and status = 'pending'",
    [id],
  );
  if (delivery === undefined) return null;
  const [[event], [webhook]] = await Promise.all([
    sql.query<WebhookEventRow>('select * from webhook_events where id = $1', [delivery.event_id]),
    sql.query<WebhookRow>('select * from webhooks where id = $1', [delivery.webhook_id]),
  ]);
  // Deleted meanwhile, and the delivery with it.
  if (event === undefined || webhook === undefined) return null;
  return {
    id,
    attempts: delivery.attempts,
    endpoint: {
      id: webhook.id,
      url: webhook.url,
      secrets: webhook.secrets,
      disabled: webhook.disabled_at !== null,
    },
    event: {
      id: event.id,
      type: event.type,
      tenant: event.tenant,
      runId: event.run_id,
      sequence: event.sequence,
      at: event.created_at,
      data: event.data,
    },
    decision: await decisionOf(sql, event),
    errorCode: await errorCodeOf(sql, event),
  };
};

const recordAttempt = (
  db: Database,
  id: string,
  attempt: DeliveryAttempt,
  [status, now]: [DeliveryRow['status'], number],
): Promise<void> =>
  db.transaction(async (sql) => {
    const [row] = await sql.query<DeliveryRow>(
      "select * from webhook_deliveries where id = $1 and status = 'pending' for update",
      [id],
    );
    if (row === undefined) return;
    await sql.query(
      `update webhook_deliveries set attempts = attempts + 1, log = $2::json, status = $3,
         delivered_at = case when $3 = 'delivered' then $4::bigint else delivered_at end where id = $1`,
      [id, JSON.stringify([...row.log, attempt].slice(-LOG_KEPT)), status, now],
    );
  });

/** Deletes old events; then numbers of runs that have neither a row nor an event left. */
const prune = (db: Database, before: number, limit: number): Promise<number> =>
  db.transaction(async (sql) => {
    const gone = await sql.query<{ run_id: string | null }>(
      `delete from webhook_events where id in (
         select id from webhook_events where created_at < $1 order by created_at limit $2 for update skip locked
       ) returning run_id`,
      [before, limit],
    );
    const runIds = [...new Set(gone.map(({ run_id: runId }) => runId).filter((runId) => runId !== null))];
    if (runIds.length > 0)
      await sql.query(
        `delete from webhook_sequences s where s.run_id = any ($1::text[])
           and not exists (select 1 from runs r where r.id = s.run_id)
           and not exists (select 1 from webhook_events e where e.run_id = s.run_id)`,
        [runIds],
      );
    return gone.length;
  });

export const webhookStore = (db: Database): WebhookStore => ({
  ...webhookRowStore(db),
  async addTestDelivery(tenant, id, now) {
    const delivery = await addTestDelivery(db, [tenant, id], now);
    db.announcements.announce(WEBHOOKS, 0, 'change');
    return delivery;
  },
  listDeliveries: (query) => listDeliveries(db, query),
  getDelivery: async (tenant, id) => deliveryView(await findDelivery(db, tenant, id)),
  async redeliver(tenant, id) {
    const delivery = await redeliver(db, tenant, id);
    db.announcements.announce(WEBHOOKS, 0, 'change');
    return delivery;
  },
  undispatchedLanes: (limit) => undispatchedLanes(db, limit),
  async markDispatched(ids) {
    await db.query('update webhook_deliveries set dispatch = null where id = any ($1::text[])', [ids]);
  },
  watchWebhooks: () => db.announcements.watch(WEBHOOKS),
  async nextDelivery({ webhookId, runId }: WebhookLane) {
    const [row] = await db.query<{ id: string }>(
      `select id from webhook_deliveries where webhook_id = $1 and run_id is not distinct from $2
         and status = 'pending' order by sequence, position limit 1`,
      [webhookId, runId],
    );
    return row?.id ?? null;
  },
  pendingDelivery: (id) => pendingDelivery(db, id),
  recordAttempt: (id, attempt, status, now) => recordAttempt(db, id, attempt, [status, now]),
  async endDelivery(id, status) {
    await db.query("update webhook_deliveries set status = $2 where id = $1 and status = 'pending'", [
      id,
      status,
    ]);
  },
  pruneWebhooks: (before, limit) => prune(db, before, limit),
});
