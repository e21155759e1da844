/**
 * The workload generator: scenarios from a seed.
 *
 * Rule: a simulation is worth what its workload reaches. So it aims at collisions: early, late, repeated, conflicting and
 * malformed answers, moments around deadlines, several ends at once; and two special aims, for windows that are narrow.
 * Only `test/simulation` imports it.
 */
import type { CallPlan, OnDeadline, ToolPolicy, WaitPolicy } from '../../protocol/tool-calls.ts';
import type { Random } from '../support/random.ts';
import type { CallScript, PersonAct, Say, Scenario, SubmitAct, ToolScript, Turn } from './scenario.ts';

const POLICY: ToolPolicy = {
  maximumAttempts: 5,
  initialIntervalMs: 1000,
  backoffCoefficient: 2,
  maximumIntervalMs: 60_000,
  startToCloseMs: 300_000,
  heartbeatMs: null,
  atMostOnce: false,
};

const policyOf = (r: Random): ToolPolicy =>
  r.chance(0.2)
    ? { ...POLICY, maximumAttempts: 1, atMostOnce: true, startToCloseMs: r.pick([5_000, 60_000]) }
    : {
        ...POLICY,
        maximumAttempts: r.pick([1, 2, 3, 5, 0]),
        startToCloseMs: r.pick([2_000, 20_000, 300_000]),
        heartbeatMs: r.chance(0.3) ? 5_000 : null,
      };

const toolOf = (r: Random): ToolScript => ({
  ms: r.chance(0.85) ? r.ms(0, 3_000) : r.ms(1_000, 120_000),
  failures: r.chance(0.75) ? 0 : r.int(1, 3),
  end: r.weighted([
    [80, 'ok'],
    [8, 'throw'],
    [7, 'final'],
    [5, 'hang'],
  ]),
});

const waitOf = (r: Random, lifeMs: number | null): WaitPolicy => ({
  onDeadline: r.weighted<OnDeadline>([
    [4, 'fail'],
    [3, 'placeholder'],
    [3, 'follow-up'],
  ]),
  answerWithinMs: r.chance(0.6) ? null : r.ms(500, 2 * (lifeMs ?? 60_000)),
});

/** Moments that matter for an answer: at once, soon, some time, around the deadline, after it. */
const moment = (r: Random, lifeMs: number | null, wait: WaitPolicy | null): number => {
  const life = lifeMs ?? 120_000;
  return r.weighted<() => number>([
    [30, () => r.ms(0, 200)],
    [35, () => r.ms(100, 15_000)],
    [10, () => r.int(0, life)],
    [8, () => Math.round(life * 0.95) + r.int(-6_000, 6_000)],
    [7, () => life + r.int(-3_000, 3_000)],
    // The server's verdict is asked for a second after the expiry.
    [5, () => life + 1_000 + r.int(-20, 120)],
    [5, () => Math.max(0, (wait?.answerWithinMs ?? life) + r.int(-2_000, 2_000))],
    [5, () => life + r.ms(1_000, 3_000_000)],
  ])();
};

const sayOf = (r: Random, kind: CallPlan['kind']): Say =>
  kind === 'approval'
    ? r.weighted<Say>([
        [50, 'good'],
        [14, 'deny'],
        [12, 'edit'],
        [8, 'wrong_kind'],
        [5, 'malformed'],
        [4, 'other_run'],
        [4, 'unknown_call'],
        [3, 'other'],
      ])
    : r.weighted<Say>([
        [64, 'good'],
        [13, 'other'],
        [8, 'wrong_kind'],
        [6, 'malformed'],
        [4, 'other_run'],
        [4, 'unknown_call'],
        [0.5, 'huge'],
      ]);

const actsOf = (r: Random, plan: CallPlan, lifeMs: number | null): PersonAct[] => {
  const awaited = plan.kind === 'external' || plan.kind === 'approval';
  const count = awaited
    ? r.weighted([
        [15, 0],
        [45, 1],
        [25, 2],
        [15, 4],
      ])
    : r.chance(0.08)
      ? 1
      : 0;
  const acts: PersonAct[] = [];
  for (let index = 0; index < count; index += 1) {
    const early = r.chance(0.06);
    acts.push({
      from: early ? 'start' : 'open',
      afterMs: early ? r.ms(0, 3_000) : moment(r, lifeMs, awaited ? plan.wait : null),
      via: r.chance(0.4) ? 'signal' : 'update',
      say: sayOf(r, plan.kind),
      againMs: r.chance(0.15) ? r.ms(1, 20_000) : null,
    });
  }
  return acts;
};

const planOf = (r: Random, external: number, lifeMs: number | null): CallPlan => {
  const kind = r.weighted<CallPlan['kind']>([
    [45, 'automatic'],
    [20, 'approval'],
    [external, 'external'],
    [7, 'refused'],
  ]);
  switch (kind) {
    case 'automatic':
      return { kind, policy: policyOf(r) };
    case 'approval':
      return { kind, policy: policyOf(r), wait: waitOf(r, lifeMs) };
    case 'external':
      return { kind, wait: waitOf(r, lifeMs) };
    default:
      return { kind, output: 'Error: there is no such tool.' };
  }
};

