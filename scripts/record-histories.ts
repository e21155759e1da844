/**
 * `npm run record [KIND…]`: plays every kind of run (or those named) on a real dev server and keeps the histories that are
 * not kept yet, as `test/histories/<kind>-<date>.json`.
 *
 * Rule: a kept history is never overwritten: it stands for runs that are under way somewhere. `--again` adds a new one of
 * a kind that is kept already, under today's date. Nothing of this machine gets into a file: no paths, no host, no user.
 */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import { startTemporal } from '../dev-server/temporal-server.ts';
import { SEARCH_ATTRIBUTES } from '../protocol/temporal/names.ts';
import { KINDS } from '../test/support/history-kinds.ts';
import { playWebhooks, WEBHOOK_KINDS } from '../test/support/webhook-history-kinds.ts';
import { runOnServer } from '../test/support/run-on-server.ts';
import type { Server } from '../test/support/run-on-server.ts';
import { workflowCode } from '../worker/bundle.ts';

const HISTORIES = fileURLToPath(new URL('../test/histories/', import.meta.url));
/** So that files differ by what happened, not by where. */
const IDENTITY = 'recorder';

const args = process.argv.slice(2);
const again = args.includes('--again');
const named = args.filter((arg) => arg !== '--again');
const unknown = named.filter((kind) => !(kind in KINDS) && !(kind in WEBHOOK_KINDS));
if (unknown.length > 0) {
  console.error(
    `No such kinds: ${JSON.stringify(unknown)}. There are: ${Object.keys({ ...KINDS, ...WEBHOOK_KINDS }).join(', ')}.`,
  );
  process.exit(1);
}

const kept = await readdir(HISTORIES);
const isKept = (kind: string): boolean =>
  kept.some(
    (file) =>
      file.startsWith(`${kind}-`) && /^\d{4}-\d\d-\d\d(-\d+)?\.json$/.test(file.slice(kind.length + 1)),
  );
const isWanted = ([kind]: [string, unknown]): boolean =>
  (named.length === 0 || named.includes(kind)) && (again || !isKept(kind));
const wanted = Object.entries(KINDS).filter(isWanted);
const wantedWebhooks = Object.entries(WEBHOOK_KINDS).filter(isWanted);
if (wanted.length + wantedWebhooks.length === 0) {
  console.error('Every kind is kept already; --again records another one of each.');
  process.exit(0);
}

Runtime.install({ logger: new DefaultLogger('ERROR') });
const temporal = await startTemporal({ searchAttributes: SEARCH_ATTRIBUTES });
const connection = await Connection.connect({ address: temporal.address });
const nativeConnection = await NativeConnection.connect({ address: temporal.address });
const scratch = await mkdtemp(join(tmpdir(), 'record-histories-'));
try {
  const server: Server = {
    client: new Client({ connection, identity: IDENTITY }),
    nativeConnection,
    workflowBundle: await workflowCode({ cacheDir: scratch }),
  };
  for (const [kind, made] of wanted) {
    const runId = `run_${kind.replaceAll('-', '_')}`;
    const workflowIds = await runOnServer(
      server,
      runId,
      made.script(),
      made.input?.() ?? {},
      async (run) => {
        await made.play(run, server.client);
        return await executionsOf(server.client, runId);
      },
      { identity: IDENTITY },
    );
    for (const [index, { workflowId, executionId }] of workflowIds.entries())
      await saveHistory(index === 0 ? kind : `${kind}-${index + 1}`, server.client, workflowId, executionId);
  }
  for (const [kind, made] of wantedWebhooks) {
    const workflowId = kind.replaceAll('-', '_');
    await playWebhooks(server, workflowId, made, { identity: IDENTITY });
    const { runId } = await server.client.workflow.getHandle(workflowId).describe();
    await saveHistory(kind, server.client, workflowId, runId);
  }
} finally {
  await nativeConnection.close();
  await connection.close();
  await temporal.stop();
  await rm(scratch, { recursive: true, force: true });
}

/** All executions of the run, and of the workflow that follows it up. */
async function executionsOf(
  client: Client,
  runId: string,
): Promise<{ workflowId: string; executionId: string }[]> {
  const found: { workflowId: string; executionId: string; at: number }[] = [];
  // Visibility lags behind: the run's own latest execution is asked for directly.
  const latest = await client.workflow.getHandle(runId).describe();
  for (
    let tries = 0;
    tries < 100 && !found.some(({ executionId }) => executionId === latest.runId);
    tries += 1
  ) {
    found.length = 0;
    for await (const execution of client.workflow.list({ query: `WorkflowId STARTS_WITH '${runId}'` }))
      if (execution.workflowId === runId || execution.workflowId === `${runId}.follow-up`)
        found.push({
          workflowId: execution.workflowId,
          executionId: execution.runId,
          at: execution.startTime.getTime(),
        });
    await new Promise((resolve) => {
      setTimeout(resolve, 100);
    });
  }
  return found.toSorted((a, b) => a.at - b.at);
}

async function saveHistory(
  kind: string,
  client: Client,
  workflowId: string,
  executionId: string,
): Promise<void> {
  const history = await client.workflow.getHandle(workflowId, executionId).fetchHistory();
  const json = JSON.stringify(stripTraces(JSON.parse(historyToJSON(history))), null, 1);
  const root = fileURLToPath(new URL('..', import.meta.url));
  if (json.includes(root)) throw new Error(`The history of ${kind} names this machine's paths.`);
  const date = new Date().toISOString().slice(0, 10);
  const taken = new Set(await readdir(HISTORIES));
  let file = `${kind}-${date}.json`;
  for (let count = 2; taken.has(file); count += 1) file = `${kind}-${date}-${count}.json`;
  await writeFile(join(HISTORIES, file), `${json}\n`);
  console.error(`${file}: ${history.events?.length ?? 0} events`);
}

/** Stack traces hold this machine's paths; replay does not look at them. */
function stripTraces(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(stripTraces);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== 'stackTrace')
      .map(([key, item]) => [key, stripTraces(item)]),
  );
}
