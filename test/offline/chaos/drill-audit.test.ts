/** The auditor of drills: silent about a good run, and each thing that must not be is seen. */
import { describe, expect, test } from 'vitest';
import { audit, type RunFacts } from '../../chaos/audit.ts';
import { createFaults, faultsText, parseFaults, type PlannedFault } from '../../chaos/faults.ts';
import { parseStory, storyText } from '../../chaos/script.ts';

const RUN = 'run_1';
const done = (name: string, callId: string): string => `${name} 0 done under ${RUN}:${callId}`;

/** A run of two rounds in which everything went well. */
const good = (): RunFacts => ({
  runId: RUN,
  story: { delayMs: 0, rounds: [['keyed', 'ask'], ['once']] },
  mayEnd: ['completed'],
  result: {
    status: 'completed',
    runId: RUN,
    backendRunId: 'run_server',
    threadId: 'thread_1',
    rounds: 2,
    usage: null,
    calls: [
      { callId: 'a', name: 'keyed', round: 1, kind: 'automatic', ok: true },
      { callId: 'b', name: 'ask', round: 1, kind: 'external', ok: true },
      { callId: 'c', name: 'once', round: 2, kind: 'automatic', ok: true },
    ],
    unusedAnswers: [],
  },
  serverRuns: [
    {
      id: 'run_server',
      status: 'completed',
      rounds: [
        [
          { id: 'a', name: 'keyed', output: done('keyed', 'a') },
          { id: 'b', name: 'ask', output: 'answer to b' },
        ],
        [{ id: 'c', name: 'once', output: done('once', 'c') }],
      ],
      accepted: 2,
      endedAt: 10_000,
    },
  ],
  submits: [
    {
      outputs: [
        { id: 'a', output: done('keyed', 'a') },
        { id: 'b', output: 'answer to b' },
      ],
      status: 200,
    },
    { outputs: [{ id: 'c', output: done('once', 'c') }], status: 200 },
  ],
  creates: 1,
  tools: [
    { at: 1, phase: 'began', tool: 'keyed', key: `${RUN}:a` },
    { at: 2, phase: 'effect', tool: 'keyed', key: `${RUN}:a` },
    { at: 3, phase: 'began', tool: 'once', key: `${RUN}:c` },
    { at: 4, phase: 'effect', tool: 'once', key: `${RUN}:c` },
  ],
  acks: [{ callId: 'b', output: 'answer to b', said: 'answer to b' }],
  duplicates: [],
  faults: 0,
});

const invariants = (change: (facts: RunFacts) => void): string[] => {
  const facts = good();
  change(facts);
  return audit(facts).map(({ invariant }) => invariant);
};
const server = (facts: RunFacts): RunFacts['serverRuns'][number] => {
  const [run] = facts.serverRuns;
  if (run === undefined) throw new Error('No server run.');
  return run;
};
const second = (status: string): RunFacts['serverRuns'][number] => ({
  id: 'run_second',
  status,
  rounds: [],
  accepted: 0,
  endedAt: 5,
});

describe('the auditor', () => {
  test('finds nothing in a run that went well', () => {
    expect(audit(good())).toEqual([]);
  });

  test('accepts a second run that was found, reported and cancelled', () => {
    expect(
      invariants((facts) => {
        facts.serverRuns.push(second('cancelled'));
        facts.duplicates.push('run_second');
      }),
    ).toEqual([]);
  });

  test.each<[string, string, (facts: RunFacts) => void]>([
    ['a run that does not end', 'I11', (facts) => void (facts.result = null)],
    ['a second run nobody reported', 'I1', (facts) => void facts.serverRuns.push(second('cancelled'))],
    [
      'a reported second run that lives',
      'I1',
      (facts) => {
        facts.serverRuns.push(second('in_progress'));
        facts.duplicates.push('run_second');
      },
    ],
    ['more creates than faults explain', 'I9', (facts) => void (facts.creates = 4)],
    ['a round accepted twice', 'I2', (facts) => void facts.submits.push(...facts.submits.slice(0, 1))],
    ['a part of a round', 'I2', (facts) => void facts.submits[0]?.outputs.pop()],
    [
      'a round in two versions',
      'I2',
      (facts) => void facts.submits.push({ outputs: [{ id: 'c', output: 'x' }], status: null }),
    ],
    ['too few accepted submits', 'I2', (facts) => void (server(facts).accepted = 1)],
    ['a missing round', 'I2', (facts) => void server(facts).rounds.pop()],
    ['a result that is not the server’s', 'I5', (facts) => void (server(facts).status = 'failed')],
    ['an end that is not allowed', 'I5', (facts) => void (facts.mayEnd = ['expired'])],
    [
      'an at-most-once tool that began twice',
      'I4',
      (facts) => void facts.tools.push({ at: 5, phase: 'began', tool: 'once', key: `${RUN}:c` }),
    ],
    [
      'an effect that happened twice',
      'I4',
      (facts) => void facts.tools.push({ at: 5, phase: 'effect', tool: 'keyed', key: `${RUN}:a` }),
    ],
    [
      'an effect that never happened',
      'I4',
      (facts) => void (facts.tools = facts.tools.filter(({ key }) => key !== `${RUN}:a`)),
    ],
    [
      'an effect of no call',
      'I4',
      (facts) => void facts.tools.push({ at: 5, phase: 'effect', tool: 'keyed', key: `${RUN}:x` }),
    ],
    [
      'a tool that began after the end',
      'I3',
      (facts) => void facts.tools.push({ at: 60_000, phase: 'began', tool: 'keyed', key: `${RUN}:a` }),
    ],
    [
      'an acknowledged answer that is not the used one',
      'I6',
      (facts) => void (facts.acks = [{ callId: 'b', output: 'other', said: 'other' }]),
    ],
    [
      'two acknowledged answers',
      'I6',
      (facts) => void facts.acks.push({ callId: 'b', output: 'other', said: 'other' }),
    ],
  ])('sees %s', (_what, invariant, change) => {
    expect(invariants(change)).toContain(invariant);
  });
});

describe('fault points', () => {
  test('strike at their occurrence, once', () => {
    const struck: PlannedFault[] = [];
    const faults = createFaults(parseFaults('tool.effected:2:stop'), (fault) => void struck.push(fault));
    for (const at of ['tool.effected', 'tool.starting', 'tool.effected', 'tool.effected'] as const)
      faults.at(at);
    expect(struck).toEqual([{ point: 'tool.effected', occurrence: 2, action: 'stop' }]);
  });

  test('are written as they are read, and a wrong one is refused with the ones there are', () => {
    const text = 'create.writing:1:kill,store.claim.after:3:stop';
    expect(faultsText(parseFaults(text))).toBe(text);
    expect(() => parseFaults('create.nowhere:1:kill')).toThrow(/"create.nowhere:1:kill".*create.writing/);
  });
});

test('a story is its name', () => {
  const text = '40/keyed+ask,once';
  expect(storyText(parseStory(text))).toBe(text);
  expect(() => parseStory('0/dance')).toThrow(/"dance"/);
});
