/** What people read about a run: `show`, `watch` and the demo print these lines. */
import { describe, expect, test } from 'vitest';
import { commandName, duration, oneLine, shellWord, table } from '../../../cli/output/format.ts';
import { toPendingWork } from '../../../cli/output/pending-activities.ts';
import { changeLines, type Picture } from '../../../cli/output/progress.ts';
import type { HistoryCall } from '../../../client/index.ts';
import type { Story } from '../../../cli/output/rounds.ts';
import { welcome } from '../../../cli/output/welcome.ts';
import { answerCommands } from '../../../cli/output/call-arguments.ts';
import { resultLines, runLines, type PendingWork } from '../../../cli/output/view.ts';
import type { CallSnapshot, RunResult, RunSnapshot } from '../../../protocol/temporal/messages.ts';
import { runSnapshot } from '../../support/run-snapshots.ts';

const NOW = 1_800_000_000_000;

const call = (callId: string, more: Partial<CallSnapshot> = {}): CallSnapshot => ({
  callId,
  name: 'get_weather',
  arguments: '{"city":"Oslo"}',
  kind: 'automatic',
  state: 'running',
  ...more,
});

const run = (more: Partial<RunSnapshot> = {}): RunSnapshot =>
  runSnapshot('run_1', { expiresAt: NOW + 580_000, ...more });

const result = (more: Partial<RunResult> = {}): RunResult => ({
  status: 'completed',
  runId: 'run_1',
  backendRunId: 'run_1',
  threadId: 'thread_1',
  rounds: 1,
  usage: { promptTokens: 10, completionTokens: 5, totalTokens: 15 },
  calls: [{ callId: 'call_1', name: 'get_weather', round: 1, kind: 'automatic', ok: true }],
  unusedAnswers: [],
  ...more,
});

describe('a call of a run that has ended', () => {
  test.each([
    ['waiting', 'external', 'was not answered'],
    ['waiting', 'approval', 'was not answered'],
    ['running', 'automatic', 'did not finish'],
  ] as const)('and was %s (%s) reads "%s", with nothing to paste', (state, kind, words) => {
    const ended = run({
      phase: 'ended',
      status: 'expired',
      calls: [call('call_1', { state, kind })],
      result: result({ status: 'expired' }),
    });
    const lines = runLines(ended, { now: NOW });
    expect(lines).toContain(`  ✗ get_weather  call_1  ${words}`);
    expect(lines.join('\n')).not.toMatch(/waits|running|runs answer/);
  });
});

describe('a duration', () => {
  test.each([
    [0, '0 ms'],
    [-5, '0 ms'],
    [850, '850 ms'],
    [12_000, '12 s'],
    [60_000, '1 m'],
    [580_000, '9 m 40 s'],
    [3_605_000, '1 h'],
    [11_100_000, '3 h 5 m'],
    [187_200_000, '2 d 4 h'],
  ])('of %i ms reads %s', (ms, text) => {
    expect(duration(ms)).toBe(text);
  });
});

describe('a text from outside', () => {
  test('stays on one line and moves no cursor', () => {
    expect(oneLine('a\u001B[2Jb\r\nc\u2028d\u202Ee')).toBe('a [2Jb c d e');
  });

  test('is cut where it is too long', () => {
    expect(oneLine('x'.repeat(50), 10)).toBe(`${'x'.repeat(9)}…`);
  });

  test.each([
    ['call_1', 'call_1'],
    ["it's", `'it'\\''s'`],
    ['$(rm -rf ~)', `'$(rm -rf ~)'`],
    ['', `''`],
  ])('%j is one word for a shell', (text, word) => {
    expect(shellWord(text)).toBe(word);
  });
});

test('a table has straight columns', () => {
  expect(
    table([
      ['A', 'B'],
      ['long', 'x'],
      ['y', ''],
    ]),
  ).toEqual(['A     B', 'long  x', 'y']);
});

/** An activity in which the run goes on. */
const turn = (more: Partial<PendingWork> = {}): PendingWork => ({
  type: 'createRun',
  callId: null,
  attempt: 1,
  maximumAttempts: 0,
  nextAttemptAt: null,
  lastFailure: null,
  worker: 'w',
  startedAt: NOW - 34_000,
  ...more,
});

