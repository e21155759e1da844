/** The typed client of approvals against the API in process: pages, errors of the server, and a stream that goes on. */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { createApi, type Api } from '../../../api/index.ts';
import { ApiError, ApprovalsClient, type ApprovalEvent } from '../../../client/http/public.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import { createRunsService, type Workflows } from '../../../service/index.ts';
import { approval } from '../../support/run-stubs.ts';
import { memoryStore, startedRun } from '../../support/store.ts';

const NOW = 1_800_000_000_000;
const T = 'default';
const workflows: Workflows = {
  start: async ({ runId }) => ({ runId: runId ?? '', started: true }),
  cancel: async () => undefined,
  answer: async (runId, { call_id: id }) => ({ run_id: runId, call_id: id, result: 'accepted', waiting: [] }),
  submitToolOutputs: async (runId) => ({ run_id: runId, round: 1, result: 'accepted' }),
  tools: async () => [],
  look: async () => 'running',
  trace: async () => null,
  history: async () => null,
  running: async (runIds) => new Set(runIds),
  brokenOffSince: async () => [],
  ping: async () => undefined,
  namespaceId: async () => ({ id: 'ns', name: 'default' }),
};

let store: Store;
let api: Api;
beforeAll(async () => {
  store = await memoryStore();
  api = createApi({ engine: createRunsService({ store, client: { workflows }, now: () => NOW }) });
}, 60_000);
afterAll(() => store.close());

const sent: string[] = [];
const client = (more: { broken?: () => boolean } = {}) =>
  new ApprovalsClient({
    url: 'http://127.0.0.1:8787/v1/',
    reopenMs: 1,
    fetch: async (input, init) => {
      const request = new Request(input, init);
      sent.push(`${request.method} ${new URL(request.url).pathname}${new URL(request.url).search}`);
      if (more.broken?.() === true) throw new TypeError('fetch failed');
      return api.fetch(request);
    },
  });
const asks = async (...callIds: string[]) => {
  const run = await startedRun(store, T, NOW);
  const claim = await store.claim(run.runId, NOW);
  if (claim === null) throw new Error('no row');
  const outcome = { kind: 'calls' as const, calls: callIds.map((id) => approval(id)), expiresAt: null };
  await store.settleTurn(claim.lease, { outcome, message: null, usage: null }, NOW);
  return run;
};
const decided = (runId: string, callId: string) =>
  store.recordDecisions(runId, [
    { callId, name: 'pay', round: 1, decision: 'deny', at: NOW, door: 'http', arguments: null },
  ]);

test('the client lists by filters and pages, reads, decides and finds the run', async () => {
  const run = await asks('a', 'b');
  sent.length = 0;
  const first = await client().list({ tool: 'pay', thread_id: run.threadId, limit: 1 });
  const next = await client().list({ thread_id: run.threadId, after: first.last_id ?? '' });
  expect([...first.data, ...next.data].map(({ call_id: id }) => id)).toEqual(['a', 'b']);
  expect(sent[0]).toBe(`GET /v1/approvals?tool=pay&thread_id=${run.threadId}&limit=1`);
  const id = first.data[0]?.id ?? '';
  expect(await client().get(id)).toMatchObject({ call_id: 'a', arguments_value: { q: 1 } });
  expect(await client().decide(id, { decision: 'deny', reason: 'no' })).toMatchObject({ result: 'accepted' });
  expect(
    (await client().runs({ status: 'in_progress', tool: 'pay', thread_id: run.threadId })).data,
  ).toMatchObject([{ id: run.runId, awaiting: [{ call_id: 'a' }, { call_id: 'b' }] }]);
  expect((await client().runs({ tool: 'ship', thread_id: run.threadId })).data).toEqual([]);
});

test('the client throws the error of the server with its status and code', async () => {
  await expect(client().get('appr_none')).rejects.toThrow(ApiError);
  await expect(client().get('appr_none')).rejects.toMatchObject({ status: 404 });
  await expect(client().list({ limit: 101 })).rejects.toMatchObject({ status: 400, param: 'limit' });
  const proxy = new ApprovalsClient({
    url: 'http://127.0.0.1/v1',
    fetch: async () => new Response('<html>', { status: 502 }),
  });
  await expect(proxy.list()).rejects.toMatchObject({ status: 502 });
});

const following = (stop: AbortController, more: { after?: string; broken?: () => boolean } = {}) => {
  onTestFinished(() => stop.abort());
  const { broken, ...from } = more;
  const stream = client(broken === undefined ? {} : { broken }).events({ ...from, signal: stop.signal });
  return async (): Promise<ApprovalEvent> => {
    const { value } = await stream.next();
    if (value === undefined) throw new Error('the stream ended');
    return value;
  };
};
const nameOf = ({ event, data }: ApprovalEvent): string =>
  `${event} ${'call_id' in data ? data.call_id : ''}`;

test('a stream begins with ready, tells what happens, and goes on where it broke', async () => {
  const stop = new AbortController();
  let away = 0;
  const next = following(stop, { broken: () => (away -= 1) >= 0 });
  expect(nameOf(await next())).toBe('approvals.ready ');
  const { runId } = await asks('c', 'd');
  const seen = [await next(), await next()];
  expect(seen.map(nameOf)).toEqual(['approval.waiting c', 'approval.waiting d']);
  await decided(runId, 'c');
  expect(nameOf(await next())).toBe('approval.decided c');
  // The server goes down, and is away for a while.
  away = 3;
  api.shutdown();
  api = createApi({ engine: createRunsService({ store, client: { workflows }, now: () => NOW }) });
  await decided(runId, 'd');
  expect(nameOf(await next())).toBe('approval.decided d');
  const later = following(stop, { after: seen[0]?.id ?? '' });
  expect([nameOf(await later()), nameOf(await later())]).toEqual(['approvals.ready ', 'approval.decided c']);
});

test('a place that is none ends the stream with the error', async () => {
  const next = following(new AbortController(), { after: 'nonsense' });
  await expect(next()).rejects.toMatchObject({ status: 400 });
});

test('reads what a run did', async () => {
  const { runId } = await asks('call_timeline');
  const { entries, history } = await client().timeline(runId);
  expect(history.state).toBe('gone');
  expect(entries.find(({ kind }) => kind === 'wait')).toMatchObject({
    call_id: 'call_timeline',
    outcome: 'waiting',
  });
  await expect(client().timeline('run_unknown')).rejects.toMatchObject({ status: 404 });
});
