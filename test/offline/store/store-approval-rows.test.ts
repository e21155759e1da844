/** Approvals as rows: their order and filters, their details, their changes in order, and what older processes leave out. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Decision } from '../../../protocol/decisions.ts';
import type { ApprovalQuery, Store } from '../../../protocol/ports/run-store.ts';
import type { PlannedCall } from '../../../protocol/tool-calls.ts';
import type { Database, Param } from '../../../store/database.ts';
import { storeOn } from '../../../store/index.ts';
import { migrate, readMigrations } from '../../../store/migrate.ts';
import { openPglite } from '../../../store/pglite.ts';
import { approval } from '../../support/run-stubs.ts';
import { external, image, startedRun } from '../../support/store.ts';

const NOW = 1_800_000_000_000;
const FOLLOW_UP = 1_000_000;
const LATE = { answerWithinMs: 1_000, onDeadline: 'follow-up' } as const;
const T = 'tenant-a';
const SCOPE = { tenant: T, tools: null, followUpWithinMs: FOLLOW_UP };

let db: Database;
let store: Store;
const sent: { text: string; params: readonly Param[] }[] = [];
beforeAll(async () => {
  db = await openPglite({ memory: true, image: await image() });
  await migrate(db, await readMigrations());
  store = storeOn({
    ...db,
    query: (text, params = []) => {
      sent.push({ text, params });
      return db.query(text, params);
    },
  });
}, 60_000);
afterAll(() => store.close());

const list = (more: Partial<ApprovalQuery> = {}) =>
  store.listApprovals({ ...SCOPE, limit: 100, now: NOW, ...more });
const namesOf = async (more: Partial<ApprovalQuery> = {}) =>
  (await list(more)).data.map(({ call_id: id }) => id);
const turn = async (runId: string, calls: PlannedCall[], said?: string) => {
  const claim = await store.claim(runId, NOW);
  if (claim === null) throw new Error('no row');
  const message =
    said === undefined
      ? null
      : { id: null, content: [{ type: 'text' as const, text: { value: said, annotations: [] } }] };
  await store.settleTurn(
    claim.lease,
    { outcome: { kind: 'calls', calls, expiresAt: null }, message, usage: null },
    NOW,
  );
};
const asks = async (tenant: string, calls: PlannedCall[], said?: string) => {
  const run = await startedRun(store, tenant, NOW);
  await turn(run.runId, calls, said);
  return run;
};
const decision = (callId: string, more: Partial<Decision> = {}): Decision => ({
  callId,
  name: 'pay',
  round: 1,
  decision: 'approve',
  at: NOW,
  door: 'http',
  arguments: null,
  ...more,
});
const idOf = async (tenant: string, callId: string): Promise<string> => {
  const { data } = await list({ tenant });
  const found = data.find(({ call_id: id }) => id === callId);
  if (found === undefined) throw new Error(`${callId} does not wait`);
  return found.id;
};

describe('a list', () => {
  test('has the earliest deadline first, and pages go on at the deadline', async () => {
    const tenant = 'order';
    await asks(tenant, [approval('slow'), approval('fast', { answerWithinMs: 5_000 })]);
    await asks(tenant, [approval('middle', { answerWithinMs: 9_000 })]);
    expect(await namesOf({ tenant })).toEqual(['fast', 'middle', 'slow']);
    const seen: string[] = [];
    for (let after: string | undefined; seen.length < 9;) {
      const page = await list({ tenant, limit: 1, ...(after === undefined ? {} : { after }) });
      seen.push(...page.data.map(({ call_id: id }) => id));
      if (!page.has_more || page.last_id === null) break;
      after = page.last_id;
    }
    expect(seen).toEqual(['fast', 'middle', 'slow']);
  });

  test('is filtered by tool, assistant, thread, deadline and status', async () => {
    const tenant = 'filters';
    const one = await asks(tenant, [approval('p'), approval('s', { answerWithinMs: 5_000 }, 'ship')]);
    const two = await asks(tenant, [approval('q')]);
    expect(await namesOf({ tenant, tool: 'ship' })).toEqual(['s']);
    expect(await namesOf({ tenant, assistantId: two.assistantId })).toEqual(['q']);
    expect(await namesOf({ tenant, threadId: one.threadId })).toEqual(['s', 'p']);
    expect(await namesOf({ tenant, beforeDeadline: NOW + 5_001 })).toEqual(['s']);
    expect(await namesOf({ tenant, beforeDeadline: NOW + 5_000 })).toEqual([]);
    await store.recordDecisions(one.runId, [decision('p', { by: 'alice', verified: true })]);
    await store.recordDecisions(two.runId, [decision('q', { at: NOW + 1 })]);
    expect(await namesOf({ tenant })).toEqual(['s']);
    const { data } = await list({ tenant, status: 'decided' });
    expect(data.map(({ call_id: id }) => id)).toEqual(['q', 'p']);
    expect(data[1]).toMatchObject({
      status: 'decided',
      decision: { type: 'approve', by: 'alice', verified: true, decided_at: NOW / 1000 },
    });
    await store.closeRun(one.runId, { kind: 'expire' }, NOW + 1_000);
    expect(await namesOf({ tenant, status: 'expired' })).toEqual(['s']);
    expect(await namesOf({ tenant, status: 'cancelled' })).toEqual([]);
  });

  test('of 5,000 waiting calls reads one page of the index and no more', async () => {
    const tenant = 'many';
    const { runId } = await asks(tenant, [approval('p')]);
    await db.query(
      `insert into approvals (id, run_id, tenant, thread_id, assistant_id, round, call_id, tool, due_at, on_deadline, status, call)
       select a.id || 'x' || n, a.run_id, a.tenant, a.thread_id, a.assistant_id, 1, 'call_' || n, a.tool, a.due_at + n, a.on_deadline,
         a.status, a.call from approvals a, generate_series(1, 4999) n where a.run_id = $1`,
      [runId],
    );
    // Another tenant's calls are due between them: an index without the tenant would read three times as many.
    await db.query(
      `insert into approvals (id, run_id, tenant, thread_id, assistant_id, round, call_id, tool, due_at, on_deadline, status, call)
       select a.id || 'y' || n, a.run_id, 'crowd', a.thread_id, a.assistant_id, 1, 'call_' || n, a.tool, a.due_at + n / 2, a.on_deadline,
         a.status, a.call from approvals a, generate_series(1, 10000) n where a.run_id = $1 and a.call_id = 'p'`,
      [runId],
    );
    await db.query('analyze approvals');
    for (const who of [tenant, null]) {
      sent.length = 0;
      const first = await list({ tenant: who, limit: 20 });
      expect([first.data.length, first.has_more]).toEqual([20, true]);
      const after = first.last_id ?? '';
      expect((await list({ tenant: who, limit: 20, after })).data).toHaveLength(20);
      const pages = sent.filter(({ text }) => text.includes('of_rows'));
      expect(pages).toHaveLength(2);
      for (const { text, params } of pages) {
        const [row] = await db.query<{ 'QUERY PLAN': unknown }>(
          `explain (analyze, format json) ${text}`,
          params,
        );
        const scans = scansOf(row?.['QUERY PLAN']).filter(({ relation }) => relation === 'approvals');
        expect(scans).toEqual([
          {
            relation: 'approvals',
            index: who === null ? 'approvals_waiting' : 'approvals_waiting_of_tenant',
            rows: 21,
          },
        ]);
      }
    }
    await store.closeRun(runId, { kind: 'cancel' }, NOW);
    expect(await namesOf({ tenant })).toEqual([]);
  });
});

interface Scan {
  relation: string;
  index: string;
  rows: number;
}
/** Every scan of a table in a plan, with the rows that it read. */
const scansOf = (plan: unknown): Scan[] => {
  if (Array.isArray(plan)) return plan.flatMap(scansOf);
  if (typeof plan !== 'object' || plan === null) return [];
  const node = plan as Record<string, unknown>;
  const below = [node['Plan'], node['Plans']].flatMap(scansOf);
  return typeof node['Relation Name'] === 'string'
    ? [
        ...below,
        {
          relation: node['Relation Name'],
          index: String(node['Index Name'] ?? node['Node Type']),
          rows: Number(node['Actual Rows']) + Number(node['Rows Removed by Filter'] ?? 0),
        },
      ]
    : below;
};

