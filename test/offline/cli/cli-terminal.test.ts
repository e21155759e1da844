/** What a person sees at a terminal while a run goes on, and what keys, editors and browsers do there. */
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CliError, EXIT } from '../../../app/exit.ts';
import { diagnosisLines } from '../../../cli/commands/doctor.ts';
import { openPage } from '../../../cli/demo/open-page.ts';
import { answerCommandText, answerCurl, keyLines, type Question } from '../../../cli/demo/texts.ts';
import { editableArguments, editUntilTaken, textEditor } from '../../../cli/edit-arguments.ts';
import { createBoard } from '../../../cli/output/board.ts';
import { terminalLines, wrapped } from '../../../cli/output/format.ts';
import { finishedRounds } from '../../../cli/output/rounds.ts';
import type { HistoryCall, HistoryRound } from '../../../client/index.ts';
import type { CallSnapshot, RunResult, RunSnapshot } from '../../../protocol/temporal/messages.ts';
import { runSnapshot } from '../../support/run-snapshots.ts';

const NOW = 1_800_000_000_000;
const RUN = 'run_Q7mZk2Lw9XcV4bNf8TgH1yJd';
const CALL = 'call_b3Rt6YuIoP9aSdFgHjKlZx2c';

const call = (more: Partial<CallSnapshot> = {}): CallSnapshot => ({
  callId: CALL,
  name: 'get_weather',
  arguments: '{"city":"Oslo"}',
  kind: 'approval',
  state: 'waiting',
  ...more,
});

const run = (more: Partial<RunSnapshot> = {}): RunSnapshot =>
  runSnapshot(RUN, { expiresAt: NOW + 580_000, ...more });

const boardOf = (columns = 80, command?: string | null) => {
  let text = '';
  const board = createBoard({
    write: (part) => (text += part),
    tty: true,
    columns: () => columns,
    now: () => NOW,
    ...(command === undefined ? {} : { command }),
  });
  return {
    board,
    /** What was written since the last look. */
    written: (): string => {
      const part = text;
      text = '';
      return part;
    },
  };
};

describe('a run on a terminal', () => {
  test('is drawn over its old picture, with no line wider than the terminal', () => {
    const { board, written } = boardOf(50);
    try {
      const wide = run({ calls: [call({ name: 'x'.repeat(64), state: 'running' })] });
      board.update({ run: wide, pending: [] });
      const rows = written().trimEnd().split('\n');
      expect(rows.length).toBeGreaterThan(3);
      expect(Math.max(...rows.map((row) => row.length))).toBeLessThanOrEqual(50);
      board.update({ run: wide, pending: [] });
      expect(written()).toBe('');
      board.update({ run: { ...wide, status: 'cancelling' }, pending: [] });
      expect(written().startsWith(`\u001B[${rows.length}A\u001B[0J`)).toBe(true);
    } finally {
      board.end();
    }
  });

  test('keeps notes above it', () => {
    const { board, written } = boardOf();
    try {
      board.update({ run: run(), pending: [] });
      written();
      board.note('hello', 'you');
      expect(written().startsWith(`\u001B[1A\u001B[0Jhello\nyou\n${RUN}  in_progress`)).toBe(true);
    } finally {
      board.end();
    }
  });

  test('asks once, above the picture, and again when the call waits again', () => {
    const { board, written } = boardOf(80, 'runs');
    let text = '';
    const questions = (): number => (text += written()).split('"city": "Oslo"').length - 1;
    try {
      board.update({ run: run({ calls: [call()] }), pending: [] });
      board.update({ run: run({ calls: [call()], status: 'cancelling' }), pending: [] });
      expect(questions()).toBe(1);
      const again = call({ refusedEdit: { count: 1, problem: 'no', at: NOW } });
      board.update({ run: run({ calls: [again] }), pending: [] });
      expect(questions()).toBe(2);
      expect(text).toContain('│ no');
    } finally {
      board.end();
    }
  });

  test('leaves the terminal alone while a question is open there, and loses no note', () => {
    const { board, written } = boardOf();
    try {
      board.update({ run: run(), pending: [] });
      board.hold();
      written();
      board.note('one');
      board.update({ run: run({ status: 'cancelling' }), pending: [] });
      expect(written()).toBe('');
      board.release();
      expect(written()).toMatch(/^one\nrun_\w+ {2}cancelling/);
    } finally {
      board.end();
    }
  });
});

