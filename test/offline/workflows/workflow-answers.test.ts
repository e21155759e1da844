import { describe, expect, test } from 'vitest';
import { FAILURES } from '../../../protocol/temporal/names.ts';
import { answerPayloadProblem, submitPayloadProblem } from '../../../protocol/rules/validation.ts';
import type { RunInput } from '../../../protocol/temporal/messages.ts';
import { step } from '../../../workflows/run/machine.ts';
import type { MachineState } from '../../../workflows/run/state.ts';
import { evaluateAnswer } from '../../../workflows/run/evaluate-answer.ts';
import { evaluateSubmit } from '../../../workflows/run/evaluate-submit.ts';
import { EXPIRY, T0, after, asks, says, settles, submits } from '../../support/run-inputs.ts';
import { approval, automatic, external } from '../../support/run-stubs.ts';

const start = { type: 'start', at: T0 } as const;
const CHAT = { backend: 'chat', createdAt: T0, expiresAt: EXPIRY } as const;

describe('the shape of an answer', () => {
  test.each<[unknown, RegExp]>([
    [null, /got null/],
    ['yes', /got "yes"/],
    [[1, 2], /got \[1,2\]/],
    [{}, /call_id must be .* got undefined/],
    [{ call_id: 7, output: 'x' }, /got 7/],
    [{ call_id: '', output: 'x' }, /got ""/],
    [{ call_id: 'x'.repeat(300), output: 'x' }, /call_id must be/],
    [{ call_id: 'a' }, /needs output or decision; got the keys \["call_id"\]/],
    [{ call_id: 'a', outputs: 'x' }, /\["call_id","outputs"\]/],
    [{ call_id: 'a', output: 'x', decision: 'deny' }, /not both/],
    [{ call_id: 'a', decision: 'yes' }, /"approve", "deny" or "delegate"; got "yes"/],
    [{ call_id: 'a', decision: 'deny', arguments: {} }, /arguments go with "decision": "approve" only/],
    [{ call_id: 'a', decision: 'approve', arguments: [1] }, /JSON object.*got \[1\]/],
    [{ call_id: 'a', decision: 'approve', arguments: '{"q": ' }, /JSON object/],
    [{ call_id: 'a', decision: 'deny', reason: 7 }, /reason must be text/],
    [{ call_id: 'a', output: 'x', by: {} }, /by must be text/],
    [{ call_id: 'a', output: 'x', run_id: 7 }, /run_id must be text/],
  ])('%j is refused with what is wrong and what to send', (value, problem) => {
    expect(answerPayloadProblem(value)).toMatch(problem);
  });

  test.each<[unknown]>([
    [{ call_id: 'a', output: '' }],
    [{ call_id: 'a', output: null }],
    [{ call_id: 'a', output: { deep: [1] }, by: 'ada', run_id: 'run_1' }],
    [{ call_id: 'a', decision: 'approve', arguments: null }],
    [{ call_id: 'a', decision: 'approve', arguments: '{"q": 1}' }],
    [{ call_id: 'a', decision: 'deny', reason: 'no' }],
  ])('%j is taken', (value) => {
    expect(answerPayloadProblem(value)).toBeUndefined();
  });

  test.each<[unknown, RegExp]>([
    [[], /must be a JSON object/],
    [{ tool_outputs: [] }, /run_id/],
    [{ run_id: 'run_1', tool_outputs: [] }, /tool_outputs must be a list/],
    [{ run_id: 'run_1', tool_outputs: [{ output: 'x' }] }, /tool_outputs\[0\] needs a tool_call_id/],
    [
      { run_id: 'run_1', tool_outputs: [{ tool_call_id: 'a', output: 1 }] },
      /tool_outputs\[0\]\.output must be text/,
    ],
  ])('the submit %j is refused with what is wrong', (value, problem) => {
    expect(submitPayloadProblem(value)).toMatch(problem);
  });
});