describe('one approval', () => {
  test('says what the tool is, what the assistant said, what follows, and what was decided', async () => {
    const parameters = { type: 'object', properties: { q: { type: 'number' } } };
    const run = await startedRun(store, 'details', NOW, {
      params: { tools: [{ type: 'function', function: { name: 'pay', description: 'Pays.', parameters } }] },
    });
    const hostile = '{"q":1,"note":"\u202Eevil\\u0000"}';
    await turn(run.runId, [{ ...approval('p'), arguments: hostile }], 'I will pay now.');
    const refused = { code: 'arguments_digest_mismatch', message: 'other arguments' };
    await store.recordRefusedDecision(run.runId, decision('p', { round: 0, name: '', refused }));
    await store.recordDecisions(run.runId, [decision('p', { editedArguments: '{}' })]);
    await store.recordDecisions(run.runId, [decision('p', { at: NOW + 1, refusedEdit: 'q is missing' })]);
    const scope = { ...SCOPE, tenant: 'details' };
    const found = await store.getApproval(scope, await idOf('details', 'p'));
    expect(found).toMatchObject({
      status: 'waiting',
      description: 'Pays.',
      parameters,
      said: 'I will pay now.',
      arguments: hostile,
      arguments_value: JSON.parse(hostile),
      arguments_problem: null,
      consequence: expect.stringMatching(/^The run expires: the tool does not run/),
      decision: null,
      refused_edit: 'q is missing',
    });
    expect(found.arguments_shown).toContain('\\u202e');
    expect(found.decisions.map((one) => [one.decision, one.refused?.code ?? null, one.refused_edit])).toEqual(
      [
        ['approve', refused.code, null],
        ['approve', null, null],
        ['approve', null, 'q is missing'],
      ],
    );
  });

  test('of another tenant, or of a tool that the key does not have, is not found', async () => {
    await asks('owner', [approval('p')]);
    const id = await idOf('owner', 'p');
    for (const scope of [
      { ...SCOPE, tenant: 'stranger' },
      { ...SCOPE, tenant: 'owner', tools: ['ship'] },
    ]) {
      await expect(store.getApproval(scope, id)).rejects.toMatchObject({ status: 404 });
      await expect(store.findApproval(scope, id)).rejects.toMatchObject({ status: 404 });
    }
    expect(await store.findApproval({ ...SCOPE, tenant: null }, id)).toMatchObject({ tenant: 'owner' });
  });
});

