/**
 * Runs and steps of the scripted server.
 *
 * Rule: as in `engine.ts`, which alone imports it: synchronous inside, and no tenant sees another's objects.
 */
import { ApiError, apiErrors } from '../../protocol/errors.ts';
import type { Caller, RunParams, RunsService, StartedRunEvents } from '../../protocol/ports/runs-service.ts';
import type { RunDecision } from '../../protocol/wire/decisions.ts';
import { isTerminal } from '../../protocol/wire/objects.ts';
import type { ScriptCatalogue } from '../script.ts';
import { chooseScript } from './assistants.ts';
import { tail, untilNotPolled } from './log.ts';
import { paged } from './paging.ts';
import type { Player } from './play.ts';
import { newRun, owned } from './records.ts';
import type { RunRecord, ThreadRecord } from './records.ts';
import { evaluateSandboxAnswer, evaluateSandboxSubmit } from './submit.ts';
import { addMessage, addThread } from './thread-methods.ts';
import type { ServerState } from './thread-methods.ts';
import { toRun, toRunStep, toThread } from './views.ts';

export interface RunServerState extends ServerState {
  player: Player;
  scripts: ScriptCatalogue;
  defaultScript: string;
  expiresInSeconds: number;
}

type StartMethods = Pick<RunsService, 'createRun' | 'createThreadAndRun'>;
type ChangeMethods = Pick<RunsService, 'updateRun' | 'cancelRun' | 'submitToolOutputs' | 'answer'>;
type ReadMethods = Pick<
  RunsService,
  'getRun' | 'listRuns' | 'listDecisions' | 'listSteps' | 'getStep' | 'events' | 'awaitRun'
>;

/** The caller's run, after a deadline that has passed was applied. Throws 404. */
const runOf = (state: RunServerState, caller: Caller, threadId: string, id: string): RunRecord => {
  const thread = state.threadOf(caller, threadId);
  const run = owned(state.runs.get(id), caller, 'run', id);
  if (run.thread !== thread) throw apiErrors.notFound('run', id);
  state.player.expireIfDue(run);
  return run;
};

const startRun = (
  state: RunServerState,
  caller: Caller,
  thread: ThreadRecord,
  params: RunParams,
): StartedRunEvents => {
  const { quirks, clock } = state;
  const from = state.assistants.find(caller, params.assistant_id);
  const script = chooseScript(state.scripts, state.defaultScript, params, from);
  if (thread.active !== null && !quirks.noThreadLock) throw apiErrors.activeRun(thread.id, thread.active.id);
  for (const message of params.additional_messages ?? []) addMessage(state, thread, message);
  const instructions = [params.instructions ?? from.instructions, params.additional_instructions];
  const run = newRun({
    tenant: caller.tenant,
    id: state.ids('run'),
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
    lifetimeMs: quirks.noExpiry ? null : (params.expires_in ?? state.expiresInSeconds) * 1000,
  });
  state.runs.set(run.id, run);
  thread.runs.push(run);
  thread.active = run;
  state.player.begin(run);
  return { run: toRun(run), eventsAfter: 0 };
};

const createStartMethods = (state: RunServerState): StartMethods => ({
  async createRun(caller, threadId, params) {
    return startRun(state, caller, state.threadOf(caller, threadId), params);
  },
  async createThreadAndRun(caller, threadParams, params) {
    const thread = addThread(state, caller, threadParams);
    const started = startRun(state, caller, thread, params);
    state.threads.set(thread.id, thread);
    return { ...started, thread: toThread(thread) };
  },
});

const createChangeMethods = (state: RunServerState): ChangeMethods => ({
  async updateRun(caller, threadId, id, params) {
    const run = runOf(state, caller, threadId, id);
    if (params.metadata !== undefined) run.metadata = params.metadata ?? {};
    return toRun(run);
  },
  async cancelRun(caller, threadId, id) {
    const run = runOf(state, caller, threadId, id);
    if (run.status === 'cancelling') return toRun(run);
    if (isTerminal(run.status) || (state.quirks.cancelInProgressOnly && run.status !== 'in_progress'))
      throw apiErrors.cannotCancel(run.status);
    state.player.cancel(run);
    return toRun(run);
  },
  async submitToolOutputs(caller, threadId, id, outputs) {
    const run = runOf(state, caller, threadId, id);
    const isRetry = caller.isRetry || caller.idempotencyKey !== null;
    const verdict = evaluateSandboxSubmit(run, outputs, isRetry, state.quirks);
    if (verdict.kind === 'repeated') return { run: toRun(run), eventsAfter: run.lastSubmitSeq };
    if (verdict.kind === 'partial') {
      for (const output of verdict.outputs) run.answers.set(output.tool_call_id, output.output);
      return { run: toRun(run), eventsAfter: run.log.length };
    }
    state.player.resume(run, verdict.outputs);
    return { run: toRun(run), eventsAfter: run.lastSubmitSeq };
  },
  async answer(caller, threadId, id, payload) {
    const run = runOf(state, caller, threadId, id);
    const { reply, record } = evaluateSandboxAnswer(run, payload);
    if (record === null) return reply;
    run.answers.set(...record);
    if (reply.waiting.length === 0)
      state.player.resume(
        run,
        [...run.answers].map(([callId, output]) => ({ tool_call_id: callId, output })),
      );
    return reply;
  },
});

const createReadMethods = (state: RunServerState): ReadMethods => ({
  async listRuns(caller, threadId, query) {
    return paged(state.threadOf(caller, threadId).runs, query, toRun);
  },
  async getRun(caller, threadId, id) {
    return toRun(runOf(state, caller, threadId, id));
  },
  async listDecisions(caller, threadId, id, query) {
    runOf(state, caller, threadId, id);
    // Scripted runs have no calls that wait for an approval.
    return paged<never, RunDecision>([], query, (decision) => decision);
  },
  async listSteps(caller, threadId, id, query) {
    const run = runOf(state, caller, threadId, id);
    if (state.quirks.noSteps) throw new ApiError(404, 'Run steps are not implemented by this server.');
    return paged(run.steps, query, (step) => toRunStep(step, run));
  },
  async getStep(caller, threadId, id, stepId) {
    const run = runOf(state, caller, threadId, id);
    const step = run.steps.find((item) => item.id === stepId);
    if (step === undefined || state.quirks.noSteps) throw apiErrors.notFound('run step', stepId);
    return toRunStep(step, run);
  },
  async *events(caller, threadId, id, place) {
    yield* tail(runOf(state, caller, threadId, id), place);
  },
  async awaitRun(caller, threadId, id, wait) {
    await untilNotPolled(runOf(state, caller, threadId, id), wait);
    return toRun(runOf(state, caller, threadId, id));
  },
});

export const createScriptedRunMethods = (
  state: RunServerState,
): StartMethods & ChangeMethods & ReadMethods => ({
  ...createStartMethods(state),
  ...createChangeMethods(state),
  ...createReadMethods(state),
});
