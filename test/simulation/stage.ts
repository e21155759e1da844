/**
 * The stage of a schedule, whatever its level: time, workers, faults, people, the simulated Temporal with the real
 * machine and driver on it, and the loop that lets it run until the world has come to rest.
 *
 * Rule: everything is drawn from the seed; nothing waits for real time. A level adds what executes activities and what is
 * true behind them. Only `test/simulation` imports it.
 */
import { ACTIVITIES } from '../../protocol/temporal/names.ts';
import type { FollowUpInput, RunInput, RunResult } from '../../protocol/temporal/messages.ts';
import { createClock } from '../../testing/clock.ts';
import type { SandboxClock } from '../../testing/clock.ts';
import { step } from '../../workflows/run/machine.ts';
import { audit } from './auditor.ts';
import type { Truth } from './auditor.ts';
import type { LevelReport } from './campaign.ts';
import type { Coverage } from './coverage.ts';
import { createNoter } from './coverage.ts';
import { createFaults } from './faults.ts';
import type { Faults, Profile } from './faults.ts';
import { runWorkflow } from './glue.ts';
import { bump, createLedger } from './ledger.ts';
import type { Ledger } from './ledger.ts';
import type { Mutant } from './mutant.ts';
import { createPeople } from './people.ts';
import type { People, PeopleApi } from './people.ts';
import { createRandom } from '../support/random.ts';
import type { Random } from '../support/random.ts';
import { createRecorder } from './recording.ts';
import type { Scenario } from './scenario.ts';
import type { Activity } from './temporal/activity.ts';
import { createServer } from './temporal/server.ts';
import type { Server } from './temporal/server.ts';
import { createWorker } from './temporal/worker.ts';
import type { Worker } from './temporal/worker.ts';

const HOUR = 3_600_000;
/** After the last thing that was to happen, a run that waits for somebody without end is cancelled. */
const BELL_MS = 2 * HOUR;
/** From the bell to the end of the run: an hour of closing, and then some. */
const LIVENESS_MS = 1.5 * HOUR;
/** At the full level every heartbeat is a step. */
const MOST_STEPS = { presumed: 20_000, beaten: 400_000 };
export const START = 1_767_225_600_000;

export interface ScheduleOptions {
  coverage?: Coverage;
  trace?: boolean;
  mutant?: Mutant;
}

export interface Stage {
  readonly random: Random;
  readonly chance: Random;
  readonly scenario: Scenario;
  readonly profile: Profile;
  readonly clock: SandboxClock;
  readonly faults: Faults;
  readonly ledger: Ledger;
  readonly workers: readonly Worker[];
  readonly people: () => People;
}

/** What a level is made of. */
export interface Level {
  /** One by one, or taken for granted. */
  beats: boolean;
  threadId: string | null;
  assistantId?: string;
  params?: Record<string, unknown>;
  people: PeopleApi;
  /** Runs an attempt on a worker. */
  attempt(activity: Activity, worker: Worker, turn: { attempt: number; details: unknown }): void;
  /** Natively: until when the row lives. */
  rowExpiry(): number | null;
  truth(): Truth['runs'] | Promise<Truth['runs']>;
  attempts(): number;
  /** The API marks the run before the workflow is cancelled. */
  markCancelling(): void;
  /** A worker process has died: what it held is gone. */
  died(worker: Worker): void;
  /** Lets everything that is under way come to a stop. */
  drain(): Promise<void>;
  /** After the schedule: leaks, as violations. */
  inspect(): void;
}

export interface StageReport extends LevelReport {
  scenario: Scenario;
  profile: Profile;
}

/** Workflow code waits for microtasks only, and a tick comes after all of them. */
const ticks = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve));

