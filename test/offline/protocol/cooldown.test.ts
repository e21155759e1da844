/** How long a model is left alone after refusals: bounded, growing, begun by what says something of others, and ended by an answer. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ModelError, type ModelErrorKind } from '../../../protocol/ports/model.ts';
import {
  COOLDOWN_LIMITS,
  cooldownAfter,
  cooldownCause,
  type Cooldown,
} from '../../../protocol/rules/cooldown.ts';

const { firstMs, longestMs, namedMs, forgottenMs } = COOLDOWN_LIMITS;

const refusals = fc.array(
  fc.record({
    /** Since the refusal before. */
    after: fc.oneof(fc.nat(2_000), fc.nat(2 * forgottenMs)),
    named: fc.option(fc.oneof(fc.nat(5_000), fc.nat(10 * namedMs), fc.constant(-1))),
  }),
  { minLength: 1, maxLength: 40 },
);

describe('the cooldown after refusals', () => {
  test('always lies ahead, is never shortened, and is bounded from its refusal', () => {
    fc.assert(
      fc.property(refusals, (given) => {
        let now = 1_800_000_000_000;
        let before: Cooldown | null = null;
        for (const { after, named } of given) {
          now += after;
          const next = cooldownAfter(before, named, now);
          expect(next.until).toBeGreaterThan(now);
          expect(next.until).toBeGreaterThanOrEqual(before?.until ?? 0);
          expect(next.until - now).toBeLessThanOrEqual(Math.max(namedMs, longestMs));
          // The server's time is kept, as far as it is bearable.
          expect(next.until - now).toBeGreaterThanOrEqual(Math.min(named ?? 0, namedMs));
          before = next;
        }
      }),
    );
  });

  test('grows by the refusals that come after it was over, however many fail while it holds', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20), { minLength: 1, maxLength: 12 }), (together) => {
        let now = 1_800_000_000_000;
        let cooldown: Cooldown | null = null;
        for (const [round, more] of together.entries()) {
          cooldown = cooldownAfter(cooldown, null, now);
          expect(cooldown.until - now).toBe(Math.min(longestMs, firstMs * 2 ** round));
          for (let at = 0; at < more; at += 1) {
            const late: Cooldown = cooldownAfter(cooldown, null, now);
            expect(late).toEqual(cooldown);
          }
          now = cooldown.until;
        }
      }),
    );
  });

  test('begins anew when the one before is long over', () => {
    const old: Cooldown = { until: 1_000, times: 9 };
    expect(cooldownAfter(old, null, 1_001 + forgottenMs)).toMatchObject({ times: 1 });
    expect(cooldownAfter(old, null, 1_000 + forgottenMs)).toMatchObject({ times: 10 });
  });
});

const error = (kind: ModelErrorKind, more: ConstructorParameters<typeof ModelError>[2] = {}) =>
  new ModelError(kind, 'x', more);

describe('a cooldown begins', () => {
  test.each([
    ['with a rate limit, for the model', error('rate_limited', { status: 429 }), 'model'],
    ['with a spent quota of any status', error('rate_limited', { status: 402 }), 'model'],
    ['with 503, for the model', error('unavailable', { status: 503 }), 'model'],
    ['with 529, for the model', error('unavailable', { status: 529 }), 'model'],
    ['with 500 and a time', error('unavailable', { status: 500, retryAfterMs: 1 }), 'model'],
    ['with a refused connection, for all models', error('unavailable', { code: 'ECONNREFUSED' }), 'provider'],
    [
      'with a name that is not found, for all models',
      error('unavailable', { code: 'ENOTFOUND' }),
      'provider',
    ],
  ] as const)('%s', (_what, given, scope) => {
    expect(cooldownCause(given)).toMatchObject({ wholeProvider: scope === 'provider', reason: given.kind });
  });

  test.each([
    ['with 500, which one prompt may cause', error('unavailable', { status: 500 })] as const,
    ['with a connection that is reset', error('unavailable', { code: 'ECONNRESET' })] as const,
    ...(['too_long', 'refused', 'broken_off', 'rejected', 'unauthorized'] as const).map(
      (kind) => [`with ${kind}`, error(kind, { status: 503, retryAfterMs: 5_000 })] as const,
    ),
  ])('never %s', (_what, given) => {
    expect(cooldownCause(given)).toBeNull();
  });
});
