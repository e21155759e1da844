import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createFollowUpRun, startMaintenance } from '../../../service/index.ts';
import { checkNamespace, reconcile, repairOf } from '../../../service/reconciler.ts';
import type { WorkflowState } from '../../../service/run-workflows.ts';
import { ApiError, RunsError } from '../../../protocol/errors.ts';
import { FAILURES } from '../../../protocol/temporal/names.ts';
import type { LiveRun, Store } from '../../../protocol/ports/run-store.ts';
import type { FollowUpInput } from '../../../protocol/temporal/messages.ts';
import { workflowsThat } from '../../support/workflows-that.ts';
import { memoryStore, startedRun } from '../../support/store.ts';

const NOW = 1_800_000_000_000;
const T = 'tenant';
let store: Store;
beforeAll(async () => {
  store = await memoryStore();
}, 60_000);
afterAll(() => store.close());

const live = (more: Partial<LiveRun> = {}): LiveRun => ({
  runId: 'run',
  tenant: T,
  threadId: 't',
  assistantId: 'a',
  status: 'in_progress',
  metadata: {},
  createdAt: 0,
  expiresAt: null,
  cancelAskedAt: null,
  claimed: true,
  position: 1,
  ...more,
});

describe('what to repair', () => {
  test.each<[string, LiveRun, WorkflowState, object]>([
    ['a run that goes on', live(), 'running', { kind: 'none' }],
    ['a fresh wish to cancel', live({ cancelAskedAt: 95 }), 'running', { kind: 'none' }],
    ['an old wish to cancel', live({ cancelAskedAt: 50 }), 'running', { kind: 'cancel' }],
    ['a start that was lost', live({ claimed: false }), 'missing', { kind: 'start' }],
    [
      'a lost start that is not wanted any more',
      live({ claimed: false, cancelAskedAt: 99 }),
      'missing',
      { kind: 'close', how: 'cancel' },
    ],
    ['a workflow that is gone', live(), 'missing', { kind: 'close', how: 'fail' }],
    [
      'a workflow that was ended from outside',
      live(),
      { ended: 'TERMINATED' },
      { kind: 'close', how: 'fail' },
    ],
    [
      'a cancelled run whose workflow was ended',
      live({ cancelAskedAt: 99 }),
      { ended: 'TERMINATED' },
      { kind: 'close', how: 'cancel' },
    ],
  ])('%s', (_name, run, look, expected) => {
    expect(repairOf(run, look, 100, 10)).toMatchObject(expected);
  });
});

describe('a pass', () => {
  test('repairs each run by its own workflow, leaves young ones alone, and goes on past trouble', async () => {
    const terminated = await startedRun(store, T, NOW);
    await store.claim(terminated.runId, NOW);
    const lost = await startedRun(store, T, NOW);
    const broken = await startedRun(store, T, NOW);
    const young = await startedRun(store, T, NOW + 60_000);
    const started: string[] = [];
    const looks: string[] = [];
    const counts = await reconcile({
      store,
      now: () => NOW + 60_000,
      workflows: workflowsThat({
        look: async (runId) => {
          looks.push(runId);
          if (runId === broken.runId) throw new TypeError('odd');
          return runId === terminated.runId ? { ended: 'TERMINATED' } : 'missing';
        },
        brokenOffSince: async () => [terminated.runId],
        start: async ({ runId = '' }) => {
          started.push(runId);
          return { runId, started: true };
        },
      }),
    });
    expect(counts).toMatchObject({ start: 1, cancel: 0, close: 1 });
    expect(started).toEqual([lost.runId]);
    expect(looks).not.toContain(young.runId);
    expect(await store.getRun(T, terminated.threadId, terminated.runId)).toMatchObject({
      status: 'failed',
      last_error: { code: 'server_error', message: expect.stringContaining('TERMINATED') },
    });
  });

  test('stops when Temporal is away, and changes nothing', async () => {
    const run = await startedRun(store, T, NOW);
    await store.claim(run.runId, NOW);
    const away = new RunsError('temporal_unavailable', 'away');
    await expect(
      reconcile({
        store,
        now: () => NOW + 60_000,
        workflows: workflowsThat({ look: () => Promise.reject(away) }),
      }),
    ).rejects.toBe(away);
    expect((await store.getRun(T, run.threadId, run.runId)).status).toBe('in_progress');
  });
});

