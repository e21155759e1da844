/** The list of calls that wait for an approval: which are there, which are not any more, and whose they are. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Decision } from '../../../protocol/decisions.ts';
import type { ApprovalQuery, Store } from '../../../protocol/ports/run-store.ts';
import type { PlannedCall } from '../../../protocol/tool-calls.ts';
import { approval } from '../../support/run-stubs.ts';
import { automatic, external, memoryStore, startedRun } from '../../support/store.ts';

let store: Store;
beforeAll(async () => {
  store = await memoryStore();
}, 60_000);
afterAll(() => store.close());

const NOW = 1_800_000_000_000;
const FOLLOW_UP = 1_000_000;
const list = (tenant: string | null, more: Partial<ApprovalQuery> = {}) =>
  store.listApprovals({
    tenant,
    tools: null,
    limit: 100,
    now: NOW,
    followUpWithinMs: FOLLOW_UP,
    ...more,
  });
const namesOf = async (...args: Parameters<typeof list>) =>
  (await list(...args)).data.map(({ call_id }) => call_id);

const turn = async (runId: string, calls: PlannedCall[]) => {
  const claim = await store.claim(runId, NOW);
  if (claim === null) throw new Error('no row');
  const outcome = { kind: 'calls' as const, calls, expiresAt: null };
  await store.settleTurn(claim.lease, { outcome, message: null, usage: null }, NOW);
};
const asks = async (tenant: string, calls: PlannedCall[]) => {
  const run = await startedRun(store, tenant, NOW);
  await turn(run.runId, calls);
  return run;
};
/** The run has gone on with these outputs: placeholders, as its workflow gives them. */
const wentOn = (runId: string, callIds: string[]) =>
  store.acceptOutputs(
    runId,
    callIds.map((id) => ({ tool_call_id: id, output: 'later' })),
    { now: NOW, by: null },
  );
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

test('each call says what a person needs in order to decide, and which run it is of', async () => {
  const gated = {
    ...approval('p', { answerWithinMs: 90_000 }),
    argumentsDigest: 'd',
    digestRequired: true as const,
  };
  const run = await asks('full', [external('e', 'ask'), gated, automatic('a', 'look')]);
  const { data, has_more: more } = await list('full');
  expect(more).toBe(false);
  expect(data).toEqual([
    {
      id: expect.stringMatching(/^appr_\d+_1_1$/),
      object: 'approval',
      created_at: NOW / 1000,
      tenant: 'full',
      thread_id: run.threadId,
      run_id: run.runId,
      assistant_id: run.assistantId,
      call_id: 'p',
      tool: 'pay',
      kind: 'approval',
      status: 'waiting',
      arguments: '{"q":1}',
      arguments_digest: 'd',
      digest_required: true,
      requested_by: null,
      answer_by: NOW / 1000 + 90,
      on_deadline: 'fail',
      answer_within: 90,
      late: false,
      expires_at: NOW / 1000 + 600,
      decision: null,
      refused_edit: null,
      policy: null,
      votes: [],
      votes_needed: 1,
      assigned_to: { groups: [], people: [] },
      reminded_at: null,
      escalated_at: null,
      comments: [],
    },
  ]);
});

test('a decided call is gone, and is back when the tool refused the arguments that were given', async () => {
  const { runId } = await asks('decided', [approval('p'), approval('s', {}, 'ship')]);
  expect(await namesOf('decided')).toEqual(['p', 's']);
  await store.recordDecisions(runId, [decision('p', { editedArguments: '{}' })]);
  expect(await namesOf('decided')).toEqual(['s']);
  await store.recordDecisions(runId, [decision('p', { at: NOW + 1, refusedEdit: 'q is missing' })]);
  expect(await namesOf('decided')).toEqual(['p', 's']);
  await store.recordDecisions(runId, [decision('p', { at: NOW + 2 })]);
  expect(await namesOf('decided')).toEqual(['s']);
});

test('calls whose output is there, of rounds that are done, or of runs that have ended are not listed', async () => {
  const { runId } = await asks('over', [approval('p'), external('e', 'ask')]);
  await store.acceptOutputs(runId, [{ tool_call_id: 'p', output: 'x' }], { now: NOW, by: null });
  expect(await namesOf('over')).toEqual([]);
  const cancelled = await asks('over', [approval('q')]);
  expect(await namesOf('over', { now: NOW + 600_000 })).toEqual([]);
  expect(await namesOf('over')).toEqual(['q']);
  await store.markCancelling('over', cancelled.threadId, cancelled.runId, NOW);
  expect(await namesOf('over')).toEqual([]);
});

test('a call whose time is over is listed only where a late answer is taken', async () => {
  const within = { answerWithinMs: 1_000 };
  await asks('late', [
    approval('placeholder', { ...within, onDeadline: 'placeholder' }),
    approval('follow', { ...within, onDeadline: 'follow-up' }),
  ]);
  expect(await namesOf('late', { now: NOW + 999 })).toEqual(['placeholder', 'follow']);
  expect(await namesOf('late', { now: NOW + 1_000 })).toEqual(['follow']);
});

const LATE = { answerWithinMs: 1_000, onDeadline: 'follow-up' } as const;

