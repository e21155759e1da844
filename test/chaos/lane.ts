/**
 * One drill on somebody else's runs API: the sandbox on a socket, workers as processes, a client, and the audit.
 *
 * Rule: once its faults are over a drill waits for every run to end, within a bound that says "stuck", and only then asks
 * the auditor; whatever the drill provoked, the same questions are asked.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { RunsClient } from '../../client/index.ts';
import { mintId } from '../../protocol/wire/ids.ts';
import type { RunResult } from '../../protocol/temporal/messages.ts';
import { createSandbox, type Sandbox, type SandboxOptions } from '../../testing/index.ts';
import { join } from 'node:path';
import { audit, type Violation } from './audit.ts';
import { factsOf, openCalls } from './facts.ts';
import type { PlannedFault } from './faults.ts';
import { openLedger, type Ledger } from './ledger.ts';
import { startPeople, type Answering, type People } from './person.ts';
import { startCommand, startDrillWorker, TOOLS_FILE, type DrillProcess } from './processes.ts';
import { checkEvents } from './history.ts';
import { checkHistories, checkRecoveries, checkSecrets, livesOf, readHistories } from './records.ts';
import type { Recovery } from './recovery.ts';
import { drillScript, storyText, type Story } from './script.ts';
import type { Drill } from './world.ts';

/** Silence after which a backend attempt counts as lost; production's default is longer. */
export const HEARTBEAT_MS = 2_000;
/** Once the faults are over, a run that has not ended after this long is stuck. */
const STUCK_MS = 90_000;

export interface LaneOptions {
  sandbox?: SandboxOptions;
  /** Default: the campaign's. */
  temporalAddress?: string;
  /** How far the sandbox's clock is ahead of ours. */
  skewMs?: number;
  /** Only workers die here, by kill -9, and none is left alone with the runs: how long runs stand still is judged. */
  recovers?: boolean;
}

export interface RunOptions {
  /** Default `completed` alone. */
  mayEnd?: readonly string[];
  /** Nobody answers it. */
  unattended?: boolean;
}

export interface Lane {
  drill: Drill;
  sandbox: Sandbox;
  client: RunsClient;
  ledger: Ledger;
  people: People;
  /** Faults that fell so far; they explain extra requests. */
  faults: number;
  /** Base URL that workers are given; a proxy may take its place before they start. */
  baseUrl: string;
  readonly runIds: readonly string[];
  start(story: Story, options?: RunOptions): Promise<string>;
  /** A worker with fault points; `hold`: it takes no work before its `release`. */
  worker(faults?: readonly PlannedFault[], hold?: boolean): Promise<DrillProcess>;
  /** Somebody sends this run an update by themselves. */
  asks(runId: string): void;
  /** The real `runs worker`. */
  command(): Promise<DrillProcess>;
  processes: readonly DrillProcess[];
  /** Resolves when all runs have ended; to false when some have not in time. */
  endWithin(ms: number): Promise<boolean>;
  /** After `finish`, of a lane that `recovers`. */
  recoveries: Recovery[];
  /** Waits for all runs, ends the processes in good order, and audits. */
  finish(): Promise<Violation[]>;
}