describe('the namespace', () => {
  test('that a store is used with first is its own; another one is refused until it is adopted', async () => {
    const here = { store, workflows: workflowsThat({}) };
    const there = {
      store,
      workflows: workflowsThat({ namespaceId: async () => ({ id: 'ns-2', name: 'x' }) }),
    };
    expect(await checkNamespace(here, false)).toBeNull();
    expect(await checkNamespace(here, false)).toBeNull();
    expect(await checkNamespace(there, false)).toContain('was first used with the Temporal namespace');
    expect(await checkNamespace(there, true)).toBeNull();
    expect(await checkNamespace(here, false)).toContain('was first used with the Temporal namespace');
    expect(await checkNamespace(here, true)).toBeNull();
  });

  test('that is another keeps the reconciler from touching any run', async () => {
    const run = await startedRun(store, T, 1000);
    await store.claim(run.runId, 1000);
    const maintenance = startMaintenance({
      store,
      workflows: workflowsThat({
        look: async () => 'missing',
        namespaceId: async () => ({ id: 'ns-3', name: 'wrong' }),
      }),
      now: () => NOW,
    });
    await maintenance.stop();
    expect(maintenance.problem()).toContain('was first used with the Temporal namespace');
    expect((await store.getRun(T, run.threadId, run.runId)).status).toBe('in_progress');
  });
});

const followUp = (run: { runId: string; threadId: string; assistantId: string }): FollowUpInput => ({
  ...run,
  backend: 'chat',
  metadata: {},
  calls: [],
  answerBy: NOW,
  searchAttributes: false,
  hooks: { onWaiting: false, onEnd: false },
  settings: {},
});
const starting = (started: unknown[]) =>
  workflowsThat({
    start: async (options) => {
      started.push(options);
      return { runId: options.runId ?? '', started: true };
    },
  });

describe('the run for a late answer', () => {
  test('is like the first one, carries the answer as a message, and is started once however often it is asked for', async () => {
    const run = await startedRun(store, T, NOW, {
      params: { instructions: 'Special.', tool_choice: 'required', metadata: { a: 'b' } },
    });
    await store.closeRun(run.runId, { kind: 'expire' }, NOW);
    const started: unknown[] = [];
    const request = { newRunId: 'run_linked1', of: followUp(run), callId: 'c', message: 'The answer is 42.' };
    let now = NOW;
    const deps = { store, workflows: starting(started), now: () => now };
    await createFollowUpRun(deps, request);
    now += 300_000;
    await createFollowUpRun(deps, request);
    // Until when is the row's to say, not the second try's.
    expect(started[1]).toEqual(started[0]);
    expect(started[0]).toMatchObject({ createdAt: NOW, expiresAt: NOW + 600_000 });
    expect(await store.getRun(T, run.threadId, 'run_linked1')).toMatchObject({
      status: 'queued',
      instructions: 'Special.',
      tool_choice: 'auto',
      metadata: { a: 'b', durable_runs_follow_up_of: run.runId },
    });
    const page = await store.listMessages(T, run.threadId, { limit: 1, order: 'desc' });
    expect(page.data[0]?.content).toMatchObject([{ text: { value: 'The answer is 42.' } }]);
    expect(started).toHaveLength(2);
    expect(started[0]).toMatchObject({ followUpOf: { runId: run.runId, callIds: ['c'] } });
  });

  test('waits for a busy thread, and gives up when the first run is gone', async () => {
    const run = await startedRun(store, T, NOW);
    const deps = { store, workflows: starting([]), now: () => NOW };
    const request = { newRunId: 'run_linked2', of: followUp(run), callId: 'c', message: 'x' };
    await expect(createFollowUpRun(deps, request)).rejects.toMatchObject({
      type: FAILURES.backendBusy,
      retryable: true,
    });
    await expect(
      createFollowUpRun(deps, { ...request, of: { ...followUp(run), runId: 'run_gone' } }),
    ).rejects.toMatchObject({ type: FAILURES.backendNotFound, retryable: false });
    // What is refused for another reason would be refused for ever.
    const refusing = {
      ...store,
      createRun: () => Promise.reject(new ApiError(400, 'Something else is wrong.')),
    };
    await expect(createFollowUpRun({ ...deps, store: refusing }, request)).rejects.toMatchObject({
      type: FAILURES.backendRejected,
      retryable: false,
    });
  });
});
