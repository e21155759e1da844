/**
 * One drill on the runs server: API and worker processes on a real database and Temporal, a scripted model on a socket
 * of this process, callers that repeat requests, and the audit.
 *
 * Rule: responses to callers are recorded. After the faults every run must end, every reader get the last event, and
 * every process exit at SIGTERM; only then the store is read.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { RunsClient } from '../../../client/index.ts';
import type { Store } from '../../../protocol/ports/run-store.ts';
import type { Assistant, Run } from '../../../protocol/wire/objects.ts';
import type { RunResult } from '../../../protocol/temporal/messages.ts';
import { createSandbox, type Sandbox } from '../../../testing/index.ts';
import type { Violation } from '../audit.ts';
import type { PlannedFault } from '../faults.ts';
import { checkEvents } from '../history.ts';
import { openLedger, type Ledger } from '../ledger.ts';
import { resultOf } from '../lane.ts';
import { startPeople, type Answering, type OpenCall, type People } from '../person.ts';
import { startCommand, startDrillWorker, TOOLS_FILE, type DrillProcess } from '../processes.ts';
import { checkHistories, checkRecoveries, checkSecrets, livesOf, readHistories } from '../records.ts';
import type { Recovery } from '../recovery.ts';
import { drillScript, storyText, type Story } from '../script.ts';
import type { Drill } from '../world.ts';
import { auditNative } from './audit.ts';
import { answerByHttp, openDoor, type Door } from './door.ts';
import { readStored, toolsOf, turnsOf } from './facts.ts';
import { readRun, type RunReader } from './reader.ts';

/** The workflow's default: `runs serve` has no other. */
export const NATIVE_HEARTBEAT_MS = 10_000;
const STUCK_MS = 120_000;
/** From a run's end to the last event at a reader who may have to connect once more. */
const READ_MS = 20_000;
const LOOK_EVERY_MS = 150;

export interface NativePlaces {
  /** Base URL of the API; ends in `/v1`. */
  url(): string;
  /** Temporal's address. */
  temporal(): string;
  /** The store, once all processes have gone. */
  openStore(): Promise<Store>;
  /** For processes, beside what all get. */
  env: Readonly<Record<string, string>>;
}

export interface NativeRunOptions {
  /** Default `completed` alone. */
  mayEnd?: readonly string[];
  /** Nobody answers it. */
  unattended?: boolean;
  /** Seconds from its creation. Default: the server's. */
  expiresIn?: number;
}

export interface StartedNative {
  runId: string;
  threadId: string;
}

export interface NativeLane {
  drill: Drill;
  sandbox: Sandbox;
  door: Door;
  ledger: Ledger;
  /** Faults that fell so far; they explain extra requests. */
  faults: number;
  readonly runs: readonly StartedNative[];
  processes: readonly DrillProcess[];
  start(story: Story, options?: NativeRunOptions): Promise<StartedNative>;
  /** `runs` with these arguments, on this lane's places. */
  command(
    args: readonly string[],
    label: string,
    env?: Readonly<Record<string, string>>,
  ): Promise<DrillProcess>;
  worker(faults?: readonly PlannedFault[], hold?: boolean): Promise<DrillProcess>;
  runsWorker(): Promise<DrillProcess>;
  /** The workflows' client, connected when it is first asked for. */
  client(): Promise<RunsClient>;
  /** False when some run has not ended in time. */
  endWithin(ms: number): Promise<boolean>;
  recoveries: Recovery[];
  finish(): Promise<Violation[]>;
}

interface Known extends StartedNative {
  tag: string;
  story: Story;
  mayEnd: readonly string[];
  reader: RunReader;
}

