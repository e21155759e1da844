/** Route of the worker's tools. Rule: see `route.ts`. */
import { shownTools } from '../../protocol/wire/objects.ts';
import { route } from '../route.ts';
import type { Route } from '../route.ts';

export const toolRoutes: readonly Route[] = [
  route('GET', '/v1/tools', {
    summary: 'List the tools of the workers that the key may use (an extension of this server)',
    returns: { object: 'FunctionTool', list: true },
    handle: async ({ engine, caller }) => ({
      // One page: entries have no ids, and have the form of an assistant's `tools`.
      json: {
        object: 'list',
        data: shownTools(await engine.listTools(caller)),
        first_id: null,
        last_id: null,
        has_more: false,
      },
    }),
  }),
];
