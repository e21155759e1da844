/** A database from before several providers: its runs are read, go on, and then say which model spoke. */
import { expect, test } from 'vitest';
import { storeOn } from '../../../store/index.ts';
import { migrate, readMigrations } from '../../../store/migrate.ts';
import { openPglite } from '../../../store/pglite.ts';
import { image } from '../../support/store.ts';

const NOW = 1_800_000_000_000;
const CONFIG = {
  model: 'old',
  instructions: null,
  tools: [],
  temperature: null,
  top_p: null,
  max_prompt_tokens: null,
  max_completion_tokens: null,
  truncation_strategy: { type: 'auto', last_messages: null },
  tool_choice: 'auto',
  parallel_tool_calls: true,
  response_format: 'auto',
  reasoning_effort: null,
  granted_tools: null,
};

test('a run of an older version goes on after the migration, and then has its model', async () => {
  const db = await openPglite({ memory: true, image: await image() });
  const migrations = await readMigrations();
  const before = migrations.findIndex(({ text }) => text.includes('models_used'));
  expect(before).toBeGreaterThan(0);
  await migrate(db, migrations.slice(0, before));
  await db.query(
    "insert into threads (id, tenant, created_at, metadata) values ('thread_1', 't', $1, '{}')",
    [NOW],
  );
  await db.query(
    `insert into runs (id, tenant, thread_id, assistant_id, created_at, status, expires_at, config, metadata)
     values ('run_1', 't', 'thread_1', 'asst_1', $1, 'queued', $2, $3::json, '{}')`,
    [NOW, NOW + 600_000, JSON.stringify(CONFIG)],
  );
  await migrate(db, migrations);
  const store = storeOn(db);
  expect(await store.getRun('t', 'thread_1', 'run_1')).not.toHaveProperty('models_used');
  const claim = await store.claim('run_1', NOW);
  if (claim === null) throw new Error('no claim');
  const { messageId } = await store.openMessage(claim.lease, NOW, 'near/model');
  const content = [{ type: 'text' as const, text: { value: 'Hi', annotations: [] } }];
  await store.settleTurn(
    claim.lease,
    { outcome: { kind: 'completed' }, message: { id: messageId, content }, usage: null, model: 'near/model' },
    NOW,
  );
  expect(await store.getRun('t', 'thread_1', 'run_1')).toMatchObject({ models_used: ['near/model'] });
  const { data } = await store.listSteps('t', 'thread_1', 'run_1', { limit: 10, order: 'asc' });
  expect(data).toMatchObject([{ status: 'completed', model: 'near/model' }]);
  await store.close();
});
