/** Lists of runs over all threads, the rows of one run, and the rows of the overview. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunQuery, Store } from '../../../protocol/ports/run-store.ts';
import { approval } from '../../support/run-stubs.ts';
import { automatic, external, memoryStore, startedRun } from '../../support/store.ts';

let store: Store;
beforeAll(async () => {
  store = await memoryStore();
}, 60_000);
afterAll(() => store.close());

const NOW = 1_800_000_000_000;
const HOUR = 3_600_000;
const usage = { promptTokens: 1, completionTokens: 2, totalTokens: 3, model: 'model-a' };

const claimed = async (tenant: string, at: number) => {
  const run = await startedRun(store, tenant, at);
  const claim = await store.claim(run.runId, at);
  if (claim === null) throw new Error('no row');
  return { ...run, lease: claim.lease };
};
/** A run that called these tools and waits, or has ended. */
const ran = async (tenant: string, at: number, tools: string[], end?: 'completed' | 'failed') => {
  const run = await claimed(tenant, at);
  if (tools.length > 0) {
    const calls = tools.map((name, index) => external(`call_${index}`, name));
    await store.settleTurn(
      run.lease,
      { outcome: { kind: 'calls', calls, expiresAt: null }, message: null, usage, model: 'model-a' },
      at + 100,
    );
  } else if (end === 'completed')
    await store.settleTurn(
      run.lease,
      {
        outcome: { kind: 'completed' },
        message: { id: null, content: [{ type: 'text', text: { value: 'Hi', annotations: [] } }] },
        usage,
        model: 'model-a',
      },
      at + 300,
    );
  if (end === 'failed')
    await store.closeRun(
      run.runId,
      { kind: 'fail', error: { code: 'server_error', message: 'It broke.' } },
      at + 200,
    );
  return run.runId;
};

const ids = async (query: Partial<RunQuery>): Promise<string[]> =>
  (await store.listAllRuns({ tenant: null, limit: 100, ...query })).data.map(({ id }) => id);

describe('a list of runs', () => {
  const made: Record<string, string> = {};
  beforeAll(async () => {
    made['old'] = await ran('list', NOW, ['refund', 'ship']);
    made['failed'] = await ran('list', NOW + HOUR, ['refund'], 'failed');
    made['done'] = await ran('list', NOW + 2 * HOUR, [], 'completed');
    made['other'] = await ran('another', NOW + 3 * HOUR, ['refund']);
  });

  test('is cut by each filter, and by several at once', async () => {
    const tenant = 'list';
    expect(await ids({ tenant })).toEqual([made['done'], made['failed'], made['old']]);
    expect(await ids({ tool: 'refund' })).toEqual([made['other'], made['failed'], made['old']]);
    expect(await ids({ tool: 'refund', tenant, status: 'failed' })).toEqual([made['failed']]);
    expect(await ids({ tool: 'ship' })).toEqual([made['old']]);
    expect(await ids({ tool: 'refun' })).toEqual([]);
    expect(await ids({ tenant, status: 'requires_action' })).toEqual([made['old']]);
    expect(await ids({ tenant, createdFrom: NOW + HOUR })).toEqual([made['done'], made['failed']]);
    expect(await ids({ tenant, createdBefore: NOW + HOUR })).toEqual([made['old']]);
    expect(await ids({ tenant, createdFrom: NOW + 1, createdBefore: NOW + 2 * HOUR })).toEqual([
      made['failed'],
    ]);
  });

  test('goes on after a run that has left its filter meanwhile', async () => {
    const tenant = 'moving';
    const [first, second] = [await ran(tenant, NOW, ['ship']), await ran(tenant, NOW, ['ship'])];
    const query = { tenant, status: 'requires_action' as const };
    expect(await ids({ ...query, limit: 1 })).toEqual([second]);
    await store.closeRun(second, { kind: 'cancel' }, NOW);
    expect(await ids({ ...query, after: second })).toEqual([first]);
    await expect(ids({ tenant: 'list', after: second })).rejects.toMatchObject({ status: 404 });
  });

  test('knows a tool of which a hostile argument has the name', async () => {
    const run = await claimed('hostile', NOW);
    const calls = [automatic('call_1', 'safe', JSON.stringify({ x: '"name":"wipe"', name: 'wipe' }))];
    await store.settleTurn(
      run.lease,
      { outcome: { kind: 'calls', calls, expiresAt: null }, message: null, usage },
      NOW,
    );
    expect(await ids({ tool: 'wipe' })).toEqual([]);
    expect(await ids({ tool: 'safe' })).toEqual([run.runId]);
  });
});

describe('the rows of a run', () => {
  test('are all there, and null of a run that is not', async () => {
    const run = await claimed('rows', NOW);
    await store.settleTurn(
      run.lease,
      {
        outcome: { kind: 'calls', calls: [approval('call_1', {}, 'refund')], expiresAt: null },
        message: null,
        usage,
        model: 'model-a',
      },
      NOW + 5,
    );
    expect(await store.readRecord(run.runId)).toMatchObject({
      tenant: 'rows',
      round: 1,
      createdAt: NOW,
      startedAt: NOW,
      endedAt: null,
      steps: [{ kind: 'calls', round: 1, model: 'model-a', usage: { total_tokens: 3 } }],
      rounds: [{ round: 1, calls: [{ name: 'refund' }] }],
      approvals: [{ callId: 'call_1', status: 'waiting', askedAt: NOW + 5 }],
      decisions: [],
      cut: false,
    });
    expect(await store.readRecord('run_unknown')).toBeNull();
    expect(await store.ownerOf('run', run.runId)).toBe('rows');
  });
});

describe('the rows of an overview', () => {
  test('count runs by time and status, and tell what waits, what failed and how long turns took', async () => {
    const at = NOW + 100 * HOUR;
    const waiting = await ran('watched', at, ['ship']);
    await ran('watched', at + HOUR, [], 'completed');
    const failed = await ran('watched', at + HOUR, [], 'failed');
    await ran('unwatched', at + HOUR, [], 'failed');
    const rows = await store.readOverview({ tenant: 'watched', from: at, bucketMs: HOUR });
    expect(rows.created.toSorted((a, b) => a.at - b.at)).toEqual([
      { at, runs: 1 },
      { at: at + HOUR, runs: 2 },
    ]);
    expect(
      rows.ended
        .filter(({ runs }) => runs > 0)
        .map(({ status }) => status)
        .toSorted(),
    ).toEqual(['completed', 'failed']);
    expect(rows.countedFrom).toBeNull();
    expect(rows.live).toContainEqual({ status: 'requires_action', runs: 1 });
    expect(rows.waiting).toMatchObject([{ runId: waiting, calls: [{ tool: 'ship' }] }]);
    expect(rows.failures).toMatchObject([{ id: failed, code: 'server_error', message: 'It broke.' }]);
    expect(rows.turns).toEqual([{ model: 'model-a', startedAt: at + HOUR, firstOutputAt: at + HOUR + 300 }]);
    const all = await store.readOverview({ tenant: null, from: at, bucketMs: HOUR });
    expect(all.failures).toHaveLength(2);
  });

  test('read a hostile message as it is', async () => {
    const run = await claimed('torn', NOW);
    const message = 'broken \u0000 \ud800 text';
    await store.closeRun(run.runId, { kind: 'fail', error: { code: 'server_error', message } }, NOW);
    const { failures } = await store.readOverview({ tenant: 'torn', from: NOW, bucketMs: HOUR });
    expect(failures[0]?.message).toBe(message);
  });
});
