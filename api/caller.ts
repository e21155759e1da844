/**
 * From a request and its key to the `Caller` that an engine is told.
 *
 * Rule: the tenant is the key's own, except for an operator on a route that operators have: there it is the tenant that
 * owns what the path names. Imports protocol and the edges of `api/`.
 */
import type { Caller, RunsService } from '../protocol/ports/runs-service.ts';
import { mintId } from '../protocol/wire/ids.ts';
import type { Principal } from './auth.ts';
import type { Route } from './route.ts';

/** Unique among processes and cheap: random once, counted from there. */
export const requestIds = (): (() => string) => {
  const own = mintId('req').slice(0, -8);
  let count = 0;
  return () => `${own}${(count++).toString(36).padStart(8, '0')}`;
};

/** What only a request that changes something is asked for; a look at a header costs as much as finding the route. */
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
  const { grantedTools, name, roles } = principal;
  return { tenant, grantedTools, keyName: name, roles, requestId, isRetry, idempotencyKey };
};

/** Whose objects the request is about. Costs a read for operators, nothing for all others. */
export const tenantFor = async (
  { roles, tenant }: Principal,
  route: Route,
  { thread_id: threadId, assistant_id: assistantId }: Record<string, string>,
  engine: RunsService,
): Promise<string> => {
  if (!roles.includes('operator') || !route.roles.includes('operator')) return tenant;
  const owner =
    threadId !== undefined
      ? await engine.ownerOf('thread', threadId)
      : assistantId === undefined
        ? null
        : await engine.ownerOf('assistant', assistantId);
  return owner ?? tenant;
};
