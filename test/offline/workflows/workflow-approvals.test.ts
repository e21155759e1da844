/** What an approval carries: the digest of what was read, and a person's own arguments. The machine, no server. */
import { describe, expect, test } from 'vitest';
import type { PlannedCall } from '../../../protocol/tool-calls.ts';
import { FAILURES } from '../../../protocol/temporal/names.ts';
import type { RunInput } from '../../../protocol/temporal/messages.ts';
import { evaluateAnswer } from '../../../workflows/run/evaluate-answer.ts';
import { step } from '../../../workflows/run/machine.ts';
import { snapshotOf } from '../../../workflows/run/snapshot.ts';
import type { Input, MachineState } from '../../../workflows/run/state.ts';
import { T0, after, asks, does, says, settles, shortEffect } from '../../support/run-inputs.ts';
import { approval, external } from '../../support/run-stubs.ts';

const start = { type: 'start', at: T0 } as const;
const DIGEST = 'ab'.repeat(16);
const OTHER = 'cd'.repeat(16);
const SCHEMA = {
  type: 'object',
  properties: { order: { type: 'string' }, amount: { type: 'number', exclusiveMinimum: 0 } },
  required: ['order', 'amount'],
  additionalProperties: false,
};

const gated = (more: Partial<PlannedCall> = {}): PlannedCall => {
  const call = approval('p');
  if (call.plan.kind !== 'approval') throw new Error('no approval');
  return { ...call, plan: { ...call.plan, schema: SCHEMA }, argumentsDigest: DIGEST, ...more };
};
const waiting = (call: PlannedCall, more: Partial<RunInput> = {}): MachineState =>
  after(more, start, settles('create', asks([call, external('e')])));
const approve = (more: object = {}) => ({ call_id: 'p', decision: 'approve', by: 'ada', ...more });

describe('a decision about arguments', () => {
  test.each<[string, PlannedCall, object, string]>([
    ['names none, where they are shown whole', gated(), approve(), 'accept'],
    ['names them', gated(), approve({ arguments_digest: DIGEST }), 'accept'],
    ['names others', gated(), approve({ arguments_digest: OTHER }), FAILURES.refusedDigest],
    [
      'names none, where they are not shown whole',
      gated({ digestRequired: true }),
      approve(),
      FAILURES.refusedDigest,
    ],
    [
      'names them, where it must',
      gated({ digestRequired: true }),
      approve({ arguments_digest: DIGEST }),
      'accept',
    ],
    [
      'denies without having read all',
      gated({ digestRequired: true }),
      { call_id: 'p', decision: 'deny' },
      'accept',
    ],
    [
      'denies others',
      gated(),
      { call_id: 'p', decision: 'deny', arguments_digest: OTHER },
      FAILURES.refusedDigest,
    ],
    [
      'brings its own in full',
      gated({ digestRequired: true }),
      approve({ arguments: { order: '42', amount: 1 } }),
      'accept',
    ],
    [
      'brings its own for others',
      gated(),
      approve({ arguments: { order: '42', amount: 1 }, arguments_digest: OTHER }),
      FAILURES.refusedDigest,
    ],
    [
      'names some where an older worker recorded none',
      approval('p'),
      approve({ arguments_digest: DIGEST }),
      FAILURES.refusedDigest,
    ],
    ['is as it always was where an older worker planned', approval('p'), approve(), 'accept'],
    ['has no digest but text', gated(), approve({ arguments_digest: 'abc' }), FAILURES.refusedMalformed],
  ])('that %s', (_what, call, payload, expected) => {
    const state = waiting(call);
    const judgement = evaluateAnswer(state, payload, T0);
    expect(judgement.verdict === 'refuse' ? judgement.failure : judgement.verdict).toBe(expected);
    // The signal is judged alike, and refused it leaves the call waiting.
    const next = step(state, says(payload)).state;
    expect(next.calls[0]?.status === 'waiting').toBe(expected !== 'accept');
    expect(next.unusable.count).toBe(expected === 'accept' ? 0 : 1);
  });

  test('of others is refused with both digests', () => {
    const judgement = evaluateAnswer(waiting(gated()), approve({ arguments_digest: OTHER }), T0);
    if (judgement.verdict !== 'refuse') throw new Error('accepted');
    expect(judgement.details).toEqual({ expected: DIGEST, got: OTHER });
    expect(judgement.message).toContain(DIGEST);
    expect(judgement.message).toContain(OTHER);
    expect(judgement.message).toContain('"runs show run_1 --call p"');
  });

  test('is refused without its digest, and the refusal does not contain the digest', () => {
    const judgement = evaluateAnswer(waiting(gated({ digestRequired: true })), approve(), T0);
    if (judgement.verdict !== 'refuse') throw new Error('accepted');
    expect(JSON.stringify(judgement)).not.toContain(DIGEST);
    expect(judgement.message).toMatch(/too long for some views.*"arguments_digest" that is shown with them/);
  });

  test('is the same decision with and without the digest: a repeat', () => {
    const state = step(waiting(gated()), says(approve())).state;
    expect(evaluateAnswer(state, approve({ arguments_digest: DIGEST }), T0).verdict).toBe('repeat');
  });
});

