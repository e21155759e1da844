/**
 * Limits the bytes of all request bodies together, and of one tenant's.
 *
 * Rule: bytes count when they have arrived, so an announced length takes nothing from other requests. A body that would
 * exceed the limit is refused, and its bytes are released when it ends. Imports protocol only.
 */
import { ApiError } from '../protocol/errors.ts';

export interface BodyShare {
  /** More bytes have arrived. Throws `ApiError` 429 (the tenant's share is used up) or 503 (all of it is). */
  grow(bytes: number): void;
  close(): void;
}

export interface BodyBudget {
  open(tenant: string): BodyShare;
  /** Bytes held now. */
  readonly held: number;
}

/** The share of the budget that one tenant may use. */
const TENANT_SHARE = 0.25;

const refused = (status: 429 | 503, message: string): ApiError =>
  new ApiError(status, message, {
    code: status === 429 ? 'rate_limit_exceeded' : 'unavailable',
    headers: { 'retry-after': '1' },
  });

export const createBodyBudget = (maxBytes: number): BodyBudget => {
  const byTenant = new Map<string, number>();
  let total = 0;
  const add = (tenant: string, bytes: number): void => {
    total += bytes;
    const held = (byTenant.get(tenant) ?? 0) + bytes;
    if (held === 0) byTenant.delete(tenant);
    else byTenant.set(tenant, held);
  };
  return {
    open(tenant) {
      let own = 0;
      return {
        grow(bytes) {
          if ((byTenant.get(tenant) ?? 0) + bytes > maxBytes * TENANT_SHARE)
            throw refused(
              429,
              `Too many large request bodies at once: the limit of one tenant is ${maxBytes * TENANT_SHARE} bytes. Nothing was changed; send the request again when other requests have ended.`,
            );
          if (total + bytes > maxBytes)
            throw refused(
              503,
              'Too many large request bodies at once: the limit of the server is reached. Nothing was changed; it is safe to send the request again.',
            );
          own += bytes;
          add(tenant, bytes);
        },
        close() {
          add(tenant, -own);
          own = 0;
        },
      };
    },
    get held() {
      return total;
    },
  };
};