export const openNativeLane = async (
  drill: Drill,
  makePlaces: (sandbox: Sandbox) => Promise<NativePlaces>,
  options: { recovers?: boolean } = {},
): Promise<NativeLane> => {
  const { world, dir, random } = drill;
  const canary = `canary-${randomBytes(9).toString('hex')}`;
  const taskQueue = `drill-${randomBytes(5).toString('hex')}`;
  const sandbox = await createSandbox({ scripts: { drill: drillScript }, apiKey: canary });
  drill.defer(() => sandbox.close());
  const places = await makePlaces(sandbox);
  const ledger = openLedger(join(dir, 'ledger.jsonl'));
  const door = openDoor(() => places.url());
  const runs = new Map<string, Known>();
  const processes: DrillProcess[] = [];
  let connected: Promise<RunsClient> | null = null;
  const client = (): Promise<RunsClient> =>
    (connected ??= RunsClient.connect({ address: places.temporal(), taskQueue, env: {} }));
  drill.defer(async () => {
    await (await connected)?.close();
  });

  const attended = new Set<string>();
  let waiting: OpenCall[] = [];
  const home = new AbortController();
  const look = async (): Promise<void> => {
    while (!home.signal.aborted) {
      if (attended.size > 0) waiting = await waitingCalls(await client(), attended, waiting, home.signal);
      await pause(LOOK_EVERY_MS, undefined, { signal: home.signal }).catch(() => undefined);
    }
  };
  const asked = new Map<string, number>();
  const byHttp = answerByHttp(
    door,
    (runId) => runs.get(runId)?.threadId ?? '',
    (runId, callId) =>
      waiting.some((call) => call.callId === callId && call.name === 'ask') &&
      waiting.every((call) => call.runId !== runId || call.callId === callId),
  );
  const counted: Answering = {
    answer: (runId, payload, more) => {
      asked.set(runId, (asked.get(runId) ?? 0) + 1);
      return byHttp.answer(runId, payload, more);
    },
    signalAnswer: (runId, payload) => {
      asked.set(runId, (asked.get(runId) ?? 0) + 1);
      return byHttp.signalAnswer(runId, payload);
    },
  };
  let people: People | null = null;
  let looking: Promise<void> | null = null;
  const goHome = async (): Promise<void> => {
    home.abort();
    await people?.stop();
    await looking;
  };
  drill.defer(goHome);
  drill.defer(async () => {
    await Promise.all([...runs.values()].map(({ reader }) => reader.stop()));
  });
  drill.defer(async () => {
    await Promise.all(processes.map((process) => process.kill()));
  });

  const env = (): Record<string, string> => ({
    RUNS_TASK_QUEUE: taskQueue,
    RUNS_BACKEND: 'chat',
    OPENAI_BASE_URL: sandbox.modelUrl,
    OPENAI_API_KEY: canary,
    RUNS_DATA_DIR: world.dataDir,
    RUNS_SHUTDOWN_GRACE: '2s',
    RUNS_LOG_LEVEL: 'debug',
    ...places.env,
  });
  const kept = (process: DrillProcess): DrillProcess => {
    processes.push(process);
    return process;
  };
  let assistant: Promise<Assistant> | null = null;

  const lane: NativeLane = {
    drill,
    sandbox,
    door,
    ledger,
    faults: 0,
    get runs() {
      return [...runs.values()].map(({ runId, threadId }) => ({ runId, threadId }));
    },
    processes,
    recoveries: [],
    client,
    async start(story, { mayEnd = ['completed'], unattended = false, expiresIn } = {}) {
      assistant ??= door.insist<Assistant>('POST', '/assistants', {
        model: 'drill',
        tools: drillScript.tools,
      });
      const tag = `drill ${randomBytes(6).toString('hex')}`;
      const run = await door.insist<Run>(
        'POST',
        '/threads/runs',
        {
          assistant_id: (await assistant).id,
          model: `scripted:drill:${storyText(story)}`,
          thread: { messages: [{ role: 'user', content: tag }] },
          ...(expiresIn === undefined ? {} : { expires_in: expiresIn }),
        },
        tag,
      );
      const { id: runId, thread_id: threadId } = run;
      const path = `/threads/${threadId}/runs/${runId}/events`;
      runs.set(runId, { runId, threadId, tag, story, mayEnd, reader: readRun(() => places.url(), path) });
      if (!unattended) attended.add(runId);
      people ??= startPeople(counted, random.fork('people'), () => waiting);
      looking ??= look();
      drill.note(`run ${runId} ${storyText(story)}`);
      return { runId, threadId };
    },
    command: async (args, label, more = {}) =>
      kept(
        await startCommand([...args], {
          label: `${label}-${processes.length + 1}`,
          dir,
          env: { ...env(), ...more },
        }),
      ),
    worker: async (faults = [], hold = false) =>
      kept(
        await startDrillWorker({ label: `worker-${processes.length + 1}`, dir, env: env() }, faults, hold),
      ),
    runsWorker: () => lane.command(['worker'], 'worker', { RUNS_TOOLS: TOOLS_FILE }),
    async endWithin(ms) {
      const asking = await client();
      const results = await Promise.all([...runs.keys()].map((runId) => resultOf(asking, runId, ms)));
      return results.every((result) => result !== null);
    },
    async finish() {
      const violations: Violation[] = [];
      const asking = await client();
      const results = new Map<string, RunResult | null>(
        await Promise.all(
          [...runs.keys()].map(async (runId) => [runId, await resultOf(asking, runId, STUCK_MS)] as const),
        ),
      );
      for (const [runId, { reader }] of runs)
        if (results.get(runId) !== null && !(await within(reader.done, READ_MS)))
          violations.push({
            invariant: 'I11',
            text: `the reader of run ${runId} has not seen its end; it saw ${reader.seen.length} events`,
          });
      await goHome();
      const ended = [...runs.keys()].filter((runId) => results.get(runId) !== null);
      const histories = await readHistories(asking, ended, dir);
      const started = [];
      for await (const { workflowId } of asking.temporal.workflow.list({
        query: `TaskQueue = "${taskQueue}"`,
      }))
        started.push(workflowId);
      drill.note(`${started.length} workflows for ${runs.size} runs`);
      for (const process of processes)
        await process.stop().catch((error: unknown) => {
          violations.push({ invariant: 'I12', text: String(error) });
        });

      const entries = ledger.read();
      const faults = Math.max(lane.faults, entries.filter(({ kind }) => kind === 'struck').length);
      for (const entry of entries)
        if (entry.kind === 'tool' && !runs.has(entry.key.split(':')[0] ?? ''))
          violations.push({
            invariant: 'I1',
            text: `a tool ran under ${entry.key}, a run nobody was told of`,
          });
      const store = await places.openStore();
      try {
        for (const [runId, { story, mayEnd, tag, reader }] of runs) {
          const result = results.get(runId) ?? null;
          const stored = await readStored(store, runId);
          if (JSON.stringify(stored).includes(canary))
            violations.push({ invariant: 'I10', text: `the key is in the store, with run ${runId}` });
          violations.push(
            ...auditNative({
              runId,
              story,
              mayEnd,
              result,
              ...stored,
              turns: turnsOf(sandbox, tag),
              tools: toolsOf(entries, runId),
              acks: people?.acks(runId) ?? [],
              seen: result === null ? null : reader.seen,
              faults,
            }),
          );
          const history = histories.get(runId);
          if (result !== null && history !== undefined)
            violations.push(
              ...checkEvents(history, {
                result,
                ownThread: false,
                answersShown: true,
                asked: asked.get(runId) ?? 0,
                faults,
              }),
            );
        }
      } finally {
        await store.close();
      }
      if (options.recovers === true) {
        const workers = processes.filter(({ label }) => label.startsWith('worker'));
        const seen = checkRecoveries(histories, livesOf(workers, entries), NATIVE_HEARTBEAT_MS);
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

const within = async (work: Promise<void>, ms: number): Promise<boolean> => {
  const cancel = new AbortController();
  try {
    return await Promise.race([
      work.then(() => true),
      pause(ms, false, { signal: cancel.signal }).catch(() => false),
    ]);
  } finally {
    cancel.abort();
  }
};

/** What waits for a person, as the runs' workflows show it; what was known before while nobody answers for them. */
const waitingCalls = async (
  client: RunsClient,
  runIds: ReadonlySet<string>,
  before: readonly OpenCall[],
  signal: AbortSignal,
): Promise<OpenCall[]> => {
  const found = await Promise.all(
    [...runIds].map(async (runId) => {
      try {
        const { calls, partial } = await client.get(runId, { signal });
        if (partial === true) throw new Error('No worker answers.');
        return calls.flatMap(({ callId, name, state }): OpenCall[] =>
          state === 'waiting' && (name === 'ask' || name === 'approve') ? [{ runId, callId, name }] : [],
        );
      } catch {
        return before.filter((call) => call.runId === runId);
      }
    }),
  );
  return found.flat();
};
