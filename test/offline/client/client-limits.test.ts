/** What bounds a wait, and where runs are started. No server. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { temporalTarget } from '../../../client/connect.ts';
import { within } from '../../../client/with-timeout.ts';
import { DEFAULT_TASK_QUEUE } from '../../../protocol/temporal/names.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';

guardAgainstLeaks();

setFlagsFromString('--expose_gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Settles when the signal aborts, as a call in flight does; a signal that nobody holds any more never does. */
const aborted = (signal: AbortSignal): Promise<string> =>
  new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve('aborted'), { once: true });
  });

describe('a wait', () => {
  test.each([
    ['with a time alone', undefined],
    ['with a time and a signal', new AbortController().signal],
  ])('%s ends in time, whatever the garbage collector does', async (_what, signal) => {
    const options = { timeoutMs: 60, ...(signal === undefined ? {} : { signal }) };
    const waiting = within(options, aborted);
    for (let turn = 0; turn < 5; turn += 1) {
      collectGarbage();
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    expect(await waiting).toBe('aborted');
  });

  test('ends when the caller gives up, also before it begins', async () => {
    const caller = new AbortController();
    const waiting = within({ signal: caller.signal, timeoutMs: 60_000 }, aborted);
    caller.abort();
    expect(await waiting).toBe('aborted');
    expect(await within({ signal: caller.signal }, async ({ aborted: already }) => already)).toBe(true);
  });

  test('without a limit is left alone, and leaves nothing behind', async () => {
    const caller = new AbortController();
    expect(await within({ signal: caller.signal }, async (signal) => signal.aborted)).toBe(false);
    await expect(within({ timeoutMs: 60_000 }, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  });
});

describe('the task queue', () => {
  test.each([
    ['of the options', { taskQueue: 'mine', env: { RUNS_TASK_QUEUE: 'theirs' } }, 'mine'],
    ['of the environment', { env: { RUNS_TASK_QUEUE: ' theirs ' } }, 'theirs'],
    ['set to nothing is the default', { env: { RUNS_TASK_QUEUE: '' } }, DEFAULT_TASK_QUEUE],
    ['not set is the default', { env: {} }, DEFAULT_TASK_QUEUE],
  ])('that is %s', (_what, options, taskQueue) => {
    expect(temporalTarget(options).taskQueue).toBe(taskQueue);
  });
});