describe('arguments that a person gives', () => {
  test.each<[unknown, string, RegExp]>([
    [{ order: '42', amount: -1 }, 'amount', /amount must be greater than 0; got -1\. Correct them/],
    [{ order: '42', amont: 40 }, 'amont', /amont is not a parameter of the tool/],
    [{ order: '42' }, 'amount', /amount is missing/],
    [{ order: '42', amount: 1, amont: 40 }, 'amont', /amont is not a parameter of the tool/],
    ['{"order": "42", "amount": 1, "amount": 2}', '', /contains the key "amount" twice/],
    [{ order: '42', amount: 1, x: { constructor: { prototype: 1 } } }, '', /"constructor" is not allowed/],
  ])('%j are refused with the field and the problem, and the call waits on', (edited, field, message) => {
    const state = waiting(gated());
    const judgement = evaluateAnswer(state, approve({ arguments: edited }), T0);
    if (judgement.verdict !== 'refuse') throw new Error('accepted');
    expect(judgement.failure).toBe(FAILURES.refusedArguments);
    expect(judgement.details).toMatchObject({ field });
    expect(judgement.message).toMatch(message);
    const next = step(state, says(approve({ arguments: edited }))).state;
    expect(next.calls[0]).toEqual(state.calls[0]);
    expect(next.unusable.latest).toEqual([{ callId: 'p', by: 'ada', reason: 'arguments_refused', at: T0 }]);
  });

  test('for a call that an older worker planned are the tool alone to evaluateAnswer, as they were', () => {
    expect(evaluateAnswer(waiting(approval('p')), approve({ arguments: '{"a":1,"a":2}' }), T0).verdict).toBe(
      'accept',
    );
  });
});

const FITS = { order: '42', amount: 1 };
const refusedBy = (problem: string, at = T0): Input => ({
  type: 'callDone',
  callId: 'p',
  outcome: { output: 'error', ok: false, notes: ['invalid_arguments'], refusedEdit: problem },
  at,
});

const edited = (more: Partial<RunInput> = {}): MachineState =>
  step(waiting(gated({ digestRequired: true }), more), says(approve({ arguments: FITS }))).state;

describe('arguments that only the tool can refuse', () => {
  test('run as a person’s, so that the tool knows whom to answer', () => {
    const { effects } = step(waiting(gated()), says(approve({ arguments: FITS })));
    expect(effects).toContainEqual(expect.objectContaining({ type: 'runTool', callId: 'p', edited: true }));
    const plain = step(waiting(gated()), says(approve())).effects;
    expect(plain.find(({ type }) => type === 'runTool')).not.toHaveProperty('edited');
  });

  test('leave the call waiting as it was, the approval unspent and reported, the person told', () => {
    const before = waiting(gated({ digestRequired: true }));
    const { state, effects } = step(edited(), refusedBy('order: no such order', T0 + 5));
    expect(state.calls[0]).toEqual({
      ...before.calls[0],
      refusedEdit: { count: 1, problem: 'order: no such order', at: T0 + 5, by: 'ada' },
    });
    expect(state.unused).toEqual([{ callId: 'p', by: 'ada', reason: 'arguments_refused', at: T0 }]);
    expect(snapshotOf(state).calls[0]).toMatchObject({
      state: 'waiting',
      arguments: '{"q":1}',
      argumentsDigest: DIGEST,
      digestRequired: true,
      refusedEdit: { problem: 'order: no such order' },
    });
    expect(effects.map(shortEffect)).toEqual([]);
    // Another attempt is an attempt: the same words count anew, and what fits runs.
    const again = step(state, says(approve({ arguments: FITS })));
    expect(again.effects.map(shortEffect)).toEqual(['tool p {"order":"42","amount":1} by 570s']);
    const twice = step(again.state, refusedBy('order: still none')).state;
    expect(twice.calls[0]?.refusedEdit).toMatchObject({ count: 2, problem: 'order: still none' });
    const done = step(step(twice, says(approve({ arguments_digest: DIGEST }))).state, does('p')).state;
    expect(done.calls[0]).toMatchObject({ status: 'done', outcome: { output: 'did p', by: 'ada' } });
  });

  test('are told to the hook once for each refusal', () => {
    const hooks = { onWaiting: true, onEnd: false };
    const { state, effects } = step(edited({ hooks }), refusedBy('no'));
    expect(effects.map(shortEffect)).toEqual(['notifyWaiting']);
    expect(state.tasks.map(({ key }) => key)).toEqual(['waiting:1', 'waiting:1:p:1']);
  });

  test('are counted as waited for again where the run is found', () => {
    const alone = step(
      after({}, start, settles('create', asks([gated()]))),
      says(approve({ arguments: FITS })),
    );
    expect(alone.effects.map(shortEffect)).toContain('work as in_progress');
    const { effects } = step(alone.state, refusedBy('no'));
    expect(effects.map(shortEffect)).toContain('wait for pay by 600s');
  });

  test('of an older activity, which says nothing of it, are an error for the model as before', () => {
    const outcome = { output: 'error', ok: false, notes: ['invalid_arguments' as const] };
    const { state } = step(edited(), { type: 'callDone', callId: 'p', outcome, at: T0 });
    expect(state.calls[0]).toMatchObject({ status: 'done', outcome: { output: 'error' } });
  });
});
