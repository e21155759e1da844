/** Who decided what: whose name stands, what a key may decide, and that no decision is lost on its way to the store. */
import { describe, expect, test } from 'vitest';
import { sourceOf } from '../../../protocol/decisions.ts';
import type { AnswerSource } from '../../../protocol/decisions.ts';
import { FAILURES } from '../../../protocol/temporal/names.ts';
import { currentDetails } from '../../../workflows/run/current-details.ts';
import { decisionsOf } from '../../../workflows/run/decisions.ts';
import { evaluateAnswer } from '../../../workflows/run/evaluate-answer.ts';
import { step } from '../../../workflows/run/machine.ts';
import { snapshotOf } from '../../../workflows/run/snapshot.ts';
import { carriedState } from '../../../workflows/run/state.ts';
import type { Input, MachineState } from '../../../workflows/run/state.ts';
import { DECISIONS_KEPT_CHARS } from '../../../workflows/run/timeouts.ts';
import { EXPIRY, T0, after, asks, does, settles } from '../../support/run-inputs.ts';
import { approval, external } from '../../support/run-stubs.ts';

const CHAT = { backend: 'chat', createdAt: T0, expiresAt: EXPIRY } as const;
const start = { type: 'start', at: T0 } as const;
const waiting = (...calls: Parameters<typeof asks>[0]): MachineState =>
  after(CHAT, start, settles('create', asks(calls)));
const ALICE: AnswerSource = { door: 'http', keyName: 'alice', tools: ['pay'] };
const approve = (callId: string, more: object = {}) => ({ call_id: callId, decision: 'approve', ...more });
const decides = (payload: unknown, source?: AnswerSource, at = T0): Input => ({
  type: 'answer',
  payload,
  ...(source === undefined ? {} : { source }),
  records: true,
  at,
});
const effectsOf = (state: MachineState, input: Input) =>
  step(state, input).effects.filter(({ type }) => !type.endsWith('Timer'));

describe('what a program says about the sender', () => {
  test.each<[string, unknown, AnswerSource]>([
    ['a key over HTTP', { door: 'http', keyName: 'alice', tools: ['pay'] }, ALICE],
    ['the command line', { door: 'cli' }, { door: 'cli' }],
    ['nothing', undefined, { door: 'temporal_update' }],
    ['null', null, { door: 'temporal_update' }],
    ['text', 'http', { door: 'temporal_update' }],
    ['a door that does not exist', { door: 'window', keyName: 'alice' }, { door: 'temporal_update' }],
    ['a signal', { door: 'temporal_signal', keyName: 'alice' }, { door: 'temporal_update' }],
    ['names of other types', { door: 'http', keyName: 7, tools: 'pay' }, { door: 'http' }],
    ['tools of other types', { door: 'http', tools: ['pay', 7] }, { door: 'http', tools: ['pay'] }],
  ])('%s is read for what it is', (_what, origin, source) => {
    expect(sourceOf(origin)).toEqual(source);
  });
});

const decisionBy = (payload: object, source?: AnswerSource) =>
  decisionsOf(step(waiting(approval('p')), decides(payload, source)).state)[0];

describe('a decision is signed', () => {
  test("by the key's name, not by the name in the payload", () => {
    expect(decisionBy(approve('p', { by: 'mallory' }), ALICE)).toMatchObject({
      by: 'alice',
      verified: true,
      door: 'http',
    });
  });

  test('by a claim where no key stands behind it, and it is marked so', () => {
    const claimed = decisionBy(approve('p', { by: 'alice' }));
    expect(claimed).toMatchObject({ by: 'alice', door: 'temporal_update' });
    expect(claimed).not.toHaveProperty('verified');
    expect(decisionBy(approve('p'), { door: 'temporal_signal' })).toMatchObject({ door: 'temporal_signal' });
  });

  test('with both arguments, its reason and its note', () => {
    expect(decisionBy(approve('p', { arguments: { q: 2 }, note: 'as agreed' }), ALICE)).toEqual({
      callId: 'p',
      name: 'pay',
      round: 1,
      decision: 'approve',
      at: T0,
      door: 'http',
      by: 'alice',
      verified: true,
      arguments: '{"q":1}',
      editedArguments: '{"q":2}',
      note: 'as agreed',
    });
    expect(decisionBy({ call_id: 'p', decision: 'deny', reason: 'too dear' })).toMatchObject({
      decision: 'deny',
      reason: 'too dear',
    });
  });

  test('once: neither a repeat nor a second one that differs is added, and the run shows the first', () => {
    const first = step(waiting(approval('p'), external('e')), decides(approve('p'), ALICE)).state;
    const bob: AnswerSource = { door: 'http', keyName: 'bob' };
    const again = step(first, decides(approve('p'), bob)).state;
    const other = step(again, decides({ call_id: 'p', decision: 'deny' }, bob)).state;
    expect(decisionsOf(other).map(({ by, decision: what }) => [by, what])).toEqual([['alice', 'approve']]);
    expect(other.unusable.latest).toMatchObject([{ reason: 'conflict', by: 'bob' }]);
    expect(snapshotOf(other).decisions).toEqual(decisionsOf(other));
    expect(currentDetails(other)).toContain(
      'call `p` of `pay` approved by `alice` (API key), over the HTTP API',
    );
  });

  test('without a word about keys, a name on the page is not verified', () => {
    const state = step(waiting(approval('p'), external('e')), decides(approve('p', { by: 'alice' }))).state;
    expect(currentDetails(state)).toContain(
      'approved by `alice` (not verified), over an update sent to Temporal',
    );
  });

  test('outputs are signed the same way, and are no decisions', () => {
    const state = step(
      waiting(external('e'), external('f')),
      decides({ call_id: 'e', output: 'x', by: 'mallory' }, { door: 'http', keyName: 'acme' }),
    ).state;
    expect(state.decisions).toBeUndefined();
    expect(snapshotOf(state).calls[0]).toMatchObject({ by: 'acme', verified: true });
  });
});