export const runStage = async (
  seed: number,
  options: ScheduleOptions,
  draw: (seed: number, random: Random) => { scenario: Scenario; profile: Profile },
  build: (stage: Stage) => Level | Promise<Level>,
): Promise<StageReport> => {
  const random = createRandom(seed);
  const { scenario, profile } = draw(seed, random);
  const chance = random.fork('chance');
  const clock = createClock({ kind: 'virtual', start: START });
  const faults = createFaults(profile, random.fork('faults'), clock);
  const ledger = createLedger(() => clock.now(), options.trace === true);
  const native = scenario.backend === 'chat';
  const { mutant } = options;
  const busy = new Set<Promise<void>>();

  const workers: Worker[] = [1, 2].map((id): Worker => {
    const worker: Worker = createWorker(id, clock, {
      died: () => {
        ledger.note(`worker ${id} killed`);
        level.died(worker);
        temporal.workerDied(worker);
      },
      started: () => {
        ledger.note(`worker ${id} started`);
        temporal.workerReady();
      },
      woke: () => {
        ledger.note(`worker ${id} woke`);
        temporal.workerReady();
      },
    });
    return worker;
  });
  if (profile.workers > 0 && chance.chance(0.3))
    for (const one of workers) one.skewMs = chance.int(-profile.skewMs, profile.skewMs);
  const pickWorker = (): Worker | null => {
    const free = workers.filter((one) => one.up && !one.cutOff && !one.frozen);
    return free.length === 0 ? null : chance.pick(free);
  };

  const level = await build({
    random,
    chance,
    scenario,
    profile,
    clock,
    faults,
    ledger,
    workers,
    people: () => people,
  });
  const input: RunInput = {
    runId: scenario.runId,
    backend: scenario.backend,
    assistantId: level.assistantId ?? 'asst_sim',
    threadId: level.threadId,
    params: level.params ?? {},
    metadata: {},
    busy: scenario.busy,
    expiresAt: native ? START + (scenario.lifeMs ?? 600_000) : null,
    createdAt: native ? START : null,
    searchAttributes: true,
    hooks: scenario.hooks,
    settings: scenario.budget ?? {},
  };
  const note = options.coverage === undefined ? null : createNoter(options.coverage);
  const temporal: Server = createServer(
    runWorkflow({
      input,
      continueAfter: scenario.continueAfter,
      machine: (before, given) => {
        note?.(before, given);
        const next = (mutant?.machine ?? step)(before, given);
        ledger.last = next.state;
        return next;
      },
      ...(mutant?.options === undefined ? {} : { adjust: mutant.options }),
    }),
    clock,
    {
      beats: level.beats,
      taskDelay: () => chance.int(0, 10),
      reportDelay: () => {
        const fault = faults.worker('workflow task');
        const hit = fault === null ? null : pickWorker();
        if (fault === 'worker killed') hit?.kill(chance.ms(50, 30_000));
        if (fault === 'worker frozen') hit?.freeze(chance.ms(500, 60_000));
        if (fault === 'worker cut off') hit?.cut(chance.ms(500, 60_000));
        return chance.int(0, 10);
      },
      pickup: () => chance.int(0, 10),
      evict: () => chance.chance(0.03),
      worker: pickWorker,
      child: () => ({ afterMs: scenario.childMs, ok: !scenario.childFails }),
    },
    {
      settle: ticks,
      busy(work) {
        busy.add(work);
        void work.finally(() => busy.delete(work));
      },
      recorded: createRecorder(ledger, () => (native ? level.rowExpiry() : null)),
      ended(result, cancelled) {
        ledger.result = { result: result as RunResult, cancelled, at: clock.now() };
        if (ledger.trace !== null) ledger.note(`ended: ${JSON.stringify(result)}`);
      },
      violation: (invariant, message) => ledger.violate(invariant, message),
      note: (what) => bump(ledger.felt, what),
      childStarted(_workflowId, given) {
        for (const call of (given as FollowUpInput).calls) ledger.handedOver.add(call.callId);
      },
      attempt(activity, worker, turn) {
        ledger.note(`attempt ${turn.attempt} of ${activity.type} on worker ${worker.id}`);
        if (activity.type === ACTIVITIES.closeRun && turn.attempt > 1) ledger.repeatedCloses += 1;
        level.attempt(activity, worker, turn);
      },
    },
  );
  const people = createPeople(scenario, clock, () => temporal, ledger, level.people);

  for (const ms of scenario.cancels)
    clock.setTimeout(() => {
      ledger.note('cancel requested');
      if (native && chance.chance(0.5)) level.markCancelling();
      temporal.cancel();
    }, ms);
  people.started();
  temporal.start();

  await letRun({
    scenario,
    profile,
    clock,
    faults,
    ledger,
    temporal,
    people,
    busy,
    beats: level.beats,
    drain: () => level.drain(),
  });
  if (ledger.violations.length === 0) await temporal.replay();
  if (ledger.violations.length === 0) {
    const truth: Truth = {
      runs: await level.truth(),
      rounds: scenario.turns.map((turn) => (turn.kind === 'calls' ? turn.calls : [])),
    };
    audit({
      ledger,
      scenario,
      truth,
      profile,
      injected: faults.injected,
      temporal,
      attempts: level.attempts(),
    });
    level.inspect();
  }
  return {
    seed,
    about: `${scenario.backend}, faults: ${profile.name}`,
    violations: ledger.violations,
    scenario,
    profile,
    injected: faults.injected,
    felt: ledger.felt,
    status: ledger.result?.result.status ?? 'none',
    lasted: clock.now() - START,
    trace: ledger.trace ?? [],
  };
};

interface Running extends Pick<Stage, 'scenario' | 'profile' | 'clock' | 'faults' | 'ledger'> {
  temporal: Server;
  people: People;
  busy: ReadonlySet<unknown>;
  beats: boolean;
  drain(): Promise<void>;
}

/** Steps from moment to moment until nothing is left to happen. */
const letRun = async (running: Running): Promise<void> => {
  const { scenario, profile, clock, faults, ledger, temporal, people, busy } = running;
  const settle = async (): Promise<void> => {
    do await running.drain();
    while (busy.size > 0);
  };
  const lastMoment = (): number =>
    Math.max(
      START + (scenario.lifeMs ?? 0),
      profile.untilMs === 0 ? 0 : faults.until,
      ledger.last?.expiresAt ?? 0,
    );
  const most = running.beats ? MOST_STEPS.beaten : MOST_STEPS.presumed;
  let bell: number | null = null;
  /** The run has not ended though nothing more was to happen: who is to blame? */
  const overdue = async (next: number | null): Promise<void> => {
    if (bell !== null) {
      if (next === null || next > bell + LIVENESS_MS)
        ledger.violate('I11', `the run has not ended ${LIVENESS_MS} ms after it was cancelled`);
      return;
    }
    if (ledger.last?.calls.some((call) => call.status === 'waiting') === true) {
      bell = clock.now();
      faults.count('bell');
      ledger.note('nobody answers: cancelled');
      temporal.cancel();
      await settle();
      return;
    }
    if (next === null || next > ledger.progressAt + BELL_MS)
      ledger.violate('I11', 'the run stands still and waits for nobody');
  };

  await settle();
  for (let steps = 0; ledger.violations.length === 0; steps += 1) {
    let next = clock.next();
    if (next === null && ledger.result !== null) return;
    if (
      ledger.result === null &&
      people.pending() === 0 &&
      (next === null || next > lastMoment() + BELL_MS)
    ) {
      await overdue(next);
      next = clock.next();
    }
    if (ledger.violations.length > 0 || next === null) continue;
    if (steps > most) ledger.violate('I9', `the schedule did not come to rest within ${steps} steps`);
    clock.step();
    await settle();
  }
};
