/** Routes of what models used and cost. Rule: see `route.ts`. */
import { apiErrors } from '../../protocol/errors.ts';
import { quote } from '../../protocol/rules/validation.ts';
import { tenantAsked } from '../auth.ts';
import { idParam, route } from '../route.ts';
import type { Route } from '../route.ts';

const DAY_MS = 86_400_000;
const DAYS_BEFORE = 6;

/** A UTC day as `YYYY-MM-DD`. */
const parseDay = (name: string, value: string): string => {
  const at = /^\d{4}-\d{2}-\d{2}$/.test(value) ? Date.parse(`${value}T00:00:00Z`) : NaN;
  if (!Number.isNaN(at) && new Date(at).toISOString().startsWith(value)) return value;
  throw apiErrors.invalid(
    name,
    `Invalid '${name}': expected a day such as '2026-11-26', but got ${quote(value)} instead.`,
    'invalid_value',
  );
};

export const usageRoutes: readonly Route[] = [
  route('GET', '/v1/usage', {
    summary:
      "Report the models' tokens and cost by UTC day, tenant and model, newest day first; the last seven days by default (an extension of this server)",
    query: ['from', 'to', 'tenant'],
    returns: { object: 'DayUsage', list: true },
    handle: async ({ engine, caller, query }) => {
      const to = query['to'];
      const last = to === undefined ? engine.today() : parseDay('to', to);
      const from = query['from'];
      const first =
        from === undefined
          ? new Date(Date.parse(`${last}T00:00:00Z`) - DAYS_BEFORE * DAY_MS).toISOString().slice(0, 10)
          : parseDay('from', from);
      return {
        json: await engine.usage(caller, {
          tenant: tenantAsked(caller, query['tenant'], 'Reading the usage of another tenant'),
          from: first,
          to: last,
        }),
      };
    },
  }),
  route('GET', '/v1/threads/{thread_id}/usage', {
    summary: "Report the models' tokens and cost of a thread's runs (an extension of this server)",
    returns: { object: 'ThreadUsage' },
    handle: async (input) => ({
      json: await input.engine.threadUsage(input.caller, idParam(input, 'thread_id')),
    }),
  }),
];
