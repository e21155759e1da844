/** Budgets of the file of models hold for the runs of a worker, as those of RUNS_BUDGETS do. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { makeChat } from '../../../worker/backends.ts';
import { configFromEnv } from '../../../worker/config.ts';
import { fakeContext } from '../../support/backend-context.ts';
import { says } from '../../support/chat-server.ts';
import { scriptedHttp } from '../../support/scripted-http.ts';
import { createRequest, memoryStore, startedRun } from '../../support/store.ts';

const NOW = 1_800_000_000_000;

test('a turn that would pass its tenant’s budget of the file is not asked, and another tenant’s is', async () => {
  const [store, server, folder] = await Promise.all([
    memoryStore(),
    scriptedHttp(),
    mkdtemp(join(tmpdir(), 'durable-runs-budgets-')),
  ]);
  onTestFinished(async () => {
    await Promise.all([store.close(), server.close(), rm(folder, { recursive: true })]);
  });
  const file = join(folder, 'models.json');
  const models = {
    providers: { near: { kind: 'openai-compatible', base_url: `${server.url}/v1` } },
    budgets: { poor: { tokens_per_run: 1 } },
  };
  await writeFile(file, JSON.stringify(models));
  const config = configFromEnv({ RUNS_BACKEND: 'chat', RUNS_MODELS: file });
  const chat = await makeChat(config, store, { env: {} });
  onTestFinished(() => chat.dispose());
  server.script.push(says(['Hi']));
  const turnOf = async (tenant: string) => {
    const run = await startedRun(store, tenant, NOW, { assistant: { model: 'near/small' } });
    return await chat.backend.create(createRequest(run, NOW), fakeContext({ now: () => NOW + 1_000 }));
  };
  await expect(turnOf('poor')).rejects.toThrow('"tokens_per_run"');
  expect(server.requests).toEqual([]);
  expect(await turnOf('rich')).toMatchObject({ status: 'completed' });
});
