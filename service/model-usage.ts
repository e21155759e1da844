/**
 * The service's reports of what models used.
 *
 * Rule: the caller's right to a tenant's report was checked by the API. Imported within `service/` only.
 */
import type { RunsService } from '../protocol/ports/runs-service.ts';
import { utcDay } from '../protocol/rules/utc-day.ts';
import { withApiErrors } from './errors.ts';
import type { ServiceContext } from './service-context.ts';

/** Rows of one report; a report that is cut says so, and its caller names fewer days. */
const MAX_ROWS = 2_000;

export const createUsageMethods = ({
  store,
  now,
}: Pick<ServiceContext, 'store' | 'now'>): Pick<RunsService, 'usage' | 'threadUsage' | 'today'> => ({
  usage: (_caller, query) =>
    withApiErrors(async () => {
      const { data, more } = await store.usageByDay({ ...query, limit: MAX_ROWS });
      return { object: 'list', data, first_id: null, last_id: null, has_more: more };
    }),
  threadUsage: (caller, threadId) => withApiErrors(() => store.usageOfThread(caller.tenant, threadId)),
  today: () => utcDay(now()),
});
