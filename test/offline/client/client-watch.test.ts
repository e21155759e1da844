/** Watching a run: which snapshots are seen, and when it ends. Every order decided by the test. */
import { describe, expect, test } from 'vitest';
import { watchRun, type WatchSource } from '../../../client/watch.ts';
import type { RunResult, RunSnapshot } from '../../../protocol/index.ts';
import { deferred } from '../../support/deferred.ts';

const result: RunResult = {
  status: 'completed',
  runId: 'run_1',
  backendRunId: null,
  threadId: 't',
  rounds: 0,
  usage: null,
  calls: [],
  unusedAnswers: [],
};
const snapshot = (more: Partial<RunSnapshot>): RunSnapshot => ({
  runId: 'run_1',
  backendRunId: null,
  threadId: 't',
  assistantId: 'a',
  backend: 'assistants',
  phase: 'following',
  status: 'in_progress',
  round: 0,
  expiresAt: null,
  calls: [],
  unusable: { count: 0, latest: [] },
  result: null,
  ...more,
});
const ended = snapshot({ phase: 'ended', status: 'completed', result });

/** Gives the scripted snapshots one after the other, the last one for ever; sleeps are recorded and take no time. */
const source = (script: RunSnapshot[], end: Promise<unknown> = new Promise(() => undefined)) => {
  const pauses: number[] = [];
  let signal: AbortSignal | undefined;
  const made: WatchSource = {
    snapshot: (given) => {
      signal = given;
      const next = script.length > 1 ? script.shift() : script[0];
      if (next === undefined) throw new Error('the script is empty');
      return Promise.resolve(next);
    },
    ended: (given) =>
      Promise.race([
        end,
        new Promise((_resolve, reject) => {
          given.addEventListener('abort', () => reject(new Error('given up')), { once: true });
        }),
      ]),
    sleep: (ms) => {
      pauses.push(ms);
      return Promise.resolve();
    },
  };
  return { made, pauses, signal: () => signal };
};

const all = async (watching: AsyncIterable<RunSnapshot>): Promise<string[]> => {
  const seen: string[] = [];
  for await (const item of watching) seen.push(`${item.phase} ${item.round}`);
  return seen;
};

describe('watchRun', () => {
  test('shows each state once, and ends with the result', async () => {
    const one = snapshot({ round: 1 });
    const { made } = source([snapshot({}), snapshot({}), one, one, one, ended]);
    expect(await all(watchRun(made))).toEqual(['following 0', 'following 1', 'ended 0']);
  });

  test('looks ever more rarely while nothing changes, and at once again when something has', async () => {
    const same = Array.from({ length: 12 }, () => snapshot({}));
    const { made, pauses } = source([...same, snapshot({ round: 1 }), ended]);
    await all(watchRun(made));
    const waiting = pauses.slice(0, 12);
    expect(waiting[0]).toBe(100);
    expect(Math.max(...waiting)).toBe(2_000);
    expect(waiting).toEqual(waiting.toSorted((a, b) => a - b));
    expect(pauses[12]).toBe(100);
  });

  test('is woken by the end', async () => {
    const end = deferred<unknown>();
    const { made } = source([snapshot({}), ended], end.promise);
    const sleepy: WatchSource = {
      ...made,
      sleep: () => {
        end.resolve(result);
        return new Promise(() => undefined);
      },
    };
    expect(await all(watchRun(sleepy))).toEqual(['following 0', 'ended 0']);
  });

  test('ends too when the run left no result', async () => {
    const { made } = source(
      [snapshot({ phase: 'ended', status: 'failed', partial: true })],
      Promise.resolve(),
    );
    expect(await all(watchRun(made))).toEqual(['ended 0']);
  });

  test.each<[string, () => Promise<unknown>]>([
    ['the long poll is lost', () => Promise.reject(new Error('connection lost'))],
    ['the end is told and does not show', () => Promise.resolve()],
  ])('between two looks there is a pause, also when %s', async (_what, end) => {
    const { made } = source([snapshot({})], end());
    let looks = 0;
    let waking: (() => void) | undefined;
    const paused = deferred();
    let pauses = 0;
    const counted: WatchSource = {
      ...made,
      snapshot: (signal) => {
        looks += 1;
        return made.snapshot(signal);
      },
      sleep: () =>
        new Promise((resolve) => {
          pauses += 1;
          waking = resolve;
          // Two looks may be needed before the first pause: one that began before the end was known.
          if (pauses === 3) paused.resolve();
          else resolve();
        }),
    };
    const abort = new AbortController();
    const watching = all(watchRun(counted, { signal: abort.signal }));
    await paused.promise;
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    expect(looks).toBeLessThanOrEqual(pauses + 1);
    expect(pauses).toBe(3);
    counted.snapshot = () => Promise.resolve(ended);
    waking?.();
    await watching;
  });

  test('a lost long poll costs promptness only', async () => {
    const { made } = source([snapshot({}), ended], Promise.reject(new Error('connection lost')));
    expect(await all(watchRun(made))).toEqual(['following 0', 'ended 0']);
  });

  test('the polling stops when the watcher stops', async () => {
    const { made, signal } = source([snapshot({})]);
    for await (const item of watchRun(made)) {
      expect(item.phase).toBe('following');
      break;
    }
    expect(signal()?.aborted).toBe(true);
  });
});
