/**
 * Fails a test file that leaves something running: an open socket, a listening server, a timer, a child process.
 *
 * Rule: a test closes what it opens. Call `guardAgainstLeaks()` at the top of a file; resources from before its first
 * test do not count, and each may take `GRACE_MS` to close, since sockets close after the call that closes them.
 */
import { afterAll, beforeAll, expect } from 'vitest';

const GRACE_MS = 2_000;
const LOOK_EVERY_MS = 20;

/** Kinds that Node reports and that tests of ours open. Pipes are vitest's own connection to its parent. */
const WATCHED = ['TCPSocketWrap', 'TCPServerWrap', 'TLSWrap', 'ProcessWrap', 'FSEventWrap'] as const;

export type ResourceKind = (typeof WATCHED)[number] | 'Timeout';

export interface LeakGuardOptions {
  /** Kinds not to look at, each with a reason in a comment at the call. */
  ignore?: readonly ResourceKind[];
}

export function guardAgainstLeaks(options: LeakGuardOptions = {}): void {
  const before = new Map<string, number>();
  beforeAll(() => {
    // The timers of the runner and of earlier files in this process count, too: one more that outlasts the grace period is a test's.
    for (const [kind, count] of census()) before.set(kind, count);
  });
  afterAll(async () => {
    const deadline = Date.now() + GRACE_MS;
    let left = leaks(before, census(), options.ignore ?? []);
    while (left.length > 0 && Date.now() < deadline) {
      await new Promise((resolve) => {
        setTimeout(resolve, LOOK_EVERY_MS);
      });
      left = leaks(before, census(), options.ignore ?? []);
    }
    expect(left, 'still open after the last test of this file').toEqual([]);
  });
}

/** What there is more of than before, as `2 × TCPSocketWrap`. */
export function leaks(
  before: ReadonlyMap<string, number>,
  now: ReadonlyMap<string, number>,
  ignore: readonly string[],
): string[] {
  return [...WATCHED, 'Timeout']
    .filter((kind) => !ignore.includes(kind))
    .map((kind) => ({ kind, more: (now.get(kind) ?? 0) - (before.get(kind) ?? 0) }))
    .filter(({ more }) => more > 0)
    .map(({ kind, more }) => `${more} × ${kind}`);
}

/** Resources that keep the event loop alive, by kind. */
export function census(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return counts;
}
