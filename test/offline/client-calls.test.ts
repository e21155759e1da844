/** Calls over one connection: what a long wait does to the process that waits. */
import { setImmediate as turn } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { expect, onTestFinished, test } from 'vitest';
import { Calls } from '../../client/calls.ts';

test('a wait may be as many requests as it takes: Node warns of no leak', async () => {
  const warnings: string[] = [];
  const onWarning = ({ name }: Error): void => void warnings.push(name);
  process.on('warning', onWarning);
  onTestFinished(() => void process.off('warning', onWarning));
  const client = {
    // As Temporal's client does: a listener for every long poll, never removed.
    withAbortSignal: (signal: AbortSignal, call: () => Promise<unknown>) => {
      for (let poll = 0; poll < 30; poll += 1) signal.addEventListener('abort', () => undefined);
      return call();
    },
  } as unknown as Client;
  expect(await new Calls(client, new AbortController()).run(async () => 'done')).toBe('done');
  await turn();
  expect(warnings).toEqual([]);
});