describe('a key that has not the tool', () => {
  const bob: AnswerSource = { door: 'http', keyName: 'bob', tools: ['ship'] };

  test('neither approves nor denies its calls, and is told which tools it has', () => {
    for (const decision of ['approve', 'deny'])
      expect(evaluateAnswer(waiting(approval('p')), { call_id: 'p', decision }, T0, bob)).toMatchObject({
        verdict: 'refuse',
        failure: FAILURES.refusedNotAllowed,
        message:
          'Call "p" calls tool "pay"; the API key of "bob" may decide calls of "ship". Use a key that may decide calls of this tool.',
      });
    expect(evaluateAnswer(waiting(approval('p')), approve('p'), T0, ALICE).verdict).toBe('accept');
    expect(evaluateAnswer(waiting(approval('p')), approve('p'), T0, { ...bob, tools: [] }).verdict).toBe(
      'refuse',
    );
  });

  test('does not learn what was decided before, neither in this round nor in an earlier one', () => {
    const decided = step(waiting(approval('p'), external('e')), decides(approve('p'), ALICE)).state;
    expect(evaluateAnswer(decided, approve('p'), T0, bob)).toMatchObject({
      failure: FAILURES.refusedNotAllowed,
    });
    const next = [does('p'), settles('submit', asks([external('e')]))].reduce(
      (state, input) => step(state, input).state,
      step(waiting(approval('p')), decides(approve('p'), ALICE)).state,
    );
    expect(next.round).toBe(2);
    expect(evaluateAnswer(next, approve('p'), T0, bob)).toMatchObject({
      failure: FAILURES.refusedNotAllowed,
    });
  });

  test('gains nothing by an id that a later round uses again for a tool that it has', () => {
    const late = { onDeadline: 'follow-up', answerWithinMs: 1 } as const;
    const placeholder = step(waiting(approval('p', late)), { type: 'deadline', at: T0 + 5 }).state;
    const again = step(placeholder, settles('submit', asks([approval('p', {}, 'ship')]), T0 + 6)).state;
    expect([again.late[0]?.name, again.calls[0]?.name]).toEqual(['pay', 'ship']);
    expect(evaluateAnswer(again, approve('p'), T0 + 7, bob)).toMatchObject({
      failure: FAILURES.refusedNotAllowed,
    });
  });

  test('answers with outputs all the same: those are not decisions', () => {
    expect(evaluateAnswer(waiting(external('e')), { call_id: 'e', output: 'x' }, T0, bob).verdict).toBe(
      'accept',
    );
  });
});

const names = (effects: readonly { type: string }[]) => effects.map(({ type }) => type);

