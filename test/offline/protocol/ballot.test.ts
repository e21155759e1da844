/** Votes: who has one, what they decide, and that the ballot is the same however its entries arrive. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Decision, Voter } from '../../../protocol/decisions.ts';
import {
  ANYBODY,
  EMPTY_BALLOT,
  admitHandOver,
  admitVote,
  assignedTo,
  ballotOf,
  verdictOf,
  withEntry,
  type Ballot,
} from '../../../protocol/rules/ballot.ts';
import type { ApprovalPolicy } from '../../../protocol/tool-calls.ts';

const OWN = 'd0';
const policy = (more: Partial<ApprovalPolicy> = {}): ApprovalPolicy => ({ ...ANYBODY, quorum: 2, ...more });
const entry = (decision: Decision['decision'], by: string, more: Partial<Decision> = {}): Decision => ({
  callId: 'a',
  name: 'pay',
  round: 1,
  decision,
  at: 1,
  door: 'http',
  by,
  arguments: null,
  ...(decision === 'approve' ? { countsFor: OWN } : {}),
  ...more,
});
const ballot = (...entries: Decision[]): Ballot =>
  entries
    .map((item, index) => ({ ...item, entry: index }))
    .reduce((state, item) => withEntry(state, item), EMPTY_BALLOT);
const proven = (by: string, ...groups: string[]): Voter => ({ by, verified: true, groups });
const claimed = (by: string): Voter => ({ by });
const EDIT = { countsFor: 'd1', editedArguments: '{"q":2}' };

describe('what the votes decide', () => {
  test.each<[string, Partial<ApprovalPolicy>, Decision[], object]>([
    ['nothing yet', {}, [], { kind: 'undecided', needed: 2 }],
    ['one of two', {}, [entry('approve', 'ann')], { kind: 'undecided', needed: 1 }],
    ['two of two', {}, [entry('approve', 'ann'), entry('approve', 'bob')], { kind: 'approved', digest: OWN }],
    [
      'one person twice counts once',
      {},
      [entry('approve', 'ann'), entry('approve', 'ann')],
      { kind: 'undecided', needed: 1 },
    ],
    [
      'two for different arguments agree on nothing',
      {},
      [entry('approve', 'ann'), entry('approve', 'bob', EDIT)],
      { kind: 'undecided', needed: 1 },
    ],
    [
      'the later vote of a person replaces the earlier one',
      {},
      [entry('approve', 'ann'), entry('approve', 'bob', EDIT), entry('approve', 'ann', EDIT)],
      { kind: 'approved', digest: 'd1', arguments: '{"q":2}' },
    ],
    [
      'without a veto, one denial of two decides nothing',
      {},
      [entry('deny', 'ann'), entry('approve', 'bob')],
      { kind: 'undecided', needed: 1 },
    ],
    [
      'without a veto, as many denials as the quorum deny, and the model reads the reasons',
      {},
      [
        entry('deny', 'ann', { reason: 'no' }),
        entry('approve', 'bob'),
        entry('deny', 'cleo', { reason: 'never' }),
      ],
      { kind: 'denied', reason: 'no; never' },
    ],
    [
      'with a veto, one denial denies',
      { veto: true },
      [entry('approve', 'ann'), entry('deny', 'bob', { reason: 'no' })],
      { kind: 'denied', reason: 'no' },
    ],
    [
      'votes for arguments that the tool refused count no more',
      {},
      [
        entry('approve', 'ann', EDIT),
        entry('approve', 'bob', EDIT),
        entry('approve', 'bob', { ...EDIT, refusedEdit: 'odd' }),
        entry('approve', 'cleo'),
      ],
      { kind: 'undecided', needed: 1 },
    ],
    ['a reminder is no vote', { quorum: 1 }, [entry('remind', 'x')], { kind: 'undecided', needed: 1 }],
  ])('%s', (_what, more, entries, expected) => {
    expect(verdictOf(policy(more), ballot(...entries))).toEqual(expected);
  });
});

describe('who may vote', () => {
  const LEADS = { by: ['leads'] };
  const handed = ballot(entry('delegate', 'ann', { to: { people: ['dan'], groups: ['night'] } }));
  test.each<[string, Partial<ApprovalPolicy>, Ballot, Voter, boolean | string]>([
    ['anybody with a name', {}, EMPTY_BALLOT, claimed('ann'), true],
    ['nobody without a name', {}, EMPTY_BALLOT, {}, false],
    ['people of the group', LEADS, EMPTY_BALLOT, proven('ann', 'leads'), true],
    ['nobody outside of it', LEADS, EMPTY_BALLOT, proven('dan', 'night'), false],
    ['a name without proof, by its claim', LEADS, EMPTY_BALLOT, claimed('dan'), true],
    [
      'no name without proof where proof is asked for',
      { ...LEADS, verified: true },
      EMPTY_BALLOT,
      claimed('ann'),
      false,
    ],
    ['not the person who asked', { notRequester: true }, EMPTY_BALLOT, proven('rita'), false],
    ['the person who asked, where the tool does not mind', {}, EMPTY_BALLOT, proven('rita'), true],
    [
      'people of the escalation, after it',
      { ...LEADS, escalateTo: ['heads'] },
      ballot(entry('escalate', '')),
      proven('eve', 'heads'),
      true,
    ],
    ['not before it', { ...LEADS, escalateTo: ['heads'] }, EMPTY_BALLOT, proven('eve', 'heads'), false],
    ['whoever a vote was handed to, in that place', LEADS, handed, proven('dan'), 'ann'],
    ['a group that it was handed to', LEADS, handed, proven('nina', 'night'), 'ann'],
    ['not who handed it over', LEADS, handed, proven('ann', 'leads'), false],
    [
      'nobody after it was cast',
      LEADS,
      ballot(
        entry('delegate', 'ann', { to: { people: ['dan'], groups: ['night'] } }),
        entry('deny', 'dan', { inPlaceOf: 'ann' }),
      ),
      proven('nina', 'night'),
      false,
    ],
    [
      'a verified vote is not replaced by a claim',
      {},
      ballot(entry('approve', 'ann', { verified: true })),
      claimed('ann'),
      false,
    ],
    ['a claim is replaced by a verified vote', {}, ballot(entry('approve', 'ann')), proven('ann'), true],
  ])('%s', (_what, more, state, voter, expected) => {
    const admitted = admitVote(policy(more), state, 'rita', voter);
    const place = 'inPlaceOf' in admitted ? admitted.inPlaceOf : admitted.ok;
    expect(place).toBe(expected);
  });

  test('a vote is handed on by whoever has it, taken back by its owner, and not handed over once cast', () => {
    const rule = policy(LEADS);
    const on = admitHandOver(rule, handed, 'rita', proven('dan'));
    expect(on).toEqual({ ok: true, inPlaceOf: 'ann' });
    const back = withEntry(
      handed,
      entry('delegate', 'ann', { to: { people: ['ann'], groups: [] }, entry: 9 }),
    );
    expect(admitVote(rule, back, 'rita', proven('ann', 'leads'))).toEqual({ ok: true });
    expect(admitVote(rule, back, 'rita', proven('dan')).ok).toBe(false);
    const cast = withEntry(handed, entry('approve', 'dan', { inPlaceOf: 'ann', entry: 9 }));
    expect(admitHandOver(rule, cast, 'rita', proven('ann', 'leads')).ok).toBe(false);
    expect(admitHandOver(rule, EMPTY_BALLOT, 'rita', proven('dan')).ok).toBe(false);
    expect(assignedTo(rule, handed)).toEqual({ groups: ['leads', 'night'], people: ['dan'] });
  });
});

test('entries make the same ballot in whatever order they arrive, and however often', () => {
  const kinds = fc.constantFrom('approve', 'deny', 'delegate', 'remind', 'escalate') as fc.Arbitrary<
    Decision['decision']
  >;
  const entries = fc
    .array(fc.record({ kind: kinds, by: fc.constantFrom('ann', 'bob', 'cleo'), edit: fc.boolean() }), {
      maxLength: 12,
    })
    .map((list) =>
      list.map(({ kind, by, edit }, index) =>
        entry(kind, by, {
          entry: index,
          at: index,
          ...(kind === 'approve' && edit ? EDIT : {}),
          ...(kind === 'delegate' ? { to: { people: ['dan'], groups: [] } } : {}),
        }),
      ),
    );
  fc.assert(
    fc.property(
      entries.chain((list) =>
        fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
      ),
      ([list, shuffled]) => {
        const straight = list.reduce((state, item) => withEntry(state, item), EMPTY_BALLOT);
        expect(ballotOf(shuffled)).toEqual(straight);
        const [first] = shuffled;
        expect(ballotOf(first === undefined ? [] : [...new Set([...shuffled, first])])).toEqual(straight);
      },
    ),
    { numRuns: 3_000 },
  );
});
