/** Which call an answer is for: codes, the only one that waits, and questions at a terminal. */
import { describe, expect, test } from 'vitest';
import { answerPayload, type AnswerOptions } from '../../../cli/answer-options.ts';
import { askForAnswer } from '../../../cli/ask-answer.ts';
import { callCode, isCallCode, shortCall, shortRun } from '../../../cli/short-codes.ts';
import { listLines, waitingLines } from '../../../cli/commands/list.ts';
import { candidateCalls, findCallByText, onlyCall } from '../../../cli/meant-call.ts';
import { findRunByText } from '../../../cli/meant-run.ts';
import type { WaitingCall } from '../../../cli/waiting-calls.ts';
import type { RunListItem, RunsClient } from '../../../client/index.ts';
import type { CallSnapshot, RunSnapshot } from '../../../protocol/temporal/messages.ts';
import { runSnapshot } from '../../support/run-snapshots.ts';
import { cli } from '../../support/cli.ts';

const NOW = 1_800_000_000_000;
const RUN = 'run_Q7mZk2Lw9XcV4bNf8TgH1yJd';
const CALL = 'call_b3Rt6YuIoP9aSdFgHjKlZx2c';

describe('the code of a call', () => {
  test('is five plain characters, the same each time, and another one for another run', () => {
    const code = callCode(RUN, CALL);
    expect(code).toMatch(/^[2-9b-df-hj-np-tv-xz]{5}$/);
    expect(isCallCode(code)).toBe(true);
    expect(callCode(RUN, CALL)).toBe(code);
    expect(callCode(`${RUN}2`, CALL)).not.toBe(code);
  });

  test('tells ten thousand calls apart, but for a few', () => {
    const codes = new Set(Array.from({ length: 10_000 }, (_, index) => callCode(RUN, `call_${index}`)));
    expect(codes.size).toBeGreaterThan(9_980);
  });

  test.each(['call_1', RUN, 'bcdf', 'bcdfgh', 'aeiou', 'BCDFG', ''])('%j is none', (text) => {
    expect(isCallCode(text)).toBe(false);
  });

  test('stands in commands for ids that are longer', () => {
    expect(shortCall(RUN, CALL)).toBe(callCode(RUN, CALL));
    expect(shortCall(RUN, 'call_1')).toBe('call_1');
  });
});

const snapshot = (
  runId: string,
  calls: Partial<CallSnapshot>[],
  more: Partial<RunSnapshot> = {},
): RunSnapshot =>
  runSnapshot(runId, {
    calls: calls.map((call, index) => ({
      callId: `call_${index}`,
      name: 'refund',
      arguments: '{"amount":80}',
      kind: 'approval',
      state: 'waiting',
      ...call,
    })),
    ...more,
  });

/** A client that knows these runs and nothing else. */
const clientOf = (...runs: RunSnapshot[]): RunsClient => {
  const items = runs.map(
    ({ runId }) => ({ runId, waitingFor: [], deadline: null }) as unknown as RunListItem,
  );
  return {
    get: async (runId: string) => {
      const found = runs.find((run) => run.runId === runId);
      if (found === undefined) throw new Error(`no run ${runId}`);
      return found;
    },
    waitingCall: () => Promise.resolve(null),
    has: async (runId: string) => runs.some((run) => run.runId === runId),
    async *list({ idPrefix = '' }: { idPrefix?: string } = {}) {
      yield* items.filter(({ runId }) => runId.startsWith(idPrefix));
    },
  } as unknown as RunsClient;
};

describe('the call that an answer is for', () => {
  const one = snapshot('run_1', [{ callId: CALL }, { callId: 'call_done', state: 'done' }]);
  const two = snapshot('run_2', [{}, {}]);
  const client = clientOf(one, two);

  test.each([
    ['the only one that waits', 'run_1', undefined, { runId: 'run_1', callId: CALL }],
    ['by its code', 'run_1', callCode('run_1', CALL), { runId: 'run_1', callId: CALL }],
    ['by its code alone', callCode('run_1', CALL), undefined, { runId: 'run_1', callId: CALL }],
    ['by an id, whatever became of it', 'run_9', 'call_x', { runId: 'run_9', callId: 'call_x' }],
    ['by code among several', 'run_2', callCode('run_2', 'call_1'), { runId: 'run_2', callId: 'call_1' }],
  ])('%s', async (_how, run, call, meant) => {
    expect(await findCallByText(client, run, call)).toEqual(meant);
  });

  test('among several is asked for, with their codes', async () => {
    await expect(findCallByText(client, 'run_2', undefined)).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringContaining(`runs answer run_2 ${callCode('run_2', 'call_0')}`) as unknown,
    });
  });

  test.each([
    ['none waits', snapshot('run_3', []), undefined],
    ['none has the code', one, 'bcdfg'],
  ])('when %s is refused', async (_when, run, call) => {
    await expect(findCallByText(clientOf(run), run.runId, call)).rejects.toMatchObject({
      exitCode: 4,
      code: 'nothing_waits',
    });
  });

  test('can not be told without a worker', async () => {
    const partial = snapshot('run_4', [], { partial: true });
    await expect(findCallByText(clientOf(partial), 'run_4', undefined)).rejects.toMatchObject({
      code: 'no_worker',
    });
  });

  test('without a run is any call that waits', async () => {
    const calls = await candidateCalls(client, undefined, undefined);
    expect(calls.map(({ runId, callId }) => `${runId} ${callId}`)).toEqual([
      `run_1 ${CALL}`,
      'run_2 call_0',
      'run_2 call_1',
    ]);
    expect(() => onlyCall(calls, 'run_1')).toThrow(/^3 calls fit/);
  });
});