describe('what a person means is understood', () => {
  const state = after({}, start, settles('create', asks([external('e'), approval('p')])));
  test.each<[string, unknown]>([
    ['JSON text in the place of JSON', '{"call_id": "e", "output": "x"}'],
    ['the id of the run at the backend', { call_id: 'e', output: 'x', run_id: 'run_backend' }],
    ['keys that mean nothing', { call_id: 'e', output: 'x', comment: 'thanks' }],
    [
      'nulls for what is left out',
      { call_id: 'p', decision: 'approve', arguments: null, reason: null, by: null },
    ],
  ])('%s', (_what, payload) => {
    expect(evaluateAnswer(state, payload, T0).verdict).toBe('accept');
  });

  test('the same text is the same answer, from any sender; another text is not', () => {
    const said = after(
      {},
      start,
      settles('create', asks([external('e'), approval('p'), external('f')])),
      says({ call_id: 'e', output: { a: 1 }, by: 'ada' }),
      says({ call_id: 'p', decision: 'approve', arguments: { q: 2 } }),
    );
    const verdict = (payload: unknown): string => evaluateAnswer(said, payload, T0).verdict;
    expect(verdict({ call_id: 'e', output: '{"a":1}', by: 'bob' })).toBe('repeat');
    expect(verdict({ call_id: 'e', output: '{"a": 1}' })).toBe('refuse');
    expect(verdict({ call_id: 'p', decision: 'approve', arguments: '{ "q": 2 }' })).toBe('repeat');
    expect(verdict({ call_id: 'p', decision: 'approve' })).toBe('refuse');
    expect(verdict({ call_id: 'p', decision: 'deny' })).toBe('refuse');
  });
});

const longText = (letter: string): string => letter.repeat(500_000);

describe('answers one by one, larger together than one payload', () => {
  const ids = ['a', 'b', 'c', 'd', 'e'];
  const answers = ids.map((id) => says({ call_id: id, output: longText(id) }));
  const begun = (more: Partial<RunInput>, calls = ids.map((id) => external(id))): MachineState =>
    after(more, start, settles('create', asks(calls)));

  test('natively: refused at the door with the limit; what stands is submitted as it was recorded', () => {
    let state = begun(CHAT);
    const refusals: string[] = [];
    for (const input of answers) {
      if (input.type !== 'answer') throw new Error('no answer');
      const judgement = evaluateAnswer(state, input.payload, T0);
      if (judgement.verdict === 'refuse') refusals.push(judgement.message);
      state = step(state, input).state;
    }
    expect(refusals).toHaveLength(3);
    expect(refusals[0]).toMatch(/the limit is 1500000\. Earlier answers stand/);
    const rest = ids.slice(2).map((id) => says({ call_id: id, output: 'short' }));
    const done = rest.reduce((before, input) => step(before, input).state, state);
    expect(done.op).toEqual({ kind: 'submit' });
    expect(done.calls.map(({ outcome }) => outcome?.output.length)).toEqual([500_000, 500_000, 5, 5, 5]);
  });

  test('a repeat of what stands is no more', () => {
    const state = [...answers.slice(0, 2), answers[1]].reduce(
      (before, input) => (input === undefined ? before : step(before, input).state),
      begun(CHAT),
    );
    expect(state.unusable.count).toBe(0);
  });

  test('elsewhere nothing is recorded before the submit: they are cut to fit, which is said', () => {
    const done = answers.reduce((before, input) => step(before, input).state, begun({}));
    expect(done.unusable.count).toBe(0);
    expect(done.calls.every(({ outcome }) => outcome?.notes?.includes('truncated'))).toBe(true);
  });

  test('late answers are handed over in one payload', () => {
    const late = { onDeadline: 'follow-up' as const, answerWithinMs: 1000 };
    const waiting = begun(
      CHAT,
      ids.map((id) => external(id, late)),
    );
    const placed = step(waiting, { type: 'deadline', at: T0 + 1000 }).state;
    expect(placed.late).toHaveLength(5);
    const given = answers.reduce((before, input) => step(before, input).state, placed);
    expect(given.late.filter((call) => call.given !== undefined)).toHaveLength(2);
    expect(given.unusable.latest.map(({ reason }) => reason)).toEqual(Array(3).fill('malformed'));
    expect(JSON.stringify(given.late).length).toBeLessThan(1_500_000);
  });

  test('calls whose arguments alone would fill it get a plain placeholder', () => {
    const late = { onDeadline: 'follow-up' as const, answerWithinMs: 1000 };
    const waiting = begun(
      CHAT,
      ids.map((id) => ({ ...external(id, late), arguments: JSON.stringify(longText(id)) })),
    );
    const placed = step(waiting, { type: 'deadline', at: T0 + 1000 }).state;
    expect(placed.late).toHaveLength(1);
    expect(placed.calls.every(({ status }) => status === 'done')).toBe(true);
  });
});

const verdictOf = (state: MachineState, outputs: Record<string, string>, at = T0): unknown => {
  const input = submits(outputs, at);
  if (input.type !== 'submit') throw new Error('not a submit');
  const judgement = evaluateSubmit(state, input.payload, at);
  return judgement.verdict === 'refuse' ? [judgement.failure, judgement.details] : judgement;
};

const refusalOf = (state: MachineState, payload: unknown): unknown => {
  const judgement = evaluateSubmit(state, payload, T0);
  return judgement.verdict === 'refuse' ? judgement.failure : judgement.verdict;
};