describe('natively, a decision reaches the store', () => {
  test('beside its tool, by an activity of its own, without the arguments that the store has', () => {
    const effects = effectsOf(waiting(approval('p')), decides(approve('p', { arguments: { q: 2 } }), ALICE));
    expect(names(effects)).toEqual(['runTool', 'recordDecision', 'leaveWait']);
    expect(effects[1]).toMatchObject({ decision: { arguments: null, editedArguments: '{"q":2}' } });
  });

  test('with the outputs, when it was the last that was awaited', () => {
    const effects = effectsOf(waiting(approval('p')), decides({ call_id: 'p', decision: 'deny' }, ALICE));
    expect(names(effects)).toEqual(['submit', 'leaveWait']);
    expect(effects[0]).toMatchObject({ decisions: [{ callId: 'p', decision: 'deny', by: 'alice' }] });
  });

  const decided = step(waiting(approval('p'), external('e')), decides(approve('p'), ALICE)).state;
  const key = `decision:1:p:${T0}`;

  test('once it is there, no other operation carries it', () => {
    const stored = step(decided, { type: 'taskDone', key, at: T0 }).state;
    const [first, second] = [does('p'), decides({ call_id: 'e', output: 'x' })];
    expect(effectsOf(step(stored, first).state, second)).toMatchObject([
      { type: 'submit', decisions: [] },
      { type: 'leaveWait' },
    ]);
    expect(effectsOf(stored, { type: 'cancelRequested', at: T0 })).toContainEqual(
      expect.objectContaining({ type: 'close', decisions: [] }),
    );
  });

  test('given up, it travels with the outputs, or with the end of the run', () => {
    const owed = step(decided, { type: 'taskDone', key, failed: true, at: T0 }).state;
    const [first, second] = [does('p'), decides({ call_id: 'e', output: 'x' })];
    expect(effectsOf(step(owed, first).state, second)).toMatchObject([
      { type: 'submit', decisions: [{ callId: 'p' }] },
      { type: 'leaveWait' },
    ]);
    expect(effectsOf(owed, { type: 'cancelRequested', at: T0 })).toContainEqual(
      expect.objectContaining({ type: 'close', decisions: [expect.objectContaining({ callId: 'p' })] }),
    );
    expect(effectsOf(decided, { type: 'cancelRequested', at: T0 })).toContainEqual(
      expect.objectContaining({ type: 'close', decisions: [expect.objectContaining({ callId: 'p' })] }),
    );
  });

  test('from a worker that does not send it at once, with the outputs', () => {
    const unpatched: Input = { type: 'answer', payload: approve('p'), source: ALICE, at: T0 };
    expect(names(effectsOf(waiting(approval('p')), unpatched))).toEqual(['runTool', 'leaveWait']);
    const done = step(waiting(approval('p')), unpatched).state;
    expect(effectsOf(done, does('p'))).toMatchObject([{ type: 'submit', decisions: [{ callId: 'p' }] }]);
  });

  test('and elsewhere it stays with the run, which no store of ours has', () => {
    const foreign = after({}, start, settles('create', asks([approval('p')])));
    const denial = decides({ call_id: 'p', decision: 'deny' }, { door: 'cli' });
    expect(effectsOf(foreign, denial)[0]).toMatchObject({ type: 'submit', decisions: [] });
    expect(decisionsOf(step(foreign, denial).state)).toMatchObject([{ decision: 'deny', door: 'cli' }]);
  });
});

const refusedBy = (problem: string, at: number): Input => ({
  type: 'callDone',
  callId: 'p',
  outcome: { output: '', ok: false, refusedEdit: problem },
  at,
});

describe('a decision whose arguments the tool refuses', () => {
  const edited = decides(approve('p', { arguments: { q: 'two' } }), ALICE);
  const refused = step(step(waiting(approval('p')), edited).state, refusedBy('q must be a number', T0 + 1));

  test('is followed by an entry that says so, which goes to the store like the decision', () => {
    expect(decisionsOf(refused.state)).toMatchObject([
      { editedArguments: '{"q":"two"}', at: T0 },
      { callId: 'p', by: 'alice', verified: true, refusedEdit: 'q must be a number', at: T0 + 1 },
    ]);
    expect(refused.effects).toContainEqual(
      expect.objectContaining({
        type: 'recordDecision',
        decision: expect.objectContaining({ refusedEdit: 'q must be a number' }),
      }),
    );
    expect(currentDetails(refused.state)).toContain('waits again: the tool refused the arguments');
  });

  test('and the next decision is kept beside both', () => {
    const next = step(refused.state, decides(approve('p'), { door: 'cli' }, T0 + 2)).state;
    expect(
      decisionsOf(next).map(({ door, at, refusedEdit }) => [door, at - T0, refusedEdit !== undefined]),
    ).toEqual([
      ['http', 0, false],
      ['http', 1, true],
      ['cli', 2, false],
    ]);
  });

  test('but not sent by an execution that sends none, such as one that goes on with another one’s state', () => {
    const running = step(waiting(approval('p')), edited).state;
    const resumed = step(carriedState(JSON.parse(JSON.stringify(running))), refusedBy('no', T0 + 1));
    expect(resumed.effects.map(({ type }) => type)).not.toContain('recordDecision');
    expect(decisionsOf(resumed.state)).toHaveLength(2);
  });
});

test('a decision keeps the digest of the arguments that it was about', () => {
  const digest = 'ab'.repeat(16);
  const call = { ...approval('p'), argumentsDigest: digest };
  const state = step(waiting(call), decides(approve('p', { arguments_digest: digest }))).state;
  expect(decisionsOf(state)).toMatchObject([{ shownDigest: digest }]);
});

test('a run with very long arguments keeps every decision, and leaves out texts when they are too many', () => {
  const args = JSON.stringify({ text: 'x'.repeat(DECISIONS_KEPT_CHARS / 2) });
  const calls = ['a', 'b', 'c'].map((id) => ({ ...approval(id), arguments: args }));
  const state = calls.reduce(
    (before, { callId }) => step(before, decides(approve(callId), ALICE)).state,
    waiting(...calls, external('e')),
  );
  expect(decisionsOf(state).map((item) => [item.callId, item.by, item.arguments === null])).toEqual([
    ['a', 'alice', false],
    ['b', 'alice', true],
    ['c', 'alice', true],
  ]);
});
