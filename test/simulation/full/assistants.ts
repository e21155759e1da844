/**
 * The full level for an upstream server: real activities, real `assistants` backend and HTTP client, real sandbox.
 *
 * Rule: each life of a worker has its own backend, connections and memory. The seed chooses the sandbox's quirks;
 * quirks that make a promise impossible are left out. Only `test/simulation/full` imports it.
 */
import { createActivities } from '../../../activities/index.ts';
import { DEFAULT_TENANT } from '../../../api/auth.ts';
import { createAssistantsBackend } from '../../../backends/assistants/index.ts';
import type { Caller } from '../../../protocol/ports/runs-service.ts';
import { ACTIVITIES, METADATA, TOOL_ACTIVITY_PREFIX } from '../../../protocol/temporal/names.ts';
import { isTerminal } from '../../../protocol/wire/objects.ts';
import type { ToolOutput } from '../../../protocol/wire/objects.ts';
import { createSandbox, seededIds } from '../../../testing/index.ts';
import type { Quirks, SandboxClock, ScriptedTurn as SandboxTurn, TurnInput } from '../../../testing/index.ts';
import type { Truth } from '../auditor.ts';
import { bump } from '../ledger.ts';
import type { Scenario } from '../scenario.ts';
import type { Level, Stage } from '../stage.ts';
import { START } from '../stage.ts';
import { applicationFailure } from '../temporal/types.ts';
import type { Worker } from '../temporal/worker.ts';
import { HEARTBEAT_THROTTLE_MS, runFullAttempt } from './attempt.ts';
import type { Broken } from './broken.ts';
import { SimDispatcher } from './dispatcher.ts';
import { createHooks, createProcesses, createWatch } from './process.ts';
import { createFullTools } from './tools.ts';
import type { Virtual } from './virtual.ts';

const CALLER: Caller = {
  tenant: DEFAULT_TENANT,
  requestId: 'req_stranger',
  isRetry: false,
  idempotencyKey: null,
  verified: false,
  groups: [],
};

/** Differences of real servers that leave every promise possible. */
const MILD: readonly (keyof Quirks)[] = [
  'partialSubmits',
  'noSteps',
  'noQueuedAfterSubmit',
  'noStreaming',
  'noDone',
  'noPollHint',
  'millisecondTimes',
  'emptyRequiredAction',
  'absentRequiredAction',
];

/** The scenario as a script of the sandbox. `opening` hears of a round in the moment in which it opens. */
const scriptOf =
  (scenario: Scenario, opening: (round: number, thinkMs: number) => void) =>
  (turn: TurnInput): SandboxTurn => {
    const next = scenario.turns[turn.round];
    if (next === undefined || next.kind === 'hang') return { hang: true };
    if (next.kind === 'calls') {
      opening(turn.round + 1, next.thinkMs);
      return {
        delayMs: next.thinkMs,
        calls: next.calls.map(({ callId, name }) => ({
          id: callId,
          name,
          arguments: { note: 'canary-arguments' },
        })),
      };
    }
    switch (next.status) {
      case 'failed':
        return { delayMs: next.thinkMs, fail: { code: 'server_error', message: 'as scripted' } };
      case 'incomplete':
        return { delayMs: next.thinkMs, incomplete: 'max_completion_tokens', text: 'This stops in the' };
      default:
        return { delayMs: next.thinkMs, text: 'Done.' };
    }
  };