const callsOf = (r: Random, round: number, external: number, lifeMs: number | null): CallScript[] => {
  const count = r.weighted([
    [40, 1],
    [30, 2],
    [20, 3],
    [9, 5],
    [1, 12],
  ]);
  return Array.from({ length: count }, (_, index): CallScript => {
    const plan = planOf(r, external, lifeMs);
    return {
      callId: `call_${round}_${index}`,
      name: `${plan.kind}_${round}_${index}`,
      plan,
      tool: plan.kind === 'automatic' || plan.kind === 'approval' ? toolOf(r) : null,
      acts: actsOf(r, plan, lifeMs),
    };
  });
};

const submitsOf = (
  r: Random,
  calls: readonly CallScript[],
  lifeMs: number | null,
  native: boolean,
): SubmitAct[] => {
  if (!calls.some((call) => call.plan.kind === 'external') || !r.chance(native ? 0.5 : 0.08)) return [];
  const count = r.weighted([
    [70, 1],
    [20, 2],
    [10, 3],
  ]);
  return Array.from({ length: count }, (): SubmitAct => ({
    afterMs: moment(r, lifeMs, null),
    say: r.weighted<SubmitAct['say']>([
      [65, 'good'],
      [7, 'missing'],
      [6, 'extra'],
      [7, 'differ'],
      [4, 'duplicate'],
      [3, 'wrong_run'],
      [3, 'malformed'],
      [9, 'previous'],
    ]),
    againMs: r.chance(0.25) ? r.ms(1, 20_000) : null,
  }));
};

/** A round whose only call gets a placeholder at once, and whose answers come when the next round's verdict is asked for. */
const lateTurn = (r: Random, atOnce: () => number): Turn => ({
  kind: 'calls',
  thinkMs: 0,
  calls: [
    {
      callId: 'call_0_0',
      name: 'external_0_0',
      plan: { kind: 'external', wait: { onDeadline: 'follow-up', answerWithinMs: 500 } },
      tool: null,
      acts: Array.from({ length: r.int(1, 3) }, () => ({
        from: 'open',
        afterMs: atOnce(),
        via: r.pick(['signal', 'update'] as const),
        say: r.pick(['good', 'good', 'other'] as const),
        againMs: null,
      })),
    },
  ],
  submits: [],
  stranger: null,
});

/** Everybody acts in the moment in which the server is asked for its verdict: narrow, and worth aiming at. */
const aimedAtTheVerdict = (scenario: Scenario, r: Random): Scenario => {
  const life = 10_000;
  const atOnce = (): number => life + 1_000 + r.int(-10, r.pick([60, 200, 3_000]));
  const calls = callsOf(r, 1, 60, life).map((call): CallScript => {
    const { plan } = call;
    const wait: WaitPolicy = { onDeadline: 'fail', answerWithinMs: null };
    return {
      ...call,
      plan:
        'wait' in plan
          ? { ...plan, wait: r.chance(0.85) ? wait : { ...wait, onDeadline: 'follow-up' } }
          : plan,
      acts: Array.from({ length: r.int(0, 3) }, (): PersonAct => ({
        from: 'open',
        afterMs: r.chance(0.85) ? atOnce() : r.ms(0, life),
        via: r.chance(0.5) ? 'signal' : 'update',
        say: sayOf(r, plan.kind),
        againMs: r.chance(0.2) ? r.int(0, 50) : null,
      })),
    };
  });
  const submits = Array.from({ length: r.int(0, 2) }, (): SubmitAct => ({
    afterMs: atOnce(),
    say: r.pick(['good', 'good', 'differ', 'missing'] as const),
    againMs: r.chance(0.5) ? r.int(0, 50) : null,
  }));
  return {
    ...scenario,
    aim: 'verdict',
    backend: 'assistants',
    lifeMs: life,
    lax: r.chance(0.75),
    turns: [
      ...(r.chance(0.25) ? [lateTurn(r, atOnce)] : []),
      { kind: 'calls', thinkMs: 0, calls, submits, stranger: r.chance(0.25) ? atOnce() : null },
      ...scenario.turns.slice(1),
    ],
    noRow: false,
    threadGiven: true,
    cancels: r.chance(0.15) ? [atOnce()] : [],
    strangerCancels: r.chance(0.1) ? atOnce() : null,
  };
};

