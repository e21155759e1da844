import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { census, guardAgainstLeaks, leaks } from '../../support/leak-guard.ts';

guardAgainstLeaks();

test('a listening server and a running timer are leaks until they are closed', async () => {
  const before = census();
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen({ host: '127.0.0.1', port: 0 }, resolve);
  });
  const timer = setTimeout(() => undefined, 60_000);
  expect(leaks(before, census(), [])).toEqual(['1 × TCPServerWrap', '1 × Timeout']);
  expect(leaks(before, census(), ['Timeout'])).toEqual(['1 × TCPServerWrap']);
  clearTimeout(timer);
  await new Promise((resolve) => {
    server.close(resolve);
  });
  // A handle is gone a moment after its close event.
  await expect.poll(() => leaks(before, census(), [])).toEqual([]);
});

test('only growth is a leak, and only of what we look at', () => {
  const before = new Map([['TCPSocketWrap', 2]]);
  expect(leaks(before, new Map([['TCPSocketWrap', 1]]), [])).toEqual([]);
  expect(
    leaks(
      before,
      new Map([
        ['TCPSocketWrap', 5],
        ['SomethingElse', 9],
      ]),
      [],
    ),
  ).toEqual(['3 × TCPSocketWrap']);
});
