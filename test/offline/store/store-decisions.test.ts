/** Decisions in the store: kept once and for good, shown in the step, and read by those who may. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Decision } from '../../../protocol/decisions.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import type { RunStep } from '../../../protocol/wire/objects.ts';
import { approval } from '../../support/run-stubs.ts';
import { ROOT } from '../../support/sources.ts';
import { external, memoryStore, startedRun } from '../../support/store.ts';

let store: Store;
beforeAll(async () => {
  store = await memoryStore();
}, 60_000);
afterAll(() => store.close());

const T = 'tenant-a';
const NOW = 1_800_000_000_000;
const ALL = { limit: 100, order: 'asc', tools: null } as const;

const decision = (callId: string, more: Partial<Decision> = {}): Decision => ({
  callId,
  name: 'pay',
  round: 1,
  decision: 'approve',
  at: NOW + 500,
  door: 'http',
  by: 'alice',
  verified: true,
  arguments: null,
  ...more,
});

/** A run that waits for two approvals and an output. */
const waiting = async () => {
  const run = await startedRun(store, T, NOW);
  const claim = await store.claim(run.runId, NOW);
  if (claim === null) throw new Error('no row');
  const calls = [approval('p'), approval('s', {}, 'ship'), external('e', 'ask')];
  const outcome = { kind: 'calls' as const, calls, expiresAt: null };
  await store.settleTurn(claim.lease, { outcome, message: null, usage: null }, NOW);
  return run;
};
const list = (
  { threadId, runId }: { threadId: string; runId: string },
  query: Partial<Parameters<Store['listDecisions']>[3]> = {},
  tenant = T,
) => store.listDecisions(tenant, threadId, runId, { ...ALL, ...query });
const stepOf = async ({ threadId, runId }: { threadId: string; runId: string }): Promise<RunStep> => {
  const [step] = (await store.listSteps(T, threadId, runId, { limit: 1, order: 'desc' })).data;
  if (step === undefined) throw new Error('no step');
  return step;
};

test('a decision is kept once, with the arguments that the model made, and repeats add nothing', async () => {
  const run = await waiting();
  await store.recordDecisions(run.runId, [decision('p', { editedArguments: '{"q":2}', note: 'as agreed' })]);
  await store.recordDecisions(run.runId, [decision('p', { editedArguments: '{"q":2}', by: 'mallory' })]);
  const { data } = await list(run);
  expect(data).toEqual([
    {
      id: expect.stringMatching(/^dec_[0-9a-f]{24}$/),
      object: 'thread.run.decision',
      created_at: NOW / 1000,
      thread_id: run.threadId,
      run_id: run.runId,
      call_id: 'p',
      tool: 'pay',
      decision: 'approve',
      by: 'alice',
      verified: true,
      door: 'http',
      arguments: '{"q":1}',
      edited: true,
      edited_arguments: '{"q":2}',
      reason: null,
      note: 'as agreed',
      shown_digest: null,
      late: false,
      refused_edit: null,
      undecided: false,
      counts_for: null,
      in_place_of: null,
      to: null,
      refused: null,
    },
  ]);
});

test('the open step shows it, and keeps it when outputs come and the step completes', async () => {
  const run = await waiting();
  await store.recordDecisions(run.runId, [decision('p', { editedArguments: '{"q":2}' })]);
  const trace = {
    type: 'approve',
    decided_at: NOW / 1000,
    by: 'alice',
    verified: true,
    edited_arguments: '{"q":2}',
  };
  expect(await stepOf(run)).toMatchObject({
    status: 'in_progress',
    step_details: { tool_calls: [{ id: 'p', decision: trace }, { id: 's' }, { id: 'e' }] },
  });
  await store.acceptOutputs(run.runId, [{ tool_call_id: 'e', output: 'x' }], { now: NOW + 1, by: null });
  await store.acceptOutputs(
    run.runId,
    ['p', 's'].map((id) => ({ tool_call_id: id, output: 'y' })),
    { now: NOW + 2, by: null, decisions: [decision('s', { name: 'ship', decision: 'deny', by: 'bob' })] },
  );
  const step = await stepOf(run);
  expect(step).toMatchObject({
    status: 'completed',
    step_details: {
      tool_calls: [
        { id: 'p', decision: trace, function: { arguments: '{"q":1}', output: 'y' } },
        { id: 's', decision: { type: 'deny', by: 'bob' } },
        { id: 'e', function: { output: 'x' } },
      ],
    },
  });
  expect(JSON.stringify(step)).not.toContain('"decision":null');
  expect((await list(run)).data.map(({ call_id }) => call_id)).toEqual(['p', 's']);
});

test('refused outputs store no decision, and the end of a run stores the missing ones', async () => {
  const run = await waiting();
  await store.acceptOutputs(run.runId, [{ tool_call_id: 'e', output: 'x' }], { now: NOW, by: null });
  await expect(
    store.acceptOutputs(run.runId, [{ tool_call_id: 'e', output: 'z' }], {
      now: NOW,
      by: null,
      decisions: [decision('p')],
    }),
  ).rejects.toMatchObject({ code: 'output_conflict' });
  expect((await list(run)).data).toEqual([]);
  await store.closeRun(run.runId, { kind: 'cancel' }, NOW + 5, [decision('p')]);
  await store.closeRun(run.runId, { kind: 'cancel' }, NOW + 6, [
    decision('p'),
    decision('s', { name: 'ship' }),
  ]);
  expect((await list(run)).data.map(({ call_id }) => call_id)).toEqual(['p', 's']);
});

