/**
 * The known breaks, each with the invariant that must notice it.
 *
 * Rule: a mutant that no schedule notices is a hole in the workload or in the auditor. Only `test/simulation` imports it.
 */
import { ACTIVITIES, TOOL_ACTIVITY_PREFIX } from '../../protocol/temporal/names.ts';
import type { Effect } from '../../workflows/run/effects.ts';
import { step } from '../../workflows/run/machine.ts';
import type { Step } from '../../workflows/run/machine.ts';
import type { Input, MachineState } from '../../workflows/run/state.ts';
import type { Mutant } from './mutant.ts';

export interface KnownMutant {
  name: string;
  /** What it breaks; any of these may be first to be noticed. */
  caughtBy: readonly string[];
  make(): Mutant;
}

const effects =
  (change: (effects: Effect[], state: MachineState, input: Input) => Effect[]): typeof step =>
  (state, input) => {
    const next = step(state, input);
    return { ...next, effects: change(next.effects, state, input) };
  };
const submits = (change: (effect: Extract<Effect, { type: 'submit' }>) => Effect[]): Mutant => ({
  machine: effects((all) => all.flatMap((effect) => (effect.type === 'submit' ? change(effect) : [effect]))),
});
const ignoring =
  (ignored: (input: Input, state: MachineState) => boolean): typeof step =>
  (state, input) =>
    ignored(input, state) ? { state, effects: [] } : step(state, input);
const result = (change: (effect: Extract<Effect, { type: 'finish' }>) => Effect): Mutant => ({
  machine: effects((all) => all.map((effect) => (effect.type === 'finish' ? change(effect) : effect))),
});
const past = (state: MachineState): MachineState => ({ ...state, expiresAt: (state.expiresAt ?? 0) + 1e9 });