const changes = async (after: string, tenant: string | null, limit = 64) => {
  const read = await store.approvalChanges({ ...SCOPE, tenant, after, limit });
  return { ...read, names: read.changes.map(({ approval: one }) => `${one.call_id} ${one.status}`) };
};
const start = async () => (await store.approvalChanges({ ...SCOPE, after: null, limit: 1 })).after;

describe('changes', () => {
  test('come once each in order, and of several changes of a call the last', async () => {
    const tenant = 'changes';
    const from = await start();
    const { runId } = await asks(tenant, [approval('p'), approval('q')]);
    await asks('someone-else', [approval('x')]);
    const waited = await changes(from, tenant);
    expect(waited.names).toEqual(['p waiting', 'q waiting']);
    await store.recordDecisions(runId, [decision('q')]);
    expect((await changes(waited.after, tenant)).names).toEqual(['q decided']);
    expect((await changes(from, tenant)).names).toEqual(['p waiting', 'q decided']);
    const first = await changes(from, tenant, 1);
    expect([first.names, first.more]).toEqual([['p waiting'], true]);
    expect((await changes(first.after, tenant)).names).toEqual(['q decided']);
    // An event's own id is a place, too.
    expect((await changes(waited.changes[0]?.id ?? '', tenant)).names).toEqual(['q decided']);
  });

  test('wake their readers, and wait for a transaction that began before them', async () => {
    const watch = store.watchApprovals();
    const from = await start();
    const { runId } = await asks('wakes', [approval('p')]);
    const signal = AbortSignal.timeout(10_000);
    await watch.nextChange({ timeoutMs: 10_000, signal });
    expect(signal.aborted).toBe(false);
    watch.close();
    const waited = await changes(from, 'wakes');
    // A row of a transaction that has not ended, as another connection sees it.
    await db.query(
      "update approvals set status = 'decided', changed_in = pg_snapshot_xmax(pg_current_snapshot())::text::bigint + 5 where run_id = $1",
      [runId],
    );
    expect(await changes(waited.after, 'wakes')).toMatchObject({ names: [], behind: true, more: false });
  });
});

