/**
 * What lists of runs and the overview cost on a large store: seeds a PostgreSQL of its own with runs, then times each statement.
 *
 * `node bench/run-records.ts [runs]`, default 1,000,000. It fails when a page costs more than a tenth of a second, or the overview
 * more than two.
 */
import { Client } from 'pg';
import { startPostgres } from '../test/support/postgres-server.ts';
import { openStore } from '../store/index.ts';
import type { RunQuery } from '../protocol/ports/run-store.ts';
import { quantile } from './usage.ts';

const HOUR = 3_600_000;
const count = Number(process.argv[2] ?? 1_000_000);
const NOW = Date.now();
/** Runs are spread evenly over thirty days. */
const SPAN = 720 * HOUR;
const TIMES = 9;
const LIMIT_MS = { page: 100, overview: 2_000 };

/**
 * Triggers are off meanwhile, which takes the time of seeding to a tenth. One run in a hundred waits; of the ended ones, one in fifty failed and one in five hundred called the rare tool.
 */
const SEED = `
  set session_replication_role = replica;
  insert into threads (id, tenant, created_at, metadata) select 'thread_' || n, 'tenant_' || n % 50, $2, '{}' from generate_series(1, $1::int) n;
  insert into runs (id, tenant, thread_id, assistant_id, created_at, started_at, status, config, metadata, awaiting, last_error, ended_at, completed_at, failed_at)
  select 'run_' || n, 'tenant_' || n % 50, 'thread_' || n, 'asst_' || n % 20, t.at, t.at + 50,
    s.status, '{"model":"model-a","instructions":null,"tools":[]}', '{}',
    case when s.status = 'in_progress' then '[{"call_id":"c","tool":"refund","kind":"approval","on_deadline":"fail","answer_by":null}]'::json end,
    case when s.status = 'failed' then '{"code":"server_error","message":"It broke."}'::json end,
    case when s.status <> 'in_progress' then t.at + 3000 end,
    case when s.status = 'completed' then t.at + 3000 end, case when s.status = 'failed' then t.at + 3000 end
  from generate_series(1, $1::int) n,
    lateral (select $2::bigint - $3::bigint + (n::bigint * $3::bigint) / $1::int as at) t,
    lateral (select case when n % 100 = 0 then 'in_progress' when n % 50 = 1 then 'failed' else 'completed' end as status) s;
  insert into rounds (run_id, round, thread_id, calls, outputs, done, listed)
  select 'run_' || n, 1, 'thread_' || n, ('[{"callId":"c","name":"' || case when n % 500 = 0 then 'wipe' else 'look_up' end || '","arguments":"{}","plan":{"kind":"external"}}]')::json, '{}', true, true
  from generate_series(1, $1::int, 4) n;
  insert into rounds (run_id, round, thread_id, calls, outputs, done, listed)
  select 'run_' || n, 1, 'thread_' || n, '[{"callId":"c","name":"wipe","arguments":"{}","plan":{"kind":"external"}}]', '{}', true, true
  from generate_series(500, $1::int, 500) n on conflict do nothing;
  insert into steps (id, run_id, tenant, thread_id, assistant_id, created_at, kind, round, status, details, completed_at, model)
  select 'step_' || n, 'run_' || n, 'tenant_' || n % 50, 'thread_' || n, 'asst_' || n % 20, $2, 'message', 1, 'completed', '{"type":"message_creation","message_creation":{"message_id":"m"}}', $2, '"model-a"'
  from generate_series(greatest(1, $1::int - 20000), $1::int) n;
  insert into run_tools (run_id, tool, run_position)
  select distinct r.id, t.tool, r.position from rounds o join runs r on r.id = o.run_id, tools_called(o.calls::text) t(tool);
  set session_replication_role = default;
  vacuum analyze`;

const LISTS: Readonly<Record<string, Omit<RunQuery, 'limit'>>> = {
  'all runs': { tenant: null },
  'a tenant': { tenant: 'tenant_7' },
  'failed runs of a tenant': { tenant: 'tenant_7', status: 'failed' },
  'failed runs of all': { tenant: null, status: 'failed' },
  'expired runs, of which there are none': { tenant: null, status: 'expired' },
  'live runs': { tenant: null, status: 'in_progress' },
  'an assistant': { tenant: null, assistantId: 'asst_7' },
  'an assistant without runs': { tenant: null, assistantId: 'asst_none' },
  'a rare tool': { tenant: null, tool: 'wipe' },
  'a frequent tool of a tenant': { tenant: 'tenant_1', tool: 'look_up' },
  'a tool that no run called': { tenant: null, tool: 'none' },
  'an hour thirty days ago': { tenant: null, createdFrom: NOW - SPAN, createdBefore: NOW - SPAN + HOUR },
  'a day of a tenant': { tenant: 'tenant_7', createdFrom: NOW - 360 * HOUR, createdBefore: NOW - 336 * HOUR },
};

const timed = async (what: string, limitMs: number, work: () => Promise<unknown>): Promise<boolean> => {
  const times: number[] = [];
  for (let index = 0; index < TIMES; index++) {
    const begin = performance.now();
    await work();
    times.push(performance.now() - begin);
  }
  const median = quantile(times, 0.5);
  console.log(`${median.toFixed(1).padStart(8)} ms  ${what} (first ${(times[0] ?? 0).toFixed(1)} ms)`);
  return median <= limitMs;
};

const postgres = await startPostgres({ durable: false });
const store = await openStore({ databaseUrl: postgres.url, statementTimeoutMs: 600_000 });
try {
  const client = new Client({ connectionString: postgres.url });
  await client.connect();
  const begin = performance.now();
  for (const statement of SEED.split(';')) {
    const params = [count, NOW, SPAN].filter((_value, index) => statement.includes(`$${index + 1}`));
    await client.query(statement, params);
  }
  await client.end();
  console.log(`${count} runs seeded in ${((performance.now() - begin) / 1_000).toFixed(0)} s`);
  const good: boolean[] = [];
  for (const [what, query] of Object.entries(LISTS))
    good.push(
      await timed(`a page of ${what}`, LIMIT_MS.page, () => store.listAllRuns({ ...query, limit: 50 })),
    );
  const overview = (tenant: string | null, hours: number, bucketMs: number) => () =>
    store.readOverview({ tenant, from: NOW - hours * HOUR, bucketMs });
  good.push(
    await timed('the overview of a day', LIMIT_MS.overview, overview(null, 24, HOUR)),
    await timed('the overview of 30 days', LIMIT_MS.overview, overview(null, 720, 24 * HOUR)),
    await timed(
      'the overview of a tenant over 30 days',
      LIMIT_MS.overview,
      overview('tenant_7', 720, 24 * HOUR),
    ),
  );
  process.exitCode = good.every(Boolean) ? 0 : 1;
} finally {
  await store.close();
  await postgres.remove();
}