const past = (more: Partial<HistoryCall> = {}): HistoryCall => ({
  callId: CALL,
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

test('each round that is over stays on the screen, once, with its retries and denials', async () => {
  const denial = {
    kind: 'approval',
    output: '{"error":{"type":"denied","message":"No."}}',
    ok: null,
  } as const;
  const rounds: HistoryRound[] = [
    { round: 1, turn: { attempts: 1, lastFailure: null }, calls: [past()] },
    {
      round: 2,
      turn: { attempts: 1, lastFailure: null },
      calls: [past({ name: 'deploy', ...denial, attempts: 0, lastFailure: null, ms: null })],
    },
  ];
  const finished = finishedRounds(
    async () => rounds,
    () => 80,
  );
  expect(await finished(run())).toEqual([]);
  expect(await finished(run({ round: 2 }))).toEqual([
    '  round 1',
    '    ✓ run_checks  done, 2 attempts, 2 s',
    '        last failure: no answer',
    '        arguments {"service":"checkout"}',
    '        output 128 passed',
  ]);
  expect(await finished(run({ round: 2 }))).toEqual([]);
  const end = await finished(run({ round: 2, result: {} as RunResult }));
  expect(end.slice(0, 2)).toEqual(['  round 2', '    ✗ deploy  denied']);
});

test.each([
  ['short', 20, ['short']],
  ['  one two three', 10, ['  one two', '     three']],
  ['  ? abcdefghijkl', 8, ['  ?', '    abcd', 'efghijkl']],
  ['東京 東京', 6, ['東京', '   東', '京']],
])('%j in %i columns is %j', (line, columns, lines) => {
  expect(wrapped(line, columns)).toEqual(lines);
});

test('a result is broken between words at a terminal, and commands to paste are not', () => {
  const command = `      npx runs answer k7f2q --approve --digest ${'ab'.repeat(16)}`;
  const bar = `      │ ${'word '.repeat(20)}`;
  const long = `  thread ${'x'.repeat(30)} · assistant ${'y'.repeat(30)}`;
  expect(terminalLines([command, bar, long, 'short'], 60)).toEqual([
    command,
    bar,
    `  thread ${'x'.repeat(30)} · assistant`,
    `      ${'y'.repeat(30)}`,
    'short',
  ]);
});

const question: Question = {
  runId: RUN,
  threadId: 'thread_1',
  call: {
    callId: CALL,
    name: 'deploy',
    arguments: '{"service":"checkout"}',
    argumentsDigest: 'ab'.repeat(16),
  },
  consoleUrl: 'http://127.0.0.1:8787/console/',
  uiUrl: null,
  apiUrl: 'http://127.0.0.1:1/v1',
  temporalAddress: '127.0.0.1:65535',
  found: false,
};

describe('what the demo prints', () => {
  test('at a terminal fits into 80 columns, the command to copy included', () => {
    const lines = keyLines(question);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(lines).toContainEqual(
      expect.stringMatching(/^ {2}TEMPORAL_ADDRESS=127\.0\.0\.1:65535 npx runs answer [2-9a-z]{5}$/),
    );
    expect(keyLines({ ...question, found: true })).toContainEqual(
      expect.stringMatching(/^ {2}npx runs answer [2-9a-z]{5}$/),
    );
  });

  test('to be pasted survives a shell', () => {
    const odd = { ...question, runId: 'run_1', call: { callId: "call_'1", name: 'deploy', arguments: '{}' } };
    expect(answerCommandText(odd)).toBe(
      `TEMPORAL_ADDRESS=127.0.0.1:65535 npx runs answer run_1 'call_'\\''1' --approve --by you`,
    );
    expect(answerCurl(odd)).toContain(`-d '{"call_id":"call_'\\''1","decision":"approve","by":"you"}'`);
  });
});

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'durable-runs-terminal-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** A program of the test's own. */
const program = async (name: string, script: string): Promise<string> => {
  const file = join(dir, name);
  await writeFile(file, `#!/bin/sh\n${script}\n`);
  await chmod(file, 0o755);
  return file;
};

const refusal = new CliError(EXIT.refused, 'arguments_refused', 'version is missing');

describe('arguments edited by a person', () => {
  test('begin as JSON of the same value, with misleading characters escaped', () => {
    const json = JSON.stringify({ city: 'a\u202Eb', list: [1, { x: 'two\nlines' }] });
    const text = editableArguments(json);
    expect(text).not.toContain('\u202E');
    expect(JSON.parse(text)).toEqual(JSON.parse(json));
    expect(editableArguments('{"a":1,"a":2}')).toBe('{}');
  });

  test('on a line are asked for again, from what was entered, until they are taken', async () => {
    const asked: [string, string | undefined][] = [];
    const entered = ['nonsense', '{"version":""}', '{"version":"2"}'];
    const said: string[] = [];
    const sent: string[] = [];
    const ask = async (text: string, given?: string): Promise<string | null> => {
      asked.push([text, given]);
      return entered.shift() ?? null;
    };
    const taken = await editUntilTaken({
      text: '{\n  "version": "1"\n}',
      // npm sets EDITOR to vi for everybody: that is no wish.
      editor: textEditor({ EDITOR: 'vi', npm_lifecycle_event: 'demo' }, ask),
      send: async (text) => {
        sent.push(text);
        if (sent.length === 1) throw refusal;
        return text;
      },
      ask,
      say: (line) => said.push(line),
    });
    expect(taken).toBe('{"version":"2"}');
    expect(asked.map(([, given]) => given)).toEqual(['{ "version": "1" }', 'nonsense', '{"version":""}']);
    expect(said).toEqual([expect.stringMatching(/^The arguments were not sent: /), 'version is missing']);
    expect(sent).toEqual(['{"version":""}', '{"version":"2"}']);
  });

  test('in $EDITOR are the text that it leaves in the file; the problem is shown before it opens again', async () => {
    const editor = await program('edit', `sed -i 's/1/2/' "$2"; test "$1" = --wait`);
    const asked: string[] = [];
    const ask = async (text: string): Promise<string | null> => {
      asked.push(text);
      return '';
    };
    let count = 0;
    const taken = await editUntilTaken({
      text: '{"a": 11}',
      editor: textEditor({ EDITOR: `${editor} --wait` }, ask),
      send: async (text) => {
        count += 1;
        if (count === 1) throw refusal;
        return text;
      },
      ask,
      say: () => undefined,
    });
    expect(taken).toBe('{"a": 22}');
    expect(asked).toEqual(['Enter opens the editor again, "n" cancels: ']);
  });

  test.each([['exit 3'], ['kill -9 $$']])('are not sent when the editor ends by %j', async (script) => {
    const editor = textEditor({ VISUAL: await program('edit', script), EDITOR: 'true' }, async () => null);
    await expect(editor.edit('{}')).rejects.toMatchObject({ code: 'editor_failed' });
  });
});

describe('the page of a run', () => {
  test('opens in the browser of a desktop', async () => {
    const seen = join(dir, 'seen');
    await program('xdg-open', `printf %s "$1" > ${seen}`);
    const env = { PATH: `${dir}:/bin:/usr/bin`, DISPLAY: ':0' };
    expect(await openPage('http://127.0.0.1:1/x', env, 'linux')).toBe(true);
    expect(await readFile(seen, 'utf8')).toBe('http://127.0.0.1:1/x');
  });

  test.each([
    ['without a display', { DISPLAY: '' }, 'exit 0'],
    ['with a browser that fails', { DISPLAY: ':0' }, 'exit 4'],
  ])('does not %s', async (_when, env, script) => {
    await program('xdg-open', script);
    expect(await openPage('http://127.0.0.1:1/x', { PATH: dir, ...env }, 'linux')).toBe(false);
  });
});

test('findings of doctor keep their column at a terminal, and no word is broken', () => {
  const finding = {
    name: 'model',
    state: 'problem',
    detail: 'http://127.0.0.1:9/v1 does not answer: connection refused',
    fix: 'start the model server, or set OPENAI_BASE_URL to the address where it listens',
  } as const;
  expect(diagnosisLines(finding, 60)).toEqual([
    'PROBLEM  model             http://127.0.0.1:9/v1 does not',
    '                               answer: connection refused',
    '                           fix: start the model server, or',
    '                               set OPENAI_BASE_URL to the',
    '                               address where it listens',
  ]);
  expect(diagnosisLines(finding)).toHaveLength(2);
});