const output = (id: string, text: string) => ({ tool_call_id: id, output: text });

describe('a submit by the caller', () => {
  const two = after(CHAT, start, settles('create', asks([external('e'), automatic('a'), external('f')])));
  const half = after(
    CHAT,
    start,
    settles('create', asks([external('e'), automatic('a'), external('f')])),
    says({ call_id: 'e', output: 'x' }),
  );
  /** Round 1 was submitted; round 2 uses the id `e` again. */
  const moved = after(
    CHAT,
    start,
    settles('create', asks([external('e'), external('f')])),
    submits({ e: 'x', f: 'y' }),
    settles('submit', asks([external('e')])),
  );
  const ending = after(
    { ...CHAT, hooks: { onWaiting: false, onEnd: true } },
    start,
    settles('create', asks([external('e')])),
    submits({ e: 'x' }),
    settles('submit', 'completed'),
  );
  test.each<[string, MachineState, Record<string, string>, unknown]>([
    [
      'of all open calls is taken',
      two,
      { e: 'x', f: 'y' },
      { verdict: 'accept', round: 1, callIds: ['e', 'f'] },
    ],
    ['of what is still open is taken', half, { f: 'y' }, { verdict: 'accept', round: 1, callIds: ['f'] }],
    [
      'that repeats what was answered is taken',
      half,
      { e: 'x', f: 'y' },
      { verdict: 'accept', round: 1, callIds: ['f'] },
    ],
    [
      'that differs from what was answered is not',
      half,
      { e: 'z', f: 'y' },
      [FAILURES.refusedConflict, { callIds: ['e'] }],
    ],
    [
      'with one missing is not',
      two,
      { e: 'x' },
      [FAILURES.refusedCallIds, { expected: ['e', 'f'], got: ['e'] }],
    ],
    [
      'with one too many is not',
      two,
      { e: 'x', f: 'y', z: '' },
      [FAILURES.refusedCallIds, { expected: ['e', 'f'], got: ['e', 'f', 'z'] }],
    ],
    [
      'of a call of the worker is not',
      two,
      { e: 'x', f: 'y', a: '' },
      [FAILURES.refusedCallIds, { expected: ['e', 'f'], got: ['e', 'f', 'a'] }],
    ],
    [
      'for an id used again is for the present round',
      moved,
      { e: 'new' },
      { verdict: 'accept', round: 2, callIds: ['e'] },
    ],
    [
      'of the round before, sent again, is acknowledged though an id of it is open again',
      moved,
      { e: 'x', f: 'y' },
      { verdict: 'repeat', round: 1 },
    ],
    [
      'after the end that repeats the last one is acknowledged',
      ending,
      { e: 'x' },
      { verdict: 'repeat', round: 1 },
    ],
    [
      'after the end that says something else is not',
      ending,
      { e: 'z' },
      [FAILURES.refusedNotWaiting, { status: 'completed' }],
    ],
  ])('%s', (_what, state, outputs, expected) => {
    expect(verdictOf(state, outputs)).toEqual(expected);
  });

  test('after the expiry is refused with the status that the API would show', () => {
    expect(verdictOf(two, { e: 'x', f: 'y' }, EXPIRY)).toEqual([
      FAILURES.refusedNotWaiting,
      { status: 'expired' },
    ]);
  });

  test('that would be more than one payload holds beside what stands is refused, and what stands stays', () => {
    const wide = '\u0001'.repeat(100_000);
    const calls = [external('e'), external('f'), external('g')];
    const begun = after(CHAT, start, settles('create', asks(calls)), says({ call_id: 'e', output: wide }));
    expect(refusalOf(begun, { run_id: 'run_1', tool_outputs: [output('f', wide), output('g', wide)] })).toBe(
      FAILURES.refusedMalformed,
    );
    expect(refusalOf(begun, { run_id: 'run_1', tool_outputs: [output('f', wide), output('g', 'x')] })).toBe(
      'accept',
    );
  });

  test('with an output twice, for another run, or too large together is refused', () => {
    expect(
      refusalOf(two, {
        run_id: 'run_1',
        tool_outputs: [output('e', 'x'), output('e', 'x'), output('f', 'y')],
      }),
    ).toBe(FAILURES.refusedCallIds);
    expect(refusalOf(two, { run_id: 'run_2', tool_outputs: [output('e', 'x'), output('f', 'y')] })).toBe(
      FAILURES.refusedMalformed,
    );
    const large = 'ä'.repeat(130_000);
    expect(refusalOf(two, { run_id: 'run_1', tool_outputs: [output('e', large), output('f', large)] })).toBe(
      FAILURES.refusedMalformed,
    );
  });
});
