/** Cooldowns of providers: shared by the workers of a store, kept to their time, bounded in number, and ended by an answer. */
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cooldowns, COOLING_DOWN } from '../../../backends/models/cooldowns.ts';
import { ModelError } from '../../../protocol/ports/model.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import { COOLDOWN_LIMITS } from '../../../protocol/rules/cooldown.ts';
import { cooldownsInMemory } from '../../support/cooldowns.ts';
import { memoryStore } from '../../support/store.ts';

let store: Store;
beforeAll(async () => {
  store = await memoryStore();
}, 60_000);
afterAll(() => store.close());

let providers = 0;
const fresh = (model = 'm') => ({ provider: `p${(providers += 1)}`, model });
const limited = (retryAfterMs: number | null = 60_000) =>
  new ModelError('rate_limited', 'slow down', { status: 429, retryAfterMs });
const away = () => new ModelError('unavailable', 'gone', { code: 'ECONNREFUSED' });
const askable = async (cooldowns: Cooldowns, of: { provider: string; model: string }): Promise<boolean> =>
  await cooldowns.assertAskable(of).then(
    () => true,
    (error: unknown) => {
      expect(error).toMatchObject({ code: COOLING_DOWN, cost: 'nothing', retryable: true });
      return false;
    },
  );

const gone = () => Promise.reject(new Error('away'));

describe('a refusal', () => {
  test('keeps other workers from asking the model until its time, and names the time that is left', async () => {
    const [one, other] = [new Cooldowns(store), new Cooldowns(store)];
    const of = fresh();
    expect(await askable(other, of)).toBe(true);
    expect(await one.ended(of, limited(40_000))).toBe(true);
    const error: unknown = await other.assertAskable(of).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      kind: 'rate_limited',
      message: expect.stringMatching(
        /^The model "m" of the provider "p\d+" reached a limit, and is not asked for another 40 s\.$/,
      ),
    });
    const left = error instanceof ModelError ? (error.retryAfterMs ?? 0) : 0;
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThanOrEqual(40_000);
    expect(other.list(of.provider)).toMatchObject([{ model: 'm', reason: 'rate_limited', times: 1 }]);
  });

  test('says nothing of other models and other providers; a provider that can not be reached has none', async () => {
    const cooldowns = new Cooldowns(store);
    const of = fresh();
    await cooldowns.ended(of, limited());
    expect(await askable(cooldowns, { ...of, model: 'other' })).toBe(true);
    expect(await askable(cooldowns, fresh())).toBe(true);
    await cooldowns.ended(of, away());
    expect(await askable(cooldowns, { ...of, model: 'other' })).toBe(false);
    expect(cooldowns.list(of.provider).map(({ model }) => model)).toEqual(['m', null]);
  });

  test('that the store can not be told of is logged, and the turn goes on', async () => {
    const warned: string[] = [];
    const log = {
      debug: () => 0,
      info: () => 0,
      error: () => 0,
      warn: (_: unknown, text: string) => warned.push(text),
    };
    const cooldowns = new Cooldowns(
      { readCooldowns: () => Promise.resolve([]), coolDown: gone, endCooldowns: gone },
      { log },
    );
    expect(await cooldowns.ended(fresh(), limited())).toBe(false);
    expect(warned).toEqual(['the cooldown of a provider was not written; others may ask it']);
  });
});

test('refusals at the same moment are one step', async () => {
  const of = fresh();
  const made = await Promise.all(
    Array.from({ length: 8 }, () => store.coolDown({ ...of, reason: 'unavailable', retryAfterMs: null })),
  );
  expect(made.map(({ times }) => times)).toEqual(made.map(() => 1));
  expect(Math.max(...made.map(({ leftMs }) => leftMs))).toBeLessThanOrEqual(COOLDOWN_LIMITS.firstMs);
});

test('an answer after the cooldown ends the count, and one before its end does not', async () => {
  const cooldowns = new Cooldowns(store);
  const of = fresh();
  await cooldowns.ended(of, limited(1));
  await expect.poll(() => askable(cooldowns, of)).toBe(true);
  expect(await store.readCooldowns(of.provider, of.model)).toHaveLength(1);
  await cooldowns.ended(of, null);
  expect(await store.readCooldowns(of.provider, of.model)).toEqual([]);
  await cooldowns.ended(of, limited());
  await cooldowns.ended(of, null);
  expect(await askable(cooldowns, of)).toBe(false);
});

test('the models of one provider that are remembered are bounded, whatever names callers think of', async () => {
  const { provider } = fresh();
  for (let at = 0; at < COOLDOWN_LIMITS.models + 20; at += 1)
    await store.coolDown({ provider, model: `m${at}`, reason: 'rate_limited', retryAfterMs: 60_000 + at });
  const known = await Promise.all(
    Array.from({ length: COOLDOWN_LIMITS.models + 20 }, (_, at) => store.readCooldowns(provider, `m${at}`)),
  );
  expect(known.flat()).toHaveLength(COOLDOWN_LIMITS.models);
  expect(known.at(-1)).toHaveLength(1);
});

test('no worker asks a model before its time, in any order of requests, refusals and answers', async () => {
  const step = fc.record({
    worker: fc.nat(2),
    model: fc.constantFrom('a', 'b'),
    ends: fc.constantFrom('answer', 'limit', 'named', 'away', 'fault'),
    after: fc.oneof(fc.nat(500), fc.nat(100_000)),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      let now = 1_800_000_000_000;
      const shared = cooldownsInMemory(() => now);
      const workers = [0, 1, 2].map(() => new Cooldowns(shared, { now: () => now }));
      /** What the refusals so far forbid. */
      const forbidden = new Map<string, number>();
      for (const { worker, model, ends, after } of steps) {
        now += after;
        const cooldowns = workers[worker] ?? new Cooldowns(shared);
        const of = { provider: 'p', model };
        const until = Math.max(forbidden.get('all') ?? 0, forbidden.get(model) ?? 0);
        const may = await askable(cooldowns, of);
        expect(may).toBe(until <= now);
        if (!may) continue;
        const error = {
          answer: null,
          limit: limited(null),
          named: limited(30_000),
          away: away(),
          fault: new ModelError('unavailable', 'x', { status: 500 }),
        }[ends];
        const began = await cooldowns.ended(of, error);
        expect(began).toBe(ends !== 'answer' && ends !== 'fault');
        const [made] = cooldowns.list('p').filter((one) => one.model === (ends === 'away' ? null : model));
        if (began) forbidden.set(ends === 'away' ? 'all' : model, made?.until ?? 0);
        expect(made?.until).toBe(ends === 'named' ? now + 30_000 : made?.until);
      }
    }),
  );
});
