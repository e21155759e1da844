/**
 * The sandbox's own HTTP controls, under `/sandbox` of the runs API's socket: clock, faults, quirks, request log.
 *
 * Rule: for tests in other languages and processes; off unless `controls: true`. Each is one method of `Sandbox`.
 * Only `testing/index.ts` imports it.
 *
 *   GET  /sandbox/clock                      → { now, next, pending }
 *   POST /sandbox/clock/advance {"ms": N}    → { now, fired }
 *   POST /sandbox/faults {match, action, times}   path patterns as text, `/…/` = a pattern → { pending }
 *   DELETE /sandbox/faults                   → { pending: 0 }
 *   POST /sandbox/quirks {name: value}       → all quirks
 *   GET  /sandbox/requests                   → the log
 *   GET  /sandbox/scripts                    → name → what it does
 *   POST /sandbox/reference                  → the reference page's thread, run and call
 *   POST /sandbox/reset                      → forgets objects, faults and the log
 */
import { DEFAULT_BODY_LIMITS, readJson } from '../api/body.ts';
import { errorResponse, toApiError } from '../api/errors.ts';
import { apiErrors } from '../protocol/errors.ts';
import type { SandboxClock } from './clock.ts';
import type { Quirks } from './assistants-server/quirks.ts';
import type { Fault, FaultAction, Faults } from './faults.ts';
import type { LoggedRequest } from './log.ts';
import type { ReferencePage } from './reference.ts';
import type { ScriptCatalogue } from './script.ts';
import { isRecord } from '../protocol/rules/is-record.ts';

export interface Controlled {
  clock: SandboxClock;
  faults: Faults;
  quirks: Quirks;
  requests: readonly LoggedRequest[];
  scripts: ScriptCatalogue;
  seedReferencePage(): ReferencePage;
  reset(): void;
}

type Json = Record<string, unknown>;
const readFault = (value: unknown): Fault => {
  if (!isRecord(value) || !isRecord(value['action']) || typeof value['action']['kind'] !== 'string')
    throw apiErrors.invalid(
      'action',
      'A fault needs {"action":{"kind":…}}, and may have \'match\' and \'times\'.',
    );
  const match = isRecord(value['match']) ? value['match'] : {};
  const { method, path, nth } = match;
  const pattern = typeof path === 'string' ? /^\/(.+)\/$/.exec(path)?.[1] : undefined;
  return {
    match: {
      ...(typeof method === 'string' ? { method } : {}),
      ...(typeof path === 'string' ? { path: pattern === undefined ? path : new RegExp(pattern) } : {}),
      ...(typeof nth === 'number' ? { nth } : {}),
    },
    action: value['action'] as unknown as FaultAction,
    ...(typeof value['times'] === 'number' ? { times: value['times'] } : {}),
  };
};

const turnQuirks = (quirks: Quirks, changes: unknown): void => {
  if (!isRecord(changes)) throw apiErrors.invalid(null, 'Quirks are an object of names and values.');
  for (const name of Object.keys(changes))
    if (!(name in quirks))
      throw apiErrors.invalid(
        name,
        `No quirk is named '${name}'. Quirks: ${Object.keys(quirks).join(', ')}.`,
      );
  Object.assign(quirks, changes);
};

const clockView = (clock: SandboxClock): Json => ({
  now: clock.now(),
  next: clock.next(),
  pending: clock.pending,
});

const control = async (request: Request, sandbox: Controlled): Promise<unknown> => {
  const path = new URL(request.url).pathname.slice('/sandbox'.length);
  const body = request.method === 'POST' ? await readJson(request, DEFAULT_BODY_LIMITS) : undefined;
  switch (`${request.method} ${path}`) {
    case 'GET /clock':
      return clockView(sandbox.clock);
    case 'POST /clock/advance': {
      const ms = isRecord(body) ? body['ms'] : undefined;
      if (typeof ms !== 'number' || !(ms >= 0))
        throw apiErrors.invalid(
          'ms',
          `Invalid 'ms': expected milliseconds, 0 or more, got ${JSON.stringify(ms)}.`,
        );
      const fired = sandbox.clock.advance(ms);
      return { now: sandbox.clock.now(), fired };
    }
    case 'POST /faults':
      sandbox.faults.add(readFault(body));
      return { pending: sandbox.faults.pending };
    case 'DELETE /faults':
      sandbox.faults.clear();
      return { pending: 0 };
    case 'POST /quirks':
      turnQuirks(sandbox.quirks, body);
      return sandbox.quirks;
    case 'GET /requests':
      return sandbox.requests;
    case 'GET /scripts':
      return Object.fromEntries([...sandbox.scripts].map(([name, { about }]) => [name, about]));
    case 'POST /reference':
      return sandbox.seedReferencePage();
    case 'POST /reset':
      sandbox.reset();
      return {};
    default:
      throw apiErrors.noRoute(request.method, `/sandbox${path}`);
  }
};

export const isControl = (path: string): boolean => path === '/sandbox' || path.startsWith('/sandbox/');

export const answerControl = async (request: Request, sandbox: Controlled): Promise<Response> => {
  try {
    const value = await control(request, sandbox);
    return new Response(JSON.stringify(value), { headers: { 'content-type': 'application/json' } });
  } catch (error) {
    return errorResponse(toApiError(error, 'sandbox'), 'sandbox');
  }
};