const runOf = ({ threadId, runId }: { threadId: string; runId: string }) => store.getRun(T, threadId, runId);
const callsOf = async ({ threadId, runId }: { threadId: string; runId: string }) => {
  const [step] = (await store.listSteps(T, threadId, runId, { limit: 1, order: 'desc' })).data;
  return step?.step_details.type === 'tool_calls' ? step.step_details.tool_calls : [];
};
const awaited = (callId: string) => ({
  call_id: callId,
  tool: 'pay',
  kind: 'approval',
  on_deadline: 'fail',
  answer_by: NOW / 1000 + 600,
});
const eventsOf = async (runId: string) =>
  (await store.readEvents(runId, { after: 0, limit: 100, gaps: 'refuse' })).events.flatMap(
    ({ event, data }) => ('awaiting' in data ? [[event, data.awaiting]] : []),
  );

describe('what a run shows', () => {
  test('names the calls that wait, by whom, until when; a decision takes its call out, a refused edit brings it back', async () => {
    const run = await asks(T, [approval('p'), approval('q')]);
    expect(await runOf(run)).toMatchObject({
      status: 'in_progress',
      required_action: null,
      awaiting: [awaited('p'), awaited('q')],
    });
    const { call_id: _id, tool: _tool, ...mark } = awaited('p');
    expect((await callsOf(run)).map((call) => call.awaiting)).toEqual([mark, mark]);
    await store.recordDecisions(run.runId, [decision('p', { editedArguments: '{}' })]);
    expect((await runOf(run)).awaiting).toEqual([awaited('q')]);
    expect((await callsOf(run)).map((call) => [call.awaiting, call.decision?.type])).toEqual([
      [undefined, 'approve'],
      [mark, undefined],
    ]);
    await store.recordDecisions(run.runId, [decision('p', { at: NOW + 1, refusedEdit: 'no q' })]);
    expect((await runOf(run)).awaiting).toEqual([awaited('p'), awaited('q')]);
    expect((await callsOf(run)).map((call) => [call.awaiting, call.decision])).toEqual([
      [mark, undefined],
      [mark, undefined],
    ]);
    await store.recordDecisions(run.runId, [
      decision('p', { at: NOW + 2 }),
      decision('q', { at: NOW + 2, decision: 'deny' }),
    ]);
    expect(await runOf(run)).not.toHaveProperty('awaiting');
    expect(await eventsOf(run.runId)).toEqual([
      ['thread.run.in_progress', [awaited('p'), awaited('q')]],
      ['thread.run.in_progress', [awaited('q')]],
      ['thread.run.in_progress', [awaited('p'), awaited('q')]],
      ['thread.run.in_progress', [awaited('q')]],
    ]);
  });

  test('names outputs that the caller owes, and nothing once the run goes on or ends', async () => {
    const run = await asks(T, [external('e', 'ask'), approval('p')]);
    const output = { ...awaited('e'), tool: 'ask', kind: 'output' };
    expect(await runOf(run)).toMatchObject({ status: 'requires_action', awaiting: [output, awaited('p')] });
    await store.acceptOutputs(run.runId, [{ tool_call_id: 'e', output: 'x' }], { now: NOW, by: null });
    expect((await callsOf(run)).map((call) => call.awaiting?.kind)).toEqual([undefined, 'approval']);
    await store.closeRun(run.runId, { kind: 'expire' }, NOW + 1);
    expect(await runOf(run)).not.toHaveProperty('awaiting');
    expect((await callsOf(run)).map((call) => call.awaiting)).toEqual([undefined, undefined]);
  });

  test('stays small when nothing waits', async () => {
    const run = await startedRun(store, T, NOW);
    expect(await runOf(run)).not.toHaveProperty('awaiting');
  });
});

