/** Limits of a provider: never passed, shared through the store, and free again when a worker dies. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ProviderGate } from '../../../backends/models/provider-gate.ts';
import type { ProviderLimits } from '../../../protocol/models.ts';
import type { ProviderLimitStore } from '../../../protocol/ports/provider-limits.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import { bucketAfter, bucketWait } from '../../../store/token-bucket.ts';
import { memoryStore } from '../../support/store.ts';

const MINUTE = 60_000;

describe('a token bucket', () => {
  test('lets no more through in any minute than it may, and not much less', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 300 }),
        fc.array(fc.integer({ min: 0, max: 5_000 }), { minLength: 50, maxLength: 400 }),
        (perMinute, pauses) => {
          const taken: number[] = [];
          let now = 0;
          let fullAt = 0;
          for (const pause of pauses) {
            now += pause;
            // Rounded up, as a timer is: a sum of fractions may lie below its moment.
            now += Math.ceil(bucketWait(perMinute, fullAt, 1, now));
            expect(bucketWait(perMinute, fullAt, 1, now)).toBeLessThan(1e-6);
            fullAt = bucketAfter(perMinute, fullAt, 1, now);
            taken.push(now);
          }
          for (const from of taken) {
            const within = taken.filter((at) => at >= from && at < from + MINUTE - 1e-3).length;
            expect(within).toBeLessThanOrEqual(perMinute);
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  test('gives a tenth at once, and nine tenths a minute for ever', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000 }), (perMinute) => {
        let fullAt = 0;
        let burst = 0;
        for (; bucketWait(perMinute, fullAt, 1, 1_000) <= 1e-6 && burst <= perMinute; burst += 1)
          fullAt = bucketAfter(perMinute, fullAt, 1, 1_000);
        expect(burst).toBeGreaterThanOrEqual(Math.max(1, Math.floor(perMinute / 10)));
        const interval = bucketAfter(perMinute, 0, 1, 0);
        expect(MINUTE / interval).toBeGreaterThanOrEqual(perMinute * 0.9);
      }),
    );
  });

  test('that is asked for more than it holds waits until it is full, and lends the rest', () => {
    const full = bucketAfter(100, 0, 500, 0);
    expect(bucketWait(100, 0, 500, 0)).toBe(0);
    expect(bucketWait(100, full, 1, 0)).toBeGreaterThan(4 * MINUTE);
    expect(bucketAfter(100, full, -500, 0)).toBeCloseTo(0);
  });
});

let store: Store;
beforeAll(async () => {
  store = await memoryStore();
}, 60_000);
afterAll(() => store.close());

let providers = 0;
const named = (limits: Partial<ProviderLimits>) => ({
  name: `p${(providers += 1)}`,
  limits: { requestsPerMinute: null, tokensPerMinute: null, concurrency: null, ...limits },
});
const take = (provider: ReturnType<typeof named>, slot: string, slotMs = 30_000, tokens = 0) =>
  store.takeSlot({ slot, provider: provider.name, limits: provider.limits, tokens, slotMs });

describe('the store', () => {
  test('gives as many slots as there are, and one more for each that comes back', async () => {
    const provider = named({ concurrency: 2 });
    const answers = await Promise.all(['a', 'b', 'c', 'd'].map((slot) => take(provider, slot)));
    expect(answers.filter(({ granted }) => granted)).toHaveLength(2);
    await store.returnSlot('a', provider.name, provider.limits, 0);
    await store.returnSlot('a', provider.name, provider.limits, 0);
    expect((await take(provider, 'e')).granted).toBe(true);
    expect((await take(provider, 'f')).granted).toBe(false);
  });

  test('takes a slot back that is not renewed', async () => {
    const provider = named({ concurrency: 1 });
    await take(provider, 'dead', 40);
    let answer = await take(provider, 'next');
    expect(answer.granted).toBe(false);
    await expect
      .poll(async () => (answer = await take(provider, 'next')).granted, { timeout: 5_000 })
      .toBe(true);
  });

  test('keeps a slot that is renewed', async () => {
    const provider = named({ concurrency: 1 });
    await take(provider, 'alive', 40);
    await store.renewSlots(['alive'], 30_000);
    await expect.poll(async () => (await take(provider, 'next')).granted, { timeout: 300 }).toBe(false);
  });

  test('counts requests of a minute, and tokens as they are corrected', async () => {
    const provider = named({ requestsPerMinute: 20 });
    const answers = await Promise.all(Array.from({ length: 6 }, (_, at) => take(provider, `r${at}`)));
    expect(answers.filter(({ granted }) => granted)).toHaveLength(2);
    expect(answers.find(({ granted }) => !granted)).toMatchObject({ waitMs: expect.any(Number) });
    const tokens = named({ tokensPerMinute: 1_000 });
    expect((await take(tokens, 't', 30_000, 50)).granted).toBe(true);
    await store.returnSlot('t', tokens.name, tokens.limits, 5_000);
    const refused = await take(tokens, 'u', 30_000, 50);
    expect(refused).toMatchObject({ granted: false });
    expect(refused.granted ? 0 : refused.waitMs).toBeGreaterThan(4 * MINUTE);
  });

  test('keeps the limits of providers apart', async () => {
    const [one, other] = [named({ concurrency: 1 }), named({ concurrency: 1 })];
    await take(one, 'x');
    expect((await take(other, 'y')).granted).toBe(true);
  });
});

const gateOn = (provider: ReturnType<typeof named>, limitStore: ProviderLimitStore = store) =>
  new ProviderGate({ provider, store: limitStore, slotMs: 30_000 });
const forever = (): AbortSignal => new AbortController().signal;

describe('a gate', () => {
  test('lets two processes together do no more at a time than the limit, first come first served', async () => {
    const provider = named({ concurrency: 3 });
    const gates = [gateOn(provider), gateOn(provider)];
    let under = 0;
    let most = 0;
    const order: number[] = [];
    await Promise.all(
      Array.from({ length: 12 }, async (_, at) => {
        const admission = await gates[at % 2]?.enter(0, forever());
        under += 1;
        most = Math.max(most, under);
        if (at % 2 === 0) order.push(at);
        await new Promise(setImmediate);
        under -= 1;
        admission?.release(null);
      }),
    );
    expect(most).toBeLessThanOrEqual(3);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    await Promise.all(gates.map((gate) => gate.dispose()));
  });

  test('lets one go that gives up, and the next one in its place', async () => {
    const provider = named({ concurrency: 1 });
    const gate = gateOn(provider);
    const first = await gate.enter(0, forever());
    const stop = new AbortController();
    const second = gate.enter(0, stop.signal);
    const third = gate.enter(0, forever());
    stop.abort(new Error('cancelled'));
    await expect(second).rejects.toThrow('cancelled');
    first.release(null);
    first.release(null);
    (await third).release(null);
    await expect(gate.enter(0, AbortSignal.abort(new Error('before')))).rejects.toThrow('before');
    await gate.dispose();
  });

  test('gives its slots back when it is closed, and tells a request that the store is away', async () => {
    const provider = named({ concurrency: 1 });
    const gate = gateOn(provider);
    await gate.enter(0, forever());
    await gate.dispose();
    expect((await take(provider, 'free')).granted).toBe(true);
    const away = gateOn(named({ concurrency: 1 }), {
      takeSlot: () => Promise.reject(new Error('away')),
      renewSlots: () => Promise.resolve(),
      returnSlot: () => Promise.resolve(),
    });
    await expect(away.enter(0, forever())).rejects.toThrow('away');
    await away.dispose();
  });
});
