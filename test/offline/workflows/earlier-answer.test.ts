/** A second answer is told what stands: by whom, when and what. */
import { describe, expect, test } from 'vitest';
import type { RunInput } from '../../../protocol/temporal/messages.ts';
import { evaluateAnswer } from '../../../workflows/run/evaluate-answer.ts';
import { earlierAnswerText } from '../../../workflows/run/earlier-answer.ts';
import { EXPIRY, T0, after, asks, says, settles } from '../../support/run-inputs.ts';
import { approval, external } from '../../support/run-stubs.ts';

const CHAT: Partial<RunInput> = { backend: 'chat', createdAt: T0, expiresAt: EXPIRY };
const begun = [{ type: 'start', at: T0 } as const, settles('create', asks([approval('p'), external('e')]))];

const refusalOf = (first: object, second: object): string => {
  const judged = evaluateAnswer(after(CHAT, ...begun, says(first, T0 + 1000)), second, T0 + 2000);
  return judged.verdict === 'refuse' ? judged.message : judged.verdict;
};

describe('a second, other answer', () => {
  test.each([
    [
      { call_id: 'p', decision: 'approve', by: 'ada' },
      { call_id: 'p', decision: 'deny' },
      'Call "p" was approved before by "ada" (not verified) at 2023-11-14T22:13:21.000Z; this answer is different. The first answer stands; nothing was changed.',
    ],
    [
      { call_id: 'p', decision: 'deny' },
      { call_id: 'p', decision: 'approve' },
      'Call "p" was denied before at 2023-11-14T22:13:21.000Z; this answer is different.',
    ],
    [
      { call_id: 'e', output: '12 degrees', by: 'bob' },
      { call_id: 'e', output: '13 degrees' },
      'Call "e" was answered before with "12 degrees" by "bob" (not verified) at 2023-11-14T22:13:21.000Z;',
    ],
  ])('is refused with the first answer and its time, after %j', (first, second, message) => {
    expect(refusalOf(first, second)).toContain(message);
  });

  test('that is the same is a repeat', () => {
    const same = { call_id: 'p', decision: 'approve' };
    expect(refusalOf(same, { ...same, by: 'another' })).toBe('repeat');
  });
});

test.each([
  [{}, 'was answered before'],
  [{ by: 'ada', verified: true as const }, 'was answered before by "ada" (API key)'],
])('of %j is said what is known: %s', (earlier, text) => {
  expect(earlierAnswerText(earlier)).toBe(text);
});
