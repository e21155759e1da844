/** Routes of runs over all threads, and of all that the server knows of one run. Rule: see `route.ts`. */
import { apiErrors } from '../../protocol/errors.ts';
import { quote } from '../../protocol/rules/validation.ts';
import { ACTIVE_STATUSES, TERMINAL_STATUSES } from '../../protocol/wire/objects.ts';
import { tenantAsked } from '../auth.ts';
import { idParam, route } from '../route.ts';
import type { Route } from '../route.ts';
import { parseChoice, parseId, parsePage, parseTime } from '../validate.ts';

const RUN_STATUSES = [...ACTIVE_STATUSES, ...TERMINAL_STATUSES] as const;
const RUN = '/v1/runs/{run_id}';

const DEFAULT_HOURS = 24;
const MAX_HOURS = 720;

const parseHours = (text: string | undefined): number => {
  if (text === undefined) return DEFAULT_HOURS;
  const hours = Number(text);
  if (/^\d{1,4}$/.test(text) && hours >= 1 && hours <= MAX_HOURS) return hours;
  throw apiErrors.invalid(
    'hours',
    `Invalid 'hours': expected a whole number from 1 to ${MAX_HOURS}, but got ${quote(text)} instead.`,
    'invalid_value',
  );
};

const EXECUTION = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Temporal's id of one execution. */
const parseExecution = (text: string | undefined): string | null => {
  if (text === undefined) return null;
  if (EXECUTION.test(text)) return text;
  throw apiErrors.invalid(
    'execution',
    `Invalid 'execution': expected an id from the 'executions' of the run's timeline, but got ${quote(text)} instead.`,
    'invalid_value',
  );
};

export const runRecordRoutes: readonly Route[] = [
  route('GET', '/v1/runs', {
    summary: 'List runs of all threads, the newest first (an extension of this server)',
    query: [
      'status',
      'assistant_id',
      'thread_id',
      'tool',
      'created_from',
      'created_before',
      'tenant',
      'limit',
      'after',
    ],
    returns: { object: 'Run', list: true },
    handle: async ({ engine, caller, query }) => {
      const { limit, after } = parsePage(query);
      const { status, assistant_id: assistant, thread_id: thread, tool, tenant } = query;
      const { created_from: from, created_before: before } = query;
      const asked =
        tenant === undefined ? null : tenantAsked(caller, tenant, 'Listing runs of another tenant');
      return {
        json: await engine.listAllRuns(caller, {
          limit,
          ...(after === undefined ? {} : { after }),
          ...(status === undefined ? {} : { status: parseChoice('status', status, RUN_STATUSES) }),
          ...(assistant === undefined ? {} : { assistantId: parseId('assistant_id', assistant) }),
          ...(thread === undefined ? {} : { threadId: parseId('thread_id', thread) }),
          ...(tool === undefined ? {} : { tool: parseId('tool', tool) }),
          ...(from === undefined ? {} : { createdFrom: parseTime('created_from', from) }),
          ...(before === undefined ? {} : { createdBefore: parseTime('created_before', before) }),
          ...(asked === null ? {} : { tenant: asked }),
        }),
      };
    },
  }),
  route('GET', RUN, {
    summary: 'Retrieve a run by its id alone (an extension of this server)',
    returns: { object: 'Run' },
    handle: async (input) => {
      const run = await input.engine.findRun(input.caller, idParam(input, 'run_id'));
      return { json: run, run };
    },
  }),
  route('GET', `${RUN}/timeline`, {
    summary:
      'Read what a run did: turns, tools with attempts, waits, decisions, timers (an extension of this server)',
    roles: ['caller', 'approver', 'operator'],
    returns: { object: 'RunTimeline' },
    handle: async (input) => ({
      json: await input.engine.runTimeline(input.caller, idParam(input, 'run_id')),
    }),
  }),
  route('GET', `${RUN}/history`, {
    summary: 'Download the history in Temporal, for `runs replay` (an extension of this server)',
    roles: ['operator'],
    query: ['execution'],
    returns: { object: 'History' },
    handle: async (input) => ({
      json: await input.engine.runHistory(
        input.caller,
        idParam(input, 'run_id'),
        parseExecution(input.query['execution']),
      ),
    }),
  }),
  route('GET', `${RUN}/export`, {
    summary: 'Download all that the server keeps of a run, as one object (an extension of this server)',
    returns: { object: 'RunExport' },
    handle: async (input) => ({
      json: await input.engine.exportRun(input.caller, idParam(input, 'run_id')),
    }),
  }),
  route('GET', '/v1/overview', {
    summary:
      'Report how runs fare: by status over time, oldest waiting, failures, tokens, latency (an extension of this server)',
    roles: ['operator'],
    query: ['hours', 'tenant'],
    returns: { object: 'Overview' },
    handle: async ({ engine, caller, query }) => ({
      json: await engine.overview(caller, {
        hours: parseHours(query['hours']),
        tenant: tenantAsked(caller, query['tenant'], 'Reading the overview of another tenant'),
      }),
    }),
  }),
];