describe('a run', () => {
  test('shows running work, with attempts and the last failure', () => {
    const lines = runLines(run({ calls: [call('call_1')] }), {
      now: NOW,
      pending: [
        {
          type: 'tool.get_weather',
          callId: 'call_1',
          attempt: 2,
          maximumAttempts: 3,
          nextAttemptAt: NOW + 2_000,
          lastFailure: 'timed\nout',
          worker: 'w',
          startedAt: null,
        },
      ],
    });
    expect(lines).toEqual([
      'run_1  in_progress · round 1 · 9 m 40 s left',
      '  thread thread_1 · assistant asst_1 · backend chat',
      '  ↻ get_weather  call_1  running, attempt 2 of 3, next in 2 s, last failure: timed out',
    ]);
  });

  test.each([
    ['chat', turn(), 'in_progress', '  … the model is working for 34 s'],
    ['assistants', turn(), 'in_progress', '  … the server is working for 34 s'],
    ['chat', turn({ worker: null, startedAt: null }), 'queued', '  … waits for a worker'],
    [
      'chat',
      turn({ attempt: 2, startedAt: null, lastFailure: 'no route', nextAttemptAt: NOW + 4_000 }),
      'in_progress',
      '  … the model is working, attempt 2, next in 4 s, last failure: no route',
    ],
  ] as const)('on %s says what goes on in a turn', (backend, work, status, line) => {
    const [head, , last] = runLines(run({ backend, status, round: 0, calls: [] }), {
      now: NOW,
      pending: [work],
    });
    expect(head).toMatch(new RegExp(`^run_1  ${status} `));
    expect(last).toBe(line);
  });

  test('shows a person the call, its deadline, its policy, and the text to paste', () => {
    const waiting = call('call_2', {
      name: 'refund',
      kind: 'approval',
      state: 'waiting',
      arguments: '{"amount":20}',
      answerBy: NOW + 90_000,
      onDeadline: 'placeholder',
    });
    expect(runLines(run({ status: 'requires_action', calls: [waiting] }), { now: NOW }).slice(2)).toEqual([
      '  ? refund  call_2  waits for an approval, 1 m 30 s left, then the model reads that no answer came',
      '      arguments, written by the model:',
      '      │ {',
      '      │   "amount": 20',
      '      │ }',
      '      runs answer run_1 call_2 --approve',
      `      runs answer run_1 call_2 --deny --reason 'why not'`,
    ]);
  });

  test('says how it ended, what failed, and which answers were not used', () => {
    const ended = result({
      status: 'failed',
      lastError: { code: 'server_error', message: 'the model is gone' },
      unusedAnswers: [{ callId: 'call_9', by: 'ann', reason: 'expired', at: NOW }],
      followUp: 'run_1.follow-up',
    });
    expect(runLines(run({ status: 'failed', result: ended }), { now: NOW }).slice(2)).toEqual([
      '  failed · 1 round · 1 call · 15 tokens',
      '  error server_error: the model is gone',
      '  answer to call_9 by ann was not used: expired',
      '  late answers go on in run_1.follow-up',
    ]);
    expect(resultLines(result({ rounds: 2, usage: null }))).toEqual(['completed · 2 rounds · 1 call']);
  });

  test('counts answers that it could not use while it runs', () => {
    const lines = runLines(
      run({ unusable: { count: 2, latest: [{ callId: 'nope', reason: 'unknown_call', at: NOW }] } }),
      { now: NOW },
    );
    expect(lines.at(-1)).toBe('  ! 2 answers could not be used, the last one for nope: unknown_call');
  });

  test('keeps control characters of a model away from the terminal', () => {
    const evil = call('call_1', { name: 'x\u001B[31m', arguments: '\u001B]0;owned\u0007', state: 'waiting' });
    expect(runLines(run({ calls: [evil] }), { now: NOW }).join('')).not.toContain('\u001B');
  });

  test('shows every key of the arguments, reports shortened values first, and approves by the digest', () => {
    const digest = 'ab'.repeat(16);
    const long = call('call_2', {
      name: 'refund',
      kind: 'approval',
      state: 'waiting',
      arguments: JSON.stringify({ note: '\u202E'.repeat(9_000), amount: 20_000 }),
      argumentsDigest: digest,
      digestRequired: true,
      refusedEdit: { count: 1, problem: 'amount: too\u2028much', at: NOW, by: 'ada' },
    });
    const lines = runLines(run({ calls: [long] }), { now: NOW, command: 'npx runs' }).slice(2);
    const short = lines
      .filter((line) => !/^ *│ +↪ (\\u202e)+"?$/.test(line))
      .map((line) => line.replace(/(\\u202e)+/, '…').trimStart());
    expect(short).toEqual([
      '? refund  call_2  waits for an approval again',
      '! NOT SHOWN IN FULL: 1 value is shortened. The full arguments: npx runs show run_1 --call call_2',
      "! an approval was not used (by ada): its arguments do not match the tool's parameters. The tool has not run. Its check reported:",
      '│ amount: too\\u2028much',
      `arguments, written by the model, digest ${digest}:`,
      '│ {',
      '│   "note": "…',
      '│     ↪ …" <shortened: the first 1000 of 9000 characters>,',
      '│   "amount": 20000',
      '│ }',
      `npx runs answer run_1 call_2 --approve --digest ${digest}`,
      `npx runs answer run_1 call_2 --deny --reason 'why not'`,
    ]);
  });

  test('says of arguments that can be read in two ways that they are none', () => {
    const twice = call('call_1', { state: 'waiting', arguments: '{"amount":20,"amount":20000}' });
    const lines = runLines(run({ calls: [twice] }), { now: NOW }).map((line) => line.trimStart());
    expect(lines).toContain('│ the same object contains the key "amount" twice');
    expect(lines).toContain('│ "{\\"amount\\":20,\\"amount\\":20000}"');
  });
});

test.each([
  [{}, 'runs'],
  [{ npm_command: 'exec' }, 'npx runs'],
  [{ npm_command: 'run-script', npm_lifecycle_event: 'runs' }, 'npm run -s runs --'],
  [{ npm_command: 'run-script', npm_lifecycle_event: 'demo' }, 'runs'],
])('with %j in the environment the reader has called %s', (env, name) => {
  expect(commandName(env)).toBe(name);
});

const past = (more: Partial<HistoryCall> = {}): HistoryCall => ({
  callId: 'call_1',
  name: 'run_checks',
  arguments: '{"service":"checkout"}',
  kind: 'automatic',
  output: '128 passed',
  ok: true,
  attempts: 2,
  lastFailure: 'no answer',
  ms: 2_100,
  ...more,
});

describe('the whole of a run', () => {
  const story: Story = {
    rounds: [
      { round: 1, turn: { attempts: 1, lastFailure: null }, calls: [past()] },
      {
        round: 2,
        turn: { attempts: 3, lastFailure: 'the model was away' },
        calls: [
          past({
            callId: 'call_2',
            name: 'deploy',
            kind: 'approval',
            output: null,
            ok: null,
            attempts: 0,
            lastFailure: null,
            ms: null,
          }),
        ],
      },
    ],
    messages: [
      { afterRound: 0, text: 'I check first.' },
      { afterRound: 1, text: 'Now I deploy.' },
    ],
  };
  const first = [
    '  assistant: I check first.',
    '  round 1',
    '    ✓ run_checks  call_1  done, 2 attempts, 2 s',
    '        last failure: no answer',
    '        arguments {"service":"checkout"}',
    '        output 128 passed',
    '  assistant: Now I deploy.',
  ];

  test('that goes on is its rounds, what was said, and the current round with what to paste', () => {
    const waiting = call('call_2', { name: 'deploy', kind: 'approval', state: 'waiting' });
    const lines = runLines(run({ round: 2, calls: [waiting] }), { now: NOW, story });
    expect(lines.slice(2, 10)).toEqual([...first, '  ? deploy  call_2  waits for an approval']);
  });

  test('that has ended is all its rounds, once each', () => {
    const lines = runLines(
      run({ round: 2, calls: [call('call_2', { state: 'waiting' })], result: result({ status: 'expired' }) }),
      { now: NOW, story },
    );
    expect(lines.slice(2)).toEqual([
      ...first,
      '  round 2 · asked for in attempt 3, last failure: the model was away',
      '    ✗ deploy  call_2  was not answered',
      '        arguments {"service":"checkout"}',
      '  expired · 1 round · 1 call · 15 tokens',
    ]);
  });

  test('a run that carries a late answer names the run and the call it goes back to', () => {
    const origin = { runId: 'run_0', callIds: ['call_a'] };
    const lines = runLines(run({ result: result() }), { now: NOW, story: { ...story, origin } });
    expect(lines).toContain('  ← carries the late answer to call_a of run_0');
    expect(runLines(run({ result: result() }), { now: NOW, story }).join()).not.toContain('late answer');
  });

  test('names the runs that carry its late answers', () => {
    const followUps = [
      { callId: 'call_1', runId: 'run_2', started: true },
      { callId: 'call_2', runId: 'run_3', started: false },
    ];
    const lines = runLines(run({ result: result() }), { now: NOW, story: { ...story, followUps } });
    expect(lines.slice(-2)).toEqual([
      '  → the late answer to call_1 is in run_2',
      '  → the late answer to call_2 will be in run_3',
    ]);
  });

  test.each([
    [{ ok: false }, '✗', 'failed, 2 attempts, 2 s'],
    [{ attempts: 0, ms: null, lastFailure: null }, '✓', 'answered'],
    [{ kind: 'refused', ok: false, attempts: 0, ms: null, lastFailure: null }, '✗', 'refused'],
    [{ output: null, ok: null, attempts: 5, ms: null }, '✗', 'did not finish'],
  ] as const)('says what became of a call like %j', (more, sign, words) => {
    const one: Story = {
      rounds: [
        { ...story.rounds[0], round: 1, turn: { attempts: 1, lastFailure: null }, calls: [past(more)] },
      ],
      messages: [],
    };
    const text = runLines(run({ result: result() }), { now: NOW, story: one }).join('\n');
    expect(text).toContain(`    ${sign} run_checks  call_1  ${words}`);
  });

  test('lets no text of a tool or a model move the cursor', () => {
    const evil = past({ output: '\u001B[2Jgone\nround 9', name: 'x\u001B[31m' });
    const one: Story = {
      rounds: [{ round: 1, turn: { attempts: 1, lastFailure: null }, calls: [evil] }],
      messages: [{ afterRound: 1, text: '\u001B]0;owned\u0007' }],
    };
    const lines = runLines(run({ result: result() }), { now: NOW, story: one });
    for (const character of ['\u001B', '\u0007', '\n']) expect(lines.join('')).not.toContain(character);
  });
});

test('the command to paste fits the kind of the call', () => {
  expect(answerCommands('run_1', { callId: 'call_1', kind: 'external' }, 'npx runs')).toEqual([
    `npx runs answer run_1 call_1 --output 'your answer'`,
  ]);
});

const activity = (activityId: string, name: string, more: object = {}) => ({
  activityId,
  activityType: { name },
  attempt: 1,
  maximumAttempts: 3,
  ...more,
});

describe('Temporal’s view of the work', () => {
  test('is matched to the calls of one tool in their order', () => {
    const calls = [call('call_a'), call('call_b', { state: 'done' }), call('call_c')];
    const work = toPendingWork([activity('12', 'tool.get_weather'), activity('3', 'tool.get_weather')], {
      calls,
    });
    expect(work.map((item) => item.callId)).toEqual(['call_a', 'call_c']);
  });

  test('separates activities that are no tools, and reads times of any number type', () => {
    const [work] = toPendingWork(
      [
        activity('1', 'createRun', {
          attempt: 4,
          lastFailure: { message: 'connect refused' },
          nextAttemptScheduleTime: { seconds: { toNumber: () => 1_800_000_001 }, nanos: 500_000_000 },
          lastWorkerIdentity: '',
        }),
      ],
      { calls: [] },
    );
    expect(work).toEqual({
      type: 'createRun',
      callId: null,
      attempt: 4,
      maximumAttempts: 3,
      nextAttemptAt: 1_800_000_001_500,
      lastFailure: 'connect refused',
      worker: null,
      startedAt: null,
    });
  });

  test.each([
    ['an attempt is under way', 2, 1_800_000_001_000],
    ['the next attempt is waited for', 1, null],
  ])('says since when one works on it: %s', (_, state, startedAt) => {
    const started = activity('1', 'createRun', { state, lastStartedTime: { seconds: 1_800_000_001 } });
    expect(toPendingWork([started], { calls: [] })[0]?.startedAt).toBe(startedAt);
  });
});

describe('progress without a terminal', () => {
  const first: Picture = { run: run({ calls: [call('call_1')] }), pending: [] };

  test('begins with the current events', () => {
    expect(changeLines(undefined, first)).toEqual([
      'run_1  in_progress · round 1',
      '  ↻ get_weather  call_1  running',
    ]);
  });

  test('does not repeat itself while only time passes', () => {
    const later: Picture = { run: { ...first.run, expiresAt: NOW + 1 }, pending: [] };
    expect(changeLines(first, later)).toEqual([]);
  });

  test('has a line for each failed attempt, once', () => {
    const failing = {
      type: 'tool.get_weather',
      callId: 'call_1',
      attempt: 2,
      maximumAttempts: 3,
      nextAttemptAt: null,
      lastFailure: 'boom',
      worker: null,
      startedAt: null,
    };
    const second: Picture = { run: first.run, pending: [failing] };
    expect(changeLines(first, second)).toEqual([
      '  ↻ get_weather  call_1  attempt 2 of 3, last failure: boom',
    ]);
    expect(changeLines(second, second)).toEqual([]);
  });

  test('says once that the model takes its time, and again in its next turn', () => {
    const at = (ms: number, startedAt: number): Picture => ({
      run: run({ calls: [], round: 0 }),
      pending: [turn({ startedAt })],
      at: NOW + ms,
    });
    expect(changeLines(undefined, at(500, NOW))).toEqual(['run_1  in_progress']);
    expect(changeLines(at(500, NOW), at(1_900, NOW))).toEqual([]);
    expect(changeLines(at(1_900, NOW), at(2_100, NOW))).toEqual(['  … the model is working']);
    expect(changeLines(at(2_100, NOW), at(60_000, NOW))).toEqual([]);
    expect(changeLines(at(60_000, NOW), at(70_000, NOW + 61_000))).toEqual(['  … the model is working']);
  });

  test('a call of the next round is news even under the same id', () => {
    const next: Picture = { run: run({ round: 2, calls: [call('call_1')] }), pending: [] };
    expect(changeLines(first, next)).toEqual([
      '  ✓ get_weather  call_1  answered',
      'run_1  in_progress · round 2',
      '  ↻ get_weather  call_1  running',
    ]);
  });

  test('says the end once', () => {
    const end: Picture = { run: run({ status: 'completed', result: result() }), pending: [] };
    expect(changeLines(first, end)).toEqual([
      'run_1  completed · round 1',
      '  completed · 1 round · 1 call · 15 tokens',
    ]);
    expect(changeLines(end, end)).toEqual([]);
  });
});

const welcomeIn = (dataDir: string, more: Partial<Parameters<typeof welcome>[0]> = {}): string =>
  welcome({
    temporalAddress: '127.0.0.1:7233',
    namespace: 'default',
    uiUrl: null,
    apiUrl: 'http://127.0.0.1:8787/v1',
    consoleUrl: 'http://127.0.0.1:8787/console/',
    backend: 'sandbox',
    taskQueue: 'runs',
    tools: [],
    assistantId: 'asst_1',
    model: null,
    dataDir,
    ...more,
  }).join('\n');

test('a log of a wait tells the moment of its deadline once, and never a time left', () => {
  const waiting = call('call_1', {
    state: 'waiting',
    kind: 'approval',
    answerBy: Date.UTC(2027, 0, 15, 8, 10),
    onDeadline: 'fail',
  });
  const picture: Picture = { run: run({ calls: [waiting] }), pending: [] };
  expect(changeLines(undefined, picture, null)).toContain(
    '  ? get_weather  call_1  waits for an approval until 2027-01-15 08:10:00 UTC, then the run expires',
  );
  expect(changeLines(picture, picture, null)).toEqual([]);
});

describe('the welcome of `runs dev`', () => {
  test('offers commands that find it: in a directory of its own they name the directory', () => {
    expect(welcomeIn('.runs')).toContain('\n  npx runs list --waiting');
    expect(welcomeIn('/tmp/my runs')).toContain(`\n  RUNS_DATA_DIR='/tmp/my runs' npx runs list --waiting`);
  });

  test.each([
    ['chat', 'qwen3', '  npx runs assistants create --model qwen3'],
    ['chat', null, '  npx runs assistants create --model NAME'],
  ])('on %s with model %j makes the assistant by a command', (backend, model, line) => {
    expect(welcomeIn('.runs', { backend, model, assistantId: null }).split('\n')).toContain(line);
  });
});
