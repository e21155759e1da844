/**
 * Builds the `Caller` of a request from its key.
 *
 * Rule: the tenant is the key's. For an operator on a route for operators it is the tenant that owns the object in the
 * path. Imports protocol and the edges of `api/`.
 */
import type { Caller, RunsService } from '../protocol/ports/runs-service.ts';
import { mintId } from '../protocol/wire/ids.ts';
import type { Principal } from './auth.ts';
import type { Route } from './route.ts';

/** Unique across processes and cheap: random once, then counted. */
export const requestIds = (): (() => string) => {
  const own = mintId('req').slice(0, -8);
  let count = 0;
  return () => `${own}${(count++).toString(36).padStart(8, '0')}`;
};

/** Headers that only a request with changes needs; reading a header costs as much as finding the route. */
const repetition = (method: string, headers: Headers): Pick<Caller, 'isRetry' | 'idempotencyKey'> =>
  method === 'GET'
    ? { isRetry: false, idempotencyKey: null }
    : {
        isRetry: Number(headers.get('x-stainless-retry-count') ?? 0) > 0,
        idempotencyKey: headers.get('idempotency-key'),
      };

export const callerOf = (
  request: Request,
  principal: Principal,
  tenant: string,
  requestId: string,
): Caller => {
  const { isRetry, idempotencyKey } = repetition(request.method, request.headers);
  const { grantedTools, name, verified, groups, roles } = principal;
  return {
    tenant,
    grantedTools,
    keyName: name,
    verified,
    groups,
    roles,
    requestId,
    isRetry,
    idempotencyKey,
  };
};

/** The tenant of the object in the path. Costs a read for operators, nothing for others. */
export const tenantFor = async (
  { roles, tenant }: Principal,
  route: Route,
  { thread_id: threadId, assistant_id: assistantId, run_id: runId }: Record<string, string>,
  engine: RunsService,
): Promise<string> => {
  if (!roles.includes('operator') || !route.roles.includes('operator')) return tenant;
  const named =
    threadId !== undefined
      ? (['thread', threadId] as const)
      : assistantId !== undefined
        ? (['assistant', assistantId] as const)
        : runId !== undefined
          ? (['run', runId] as const)
          : null;
  if (named === null) return tenant;
  const [kind, id] = named;
  return (await engine.ownerOf(kind, id)) ?? tenant;
};
