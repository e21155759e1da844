/** The engine on a Temporal server that is killed and comes back, and the reconciler on what that leaves. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TemporalServer } from '../../../dev-server/temporal-server.ts';
import { RunsClient } from '../../../client/index.ts';
import { createRunsService, workflowsOf, type Workflows } from '../../../service/index.ts';
import { checkNamespace, reconcile } from '../../../service/reconciler.ts';
import type { Caller, RunsService } from '../../../protocol/ports/runs-service.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import { guardAgainstLeaks } from '../../support/leak-guard.ts';
import { memoryStore, newRun } from '../../support/store.ts';
import { privateTemporal } from '../../support/temporal.ts';

guardAgainstLeaks();

const T = 'tenant';
const caller: Caller = {
  tenant: T,
  requestId: 'req_1',
  isRetry: false,
  idempotencyKey: null,
  verified: false,
  groups: [],
};
const page = { limit: 10, order: 'asc' as const };

let dir: string;
let server: TemporalServer;
let client: RunsClient;
let store: Store;
let engine: RunsService;
let workflows: Workflows;
let assistantId: string;

const portOf = (address: string): number => Number(address.split(':')[1]);
const restart = async (): Promise<void> => {
  server = await privateTemporal({
    dbFilename: join(dir, 'temporal.db'),
    port: portOf(server.address),
  });
};

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'durable-runs-outage-'));
  [server, store] = await Promise.all([
    privateTemporal({ dbFilename: join(dir, 'temporal.db') }),
    memoryStore(),
  ]);
  client = await RunsClient.connect({ address: server.address, taskQueue: 'nobody', env: {} });
  workflows = workflowsOf(client);
  engine = createRunsService({ store, client });
  assistantId = (await engine.createAssistant(caller, { model: 'm' })).id;
});
afterAll(async () => {
  await client.close();
  await store.close();
  await server.stop();
  await rm(dir, { recursive: true, force: true });
});

const started = async () => {
  const { run } = await engine.createThreadAndRun(caller, {}, { assistant_id: assistantId });
  return { runId: run.id, threadId: run.thread_id };
};
const pass = () =>
  reconcile({ store, workflows, now: () => Date.now() + 60_000, graceMs: 0, cancelGraceMs: 0 });

describe('Temporal killed and restarted', () => {
  test('starts are 503 and leave nothing, a wish to cancel is kept, and all of it works again afterwards', async () => {
    expect(await checkNamespace({ store, workflows }, false)).toBeNull();
    const running = await started();
    const thread = await engine.createThread(caller, {});
    server.kill();
    await server.exited;
    await expect(engine.createRun(caller, thread.id, { assistant_id: assistantId })).rejects.toMatchObject({
      status: 503,
      code: 'unavailable',
      headers: { 'retry-after': expect.any(String) },
    });
    expect((await engine.listRuns(caller, thread.id, page)).data).toEqual([]);
    expect(await engine.readiness()).toEqual(["Temporal can't be reached."]);
    expect((await engine.getRun(caller, running.threadId, running.runId)).status).toBe('queued');
    expect((await engine.cancelRun(caller, running.threadId, running.runId)).status).toBe('cancelling');

    await restart();
    const { run } = await engine.createRun(caller, thread.id, { assistant_id: assistantId });
    expect(await workflows.look(run.id)).toBe('running');
    expect(await engine.readiness()).toEqual([]);
    // The same namespace as before, by its id.
    expect(await checkNamespace({ store, workflows }, false)).toBeNull();
    expect(await pass()).toMatchObject({ cancel: 1, close: 0, start: 0 });
    const view = await client.temporal.workflow.getHandle(running.runId).fetchHistory();
    expect(view.events?.some((event) => event.workflowExecutionCancelRequestedEventAttributes != null)).toBe(
      true,
    );
  });
});

describe('rows without a workflow', () => {
  test('that was terminated are failed; that was never started are started', async () => {
    const ended = await started();
    await store.claim(ended.runId, Date.now());
    await client.temporal.workflow.getHandle(ended.runId).terminate('by hand');
    const thread = await engine.createThread(caller, {});
    const lost = await store.createRun(
      T,
      newRun({ thread: { id: thread.id }, params: { assistant_id: assistantId }, now: Date.now() }),
    );
    expect(await workflows.look(lost.run.id)).toBe('missing');
    await pass();
    expect(await workflows.look(lost.run.id)).toBe('running');
    expect(await engine.getRun(caller, ended.threadId, ended.runId)).toMatchObject({
      status: 'failed',
      last_error: { code: 'server_error' },
    });
  });

  test('are closed at once when a person cancels them', async () => {
    const thread = await engine.createThread(caller, {});
    const lost = await store.createRun(
      T,
      newRun({ thread: { id: thread.id }, params: { assistant_id: assistantId }, now: Date.now() }),
    );
    expect((await engine.cancelRun(caller, thread.id, lost.run.id)).status).toBe('cancelled');
  });
});