export const MUTANTS: readonly KnownMutant[] = [
  {
    name: 'a round is submitted twice',
    caughtBy: ['I2'],
    make: () => submits((effect) => [effect, effect]),
  },
  {
    name: 'the last output is left out',
    caughtBy: ['I2'],
    make: () => submits((effect) => [{ ...effect, outputs: effect.outputs.slice(0, -1) }]),
  },
  {
    name: 'outputs leave in another order',
    caughtBy: ['I2'],
    make: () => submits((effect) => [{ ...effect, outputs: effect.outputs.toReversed() }]),
  },
  {
    name: 'outputs change on their way',
    caughtBy: ['I6', 'I2'],
    make: () =>
      submits((effect) => [
        { ...effect, outputs: effect.outputs.map((output) => ({ ...output, output: `${output.output}!` })) },
      ]),
  },
  {
    name: 'an acknowledged answer is dropped',
    caughtBy: ['I6', 'I11'],
    make: () => ({ machine: ignoring((input) => input.type === 'answer' && input.at % 2 === 0) }),
  },
  {
    name: 'answers that were not used are not reported',
    caughtBy: ['I6'],
    make: () => result((effect) => ({ ...effect, result: { ...effect.result, unusedAnswers: [] } })),
  },
  {
    name: 'signals that are of no use are not counted',
    caughtBy: ['I6'],
    make: () => ({
      machine: (state, input) => {
        const next = step(state, input);
        return { ...next, state: { ...next.state, unusable: { ...next.state.unusable, count: 0 } } };
      },
    }),
  },
  {
    name: 'a second, different answer takes the place of the first',
    caughtBy: ['I6'],
    make: () => ({
      machine: (state, input) => {
        if (input.type !== 'answer' || state.calls.every((call) => call.answer === undefined))
          return step(state, input);
        const forgetful = state.calls.map(({ answer: _answer, ...call }) =>
          _answer === undefined || call.status !== 'done'
            ? { ...call, ...(_answer && { answer: _answer }) }
            : { ...call, status: 'waiting' as const },
        );
        const next = step({ ...state, calls: forgetful }, input);
        return next.state.calls === forgetful ? step(state, input) : next;
      },
    }),
  },
  {
    name: 'the result of a tool is lost',
    caughtBy: ['I11'],
    make: () => ({ machine: ignoring((input) => input.type === 'callDone') }),
  },
  {
    name: 'the expiry is ignored',
    caughtBy: ['I3', 'I11'],
    make: () => ({
      machine: (state, input) => {
        if (state.about.backend !== 'chat' || state.expiresAt === null) return step(state, input);
        const next = step(past(state), input);
        const { expiresAt } = next.state;
        return { ...next, state: { ...next.state, expiresAt: expiresAt === null ? null : state.expiresAt } };
      },
    }),
  },
  {
    name: 'the timer is ignored',
    caughtBy: ['I11', 'I9'],
    make: () => ({ machine: ignoring((input) => input.type === 'deadline') }),
  },
  {
    name: 'a cancel does not close the run',
    caughtBy: ['I5'],
    make: () => ({
      machine: (state, input) => {
        const next = step(state, input);
        const closes = next.effects.find((effect) => effect.type === 'close');
        return closes === undefined
          ? next
          : step(next.state, {
              type: 'settled',
              via: 'close',
              settlement: { status: 'cancelled', run: state.run },
              at: input.at,
            });
      },
    }),
  },
  {
    name: 'every end is told as a completion',
    caughtBy: ['I5'],
    make: () => result((effect) => ({ ...effect, result: { ...effect.result, status: 'completed' } })),
  },
  {
    name: 'a run that is being closed starts its tools',
    caughtBy: ['I3'],
    make: () => ({
      machine: effects((all, before, input) =>
        input.type !== 'cancelRequested' || before.run === null
          ? all
          : [
              ...all,
              ...before.calls.flatMap((call): Effect[] =>
                call.plan.kind === 'approval' && call.status === 'waiting'
                  ? [
                      {
                        type: 'runTool',
                        callId: call.callId,
                        name: call.name,
                        arguments: call.arguments,
                        policy: call.plan.policy,
                        endBy: null,
                      },
                    ]
                  : [],
              ),
            ],
      ),
    }),
  },
  {
    name: 'answers are lost at continue-as-new',
    caughtBy: ['I6', 'I11'],
    make: () => ({
      machine: (state, input) =>
        step(
          input.type === 'resume'
            ? {
                ...state,
                calls: state.calls.map((call) =>
                  call.answer === undefined
                    ? call
                    : {
                        callId: call.callId,
                        name: call.name,
                        arguments: call.arguments,
                        plan: call.plan,
                        status: 'waiting',
                      },
                ),
              }
            : state,
          input,
        ),
    }),
  },
  {
    name: 'the order of effects depends on something that is not replayed',
    caughtBy: ['I7'],
    make: () => {
      let count = 0;
      return {
        machine: effects((all) => {
          count += 1;
          return count % 3 === 0 ? all.toReversed() : all;
        }),
      };
    },
  },
  {
    name: 'a timer is armed with every step',
    caughtBy: ['I8'],
    make: () => ({
      machine: effects((all, before) =>
        before.round > 0 && all.every(({ type }) => type !== 'finish')
          ? [...all, { type: 'armTimer', at: before.startedAt + 1e9 }]
          : all,
      ),
    }),
  },
  {
    name: 'an at-most-once tool is run again after a lost attempt',
    caughtBy: ['I4'],
    make: () => ({
      options: (options, type) =>
        type.startsWith(TOOL_ACTIVITY_PREFIX)
          ? { ...options, retry: { ...options.retry, attempts: 5 } }
          : options,
      attempt: (attempt, run) => run(Object.create(attempt, { number: { value: 1 } }) as typeof attempt),
    }),
  },
  {
    name: 'a retried create posts without looking first',
    caughtBy: ['I1'],
    make: () => ({
      attempt: (attempt, run, { server, runId }) => {
        if (attempt.activity.type !== ACTIVITIES.createRun || attempt.number === 1) return run(attempt);
        const { request } = attempt.activity.input as { request: { threadId: string } };
        return attempt
          .request('create', () => server.createRun(request.threadId, runId))
          .then(() => run(attempt));
      },
    }),
  },
  {
    name: 'a round is answered in parts',
    caughtBy: ['I2'],
    make: () => ({
      machine: effects((all) =>
        all.flatMap((effect): Effect[] =>
          effect.type === 'submit' && effect.outputs.length > 1
            ? effect.outputs.map((output) => ({ ...effect, outputs: [output] }))
            : [effect],
        ),
      ),
    }),
  },
  {
    name: 'a closed run is left as it is after a budget',
    caughtBy: ['I5'],
    make: () => ({
      machine: (state, input): Step => {
        const next = step(state, input);
        if (next.state.closing?.kind !== 'fail' || state.closing !== null) return next;
        return step(next.state, {
          type: 'settled',
          via: 'close',
          settlement: { status: 'failed', run: state.run },
          at: input.at,
        });
      },
    }),
  },
];
