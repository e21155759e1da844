import { Client, Connection } from '@temporalio/client';
import { afterAll, expect, test } from 'vitest';
import { RunHandle, type RunHandleMethods } from '../../../client/run-handle.ts';
import { RunsClient } from '../../../client/runs-client.ts';

const METHODS = ['get', 'result', 'answer', 'cancel', 'watch', 'decisions', 'history'] as const;

/** Notes each call; every method answers with its own name. */
const noting = (calls: unknown[][]): RunHandleMethods =>
  Object.fromEntries(
    METHODS.map((name) => [
      name,
      (...args: unknown[]) => {
        calls.push([name, ...args]);
        return name;
      },
    ]),
  ) as unknown as RunHandleMethods;

test('each method of a handle is the one of the client with the id of the run', async () => {
  const calls: unknown[][] = [];
  const handle = new RunHandle(noting(calls), 'run_1');
  const payload = { call_id: 'call_1', output: 'x' };
  const replies = [
    await handle.describe(),
    await handle.result({ timeoutMs: 5 }),
    await handle.answer(payload, { timeoutMs: 5 }),
    await handle.cancel(),
    handle.watch(),
    await handle.decisions(),
    await handle.history(),
  ];
  expect(replies).toEqual(['get', 'result', 'answer', undefined, 'watch', 'decisions', 'history']);
  expect(calls).toEqual([
    ['get', 'run_1', {}],
    ['result', 'run_1', { timeoutMs: 5 }],
    ['answer', 'run_1', payload, { timeoutMs: 5 }],
    ['cancel', 'run_1', {}],
    ['watch', 'run_1', {}],
    ['decisions', 'run_1', {}],
    ['history', 'run_1', {}],
  ]);
});

const connection = Connection.lazy({ address: '127.0.0.1:1' });
afterAll(() => connection.close());

test('a handle is made without a request, and never for an invalid run id', () => {
  const runs = new RunsClient({ client: new Client({ connection }), taskQueue: 'runs' });
  expect(runs.getHandle('run_1').runId).toBe('run_1');
  expect(() => runs.getHandle('')).toThrow(expect.objectContaining({ code: 'invalid_input' }));
});
