/** Rows for store, engine and chat tests: short ways to a thread with a run, and to calls with plans. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CreateRequest } from '../../protocol/ports/backend.ts';
import type { PlannedCall, ToolPolicy } from '../../protocol/tool-calls.ts';
import { mintId } from '../../protocol/wire/ids.ts';
import type { NewRun, Store } from '../../protocol/ports/run-store.ts';
import { openStore } from '../../store/index.ts';
import { emptyImage } from '../../store/pglite.ts';
import type { AssistantParams, MessageParams, RunParams } from '../../protocol/ports/runs-service.ts';

export const POLICY: ToolPolicy = {
  maximumAttempts: 3,
  initialIntervalMs: 100,
  backoffCoefficient: 2,
  maximumIntervalMs: 1000,
  startToCloseMs: 10_000,
  heartbeatMs: null,
  atMostOnce: false,
};

export const external = (callId: string, name: string, args = '{}'): PlannedCall => ({
  callId,
  name,
  arguments: args,
  plan: { kind: 'external', wait: { onDeadline: 'fail', answerWithinMs: null } },
});

export const automatic = (callId: string, name: string, args = '{}'): PlannedCall => ({
  callId,
  name,
  arguments: args,
  plan: { kind: 'automatic', policy: POLICY },
});

export const newRun = (run: Partial<NewRun> & Pick<NewRun, 'thread' | 'params' | 'now'>): NewRun => ({
  runId: mintId('run'),
  expiresAt: run.now + 600_000,
  grantedTools: null,
  idempotency: null,
  ...run,
});

/** A queued run on a thread with one user message. */
export const startedRun = async (
  store: Store,
  tenant: string,
  now: number,
  more: {
    assistant?: Partial<AssistantParams>;
    params?: Partial<RunParams>;
    messages?: MessageParams[];
    offerTools?: boolean;
  } = {},
): Promise<{ runId: string; threadId: string; assistantId: string }> => {
  const assistant = await store.createAssistant(tenant, { model: 'model-a', ...more.assistant }, now);
  const thread = await store.createThread(
    tenant,
    { messages: more.messages ?? [{ role: 'user', content: 'Hello' }] },
    now,
  );
  const created = await store.createRun(
    tenant,
    newRun({
      thread: { id: thread.id },
      params: { assistant_id: assistant.id, ...more.params },
      now,
      ...(more.offerTools === true ? { offerTools: true } : {}),
    }),
  );
  return { runId: created.run.id, threadId: thread.id, assistantId: assistant.id };
};

/** What a workflow asks the `chat` backend for when the run begins. */
export const createRequest = (
  run: { runId: string; threadId: string; assistantId: string },
  now: number,
): CreateRequest => ({ ...run, params: {}, busy: 'fail', startedAt: now, expiresAt: now + 600_000 });

export const eventNames = async (store: Store, runId: string): Promise<string[]> => {
  const names: string[] = [];
  for (let after = 0; ;) {
    const { events, more } = await store.readEvents(runId, { after, limit: 10_000, gaps: 'refuse' });
    names.push(...events.map(({ event }) => event));
    if (!more) return names;
    after = events.at(-1)?.seq ?? after;
  }
};

/** An empty database, made once a machine and version of PGlite: making one takes seconds of CPU in every test file. */
export const image = async (): Promise<Blob> => {
  const manifest = createRequire(import.meta.url)
    .resolve('@electric-sql/pglite')
    .replace(/dist\/.*$/, 'package.json');
  const { version } = JSON.parse(await readFile(manifest, 'utf8')) as { version: string };
  const dir = join(tmpdir(), 'durable-runs-tests');
  const path = join(dir, `pglite-${version}.tar`);
  try {
    return new Blob([await readFile(path)]);
  } catch {
    const blob = await emptyImage();
    await mkdir(dir, { recursive: true });
    const draft = `${path}.${mintId('req')}`;
    await writeFile(draft, Buffer.from(await blob.arrayBuffer()));
    await rename(draft, path);
    return blob;
  }
};

/** A store in this process alone. */
export const memoryStore = async (): Promise<Store> => openStore({ memory: true, image: await image() });