/** The end takes its time, and everybody goes on talking meanwhile. */
const aimedAtTheEnd = (scenario: Scenario, r: Random): Scenario => {
  const life = 10_000;
  const closeMs = r.ms(1_000, 20_000);
  const some = (): number => r.int(0, life + closeMs);
  return {
    ...scenario,
    lifeMs: life,
    closeMs,
    hooks: { onWaiting: true, onEnd: r.chance(0.5) },
    hookFailures: r.pick([0, 3, 12]),
    hookMs: r.ms(1, 5_000),
    childMs: closeMs,
    budget: r.chance(0.4) ? { maxRounds: 1, maxCalls: 100 } : null,
    cancels: r.chance(0.3) ? [some()] : [],
    turns: scenario.turns.map((turn): Turn => {
      if (turn.kind !== 'calls') return turn;
      return {
        ...turn,
        thinkMs: r.ms(0, 1_000),
        calls: turn.calls.map((call) => ({
          ...call,
          acts: [
            ...call.acts,
            ...Array.from({ length: r.int(1, 4) }, (): PersonAct => ({
              from: 'open',
              afterMs: some(),
              via: r.chance(0.5) ? 'signal' : 'update',
              say: sayOf(r, call.plan.kind),
              againMs: r.chance(0.3) ? r.int(0, closeMs) : null,
            })),
          ],
        })),
        submits: Array.from({ length: r.int(1, 3) }, (): SubmitAct => ({
          afterMs: some(),
          say: r.pick(['good', 'good', 'previous', 'previous', 'differ'] as const),
          againMs: r.chance(0.6) ? r.int(0, closeMs) : null,
        })),
      };
    }),
  };
};

export const generate = (seed: number, r: Random): Scenario => {
  const scenario = anyScenario(seed, r);
  if (scenario.turns.length === 1) return scenario;
  return r.weighted([
    [85, (): Scenario => scenario],
    [7, () => aimedAtTheVerdict(scenario, r)],
    [8, () => aimedAtTheEnd(scenario, r)],
  ])();
};

const anyScenario = (seed: number, r: Random): Scenario => {
  const backend = r.chance(0.5) ? 'assistants' : 'chat';
  const native = backend === 'chat';
  const lifeMs = !native && r.chance(0.12) ? null : r.pick([10_000, 30_000, 60_000, 600_000]);
  const rounds = r.weighted([
    [10, 0],
    [45, 1],
    [25, 2],
    [14, 3],
    [6, 6],
  ]);
  const turns: Turn[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const calls = callsOf(r, round, native ? 30 : 25, lifeMs);
    turns.push({
      kind: 'calls',
      thinkMs: r.ms(0, 4_000),
      calls,
      submits: submitsOf(r, calls, lifeMs, native),
      stranger: !native && r.chance(0.04) ? r.ms(0, 20_000) : null,
    });
  }
  turns.push(
    r.weighted<() => Turn>([
      [76, () => ({ kind: 'end', thinkMs: r.ms(0, 4_000), status: 'completed' })],
      [8, () => ({ kind: 'end', thinkMs: r.ms(0, 4_000), status: 'failed' })],
      [8, () => ({ kind: 'end', thinkMs: r.ms(0, 4_000), status: 'incomplete' })],
      [8, () => ({ kind: 'hang' })],
    ])(),
  );
  const cancelCount = r.weighted([
    [72, 0],
    [22, 1],
    [6, 2],
  ]);
  return {
    seed,
    aim: null,
    backend,
    runId: `run_sim${seed}`,
    threadGiven: native || r.chance(0.6),
    turns,
    lifeMs,
    lax: !native && lifeMs !== null && r.chance(0.1),
    hooks: { onWaiting: r.chance(0.3), onEnd: r.chance(0.3) },
    hookFailures: r.chance(0.8) ? 0 : r.pick([1, 3, 12, 100, 100]),
    busyMs: !native && r.chance(0.08) ? r.ms(100, 60_000) : null,
    busy: r.pick(['fail', 'wait', 'cancel'] as const),
    budget: r.chance(0.06) ? { maxRounds: r.int(1, 2), maxCalls: r.int(1, 6) } : null,
    continueAfter: r.chance(0.6) ? Infinity : r.int(6, 40),
    cancels: Array.from({ length: cancelCount }, () =>
      r.weighted([
        [70, () => r.ms(0, 30_000)],
        [20, () => r.int(0, lifeMs ?? 60_000)],
        [10, () => (lifeMs ?? 60_000) + r.int(0, 3_000)],
      ])(),
    ),
    strangerCancels: !native && r.chance(0.04) ? r.ms(0, 30_000) : null,
    noRow: native && r.chance(0.01),
    childFails: r.chance(0.15),
    childMs: r.ms(1, 8_000),
    closeMs: r.ms(0, 3_000),
    hookMs: r.chance(0.8) ? 5 : r.ms(5, 40_000),
    apiWritesMs: r.chance(0.8) ? r.ms(0, 300) : null,
    junk: r.chance(0.06)
      ? Array.from({ length: r.int(1, 15) }, () => ({
          afterMs: r.ms(0, 30_000),
          kind: r.pick(['null', 'text', 'number', 'array', 'proto'] as const),
        }))
      : [],
  };
};