test('a call that its run went on without is listed as late, as long as its answer starts a run that follows', async () => {
  const { runId } = await asks('gone-on', [
    approval('f', LATE),
    approval('p', { ...LATE, onDeadline: 'placeholder' }),
    { ...external('e', 'ask'), plan: { kind: 'external', wait: LATE } },
  ]);
  await wentOn(runId, ['f', 'p', 'e']);
  expect((await list('gone-on')).data).toMatchObject([{ call_id: 'f', late: true, expires_at: null }]);
  await store.closeRun(runId, { kind: 'expire' }, NOW + 5_000);
  const { data } = await list('gone-on', { now: NOW + 5_000 + FOLLOW_UP - 1 });
  expect(data).toMatchObject([{ call_id: 'f', late: true, expires_at: (NOW + 5_000 + FOLLOW_UP) / 1000 }]);
  expect(await namesOf('gone-on', { now: NOW + 5_000 + FOLLOW_UP })).toEqual([]);
  expect(await namesOf('gone-on', { tools: ['ship'] })).toEqual([]);
  await store.recordDecisions(runId, [decision('f', { late: true, editedArguments: '{}' })]);
  expect(await namesOf('gone-on')).toEqual([]);
  await store.recordDecisions(runId, [decision('f', { late: true, at: NOW + 1, refusedEdit: 'no q' })]);
  expect(await namesOf('gone-on')).toEqual(['f']);
});

test('a call that was approved in time, or whose run was cancelled, is not late', async () => {
  const { runId, threadId } = await asks('in-time', [approval('f', LATE), approval('g', LATE)]);
  await store.recordDecisions(runId, [decision('f')]);
  await wentOn(runId, ['f', 'g']);
  expect(await namesOf('in-time')).toEqual(['g']);
  await store.markCancelling('in-time', threadId, runId, NOW);
  expect(await namesOf('in-time')).toEqual([]);
});

test('late calls of earlier rounds and open calls of the same run are listed once each, page by page', async () => {
  const { runId } = await asks('rounds', [approval('f', LATE), approval('g', LATE)]);
  await wentOn(runId, ['f', 'g']);
  await turn(runId, [approval('h')]);
  const seen: string[] = [];
  for (let after: string | undefined; seen.length < 9;) {
    const page = await list('rounds', { limit: 1, ...(after === undefined ? {} : { after }) });
    seen.push(...page.data.map(({ call_id, late }) => `${call_id} ${late}`));
    if (!page.has_more || page.last_id === null) break;
    after = page.last_id;
  }
  expect(seen).toEqual(['f true', 'g true', 'h false']);
});

test('a refused decision leaves its call in the list', async () => {
  const { runId } = await asks('refused', [approval('p')]);
  const refused = { code: 'arguments_digest_mismatch', message: 'The call has other arguments.' };
  await store.recordRefusedDecision(runId, decision('p', { round: 0, name: '', refused }));
  expect(await namesOf('refused')).toEqual(['p']);
});

test('a tenant sees its own, a key with tools only those; without a tenant all are seen', async () => {
  await asks('mine', [approval('p'), approval('s', {}, 'ship')]);
  await asks('theirs', [approval('t')]);
  expect(await namesOf('mine')).toEqual(['p', 's']);
  expect(await namesOf('mine', { tools: ['ship'] })).toEqual(['s']);
  expect(await namesOf('mine', { tools: [] })).toEqual([]);
  expect(await namesOf('theirs')).toEqual(['t']);
  const all = await list(null);
  expect(all.data.map(({ tenant }) => tenant)).toEqual(expect.arrayContaining(['mine', 'theirs']));
});

test('pages go on where they ended, also within a run and when its calls are decided meanwhile', async () => {
  const first = await asks(
    'pages',
    ['a', 'b', 'c'].map((id) => approval(id)),
  );
  await asks('pages', [approval('d')]);
  const page = await list('pages', { limit: 2 });
  expect([page.data.map(({ call_id }) => call_id), page.has_more]).toEqual([['a', 'b'], true]);
  await store.recordDecisions(first.runId, [decision('b')]);
  const next = await list('pages', { limit: 2, after: page.last_id ?? '' });
  expect([next.data.map(({ call_id }) => call_id), next.has_more]).toEqual([['c', 'd'], false]);
  expect((await list('pages', { after: next.last_id ?? '' })).data).toEqual([]);
  await expect(list('pages', { after: 'appr_x' })).rejects.toMatchObject({ status: 404 });
});

test('more runs than are read at a time are all seen, and words of a model are no calls', async () => {
  for (let count = 0; count < 101; count += 1)
    await asks('many', [external('e', 'ask', '{"text":"\\"kind\\":\\"approval\\""}')]);
  await asks('many', [approval('p')]);
  expect(await namesOf('many')).toEqual(['p']);
});

test('a page ends before its arguments fill the memory', async () => {
  const long = JSON.stringify({ text: 'x'.repeat(3_000_000) });
  await asks(
    'long',
    ['a', 'b'].map((id) => ({ ...approval(id), arguments: long })),
  );
  const page = await list('long');
  expect([page.data.map(({ call_id }) => call_id), page.has_more]).toEqual([['a'], true]);
});
