/**
 * The scripted runs server in memory: threads, messages, assistants and runs that play scripts.
 *
 * Rule: synchronous inside (each method does its work before its promise is returned); no tenant sees another's
 * objects; every read first applies a deadline that has passed. Imported by `testing/` only; simulations drive it
 * directly.
 */
import type { RunsService } from '../../protocol/ports/runs-service.ts';
import { utcDay } from '../../protocol/rules/utc-day.ts';
import { pollAfterMs } from '../../protocol/rules/polling.ts';
import type { Run } from '../../protocol/wire/objects.ts';
import { createClock } from '../clock.ts';
import type { ManualClock } from '../clock.ts';
import { randomIds } from '../ids.ts';
import type { IdSource } from '../ids.ts';
import type { ScriptCatalogue } from '../script.ts';
import { catalogue } from '../scripts.ts';
import { scriptedApprovals } from './approvals.ts';
import { scriptedWebhooks } from './webhooks.ts';
import { scriptedRecords } from './run-records.ts';
import { createAssistants } from './assistants.ts';
import { dropTimers } from './emit.ts';
import { Player } from './play.ts';
import { noQuirks } from './quirks.ts';
import type { Quirks } from './quirks.ts';
import { owned } from './records.ts';
import type { RunRecord, ThreadRecord } from './records.ts';
import { createScriptedRunMethods } from './run-methods.ts';
import type { RunServerState } from './run-methods.ts';
import { createScriptedThreadMethods } from './thread-methods.ts';
import { threadUsageOf, toRun } from './views.ts';

export interface SandboxEngineOptions {
  clock?: ManualClock;
  ids?: IdSource;
  scripts?: ScriptCatalogue;
  /** Script of models without a script of their name. Default `auto`. */
  defaultScript?: string;
  /** Seconds from a run's creation to its expiry. Default 600. */
  expiresInSeconds?: number;
  /** Milliseconds a run stays `queued`. Default 0: the next moment. */
  pickupMs?: number;
  /** Milliseconds a run stays `cancelling`. Default 0: the next moment. */
  cancelMs?: number;
  quirks?: Quirks;
}

export interface SandboxEngine extends RunsService {
  readonly quirks: Quirks;
  /** States of a run as its log shows them, oldest first: for stale reads and audits. */
  history(runId: string): Run[];
  /** All runs of all tenants, in order of creation: for audits. */
  runs(): Run[];
  /** Inserts ready-made records: see `testing/reference.ts`. */
  adopt(thread: ThreadRecord): void;
  /** Forgets everything. */
  reset(): void;
}

/** States of a run as its log shows them. */
const loggedRuns = (run: RunRecord): Run[] =>
  run.log.flatMap(({ event, data }) =>
    event.startsWith('thread.run.') && 'object' in data && data.object === 'thread.run' ? [data] : [],
  );

const newServerState = (options: SandboxEngineOptions): RunServerState => {
  const clock = options.clock ?? createClock();
  const ids = options.ids ?? randomIds;
  const scripts = options.scripts ?? catalogue();
  const quirks = options.quirks ?? noQuirks();
  const delays = { pickupMs: options.pickupMs ?? 0, cancelMs: options.cancelMs ?? 0 };
  const player = new Player({ clock, ids, delays, quirks });
  const threads = new Map<string, ThreadRecord>();
  return {
    clock,
    ids,
    quirks,
    player,
    scripts,
    defaultScript: options.defaultScript ?? 'auto',
    expiresInSeconds: options.expiresInSeconds ?? 600,
    assistants: createAssistants(scripts, () => Math.floor(clock.now() / 1000)),
    threads,
    runs: new Map<string, RunRecord>(),
    threadOf: (caller, id) => {
      const thread = owned(threads.get(id), caller, 'thread', id);
      if (thread.active !== null) player.expireIfDue(thread.active);
      return thread;
    },
  };
};

export const createSandboxEngine = (options: SandboxEngineOptions = {}): SandboxEngine => {
  const state = newServerState(options);
  const { clock, quirks, assistants, threads, runs } = state;
  return {
    quirks,
    history: (runId) => {
      const run = runs.get(runId);
      return run === undefined ? [] : loggedRuns(run);
    },
    runs: () => [...runs.values()].map(toRun),
    adopt(thread) {
      threads.set(thread.id, thread);
      for (const run of thread.runs) runs.set(run.id, run);
    },
    reset() {
      for (const run of runs.values()) dropTimers(run);
      runs.clear();
      threads.clear();
      assistants.clear();
    },
    ...createScriptedThreadMethods(state),
    ...createScriptedRunMethods(state),
    ...scriptedWebhooks,
    ...scriptedApprovals(),
    ...scriptedRecords(state),
    ownerOf: async (kind, id) =>
      kind === 'assistant'
        ? assistants.ownerOf(id)
        : ((kind === 'thread' ? threads : runs).get(id)?.tenant ?? null),
    // The scripted server keeps no counters of days.
    usage: async () => ({ object: 'list', data: [], first_id: null, last_id: null, has_more: false }),
    threadUsage: async (caller, threadId) => threadUsageOf(state.threadOf(caller, threadId)),
    today: () => utcDay(clock.now()),
    pollAfterMs: (run) => pollAfterMs(run, clock.now()),
    // Scripts call the caller's tools: there is no worker.
    listTools: async () => [],
    readiness: async () => [],
  };
};