export const openLane = async (drill: Drill, options: LaneOptions = {}): Promise<Lane> => {
  const { world, dir, random } = drill;
  const address = options.temporalAddress ?? world.temporalAddress;
  const canary = `canary-${randomBytes(9).toString('hex')}`;
  const taskQueue = `drill-${randomBytes(5).toString('hex')}`;
  const sandbox = await createSandbox({
    scripts: { drill: drillScript },
    apiKey: canary,
    ...options.sandbox,
  });
  drill.defer(() => sandbox.close());
  const client = await RunsClient.connect({ address, taskQueue, env: {} });
  drill.defer(() => client.close());
  const ledger = openLedger(join(dir, 'ledger.jsonl'));
  const runs = new Map<string, { story: Story; mayEnd: readonly string[] }>();
  const attended = new Set<string>();
  const asked = new Map<string, number>();
  const asks = (runId: string): void => void asked.set(runId, (asked.get(runId) ?? 0) + 1);
  const telephone: Answering = {
    answer: (runId, payload, more) => {
      asks(runId);
      return client.answer(runId, payload, more);
    },
    signalAnswer: (runId, payload) => client.signalAnswer(runId, payload),
  };
  const people = startPeople(telephone, random.fork('people'), () => openCalls(sandbox, attended));
  drill.defer(() => people.stop());
  const processes: DrillProcess[] = [];
  drill.defer(async () => {
    await Promise.all(processes.map((process) => process.kill()));
  });

  const env = (baseUrl: string): Record<string, string> => ({
    TEMPORAL_ADDRESS: address,
    RUNS_TASK_QUEUE: taskQueue,
    RUNS_BACKEND: 'assistants',
    OPENAI_BASE_URL: baseUrl,
    OPENAI_API_KEY: canary,
    RUNS_DATA_DIR: world.dataDir,
    RUNS_SHUTDOWN_GRACE: '2s',
    RUNS_LOG_LEVEL: 'debug',
  });
  const label = (): string => `worker-${processes.length + 1}`;
  const kept = (process: DrillProcess): DrillProcess => {
    processes.push(process);
    return process;
  };

  const lane: Lane = {
    drill,
    sandbox,
    client,
    ledger,
    people,
    faults: 0,
    baseUrl: sandbox.url,
    processes,
    recoveries: [],
    asks,
    get runIds() {
      return [...runs.keys()];
    },
    async start(story, { mayEnd = ['completed'], unattended = false } = {}) {
      const runId = mintId('run');
      runs.set(runId, { story, mayEnd });
      if (!unattended) attended.add(runId);
      await client.start({
        runId,
        backend: 'assistants',
        assistantId: 'asst_drill',
        metadata: { script: `drill:${storyText(story)}` },
        settings: { heartbeatMs: HEARTBEAT_MS },
      });
      drill.note(`run ${runId} ${storyText(story)}`);
      return runId;
    },
    worker: async (faults = [], hold = false) =>
      kept(await startDrillWorker({ label: label(), dir, env: env(lane.baseUrl) }, faults, hold)),
    command: async () =>
      kept(
        await startCommand(['worker'], {
          label: label(),
          dir,
          env: { ...env(lane.baseUrl), RUNS_TOOLS: TOOLS_FILE },
        }),
      ),
    async endWithin(ms) {
      const results = await Promise.all([...runs.keys()].map((runId) => resultOf(client, runId, ms)));
      return results.every((result) => result !== null);
    },
    async finish() {
      const results = await Promise.all([...runs.keys()].map((runId) => resultOf(client, runId, STUCK_MS)));
      // A contradiction may still be on its way to a run that has ended.
      await people.stop();
      const violations: Violation[] = [];
      for (const process of processes)
        await process.stop().catch((error: unknown) => {
          violations.push({ invariant: 'I12', text: String(error) });
        });
      const entries = ledger.read();
      // A planned fault may have struck after its drill had given it up.
      const faults = Math.max(lane.faults, entries.filter(({ kind }) => kind === 'struck').length);
      const audited = [...runs].map(async ([runId, { story, mayEnd }], at) =>
        audit(
          await factsOf(
            sandbox,
            entries,
            { runId, story, mayEnd, result: results[at] ?? null, acks: people.acks(runId) },
            faults,
            options.skewMs ?? 0,
          ),
        ),
      );
      violations.push(...(await Promise.all(audited)).flat());
      const ended = [...runs.keys()].filter((_, at) => results[at] !== null);
      const histories = await readHistories(client, ended, dir);
      for (const result of results) {
        const history = result === null ? undefined : histories.get(result.runId);
        if (result !== null && history !== undefined)
          violations.push(
            ...checkEvents(history, {
              result,
              ownThread: true,
              answersShown: false,
              asked: asked.get(result.runId) ?? 0,
              faults: lane.faults,
            }),
          );
      }
      if (options.recovers === true) {
        const seen = checkRecoveries(histories, livesOf(processes, entries), HEARTBEAT_MS);
        lane.recoveries = seen.recoveries;
        violations.push(...seen.violations);
      }
      violations.push(...(await checkHistories(world, histories, canary)));
      violations.push(...checkSecrets(processes, canary));
      return violations;
    },
  };
  return lane;
};

/** null when the run is stuck. A server or worker that is away for a moment is waited for. */
export const resultOf = async (client: RunsClient, runId: string, ms: number): Promise<RunResult | null> => {
  const deadline = Date.now() + ms;
  for (;;) {
    const left = deadline - Date.now();
    if (left <= 0) return null;
    try {
      return await client.result(runId, { timeoutMs: left });
    } catch {
      await pause(200);
    }
  }
};
