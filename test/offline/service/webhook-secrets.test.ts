/** Secrets of webhooks: the official verifier accepts every body under each secret in force, and none is kept readable. */
import { array, assert, integer, json, nat, property, record, string } from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { describe, expect, test } from 'vitest';
import { webhookHeaders } from '../../../activities/webhooks/sign.ts';
import { textSeal } from '../../../client/seal-text.ts';
import { newSecret, rotated } from '../../../service/webhooks.ts';
import type { StoredSecret } from '../../../protocol/ports/webhook-store.ts';

const id = 'evt_0123456789abcdef01234567';

describe('a signature', () => {
  test('is accepted under each secret that signs, and under no other; a changed body, id or time is refused', () => {
    assert(
      property(json(), integer({ min: 1, max: 5 }), string(), (body, count, other) => {
        const secrets = Array.from({ length: count }, newSecret);
        const headers = webhookHeaders(id, body, secrets, Date.now());
        for (const secret of secrets)
          expect(new Webhook(secret).verify(body, headers)).toEqual(JSON.parse(body));
        const [first = ''] = secrets;
        const refused = (given: string, more: Record<string, string> = {}, secret = first) =>
          expect(() => new Webhook(secret).verify(given, { ...headers, ...more })).toThrow(
            'No matching signature',
          );
        refused(body, {}, newSecret());
        if (other !== body) refused(other);
        refused(body, { 'webhook-id': `${id}x` });
        refused(body, { 'webhook-timestamp': String(Number(headers['webhook-timestamp']) - 1) });
      }),
      { numRuns: 50 },
    );
  });

  test('of an attempt long ago is refused, so each attempt has its own time', () => {
    const secret = newSecret();
    const headers = webhookHeaders(id, '{}', [secret], Date.now() - 3_600_000);
    expect(() => new Webhook(secret).verify('{}', headers)).toThrow('too old');
  });
});

describe('a rotation', () => {
  test('whatever their order and times: the newest signs, an older one no longer than it was given, five at most', () => {
    const step = record({ wait: nat(100_000), oldExpiresIn: nat(100_000) });
    assert(
      property(array(step, { minLength: 1, maxLength: 12 }), (steps) => {
        let now = 1;
        let secrets: StoredSecret[] = [{ sealed: 's0', createdAt: 0, expiresAt: null }];
        for (const [index, { wait, oldExpiresIn }] of steps.entries()) {
          now += wait;
          const before = secrets;
          const oldUntil = now + oldExpiresIn;
          secrets = rotated(before, `s${index + 1}`, { now, oldUntil });
          expect(secrets[0]).toEqual({ sealed: `s${index + 1}`, createdAt: now, expiresAt: null });
          expect(secrets.length).toBeLessThanOrEqual(5);
          for (const { sealed, expiresAt } of secrets.slice(1)) {
            const was = before.find((one) => one.sealed === sealed);
            expect(was).toBeDefined();
            expect(expiresAt).toBe(Math.min(was?.expiresAt ?? Infinity, oldUntil));
            expect(expiresAt).toBeGreaterThan(now);
          }
        }
      }),
    );
  });
});

const hex = (digit: string): string => digit.repeat(64);

describe('a sealed secret', () => {
  const old = textSeal(`k1:${hex('1')}`);
  const both = textSeal(`k2:${hex('2')},k1:${hex('1')}`);

  test('opens for its own endpoint under its key, also when another key has become the first', () => {
    const sealed = old.seal('whsec_abc', 'wh_1');
    expect(sealed).not.toContain('abc');
    expect(both.open(sealed, 'wh_1')).toBe('whsec_abc');
    expect(() => both.open(sealed, 'wh_2')).toThrow('does not decrypt');
    expect(() => old.open(both.seal('whsec_abc', 'wh_1'), 'wh_1')).toThrow('"k2"');
    expect(() => textSeal(null).open(sealed, 'wh_1')).toThrow('RUNS_ENCRYPTION_KEYS does not have');
    expect(() => both.open(`${sealed.slice(0, -3)}AAA`, 'wh_1')).toThrow('does not decrypt');
  });

  test('is the secret itself without keys, and such a one is read when there are keys', () => {
    expect(textSeal(null).seal('whsec_abc', 'wh_1')).toBe('whsec_abc');
    expect(both.open('whsec_abc', 'wh_1')).toBe('whsec_abc');
  });
});
