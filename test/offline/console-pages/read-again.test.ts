/** Pages without a stream: how often they ask. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { nextPause, readAgain } from '../../../console/src/http/read-again.ts';

const PAUSES = { shortMs: 5_000, longMs: 60_000 };
const seenDocument = () => Object.assign(new EventTarget(), { visibilityState: 'visible' });
let page: ReturnType<typeof seenDocument>;

beforeEach(() => {
  vi.useFakeTimers();
  page = seenDocument();
  vi.stubGlobal('document', page);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** A page that reads; `changed` says whether the next read brings something new. */
const reading = () => {
  const seen = { reads: 0, changed: false };
  const stop = readAgain(() => {
    seen.reads += 1;
    return Promise.resolve(seen.changed);
  }, PAUSES);
  return { seen, stop };
};

test.each([
  ['doubles when nothing is new', 5_000, false, 10_000],
  ['ends at the longest', 40_000, false, 60_000],
  ['is short after a change', 60_000, true, 5_000],
])('a pause %s', (_name, pause, changed, next) => {
  expect(nextPause(pause, changed, PAUSES)).toBe(next);
});

test('what does not change is read less and less often, in the end once a minute', async () => {
  const { seen, stop } = reading();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(seen.reads).toBe(3);
  await vi.advanceTimersByTimeAsync(60 * 60_000);
  expect(seen.reads).toBe(63);
  stop();
});

test('what changes is read every five seconds', async () => {
  const { seen, stop } = reading();
  seen.changed = true;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(seen.reads).toBe(12);
  stop();
});

test('a person at the page brings the short pause back, and reads at once what is older', async () => {
  const { seen, stop } = reading();
  await vi.advanceTimersByTimeAsync(600_000);
  const before = seen.reads;
  await vi.advanceTimersByTimeAsync(30_000);
  const beforeMove = seen.reads;
  page.dispatchEvent(new Event('pointermove'));
  await vi.advanceTimersByTimeAsync(0);
  expect(seen.reads).toBe(beforeMove + 1);
  expect(beforeMove - before).toBeLessThanOrEqual(1);
  for (let moves = 0; moves < 100; moves += 1) page.dispatchEvent(new Event('pointermove'));
  await vi.advanceTimersByTimeAsync(4_000);
  expect(seen.reads).toBe(beforeMove + 1);
  stop();
});

test('a hidden page reads nothing, and reads when it is seen again', async () => {
  const { seen, stop } = reading();
  page.visibilityState = 'hidden';
  page.dispatchEvent(new Event('visibilitychange'));
  await vi.advanceTimersByTimeAsync(600_000);
  expect(seen.reads).toBe(1);
  page.visibilityState = 'visible';
  page.dispatchEvent(new Event('visibilitychange'));
  await vi.advanceTimersByTimeAsync(0);
  expect(seen.reads).toBe(2);
  stop();
  await vi.advanceTimersByTimeAsync(600_000);
  expect(seen.reads).toBe(2);
});
