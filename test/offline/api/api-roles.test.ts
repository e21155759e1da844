/** What a key may do: its roles, how they are written, and which routes each of them opens. */
import { describe, expect, test } from 'vitest';
import { createApi, hashKey, keyAuth, parseApiKeys } from '../../../api/index.ts';
import { ROUTES } from '../../../api/app.ts';
import { KEY_ROLES } from '../../../protocol/ports/runs-service.ts';
import { RunsError } from '../../../protocol/errors.ts';
import { createSandboxEngine } from '../../../testing/index.ts';
import { call } from '../../support/http.ts';

const KEY = {
  caller: 'sk-the-caller-0123456789',
  approver: 'sk-the-approver-0123456789',
  operator: 'sk-the-operator-0123456789',
  both: 'sk-the-boss-0123456789abc',
} as const;
const KEYS = [
  `acme:${KEY.caller}:*`,
  `acme:${KEY.approver}:refund:role=approver;name=alice`,
  `ops:${KEY.operator}::name=olga;role=operator`,
  `acme:${KEY.both}:*:role=caller|approver;name=bob@acme.example`,
].join(' ');
const bearer = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}` });

const problemOf = (text: string): string => {
  try {
    parseApiKeys(text);
  } catch (error) {
    if (error instanceof RunsError && error.code === 'config') return error.message;
  }
  return 'no problem';
};

describe('the text of RUNS_API_KEYS', () => {
  test('names roles, and the name that signs', () => {
    expect(parseApiKeys(KEYS)).toEqual([
      { tenant: 'acme', sha256: hashKey(KEY.caller), tools: '*', roles: ['caller'] },
      {
        tenant: 'acme',
        sha256: hashKey(KEY.approver),
        tools: ['refund'],
        roles: ['approver'],
        name: 'alice',
      },
      { tenant: 'ops', sha256: hashKey(KEY.operator), tools: [], roles: ['operator'], name: 'olga' },
      {
        tenant: 'acme',
        sha256: hashKey(KEY.both),
        tools: '*',
        roles: ['caller', 'approver'],
        name: 'bob@acme.example',
      },
    ]);
  });

  test.each([
    [`a:${KEY.caller}:*:role=approver`, /needs a name/],
    [`a:${KEY.caller}::role=operator`, /needs a name/],
    [`a:${KEY.caller}::role=approver;name=al`, /approves no tool/],
    [`a:${KEY.caller}:*:role=admin;name=al`, /needs roles out of "caller", "approver", "operator"/],
    [`a:${KEY.caller}:*:role=caller|caller`, /needs roles out of/],
    [`a:${KEY.caller}:*:role=`, /needs roles out of/],
    [`a:${KEY.caller}:*:name=`, /needs a name of 1 to 64/],
    [`a:${KEY.caller}:*:name=al/ice`, /needs a name of 1 to 64/],
    [`a:${KEY.caller}:*:name=al;name=bo`, /option name twice/],
    [`a:${KEY.caller}:*:approver`, /neither role=… nor name=…/],
    [`a:${KEY.caller}:*:role=caller=x`, /neither role=… nor name=…/],
    [`a:${KEY.caller}:*:name=al:${KEY.both}`, /too many colons/],
  ])('is refused by the place of the entry, and shows nothing of it: %#', (text, message) => {
    const problem = problemOf(`ok:${KEY.approver} ${text}`);
    expect(problem).toMatch(message);
    expect(problem).toMatch(/^Entry 2 of RUNS_API_KEYS /);
    expect(problem).not.toContain('sk-');
  });
});

/**
 * Routes that differ from "reads for callers and operators, webhooks for operators, the rest for callers". Answers: with an output.
 */
const OPEN_TO: Readonly<Record<string, readonly (keyof typeof KEY)[]>> = {
  'POST /v1/threads/{thread_id}/runs/{run_id}/cancel': ['caller', 'operator', 'both'],
  'GET /v1/runs/{run_id}/timeline': ['caller', 'approver', 'operator', 'both'],
  'GET /v1/runs/{run_id}/history': ['operator'],
  'GET /v1/overview': ['operator'],
  'GET /v1/approvals': ['approver', 'operator', 'both'],
  'GET /v1/approvals/events': ['approver', 'operator', 'both'],
  'GET /v1/approvals/{approval_id}': ['approver', 'operator', 'both'],
  'POST /v1/approvals/{approval_id}': ['approver', 'both'],
  'POST /v1/approvals/{approval_id}/comments': ['approver', 'both'],
  'GET /v1/threads/{thread_id}/runs/{run_id}/decisions': ['caller', 'approver', 'operator', 'both'],
  'GET /v1/threads/{thread_id}/runs/{run_id}/calls/{call_id}': ['caller', 'approver', 'operator', 'both'],
};

describe('a route', () => {
  const api = createApi({ engine: createSandboxEngine(), auth: keyAuth(parseApiKeys(KEYS)) });

  /** A stream has begun when its head is there; approvals' has no end. */
  const headOf = async (request: Request): Promise<Response> => {
    const response = await api.fetch(request);
    if (response.headers.get('content-type')?.startsWith('text/event-stream') !== true) return response;
    await response.body?.cancel();
    return new Response('', { status: response.status });
  };

  test.each(ROUTES.map((route) => [`${route.method} ${route.path}`, route] as const))(
    '%s is open to its roles, and 403 says which they are to all others',
    async (name, route) => {
      const allowed =
        OPEN_TO[name] ??
        (route.path.startsWith('/v1/webhooks')
          ? ['operator']
          : route.method === 'GET'
            ? ['caller', 'operator', 'both']
            : ['caller', 'both']);
      const path = route.path.replaceAll(/\{(\w+)\}/g, '$1_1');
      for (const who of ['caller', 'approver', 'operator', 'both'] as const) {
        const answer = await call(
          headOf,
          route.method,
          path,
          route.method === 'POST' ? { call_id: 'call_1', output: 'x' } : undefined,
          bearer(KEY[who]),
        );
        const refused = expect.objectContaining({
          code: 'forbidden',
          message: expect.stringMatching(/needs a key with the role "/),
        });
        const said = answer.status === 403 ? (answer.body as { error: unknown }).error : null;
        expect([name, who, said]).toEqual([name, who, allowed.includes(who) ? null : refused]);
      }
    },
  );

  test('lists roles that exist, and at least one', () => {
    for (const { roles } of ROUTES) {
      expect(roles.length).toBeGreaterThan(0);
      expect(roles.filter((role) => !KEY_ROLES.includes(role))).toEqual([]);
    }
  });
});

describe('deciding a gated call', () => {
  const api = createApi({ engine: createSandboxEngine(), auth: keyAuth(parseApiKeys(KEYS)) });
  const decide = (key: string, body: object) =>
    call(
      api.fetch,
      'POST',
      '/v1/threads/thread_1/runs/run_1/answers',
      { call_id: 'c', ...body },
      bearer(key),
    );

  test.each([
    { decision: 'approve' },
    { decision: 'deny', reason: 'no' },
    { decision: 'approve', arguments: { amount: 1 } },
  ])('is not for a caller: $decision', async (body) => {
    const answer = await decide(KEY.caller, body);
    expect(answer.status).toBe(403);
    expect(answer.body).toMatchObject({
      error: {
        message:
          'Approving or denying a call needs a key with the role "approver"; this key has "caller". Use a key with that role, or add the role to this key (RUNS_API_KEYS).',
      },
    });
  });

  test('is for an approver, which gives no output; a key with both roles does both', async () => {
    expect((await decide(KEY.approver, { decision: 'approve' })).status).toBe(404);
    expect((await decide(KEY.approver, { output: 'x' })).status).toBe(403);
    expect((await decide(KEY.both, { decision: 'approve' })).status).toBe(404);
    expect((await decide(KEY.both, { output: 'x' })).status).toBe(404);
    expect((await decide(KEY.caller, { output: 'x' })).status).toBe(404);
  });

  test('is open where there are no keys', async () => {
    const open = createApi({ engine: createSandboxEngine() });
    const answer = await call(open.fetch, 'POST', '/v1/threads/thread_1/runs/run_1/answers', {
      call_id: 'c',
      decision: 'approve',
    });
    expect(answer.status).toBe(404);
  });
});

const metrics = async () => ({ contentType: 'text/plain', body: 'runs_live 0' });

describe('an operator', () => {
  test('reads and cancels what any tenant has, and changes nothing else of it', async () => {
    const api = createApi({ engine: createSandboxEngine(), auth: keyAuth(parseApiKeys(KEYS)) });
    const as = (who: keyof typeof KEY, method: string, path: string, body?: unknown) =>
      call(api.fetch, method, path, body, bearer(KEY[who]));
    const assistant = (await as('caller', 'POST', '/v1/assistants', { model: 'tool' })).body as {
      id: string;
    };
    const run = (await as('caller', 'POST', '/v1/threads/runs', { assistant_id: assistant.id })).body as {
      id: string;
      thread_id: string;
    };
    const at = `/v1/threads/${run.thread_id}`;
    for (const path of [
      `/v1/assistants/${assistant.id}`,
      at,
      `${at}/messages`,
      `${at}/runs`,
      `${at}/runs/${run.id}`,
    ])
      expect([path, (await as('operator', 'GET', path)).status]).toEqual([path, 200]);
    expect((await as('operator', 'DELETE', at)).status).toBe(403);
    expect((await as('operator', 'POST', at, { metadata: { a: 'b' } })).status).toBe(403);
    expect((await as('operator', 'POST', `${at}/runs/${run.id}/cancel`)).status).toBe(200);
    expect((await as('operator', 'GET', '/v1/assistants')).body).toMatchObject({ data: [] });
    expect((await as('operator', 'GET', '/v1/threads/thread_none')).status).toBe(404);
  });

  test('reads the metrics; with keys, no other role does', async () => {
    const api = createApi({ engine: createSandboxEngine(), auth: keyAuth(parseApiKeys(KEYS)), metrics });
    const scrape = async (headers: Record<string, string>) =>
      (await call(api.fetch, 'GET', '/metrics', undefined, headers)).status;
    expect(await scrape({})).toBe(401);
    expect(await scrape(bearer(KEY.caller))).toBe(403);
    expect(await scrape(bearer(KEY.approver))).toBe(403);
    expect(await scrape(bearer(KEY.operator))).toBe(200);
    const open = createApi({ engine: createSandboxEngine(), metrics });
    expect((await call(open.fetch, 'GET', '/metrics')).status).toBe(200);
  });
});
