/** Route of calls that wait for an approval. Rule: see `route.ts`. */
import { route } from '../route.ts';
import type { Route } from '../route.ts';
import { parsePage } from '../validate.ts';

export const approvalRoutes: readonly Route[] = [
  route('GET', '/v1/approvals', {
    summary: 'List calls that wait for an approval, oldest run first (an extension of this server)',
    roles: ['approver', 'operator'],
    query: ['limit', 'after'],
    returns: { object: 'Approval', list: true },
    handle: async ({ engine, caller, query }) => {
      const { limit, after } = parsePage(query);
      return {
        json: await engine.listApprovals(caller, { limit, ...(after === undefined ? {} : { after }) }),
      };
    },
  }),
];
