/** Votes and comments in the store: every entry is kept, and the approval shows what they make together. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Decision } from '../../../protocol/decisions.ts';
import { argumentsDigest } from '../../../protocol/rules/arguments-digest.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import { approval, votable } from '../../support/run-stubs.ts';
import { memoryStore, startedRun } from '../../support/store.ts';

let store: Store;
beforeAll(async () => {
  store = await memoryStore();
}, 60_000);
afterAll(() => store.close());

const NOW = 1_800_000_000_000;
const T = 'tenant-a';
const SCOPE = { tenant: T, tools: null, followUpWithinMs: 1_000_000 };
const DIGEST = argumentsDigest({ q: 1 });

const waiting = async () => {
  const run = await startedRun(store, T, NOW);
  const claim = await store.claim(run.runId, NOW);
  if (claim === null) throw new Error('no row');
  const calls = [votable('v', { by: ['leads'], remindAfterMs: 60_000 }), approval('p')];
  const outcome = { kind: 'calls' as const, calls, expiresAt: null };
  await store.settleTurn(claim.lease, { outcome, message: null, usage: null }, NOW);
  const { data } = await store.listApprovals({ ...SCOPE, limit: 100, now: NOW, threadId: run.threadId });
  const ids = new Map(data.map(({ call_id: callId, id }) => [callId, id]));
  const read = (callId: string) => store.findApproval(SCOPE, ids.get(callId) ?? '');
  return { ...run, read, id: (callId: string) => ids.get(callId) ?? '' };
};
const entry = (number: number, decision: Decision['decision'], more: Partial<Decision> = {}): Decision => ({
  callId: 'v',
  name: 'pay',
  round: 1,
  decision,
  at: NOW,
  door: 'http',
  arguments: null,
  entry: number,
  undecided: true,
  ...(decision === 'approve' ? { countsFor: DIGEST } : {}),
  ...more,
});

test('a call shows its policy, its votes, and how many more it needs, until the last one decides', async () => {
  const run = await waiting();
  expect(await run.read('v')).toMatchObject({
    policy: { by: ['leads'], quorum: 2, veto: false, remind_after: 60, escalate_after: null },
    votes: [],
    votes_needed: 2,
    assigned_to: { groups: ['leads'], people: [] },
  });
  expect(await run.read('p')).toMatchObject({ policy: null, votes: [], votes_needed: 1 });

  // In one millisecond, and the later one first.
  await store.recordDecisions(run.runId, [entry(1, 'remind', { door: 'workflow', at: NOW + 60_000 })]);
  await store.recordDecisions(run.runId, [entry(0, 'approve', { by: 'ann', verified: true })]);
  await store.recordDecisions(run.runId, [entry(0, 'approve', { by: 'ann', verified: true })]);
  expect(await run.read('v')).toMatchObject({
    status: 'waiting',
    decision: null,
    votes: [{ by: 'ann', decision: 'approve', verified: true, arguments_digest: DIGEST, reason: null }],
    votes_needed: 1,
    reminded_at: (NOW + 60_000) / 1000,
  });
  const to = { people: ['dan'], groups: ['heads'] };
  await store.recordDecisions(run.runId, [entry(2, 'delegate', { by: 'bob', to, note: 'away' })]);
  expect(await run.read('v')).toMatchObject({ assigned_to: { groups: ['leads', 'heads'], people: ['dan'] } });

  const { undecided: _open, ...last } = entry(3, 'approve', { by: 'dan', inPlaceOf: 'bob' });
  await store.recordDecisions(run.runId, [last]);
  expect(await run.read('v')).toMatchObject({
    status: 'decided',
    decision: { type: 'approve', by: 'dan' },
    votes: [{ by: 'ann' }, { by: 'dan', in_place_of: 'bob' }],
    votes_needed: 0,
  });
  const { data } = await store.listDecisions(T, run.threadId, run.runId, {
    limit: 100,
    order: 'asc',
    tools: null,
  });
  expect(data.map(({ decision, by, undecided }) => [decision, by, undecided])).toEqual([
    ['remind', null, true],
    ['approve', 'ann', true],
    ['delegate', 'bob', true],
    ['approve', 'dan', false],
  ]);
});

test('votes of one millisecond are entries of their own', async () => {
  const run = await waiting();
  await store.recordDecisions(run.runId, [
    entry(0, 'deny', { by: 'ann', reason: 'no' }),
    entry(1, 'deny', { by: 'ann', reason: 'never' }),
    entry(2, 'approve', { by: 'bob', countsFor: 'd1', editedArguments: '{"q":2}' }),
  ]);
  expect((await run.read('v')).votes).toMatchObject([
    { by: 'ann', reason: 'never' },
    { by: 'bob', edited_arguments: '{"q":2}', arguments_digest: 'd1' },
  ]);
  const details = await store.getApproval(SCOPE, run.id('v'));
  expect(details.decisions).toHaveLength(3);
});

test('comments stay with the call and in the record, and readers of changes see them', async () => {
  const run = await waiting();
  const { after } = await store.approvalChanges({ ...SCOPE, limit: 100, after: null });
  const comment = { by: 'ann', verified: true as const, text: 'Ask <b>first</b>', at: NOW + 5_000 };
  await store.commentApproval(SCOPE, run.id('v'), comment);
  const shown = await store.commentApproval(SCOPE, run.id('v'), { text: 'Twice', at: NOW + 6_000 });
  expect(shown.comments).toEqual([
    { by: 'ann', verified: true, at: NOW / 1000 + 5, text: 'Ask <b>first</b>' },
    { by: null, verified: false, at: NOW / 1000 + 6, text: 'Twice' },
  ]);
  const { changes } = await store.approvalChanges({ ...SCOPE, limit: 100, after });
  expect(changes.map(({ approval: { call_id: id, comments } }) => [id, comments.length])).toEqual([['v', 2]]);
  const details = await store.getApproval(SCOPE, run.id('v'));
  expect(details.decisions.map(({ decision, note }) => [decision, note])).toEqual([
    ['comment', 'Ask <b>first</b>'],
    ['comment', 'Twice'],
  ]);
  expect(details.status).toBe('waiting');
  await expect(store.commentApproval({ ...SCOPE, tenant: 'other' }, run.id('v'), comment)).rejects.toThrow(
    /No approval found/,
  );
});

test.each([
  ['ann', ['leads'], true, { may_decide: true, reason: null, decision: 'approve' }],
  ['bob', ['leads'], true, { may_decide: true, reason: null, decision: null }],
  [
    'eve',
    [],
    true,
    { may_decide: false, reason: expect.stringContaining('"eve" is in no group'), decision: null },
  ],
])('the details tell %s of %o what a decision of theirs would be', async (by, groups, verified, expected) => {
  const run = await waiting();
  await store.recordDecisions(run.runId, [entry(0, 'approve', { by: 'ann', countsFor: 'd1' })]);
  const voter = { by, groups, ...(verified ? { verified: true as const } : {}) };
  expect((await store.getApproval(SCOPE, run.id('v'), voter)).your_vote).toEqual(expected);
  expect((await store.getApproval(SCOPE, run.id('v'))).your_vote).toBeNull();
});
