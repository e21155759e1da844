/** A call to a server that is away is given up soon; one that is merely slow is not. */
import { expect, test } from 'vitest';
import { withPingWatchdog } from '../../../service/ping-watchdog.ts';
import { RunsError } from '../../../protocol/errors.ts';
import { deferred } from '../../support/deferred.ts';

const SOON = { patienceMs: 1, pingMs: 1 };
const away = new RunsError('temporal_unavailable', 'away');

test('a slow call goes on for as long as the server answers pings, and then its result counts', async () => {
  const slow = deferred<string>();
  let pings = 0;
  const server = {
    ping: async () => {
      pings += 1;
      if (pings === 5) slow.resolve('late');
    },
  };
  await expect(withPingWatchdog(server, () => slow.promise, SOON)).resolves.toBe('late');
  expect(pings).toBe(5);
});

test('a call is told to stop, and not waited for, once the server does not answer', async () => {
  const never = deferred<string>();
  let told: AbortSignal | undefined;
  const call = withPingWatchdog(
    { ping: () => Promise.reject(away) },
    (signal) => {
      told = signal;
      return never.promise;
    },
    SOON,
  );
  await expect(call).rejects.toBe(away);
  expect(told?.aborted).toBe(true);
  // What it comes to later is nobody's uncaught rejection.
  never.reject(new Error('after all'));
});

test('for any failure of the ping, the server counts as down', async () => {
  const call = withPingWatchdog(
    { ping: () => Promise.reject(new Error('odd')) },
    () => new Promise<never>(() => undefined),
    SOON,
  );
  await expect(call).rejects.toMatchObject({ code: 'temporal_unavailable' });
});

test('a call that fails by itself fails with its own error, and no ping is sent', async () => {
  let pings = 0;
  const failing = new Error('mine');
  const call = withPingWatchdog({ ping: async () => void (pings += 1) }, () => Promise.reject(failing), {
    patienceMs: 60_000,
  });
  await expect(call).rejects.toBe(failing);
  expect(pings).toBe(0);
});
