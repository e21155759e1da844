/** Calls in flight over one connection: limits, and word of when there is none. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Client } from '@temporalio/client';
import { expect, test } from 'vitest';
import { Calls } from '../../../client/temporal-calls.ts';
import { deferred } from '../../support/deferred.ts';

/** Carries deadlines as Temporal's connection does: in a storage that is read when the request is sent. */
const clientOn = (storage: AsyncLocalStorage<number>): Client =>
  ({
    withAbortSignal: <T>(_signal: AbortSignal, call: () => Promise<T>) => call(),
    withDeadline: <T>(deadline: number, call: () => Promise<T>) => storage.run(deadline, call),
  }) as unknown as Client;

test('idle is said when the last of many calls has settled, however it did', async () => {
  let idle = 0;
  const calls = new Calls(clientOn(new AsyncLocalStorage()), new AbortController(), () => (idle += 1));
  const [one, two] = [deferred<string>(), deferred<string>()];
  const running = [calls.run(() => one.promise), calls.run(() => two.promise)];
  one.resolve('done');
  await expect(running[0]).resolves.toBe('done');
  expect(idle).toBe(0);
  two.reject(new Error('failed'));
  await expect(running[1]).rejects.toThrow('failed');
  expect(idle).toBe(1);
});

test('a storage that is switched off while idle still carries every deadline to its request', async () => {
  const storage = new AsyncLocalStorage<number>();
  const calls = new Calls(clientOn(storage), new AbortController(), () => storage.disable());
  const seen: (number | undefined)[] = [];
  const ask = async (): Promise<void> => {
    // As the client does: something is awaited before the request is sent.
    await Promise.resolve();
    seen.push(storage.getStore());
  };
  for (let times = 0; times < 20; times += 1)
    await Promise.all(Array.from({ length: times % 4 }, () => calls.run(ask, { timeoutMs: 60_000 })));
  expect(seen).toHaveLength(30);
  expect(seen.filter((deadline) => deadline === undefined)).toEqual([]);
  expect(storage.getStore()).toBeUndefined();
});
