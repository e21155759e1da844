/**
 * The scripted runs server in memory: threads, messages, assistants and runs that play scripts.
 *
 * Rule: synchronous inside (each method does its work before its promise is returned); no tenant sees another's
 * objects; every read first applies a deadline that has passed. Imported by `testing/` only; simulations drive it
 * directly.
 */
import type { Caller, RunParams, RunsService, StartedRunEvents } from '../../protocol/ports/runs-service.ts';
import { ApiError, apiErrors } from '../../protocol/errors.ts';
import { pollAfterMs } from '../../protocol/rules/polling.ts';
import type { Run, Thread } from '../../protocol/wire/objects.ts';
import type { Approval, RunDecision } from '../../protocol/wire/decisions.ts';
import { isTerminal } from '../../protocol/wire/objects.ts';
import { createClock } from '../clock.ts';
import type { ManualClock } from '../clock.ts';
import { randomIds } from '../ids.ts';
import type { IdSource } from '../ids.ts';
import type { ScriptCatalogue } from '../script.ts';
import { catalogue } from '../scripts.ts';
import { chooseScript, createAssistants } from './assistants.ts';
import { dropTimers } from './emit.ts';
import { tail, untilNotPolled } from './log.ts';
import { paged } from './paging.ts';
import { createPlayer } from './play.ts';
import { noQuirks } from './quirks.ts';
import type { Quirks } from './quirks.ts';
import { newRun, owned } from './records.ts';
import type { RunRecord, ThreadRecord } from './records.ts';
import { evaluateSandboxAnswer, evaluateSandboxSubmit } from './submit.ts';
import { addMessage, addThread, createScriptedThreadMethods } from './thread-methods.ts';
import type { ServerState } from './thread-methods.ts';
import { toRun, toRunStep, toThread } from './views.ts';

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

