/** Reading a run when its worker answers, and when it is gone. */
import { describe, expect, test } from 'vitest';
import { readSnapshot } from '../../../client/read-snapshot.ts';
import type { ClientSession } from '../../../client/session.ts';
import type { WorkflowView } from '../../../client/view.ts';
import { RunsError, type RunResult } from '../../../protocol/index.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';

guardAgainstLeaks();

const RESULT: RunResult = {
  status: 'completed',
  runId: 'run_1',
  backendRunId: null,
  threadId: 't',
  rounds: 2,
  usage: null,
  calls: [],
  unusedAnswers: [],
};

const view = (status: 'COMPLETED' | 'RUNNING'): WorkflowView =>
  ({
    workflowId: 'run_1',
    type: 'run',
    status: { name: status },
    startTime: new Date(0),
    memo: {},
    typedSearchAttributes: { get: () => undefined },
  }) as unknown as WorkflowView;

/** A session whose query hangs until it is given up; `looks` counts how often the workflow was looked up. */
const hanging = (status: 'COMPLETED' | 'RUNNING') => {
  const seen = { looks: 0 };
  const session = {
    call: ({ signal }: { signal: AbortSignal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new RunsError('cancelled', 'given up')));
      }),
    look: async () => {
      seen.looks += 1;
      return view(status);
    },
    closedResult: async () => RESULT,
  } as unknown as ClientSession;
  return { session, seen };
};

describe('a run whose worker does not answer', () => {
  test('is read from Temporal within a second when it has ended', async () => {
    const { session } = hanging('COMPLETED');
    const began = performance.now();
    expect(await readSnapshot(session, 'run_1', undefined)).toMatchObject({
      phase: 'ended',
      status: 'completed',
      round: 2,
      result: RESULT,
      partial: true,
    });
    expect(performance.now() - began).toBeLessThan(1_000);
  });

  test('is waited for while it lives, until the caller gives up', async () => {
    const { session, seen } = hanging('RUNNING');
    const caller = new AbortController();
    const read = readSnapshot(session, 'run_1', caller.signal);
    await expect.poll(() => seen.looks).toBe(1);
    caller.abort();
    await expect(read).rejects.toMatchObject({ code: 'cancelled' });
  });
});

test('a run whose worker answers is not looked up', async () => {
  const { session, seen } = hanging('RUNNING');
  const answering = { ...session, call: async () => ({ runId: 'run_1', status: 'in_progress' }) };
  expect(await readSnapshot(answering as unknown as ClientSession, 'run_1', undefined)).toEqual({
    runId: 'run_1',
    status: 'in_progress',
  });
  expect(seen.looks).toBe(0);
});