describe('the run that an answer is for', () => {
  const one = snapshot(RUN, [{ callId: CALL }]);
  const like = snapshot('run_Q7mZk9999999999999999999', []);
  const own = snapshot('order-42', []);
  const longer = snapshot('order-421', []);
  const late = snapshot(`${RUN}.follow-up`, []);
  const client = clientOf(one, like, own, longer, late);

  test.each([
    ['by its id', RUN, RUN],
    ['by an id that another id begins with', 'order-42', 'order-42'],
    ['by the start of its id', 'run_Q7mZk2', RUN],
    ['by the start without "run_"', 'Q7mZk2', RUN],
    ['by the short id of lists', shortRun(RUN), RUN],
    ['by the code of its call', callCode(RUN, CALL), RUN],
    ['by an id that no run has, which the server refuses', 'run_nothing', 'run_nothing'],
    ['by too short a start, which is an id like any other', 'run_Q7', 'run_Q7'],
  ])('%s', async (_how, text, meant) => {
    expect(await findRunByText(client, text)).toBe(meant);
  });

  test('is asked for where several fit, with their ids', async () => {
    await expect(findRunByText(client, 'run_Q7mZk')).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringMatching(
        /^"run_Q7mZk" fits several runs: run_Q7mZk2Lw\S+ .*, run_Q7mZk99/,
      ) as unknown,
    });
  });

  test('is asked for where a code is also the start of an id', async () => {
    const code = callCode(RUN, CALL);
    const both = clientOf(one, snapshot(`${code}-7`, []));
    await expect(findRunByText(both, code)).rejects.toMatchObject({ exitCode: 2 });
  });
});

const DIGEST = 'ab'.repeat(16);

test.each<[AnswerOptions, object]>([
  [
    { approve: true, digest: DIGEST },
    { decision: 'approve', arguments_digest: DIGEST },
  ],
  [
    { deny: true, digest: DIGEST },
    { decision: 'deny', arguments_digest: DIGEST },
  ],
])('the digest of what was read goes with the decision %j', (options, expected) => {
  expect(answerPayload('run_1', 'call_1', options)).toMatchObject(expected);
});

test.each<[AnswerOptions, RegExp]>([
  [{ output: 'x', digest: DIGEST }, /--digest goes with --approve or --deny/],
  [{ approve: true, arguments: '{"a":1,"a":2}' }, /the same object contains the key "a" twice/],
  [{ approve: true, arguments: '' }, /must be a JSON object, got ""/],
])('%j is refused before a server is asked', (options, problem) => {
  expect(() => answerPayload('run_1', 'call_1', options)).toThrow(problem);
});

const waiting = (more: Partial<WaitingCall> = {}): WaitingCall => ({
  runId: 'run_1',
  callId: 'call_1',
  code: 'k7f2q',
  tool: 'refund',
  arguments: '{"amount":80}',
  argumentsDigest: null,
  refusedEdit: null,
  kind: 'approval',
  answerBy: NOW + 90_000,
  ...more,
});

test('the list of waiting calls shows code, tool, arguments and deadline', () => {
  const calls = [
    waiting(),
    // What has no room is counted, not begun: an amount must not hide behind the edge of a column.
    waiting({ arguments: JSON.stringify({ note: 'x'.repeat(60), amount: 20_000 }) }),
    waiting({ callId: null, code: null, arguments: null, answerBy: null }),
  ];
  expect(waitingLines(calls, NOW)).toEqual([
    'CALL   TOOL    ARGUMENTS              TIME LEFT  RUN',
    'k7f2q  refund  {"amount":80}          1 m 30 s   run_1',
    'k7f2q  refund  2 keys, 86 characters  1 m 30 s   run_1',
    '       refund  no worker answers                 run_1',
  ]);
});

