/**
 * Webhooks: endpoints, their secrets, and the log of deliveries.
 *
 * Rule: a secret is returned once, by the call that makes it. A tenant's endpoints get events of this tenant alone; who may
 * call which method is the route's business. Imported by `service/index.ts`.
 */
import { randomBytes } from 'node:crypto';
import { apiErrors } from '../protocol/errors.ts';
import type { Store } from '../protocol/ports/run-store.ts';
import type { StoredSecret } from '../protocol/ports/webhook-store.ts';
import type { Caller } from '../protocol/ports/runs-service.ts';
import type { WebhookParams, WebhooksService } from '../protocol/ports/webhooks-service.ts';
import { webhookUrlProblem } from '../protocol/rules/webhook-url.ts';
import { mintId } from '../protocol/wire/ids.ts';
import { withApiErrors } from './errors.ts';

export interface WebhookOptions {
  /** Encrypts a secret for the store. Default: it is stored as it is. */
  sealSecret?: (secret: string, webhookId: string) => string;
  /** URLs may begin with `http:`. Default false. */
  plain?: boolean;
}

const MAX_WEBHOOKS = 50;
const SECRET_BYTES = 32;
/** Secrets that sign at a time: each makes the header longer. */
const MAX_SECRETS = 5;

export const newSecret = (): string => `whsec_${randomBytes(SECRET_BYTES).toString('base64')}`;

/**
 * The secrets after a rotation: the new one signs, the others until `oldUntil` (Unix ms) at the latest. Ended ones, and the
 * oldest beyond five, are dropped. Pure.
 */
export const rotated = (
  current: readonly StoredSecret[],
  sealed: string,
  { now, oldUntil }: { now: number; oldUntil: number },
): StoredSecret[] =>
  [
    { sealed, createdAt: now, expiresAt: null },
    ...current
      .map((secret) => ({ ...secret, expiresAt: Math.min(secret.expiresAt ?? oldUntil, oldUntil) }))
      .filter(({ expiresAt }) => expiresAt > now),
  ].slice(0, MAX_SECRETS);

/** Whose webhooks an operator sees: with keys those of every tenant, as with runs. */
const scopeOf = ({ keyName, roles, tenant }: Caller): string | null =>
  keyName != null && roles?.includes('operator') === true ? null : tenant;

/** The tenant of a new webhook. */
const tenantOf = (caller: Caller, named: string | undefined): string => {
  if (named === undefined || named === caller.tenant) return caller.tenant;
  if (scopeOf(caller) === null) return named;
  throw apiErrors.invalid(
    'tenant',
    `Invalid 'tenant': this server has no keys, so its only tenant is '${caller.tenant}'.`,
    'invalid_value',
  );
};

const changed = ({ disabled, ...change }: WebhookParams) => ({
  ...change,
  ...(disabled === undefined ? {} : { disabled: disabled ? ('by_operator' as const) : null }),
});

export const createWebhookMethods = (
  { store, now }: { store: Store; now: () => number },
  { sealSecret = (secret) => secret, plain = false }: WebhookOptions = {},
): WebhooksService<Caller> => {
  const checkUrl = (url: string | undefined): void => {
    const problem = url === undefined ? null : webhookUrlProblem(url, { plain });
    if (problem !== null) throw apiErrors.invalid('url', `Invalid 'url': ${problem}.`, 'invalid_value');
  };
  return {
    createWebhook: (caller, { tenant, url, description = null, events = null }) =>
      withApiErrors(async () => {
        checkUrl(url);
        const id = mintId('wh');
        const secret = newSecret();
        const at = now();
        const secrets = [{ sealed: sealSecret(secret, id), createdAt: at, expiresAt: null }];
        const created = await store.createWebhook(
          { id, tenant: tenantOf(caller, tenant), url, description, events, secrets, now: at },
          MAX_WEBHOOKS,
        );
        return { ...created, secret };
      }),
    listWebhooks: (caller, query) =>
      withApiErrors(() => store.listWebhooks({ ...query, tenant: scopeOf(caller) })),
    getWebhook: (caller, id) => withApiErrors(() => store.getWebhook(scopeOf(caller), id)),
    updateWebhook: (caller, id, change) =>
      withApiErrors(() => {
        checkUrl(change.url);
        return store.changeWebhook(scopeOf(caller), id, changed(change), now());
      }),
    deleteWebhook: (caller, id) =>
      withApiErrors(async () => {
        await store.deleteWebhook(scopeOf(caller), id);
        return { id, object: 'webhook.deleted' as const, deleted: true as const };
      }),
    rotateWebhook: (caller, id, { oldExpiresIn }) =>
      withApiErrors(async () => {
        const secret = newSecret();
        const at = now();
        const oldUntil = at + oldExpiresIn * 1_000;
        const secrets = (current: readonly StoredSecret[]) =>
          rotated(current, sealSecret(secret, id), { now: at, oldUntil });
        return { ...(await store.changeWebhook(scopeOf(caller), id, { secrets }, at)), secret };
      }),
    testWebhook: (caller, id) => withApiErrors(() => store.addTestDelivery(scopeOf(caller), id, now())),
    listWebhookDeliveries: (caller, query) =>
      withApiErrors(() => store.listDeliveries({ ...query, tenant: scopeOf(caller) })),
    getWebhookDelivery: (caller, id) => withApiErrors(() => store.getDelivery(scopeOf(caller), id)),
    redeliverWebhook: (caller, id) => withApiErrors(() => store.redeliver(scopeOf(caller), id)),
  };
};