export const buildAssistants = async (stage: Stage, virtual: Virtual, broken: Broken): Promise<Level> => {
  const { scenario, clock, faults, ledger, chance, random, profile } = stage;
  const tools = createFullTools(scenario, {
    ledger,
    key: (key, attempt) => broken.key?.(key, attempt) ?? key,
    async at(place) {
      const worker = virtual.current();
      const fault = worker === null ? null : faults.worker(place);
      if (fault === 'worker killed') worker?.kill(chance.ms(50, 60_000));
      if (fault === 'worker frozen') worker?.freeze(chance.ms(500, 60_000));
      if (fault === 'worker cut off') worker?.cut(chance.ms(500, 60_000));
      // Code of a killed process stops here; that of a frozen one goes on when it wakes.
      if (fault !== null && worker !== null) await new Promise<void>((go) => worker.later(0, go));
    },
  });
  const watch = createWatch(`sk-canary-${scenario.seed}`, ledger, broken);
  const r = random.fork('sandbox');

  // The server's clock may be wrong by an hour; its `date` header says so.
  const skewMs = r.chance(0.2) ? r.pick([-3_600_000, 3_600_000, 45_000]) : 0;
  if (skewMs !== 0) faults.count("the server's clock is off");
  const serverClock: SandboxClock = {
    kind: 'virtual',
    now: () => clock.now() + skewMs,
    setTimeout: (fn, ms) =>
      clock.setTimeout(() => {
        virtual.stir();
        fn();
      }, ms),
    advance: (ms) => clock.advance(ms),
    next: () => clock.next(),
    step: () => clock.step(),
    get pending() {
      return clock.pending;
    },
    stop: () => undefined,
  };
  const quirks: Partial<Quirks> = scenario.lifeMs === null ? { noExpiry: true } : {};
  for (const quirk of MILD)
    if (r.chance(0.08)) {
      Object.assign(quirks, { [quirk]: true });
      faults.count(`quirk ${quirk}`);
    }
  const sandbox = await createSandbox({
    listen: false,
    clock: serverClock,
    ids: seededIds(scenario.seed),
    apiKey: watch.key,
    quirks,
    cancelMs: scenario.closeMs,
    pickupMs: r.int(0, 20),
    ...(scenario.lifeMs === null ? {} : { expiresInSeconds: scenario.lifeMs / 1000 }),
    scripts: {
      scenario: scriptOf(scenario, (round, thinkMs) => {
        clock.setTimeout(() => {
          const turn = scenario.turns[round - 1];
          if (turn?.kind !== 'calls') return;
          ledger.note(`round ${round} is open: ${turn.calls.map(({ callId }) => callId).join(' ')}`);
          stage.people().opened(round, turn.calls);
        }, thinkMs);
      }),
    },
  });
  const { engine } = sandbox;
  const thread = scenario.threadGiven ? await engine.createThread(CALLER, {}) : null;
  const ours = () => engine.runs().filter((run) => run.metadata[METADATA.token] === scenario.runId);
  if (thread !== null && scenario.busyMs !== null) {
    const { run } = await engine.createRun(CALLER, thread.id, { assistant_id: 'asst_hang' });
    clock.setTimeout(() => {
      engine.cancelRun(CALLER, thread.id, run.id).catch(() => undefined);
    }, scenario.busyMs);
  }
  if (scenario.strangerCancels !== null)
    clock.setTimeout(() => {
      const run = ours()[0];
      if (run === undefined || isTerminal(run.status)) return;
      faults.count('stranger cancels');
      ledger.note('a stranger cancels at the server');
      engine.cancelRun(CALLER, run.thread_id, run.id).catch(() => undefined);
    }, scenario.strangerCancels);

  /** The latest create on each worker: replaced while Temporal could not hear it, it can't know. */
  const creates = new Map<number, { unfenced(): boolean }>();
  const hooks = createHooks(scenario);
  const processes = createProcesses((worker: Worker) => {
    const dispatcher = new SimDispatcher({
      clock,
      random: chance,
      faults,
      virtual,
      worker,
      answer: (request) => sandbox.fetch(request),
      stale(method, path) {
        sandbox.faults.add({ match: { method, path }, action: { kind: 'stale', back: 1 } });
      },
      serverNow: () => serverClock.now(),
      arrived(route) {
        bump(ledger.requests, route);
        if (route === 'create' && creates.get(worker.id)?.unfenced() === true) ledger.unfencedCreates += 1;
      },
      felt: (fault) => bump(ledger.felt, fault),
      body: (path, body) => broken.body?.(path, body) ?? body,
    });
    const backend = createAssistantsBackend({
      baseUrl: 'http://sandbox.test/v1',
      apiKey: watch.key,
      dispatcher,
      now: () => worker.wall(),
      random: () => chance.next(),
    });
    return {
      dispatcher,
      activities: createActivities({
        backends: { assistants: backend },
        tools: tools.registry,
        hooks,
        startFollowUpRun: () => Promise.reject(new Error('no linked runs here')),
        log: watch.log,
        clock: { wall: () => worker.wall(), monotonic: () => clock.now() - START },
        maxHeartbeatThrottleMs: HEARTBEAT_THROTTLE_MS,
      }),
    };
  });
  let attempts = 0;

  const acceptedBy = async (runId: string, threadId: string): Promise<Truth['runs'][number]['accepted']> => {
    const before = sandbox.quirks.noSteps;
    sandbox.quirks.noSteps = false;
    const page = await engine.listSteps(CALLER, threadId, runId, { limit: 100, order: 'asc' });
    sandbox.quirks.noSteps = before;
    const rounds = page.data.flatMap((step) =>
      step.step_details.type === 'tool_calls' && step.status === 'completed'
        ? [step.step_details.tool_calls]
        : [],
    );
    return rounds.map((calls, index) => {
      const outputs: ToolOutput[] = calls.map((call) => ({
        tool_call_id: call.id,
        output: call.function.output ?? '',
      }));
      return {
        round: index + 1,
        outputs,
        by: outputs.some(({ output }) => output.startsWith('stranger:')) ? 'stranger' : 'us',
      };
    });
  };

  return {
    beats: true,
    threadId: thread?.id ?? null,
    assistantId: 'asst_scenario',
    params: { tools: tools.declared },
    rowExpiry: () => null,
    markCancelling: () => undefined,
    attempts: () => attempts,
    drain: () => virtual.drain(),
    died: (worker) => processes.died(worker),
    truth: () =>
      Promise.all(
        ours().map(async (run) => ({
          id: run.id,
          status: run.status,
          accepted: await acceptedBy(run.id, run.thread_id),
        })),
      ),
    attempt(activity, worker, turn) {
      attempts += 1;
      const { activities } = processes.of(worker);
      if (activity.type === ACTIVITIES.createRun) {
        let wasCut = worker.cutOff;
        worker.listeners.add({
          silent: () => void (wasCut ||= worker.cutOff),
          heard: () => undefined,
        });
        creates.set(worker.id, {
          unfenced: () => wasCut && !(activity.running && activity.attempt === turn.attempt),
        });
      }
      const table = activities as unknown as Record<string, (input: unknown) => Promise<unknown>>;
      const named = activity.type.startsWith(TOOL_ACTIVITY_PREFIX) ? table['default'] : table[activity.type];
      const run = (input: unknown): Promise<unknown> =>
        named?.(input) ?? Promise.reject(new Error(`no activity ${activity.type}`));
      watch.saw(activity.input);
      runFullAttempt(
        activity,
        worker,
        turn,
        {
          clock,
          random: chance,
          faults,
          virtual,
          workflowId: scenario.runId,
          broken,
          told(failure) {
            const text = broken.failed?.(failure.message, watch.key);
            const told =
              text === undefined || failure.failure.kind !== 'application'
                ? failure
                : applicationFailure(failure.failure.type, text, failure);
            watch.saw(told.failure);
            return told;
          },
        },
        (input) => (broken.activity === undefined ? run(input) : broken.activity(activity.type, input, run)),
      );
    },
    people: {
      submitted: () => undefined,
      stranger(round, calls) {
        const run = ours()[0];
        if (run?.status !== 'requires_action') return;
        const open = run.required_action.submit_tool_outputs.tool_calls.map((call) => call.id);
        if (open[0] !== calls[0]?.callId) return;
        faults.count('stranger submits');
        ledger.note(`a stranger submits round ${round} at the server`);
        engine
          .submitToolOutputs(
            CALLER,
            run.thread_id,
            run.id,
            open.map((id) => ({ tool_call_id: id, output: `stranger:${id}` })),
          )
          .catch(() => undefined);
      },
    },
    inspect() {
      watch.inspect();
      for (const request of sandbox.requests) {
        if (!request.path.endsWith('/submit_tool_outputs')) continue;
        const sent = (request.body as { tool_outputs: ToolOutput[] }).tool_outputs.map(
          (item) => item.tool_call_id,
        );
        const round = scenario.turns.find(
          (turn) => turn.kind === 'calls' && turn.calls.some(({ callId }) => callId === sent[0]),
        );
        const whole = round?.kind === 'calls' ? round.calls.map(({ callId }) => callId) : [];
        if (JSON.stringify(sent) !== JSON.stringify(whole))
          ledger.violate('I2', `a request carried ${JSON.stringify(sent)} of ${JSON.stringify(whole)}`);
      }
      const open = processes.openConnections();
      if (open > 0) ledger.violate('I12', `${open} connections are open after the end`);
      const watchedMs = (ledger.result?.at ?? clock.now()) - ledger.startedAt;
      const most = 40 + 30 * attempts + Math.round(watchedMs / 1_500);
      if (profile.name === 'calm' && attempts > 0 && sandbox.requests.length > most)
        ledger.violate(
          'I9',
          `${sandbox.requests.length} requests for ${attempts} attempts in ${watchedMs} ms without any fault`,
        );
    },
  };
};