/** As an older version leaves them: no rows of approvals, and nothing on the run. */
const forget = async (runId: string) => {
  await db.query('delete from approvals where run_id = $1', [runId]);
  await db.query('update rounds set listed = null where run_id = $1', [runId]);
};
const states = async (tenant: string) => {
  const rows = await db.query<{ call_id: string; status: string; late: boolean }>(
    'select call_id, status, late from approvals where tenant = $1 order by position',
    [tenant],
  );
  return rows.map(({ call_id: id, status, late }) => `${id} ${status}${late ? ' late' : ''}`);
};

describe('rounds that an older process wrote', () => {
  test('get their rows in a pass, with what was decided and what went by', async () => {
    const tenant = 'older';
    const open = await asks(tenant, [approval('p'), approval('d'), external('e', 'ask')]);
    await store.recordDecisions(open.runId, [decision('d')]);
    await forget(open.runId);
    const over = await asks(tenant, [approval('f', LATE), approval('h', { onDeadline: 'placeholder' })]);
    await store.acceptOutputs(
      over.runId,
      ['f', 'h'].map((id) => ({ tool_call_id: id, output: 'later' })),
      { now: NOW, by: null },
    );
    await forget(over.runId);
    const cancelled = await asks(tenant, [approval('c')]);
    await store.closeRun(cancelled.runId, { kind: 'cancel' }, NOW);
    await forget(cancelled.runId);
    expect(await store.adoptApprovals(100)).toBe(3);
    expect(new Set(await states(tenant))).toEqual(
      new Set(['p waiting', 'd decided', 'f waiting late', 'h expired', 'c cancelled']),
    );
    expect(await store.adoptApprovals(100)).toBe(0);
    expect(await namesOf({ tenant })).toEqual(['f', 'p']);
  });

  test('are followed when the older process decides, goes on, or ends the run', async () => {
    const tenant = 'followed';
    const runs = await Promise.all(
      ['p', 'f', 'x'].map((id) => asks(tenant, [approval(id, id === 'f' ? LATE : {})])),
    );
    for (const { runId } of runs) await forget(runId);
    await store.adoptApprovals(100);
    const [decided, late, ended] = runs.map(({ runId }) => runId);
    await db.query(
      `insert into decisions (id, tenant, thread_id, run_id, tool, decided_at, body) values ('dec_0', $1, 't', $2, 'pay', $3, $4::json)`,
      [tenant, decided ?? '', NOW, JSON.stringify(decision('p'))],
    );
    await db.query(`update rounds set done = true, outputs = '{"f":"later"}'::json where run_id = $1`, [
      late ?? '',
    ]);
    await db.query("update runs set status = 'expired', ended_at = $2 where id = $1", [ended ?? '', NOW]);
    await store.adoptApprovals(100);
    expect(new Set(await states(tenant))).toEqual(new Set(['p decided', 'f waiting late', 'x expired']));
  });

  test('late calls expire when their time is over', async () => {
    const tenant = 'late-over';
    const { runId } = await asks(tenant, [approval('f', LATE)]);
    await store.acceptOutputs(runId, [{ tool_call_id: 'f', output: 'later' }], { now: NOW, by: null });
    await store.closeRun(runId, { kind: 'expire' }, NOW);
    expect(await store.expireLateApprovals(NOW, 100)).toBe(0);
    expect(await states(tenant)).toEqual(['f waiting late']);
    expect(await store.expireLateApprovals(NOW + 1, 100)).toBe(1);
    expect(await states(tenant)).toEqual(['f expired late']);
  });
});
