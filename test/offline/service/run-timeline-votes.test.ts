/** The timeline of a run whose call several people decide: votes and all other entries of the record about it. */
import { expect, test } from 'vitest';
import type { RunRows } from '../../../protocol/ports/run-records.ts';
import type { PlannedCall } from '../../../protocol/tool-calls.ts';
import type { Run } from '../../../protocol/wire/objects.ts';
import type { TimelineEntry } from '../../../protocol/wire/run-timeline.ts';
import { timelineOf } from '../../../service/timeline/index.ts';
import { POLICY } from '../../support/store.ts';

const T = 1_800_000_000_000;
const call: PlannedCall = {
  callId: 'c1',
  name: 'refund',
  arguments: '{}',
  plan: { kind: 'approval', policy: POLICY, wait: { onDeadline: 'fail', answerWithinMs: null } },
};

type Entry = RunRows['decisions'][number];
const entry = (number: number, decision: Entry['decision'], more: Partial<Entry> = {}): Entry => ({
  id: `dec_${number}`,
  callId: 'c1',
  name: 'refund',
  round: 1,
  decision,
  at: T + 30 + number,
  door: decision === 'remind' || decision === 'escalate' ? 'workflow' : 'http',
  arguments: null,
  entry: number,
  undecided: true,
  ...more,
});

/** A run at its first call; `decidedAt`: unix ms, null = the call waits. */
const record = (decisions: Entry[], decidedAt: number | null = null): RunRows => ({
  tenant: 'acme',
  run: {
    id: 'run_1',
    thread_id: 't',
    assistant_id: 'a',
    status: decidedAt === null ? 'requires_action' : 'in_progress',
    model: 'm',
  } as unknown as Run,
  round: 1,
  createdAt: T,
  startedAt: T + 10,
  endedAt: null,
  expiresAt: T + 600_000,
  cancelAskedAt: null,
  usage: null,
  steps: [],
  rounds: [{ round: 1, calls: [call] }],
  approvals: [
    {
      callId: 'c1',
      round: 1,
      tool: 'refund',
      onDeadline: 'fail',
      status: decidedAt === null ? 'waiting' : 'decided',
      askedAt: T + 25,
      decidedAt,
      dueAt: null,
    },
  ],
  decisions,
  cut: false,
});

const entriesOf = (rows: RunRows): TimelineEntry[] =>
  timelineOf(rows, 'gone', { tools: null, failures: true }, T + 1000).entries;
/** Waits and tools as `kind start..end outcome`, in milliseconds after the run's creation. */
const spans = (rows: RunRows): string[] =>
  entriesOf(rows).flatMap((one) =>
    one.kind === 'wait' || one.kind === 'tool'
      ? [`${one.kind} ${one.start_ms - T}..${one.end_ms === null ? '' : one.end_ms - T} ${one.outcome}`]
      : [],
  );

const open = [
  entry(0, 'approve', { by: 'ann', verified: true, countsFor: 'abc' }),
  entry(1, 'delegate', {
    by: 'bob',
    verified: true,
    to: { people: ['dan'], groups: ['heads'] },
    note: 'away',
  }),
  entry(2, 'comment', { by: 'bob', note: 'Ask dan.' }),
  entry(3, 'remind'),
  entry(4, 'escalate', { to: { people: [], groups: ['heads'] } }),
  entry(5, 'deny', { by: 'eve', reason: 'too dear' }),
];
const ofPeople = (rows: RunRows) => entriesOf(rows).filter(({ kind }) => kind === 'decision');

test('votes, hand-overs, comments, reminders and escalations are entries in their order, and start no tool', () => {
  expect(ofPeople(record(open))).toMatchObject([
    { decision: 'approve', by: 'ann', verified: true, undecided: true, to: null, note: null },
    { decision: 'delegate', by: 'bob', to: { people: ['dan'], groups: ['heads'] }, note: 'away' },
    { decision: 'comment', by: 'bob', verified: false, note: 'Ask dan.' },
    { decision: 'remind', by: null, door: 'workflow', undecided: true },
    { decision: 'escalate', by: null, door: 'workflow', to: { people: [], groups: ['heads'] } },
    { decision: 'deny', by: 'eve', reason: 'too dear', undecided: true },
  ]);
  const others = spans(record(open));
  expect(others).toEqual(['wait 25.. waiting']);
});

test('the deciding vote ends the wait and starts the tool, whatever is written afterwards', () => {
  const last = entry(6, 'approve', { by: 'dan', inPlaceOf: 'bob' });
  const { undecided: _open, ...deciding } = last;
  const after = record([...open, deciding, entry(7, 'comment', { note: 'Done.' })], T + 36);
  expect(ofPeople(after)[6]).toMatchObject({ by: 'dan', in_place_of: 'bob', undecided: false });
  expect(spans(after)).toEqual(['wait 25..36 decided', 'tool 36.. running']);
});

test('arguments that the tool refused start no tool: the call waits again', () => {
  const { undecided: _open, ...edit } = entry(1, 'approve', { by: 'bob', editedArguments: '{}' });
  const refused = { ...edit, id: 'dec_2', entry: 2, at: T + 40, refusedEdit: 'amount is missing' };
  const again = record([open[0] ?? edit, edit, refused]);
  expect(ofPeople(again)[2]).toMatchObject({ refused: 'amount is missing' });
  expect(spans(again)).toEqual(['wait 25.. waiting']);
});

test('votes of one moment that were written in another order are entries in the order of the votes', () => {
  const votes = [2, 0, 1].map((number) => entry(number, 'deny', { by: `voter ${number}`, at: T + 40 }));
  const comment = entry(9, 'comment', { at: T + 40 });
  const { entry: _none, ...unnumbered } = comment;
  const [late, ...others] = votes;
  if (late === undefined) throw new Error('There is no vote.');
  const written = record([late, unnumbered, ...others]);
  expect(ofPeople(written).map((one) => one.kind === 'decision' && (one.by ?? one.decision))).toEqual([
    'voter 0',
    'comment',
    'voter 1',
    'voter 2',
  ]);
});
