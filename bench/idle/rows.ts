/**
 * What a pass of maintenance costs as the number of waiting rows grows: store, reconciler and PostgreSQL are real, Temporal
 * is simulated (each run is alive, and each request is counted).
 *
 * The rows are copies of one waiting run, made by SQL: thread, run, round and approval. In each pass one row more has lost
 * its start, and the pass must find it.
 */
import { Client } from 'pg';
import type { Store } from '../../protocol/ports/run-store.ts';
import { prune } from '../../service/maintenance.ts';
import { reconcile } from '../../service/reconciler.ts';
import type { Workflows } from '../../service/run-workflows.ts';
import { openStore } from '../../store/index.ts';
import { startPostgres } from '../../test/support/postgres-server.ts';
import { approval } from '../../test/support/run-stubs.ts';
import { startedRun } from '../../test/support/store.ts';
import { workflowsThat } from '../../test/support/workflows-that.ts';
import type { Figure } from '../server-figures.ts';
import { cpuOfTree, quantile } from '../usage.ts';

const PASSES = 10;
const TENANT = 'bench';
const DAY_MS = 86_400_000;

/** The run that all rows are copies of. */
const template = async (store: Store, now: number): Promise<{ runId: string; threadId: string }> => {
  const run = await startedRun(store, TENANT, now);
  const claim = await store.claim(run.runId, now);
  if (claim === null) throw new Error('The first run has no row.');
  const calls = [approval('call_1', { answerWithinMs: DAY_MS })];
  await store.settleTurn(
    claim.lease,
    { outcome: { kind: 'calls', calls, expiresAt: now + DAY_MS }, message: null, usage: null },
    now,
  );
  return run;
};

/** Statements that copy the template for each number from $3 to $4; `%n` makes an id of its own. */
const COPIES = [
  `insert into threads select (jsonb_populate_record(t, jsonb_build_object('id', t.id || '_' || n, 'position', nextval('positions')))).*
   from threads t, generate_series($3::int, $4::int) n where t.id = $2 and $1 <> ''`,
  `insert into runs select (jsonb_populate_record(r, jsonb_build_object('id', r.id || '_' || n, 'thread_id', $2 || '_' || n, 'position', nextval('positions'), 'expires_at', r.created_at + ${7 * DAY_MS}))).*
   from runs r, generate_series($3::int, $4::int) n where r.id = $1`,
  `insert into rounds select (jsonb_populate_record(o, jsonb_build_object('run_id', $1 || '_' || n, 'thread_id', $2 || '_' || n, 'position', nextval('positions')))).*
   from rounds o, generate_series($3::int, $4::int) n where o.run_id = $1`,
  `insert into approvals select (jsonb_populate_record(a, jsonb_build_object('id', a.id || '_' || n, 'run_id', $1 || '_' || n, 'thread_id', $2 || '_' || n, 'position', nextval('positions')))).*
   from approvals a, generate_series($3::int, $4::int) n where a.run_id = $1`,
];

interface Counted {
  workflows: Workflows;
  requests: number;
  started: string[];
}

const countedWorkflows = (): Counted => {
  const counted: Counted = {
    requests: 0,
    started: [],
    workflows: workflowsThat({
      running: async (ids) => {
        counted.requests += 1;
        return new Set(ids);
      },
      brokenOffSince: async () => {
        counted.requests += 1;
        return [];
      },
      look: async () => {
        counted.requests += 1;
        return 'missing';
      },
      start: async ({ runId }) => {
        counted.requests += 1;
        counted.started.push(runId ?? '');
        return { runId: runId ?? '', started: true };
      },
    }),
  };
  return counted;
};

interface Pass {
  ms: number;
  ownCpuMs: number;
  postgresCpuMs: number;
  requests: number;
}

const measured = async (postgresPid: number, counted: Counted, pass: () => Promise<void>): Promise<Pass> => {
  const before = { at: performance.now(), cpu: process.cpuUsage(), postgres: cpuOfTree(postgresPid) };
  counted.requests = 0;
  await pass();
  const own = process.cpuUsage(before.cpu);
  return {
    ms: performance.now() - before.at,
    ownCpuMs: (own.user + own.system) / 1000,
    postgresCpuMs: (cpuOfTree(postgresPid) ?? Number.NaN) - (before.postgres ?? Number.NaN),
    requests: counted.requests,
  };
};

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

const figuresOf = (rows: number, passes: readonly Pass[]): Figure[] => {
  const row = (what: string, ours: number, unit: string): Figure => ({
    what: `${what}, ${rows.toLocaleString('en')} waiting rows`,
    against: null,
    reference: null,
    ours,
    unit,
  });
  const of = (part: keyof Pass): number[] => passes.map((pass) => pass[part]);
  return [
    row('a pass of maintenance, p50', quantile(of('ms'), 0.5), 'ms'),
    row('CPU of a pass, server process', mean(of('ownCpuMs')), 'ms'),
    row('CPU of a pass, PostgreSQL', mean(of('postgresCpuMs')), 'ms'),
    row('requests to Temporal, one lost start included', mean(of('requests')), ''),
  ];
};

/** `counts` in rising order. */
export const idleRows = async (
  counts: readonly number[],
  told: (phase: string) => void,
): Promise<Figure[]> => {
  const postgres = await startPostgres();
  const store = await openStore({ databaseUrl: postgres.url });
  const sql = new Client({ connectionString: postgres.url });
  await sql.connect();
  const counted = countedWorkflows();
  const figures: Figure[] = [];
  try {
    const now = Date.now();
    const { runId, threadId } = await template(store, now - 60_000);
    let rows = 1;
    for (const count of counts) {
      told(`${count} waiting rows`);
      for (const statement of COPIES) await sql.query(statement, [runId, threadId, rows + 1, count]);
      await sql.query('analyze');
      rows = count;
      const passes: Pass[] = [];
      for (let pass = -2; pass < PASSES; pass += 1) {
        const lost = await startedRun(store, TENANT, now - 60_000);
        const one = await measured(postgres.pid(), counted, async () => {
          await store.claimPass('bench', 0);
          await store.adoptApprovals(200);
          await reconcile({ store, workflows: counted.workflows, now: () => now, since: now - 30_000 });
          await prune({ store, workflows: counted.workflows }, now);
        });
        if (!counted.started.includes(lost.runId)) throw new Error('A pass did not find the lost start.');
        await store.claim(lost.runId, now);
        if (pass >= 0) passes.push(one);
      }
      figures.push(...figuresOf(count, passes));
    }
  } finally {
    await sql.end();
    await store.close();
    await postgres.remove();
  }
  return figures;
};