test('a decision whose arguments the tool refused leaves the step, and the next one takes its place', async () => {
  const run = await waiting();
  await store.recordDecisions(run.runId, [decision('p', { editedArguments: '{}' })]);
  await store.recordDecisions(run.runId, [decision('p', { at: NOW + 600, refusedEdit: 'q is missing' })]);
  expect(JSON.stringify(await stepOf(run))).not.toContain('decision');
  await store.recordDecisions(run.runId, [decision('p', { at: NOW + 700, by: 'bob' })]);
  expect(await stepOf(run)).toMatchObject({
    step_details: { tool_calls: [{ decision: { by: 'bob' } }, {}, {}] },
  });
  expect((await list(run)).data.map(({ by, refused_edit }) => [by, refused_edit])).toEqual([
    ['alice', null],
    ['alice', 'q is missing'],
    ['bob', null],
  ]);
});

describe('a decision that was refused', () => {
  const refused = { code: 'conflicting_answer', message: 'The first answer stands.' };
  const second = (more: Partial<Decision> = {}): Decision =>
    decision('p', { name: '', round: 0, decision: 'deny', by: 'bob', at: NOW + 900, refused, ...more });

  test('is kept beside the one that counts, once for each difference, and does not appear in the step', async () => {
    const run = await waiting();
    await store.recordDecisions(run.runId, [decision('p')]);
    await store.recordRefusedDecision(run.runId, second());
    await store.recordRefusedDecision(run.runId, second({ at: NOW + 1_900 }));
    await store.recordRefusedDecision(run.runId, second({ by: 'carol' }));
    const { data } = await list(run);
    expect(data.map(({ by, decision: said, refused: why }) => [by, said, why?.code ?? null])).toEqual([
      ['alice', 'approve', null],
      ['bob', 'deny', 'conflicting_answer'],
      ['carol', 'deny', 'conflicting_answer'],
    ]);
    expect(data[1]).toMatchObject({ tool: 'pay', arguments: '{"q":1}', created_at: NOW / 1000, refused });
    expect(await stepOf(run)).toMatchObject({
      step_details: { tool_calls: [{ decision: { type: 'approve', by: 'alice' } }, {}, {}] },
    });
  });

  test('is kept a hundred times for a run at most, without arguments that are long, and about a call of the run', async () => {
    const run = await waiting();
    const editedArguments = JSON.stringify({ q: 'x'.repeat(9_000) });
    await store.recordRefusedDecision(run.runId, second({ editedArguments, by: 'a\u0000b' }));
    await store.recordRefusedDecision(run.runId, second({ callId: 'nowhere' }));
    for (let count = 0; count < 105; count += 1)
      await store.recordRefusedDecision(run.runId, second({ note: String(count) }));
    const { data } = await list(run);
    expect(data).toHaveLength(100);
    expect(data[0]).toMatchObject({ by: 'a\u0000b', edited: true, edited_arguments: null });
    await store.recordDecisions(run.runId, [decision('p')]);
    expect((await list(run, { order: 'desc', limit: 1 })).data).toMatchObject([
      { by: 'alice', refused: null },
    ]);
  });
});

test('is read in pages, by its tenant, and by tool where a key names its tools', async () => {
  const run = await waiting();
  const first = decision('p', { at: NOW + 1 });
  const all = [first, decision('s', { name: 'ship', at: NOW + 2 }), decision('p', { at: NOW + 3 })];
  await store.recordDecisions(run.runId, all);
  const page = await list(run, { limit: 2 });
  expect([page.data.map(({ tool }) => tool), page.has_more]).toEqual([['pay', 'ship'], true]);
  const rest = await list(run, { after: page.last_id ?? '' });
  expect([rest.data.map(({ tool }) => tool), rest.has_more]).toEqual([['pay'], false]);
  expect((await list(run, { tools: ['ship'] })).data.map(({ tool }) => tool)).toEqual(['ship']);
  expect((await list(run, { tools: [] })).data).toEqual([]);
  await expect(list(run, {}, 'tenant-b')).rejects.toMatchObject({ status: 404 });
  await expect(list({ ...run, threadId: 'thread_other' })).rejects.toMatchObject({ status: 404 });
});

test('outlives the thread that it was about', async () => {
  const run = await waiting();
  await store.recordDecisions(run.runId, [decision('p')]);
  await store.closeRun(run.runId, { kind: 'cancel' }, NOW);
  await store.deleteThread(T, run.threadId);
  await expect(store.getRun(T, run.threadId, run.runId)).rejects.toMatchObject({ status: 404 });
  expect((await list(run)).data).toMatchObject([{ call_id: 'p', arguments: '{"q":1}', by: 'alice' }]);
  expect(await store.ownerOf('thread', run.threadId)).toBe(T);
});

test('keeps what no text column takes, and is of its newest round where it names none', async () => {
  const run = await waiting();
  const odd = { by: 'a\u0000b', note: '\ud800', reason: 'no\u0000' };
  await store.recordDecisions(run.runId, [decision('p', { ...odd, round: 0, late: true })]);
  expect((await list(run)).data).toMatchObject([{ ...odd, arguments: '{"q":1}', late: true }]);
  expect(JSON.stringify(await stepOf(run))).not.toContain('decision');
});

test('no statement of the project changes or deletes one', () => {
  const files = readdirSync(join(ROOT, 'store')).filter((file) => file.endsWith('.ts'));
  const sources = files.map((file) => readFileSync(join(ROOT, 'store', file), 'utf8')).join('\n');
  expect(sources).toContain('insert into decisions');
  expect(sources).not.toMatch(/(?:update|delete from|truncate|alter table)\s+"?decisions/i);
});
