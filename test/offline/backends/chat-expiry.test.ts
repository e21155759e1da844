import { describe, expect, test } from 'vitest';
import { extendedExpiry } from '../../../backends/chat/settlement.ts';
import type { PlannedCall } from '../../../protocol/tool-calls.ts';
import { answerBy } from '../../../workflows/run/deadline.ts';
import { EXPIRY, T0, after, asks, says, settles } from '../../support/run-inputs.ts';
import { approval, external } from '../../support/run-stubs.ts';

const begin = { type: 'start', at: T0 } as const;

/** The run when it begins to wait for this call, its expiry extended as the backend does. */
const waiting = (call: PlannedCall, ...then: Parameters<typeof after>[1][]) => {
  const expiresAt = extendedExpiry([call], { createdAt: T0, expiresAt: EXPIRY }, T0) ?? EXPIRY;
  return after(
    { backend: 'chat', createdAt: T0, expiresAt: EXPIRY },
    begin,
    settles('create', asks([call], expiresAt)),
    ...then,
  );
};

describe.each([15 * 60_000, 2 * 86_400_000, 30 * 86_400_000])(
  'a call with %d ms to answer',
  (answerWithinMs) => {
    test.each(['placeholder', 'follow-up', 'fail'] as const)(
      'has them, whatever comes then (%s)',
      (onDeadline) => {
        for (const call of [
          external('c', { onDeadline, answerWithinMs }),
          approval('c', { onDeadline, answerWithinMs }),
        ]) {
          const state = waiting(call);
          const [open] = state.calls;
          expect(open && answerBy(state, open)).toBe(T0 + answerWithinMs);
        }
      },
    );

    test('has a tool run that is approved at the last moment', () => {
      const call = approval('c', { onDeadline: 'fail', answerWithinMs });
      const last = T0 + answerWithinMs - 1;
      const state = waiting(call, says({ call_id: 'c', decision: 'approve' }, last));
      expect(state.calls[0]?.status).toBe('running');
      expect(state.calls[0]?.endBy).toBeGreaterThan(last + 1000);
    });
  },
);