export const createSandboxEngine = (options: SandboxEngineOptions = {}): SandboxEngine => {
  const clock = options.clock ?? createClock();
  const ids = options.ids ?? randomIds;
  const scripts = options.scripts ?? catalogue();
  const defaultScript = options.defaultScript ?? 'auto';
  const expiresInSeconds = options.expiresInSeconds ?? 600;
  const quirks = options.quirks ?? noQuirks();
  const player = createPlayer({
    clock,
    ids,
    delays: { pickupMs: options.pickupMs ?? 0, cancelMs: options.cancelMs ?? 0 },
    quirks,
  });
  const assistants = createAssistants(scripts, () => Math.floor(clock.now() / 1000));
  const threads = new Map<string, ThreadRecord>();
  const runs = new Map<string, RunRecord>();

  const threadOf = (caller: Caller, id: string): ThreadRecord => {
    const thread = owned(threads.get(id), caller, 'thread', id);
    if (thread.active !== null) player.expireIfDue(thread.active);
    return thread;
  };
  const runOf = (caller: Caller, threadId: string, id: string): RunRecord => {
    const thread = threadOf(caller, threadId);
    const run = owned(runs.get(id), caller, 'run', id);
    if (run.thread !== thread) throw apiErrors.notFound('run', id);
    player.expireIfDue(run);
    return run;
  };
  const state: ServerState = { clock, ids, quirks, assistants, threads, runs, threadOf };

  const startRun = (caller: Caller, thread: ThreadRecord, params: RunParams): StartedRunEvents => {
    const from = assistants.find(caller, params.assistant_id);
    const script = chooseScript(scripts, defaultScript, params, from);
    if (thread.active !== null && !quirks.noThreadLock)
      throw apiErrors.activeRun(thread.id, thread.active.id);
    for (const message of params.additional_messages ?? []) addMessage(state, thread, message);
    const instructions = [params.instructions ?? from.instructions, params.additional_instructions];
    const run = newRun({
      tenant: caller.tenant,
      id: ids('run'),
      thread,
      params: {
        ...params,
        temperature: params.temperature ?? from.temperature,
        top_p: params.top_p ?? from.top_p,
        response_format: params.response_format ?? from.response_format,
      },
      model: params.model ?? from.model,
      instructions: instructions.filter((part) => part != null && part !== '').join('\n\n') || null,
      tools: params.tools ?? from.tools,
      metadata: quirks.noMetadata ? {} : (params.metadata ?? {}),
      script,
      assistant: { id: from.id, name: from.name, metadata: from.metadata },
      createdAt: clock.now(),
      lifetimeMs: quirks.noExpiry ? null : (params.expires_in ?? expiresInSeconds) * 1000,
    });
    runs.set(run.id, run);
    thread.runs.push(run);
    thread.active = run;
    player.begin(run);
    return { run: toRun(run), eventsAfter: 0 };
  };

  return {
    quirks,
    history: (runId) =>
      (runs.get(runId)?.log ?? []).flatMap((entry) =>
        entry.event.startsWith('thread.run.') && 'object' in entry.data && entry.data.object === 'thread.run'
          ? [entry.data]
          : [],
      ),
    ...createScriptedThreadMethods(state),
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

    async createRun(caller, threadId, params) {
      return startRun(caller, threadOf(caller, threadId), params);
    },
    async createThreadAndRun(caller, threadParams, params): Promise<StartedRunEvents & { thread: Thread }> {
      const thread = addThread(state, caller, threadParams);
      const started = startRun(caller, thread, params);
      threads.set(thread.id, thread);
      return { ...started, thread: toThread(thread) };
    },
    async listRuns(caller, threadId, query) {
      return paged(threadOf(caller, threadId).runs, query, toRun);
    },
    async getRun(caller, threadId, id) {
      return toRun(runOf(caller, threadId, id));
    },
    async updateRun(caller, threadId, id, params) {
      const run = runOf(caller, threadId, id);
      if (params.metadata !== undefined) run.metadata = params.metadata ?? {};
      return toRun(run);
    },
    async cancelRun(caller, threadId, id) {
      const run = runOf(caller, threadId, id);
      if (run.status === 'cancelling') return toRun(run);
      if (isTerminal(run.status) || (quirks.cancelInProgressOnly && run.status !== 'in_progress'))
        throw apiErrors.cannotCancel(run.status);
      player.cancel(run);
      return toRun(run);
    },
    async submitToolOutputs(caller, threadId, id, outputs) {
      const run = runOf(caller, threadId, id);
      const isRetry = caller.isRetry || caller.idempotencyKey !== null;
      const verdict = evaluateSandboxSubmit(run, outputs, isRetry, quirks);
      if (verdict.kind === 'repeated') return { run: toRun(run), eventsAfter: run.lastSubmitSeq };
      if (verdict.kind === 'partial') {
        for (const output of verdict.outputs) run.answers.set(output.tool_call_id, output.output);
        return { run: toRun(run), eventsAfter: run.log.length };
      }
      player.resume(run, verdict.outputs);
      return { run: toRun(run), eventsAfter: run.lastSubmitSeq };
    },
    async answer(caller, threadId, id, payload) {
      const run = runOf(caller, threadId, id);
      const { reply, record } = evaluateSandboxAnswer(run, payload);
      if (record === null) return reply;
      run.answers.set(...record);
      if (reply.waiting.length === 0)
        player.resume(
          run,
          [...run.answers].map(([callId, output]) => ({ tool_call_id: callId, output })),
        );
      return reply;
    },

    listApprovals: async () => paged<never, Approval>([], { limit: 1, order: 'asc' }, (approval) => approval),
    async listDecisions(caller, threadId, id, query) {
      runOf(caller, threadId, id);
      // Scripted runs have no calls that wait for an approval.
      return paged<never, RunDecision>([], query, (decision) => decision);
    },
    ownerOf: async (kind, id) =>
      kind === 'thread' ? (threads.get(id)?.tenant ?? null) : assistants.ownerOf(id),

    async listSteps(caller, threadId, id, query) {
      const run = runOf(caller, threadId, id);
      if (quirks.noSteps) throw new ApiError(404, 'Run steps are not implemented by this server.');
      return paged(run.steps, query, (step) => toRunStep(step, run));
    },
    async getStep(caller, threadId, id, stepId) {
      const run = runOf(caller, threadId, id);
      const step = run.steps.find((item) => item.id === stepId);
      if (step === undefined || quirks.noSteps) throw apiErrors.notFound('run step', stepId);
      return toRunStep(step, run);
    },

    async *events(caller, threadId, id, place) {
      yield* tail(runOf(caller, threadId, id), place);
    },
    async awaitRun(caller, threadId, id, wait) {
      await untilNotPolled(runOf(caller, threadId, id), wait);
      return toRun(runOf(caller, threadId, id));
    },
    pollAfterMs: (run) => pollAfterMs(run, clock.now()),
    // Scripts call the caller's tools: there is no worker.
    listTools: async () => [],
    async readiness() {
      return [];
    },
  };
};