describe.each([60, 80, 100])('in a terminal of %i columns', (columns) => {
  test('no line of the list of waiting calls is wrapped, and ids are short', () => {
    const calls = [
      waiting({ runId: RUN, arguments: JSON.stringify({ service: 'checkout', version: '1.4.2' }) }),
      waiting({ runId: RUN, arguments: JSON.stringify({ order: '42', reason: 'damaged', amount: 20_000 }) }),
      waiting(),
    ];
    const lines = waitingLines(calls, NOW, columns);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns);
    expect(lines.join('\n')).not.toContain(RUN);
    expect(lines[1]).toMatch(/ run_Q7mZk2$/);
    expect(lines[2]).toContain(columns === 100 ? '"amount":20000' : '3 keys, 48 characters');
  });

  test('no line of the list of runs is wrapped', () => {
    const item = { runId: RUN, status: 'requires_action', startedAt: NOW - 11_100_000, closedAt: null };
    const more = { waitingFor: ['x'.repeat(64)], deadline: NOW + 580_000, followUp: false };
    const lines = listLines([{ ...item, ...more } as RunListItem], NOW, columns);
    expect(lines[1]).toMatch(/^run_Q7mZk2 +requires_action +3 h 5 m ago/);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns);
  });
});

const asking = async (
  calls: readonly WaitingCall[],
  answers: (string | null)[],
  options: AnswerOptions = {},
) => {
  const said: string[] = [];
  const questions: string[] = [];
  const asked = await askForAnswer({
    waiting: calls,
    options,
    now: NOW,
    say: (line) => said.push(line),
    ask: async (question) => {
      questions.push(question);
      return answers.shift() ?? null;
    },
  });
  return { asked, said, questions };
};

describe('questions at a terminal', () => {
  const second = waiting({ callId: 'call_2', code: 'zzzzz', tool: 'ask_customer', kind: 'external' });

  test.each([
    [['a'], {}, { approve: true }],
    [['d', 'too much'], {}, { deny: true, reason: 'too much' }],
    [['d', ''], { by: 'ada' }, { by: 'ada', deny: true }],
    [['x', 'a'], {}, { approve: true }],
    [[], { approve: true }, { approve: true }],
  ])('of an approval, answered %j with options %j, make %j', async (answers, given, options) => {
    const { asked } = await asking([waiting()], [...answers], given);
    expect(asked).toEqual({ runId: 'run_1', callId: 'call_1', options });
  });

  test.each([['2'], ['zzzzz']])('let one of several be chosen by %j', async (choice) => {
    const { asked, said } = await asking([waiting(), second], ['9', choice, '12 degrees']);
    expect(said[0]).toBe('1. refund  k7f2q  run_1  1 m 30 s left');
    expect(said).toContain('There is no "9" in the list.');
    expect(asked).toEqual({ runId: 'run_1', callId: 'call_2', options: { output: '12 degrees' } });
  });

  test.each([[[null]], [['']], [['1', '']], [['1', null]], [['2', '']]])(
    'answered %j send nothing',
    async (answers) => {
      expect((await asking([waiting(), second], [...answers])).asked).toBeNull();
    },
  );

  test('show the arguments first, whole where that is asked for, and approve what was shown', async () => {
    const note = 'x'.repeat(9_000);
    const long = waiting({ arguments: JSON.stringify({ note, amount: 20_000 }), argumentsDigest: DIGEST });
    const { asked, said } = await asking([long], ['w', 'a']);
    expect(said[1]).toBe(
      '   ! NOT SHOWN IN FULL: 1 value is shortened. The full arguments: runs show run_1 --call call_1',
    );
    expect(said[2]).toBe(`   arguments, written by the model, digest ${DIGEST}:`);
    const whole = said.slice(said.findIndex((line) => line.includes('<shortened: ')) + 1);
    expect(whole.join('').match(/x/g)).toHaveLength(note.length);
    expect(asked?.options).toEqual({ approve: true, digest: DIGEST });
  });

  test('leave arguments to be edited, with the digest of those that were shown', async () => {
    const { asked } = await asking([waiting({ argumentsDigest: DIGEST })], ['e'], { by: 'ada' });
    expect(asked?.options).toEqual({ by: 'ada', approve: true, digest: DIGEST });
    expect(JSON.parse(asked?.edit ?? '')).toEqual({ amount: 80 });
  });

  test('are not asked when nothing waits', async () => {
    const { asked, said, questions } = await asking([], []);
    expect([asked, said, questions]).toEqual([null, ['No call waits for an answer.'], []]);
  });
});

test.each([[['answer', '--approve']], [['answer']]])(
  '%j without a terminal says what is missing, and asks no server',
  async (args) => {
    const { code, stderr } = await cli(args);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^runs: answer needs /);
  },
);
