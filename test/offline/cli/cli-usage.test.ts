/** What the command line refuses and how; and that asking for help costs nothing. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { answerPayload } from '../../../cli/answer-options.ts';
import { diagnose, ok, problem, type Check } from '../../../cli/doctor/check.ts';
import { nodeCheck } from '../../../cli/doctor/local-checks.ts';
import { EXIT, toCliFailure, usageError } from '../../../app/exit.ts';
import { COMMANDS } from '../../../cli/program.ts';
import { RunsError } from '../../../protocol/errors.ts';
import { StoreError } from '../../../protocol/ports/store-error.ts';
import { REPLAY_DATA_DIR } from '../../support/bundle-cache.ts';
import { cli, spawnCli } from '../../support/cli.ts';
import { importsOf, ROOT, textOf } from '../../support/sources.ts';

describe('a mistyped command', () => {
  test.each([
    [['strat']],
    [['start']],
    [['start', '--assistant']],
    [['start', '--assistant', 'a b']],
    [['start', '--assistant', 'asst_1', '--metadata', 'novalue']],
    [['start', '--assistant', 'asst_1', '--message', '']],
    [['list', '--limit', 'many']],
    [['list', '--what']],
    [['show']],
    [['show', 'run_1', 'run_2']],
    [['answer', 'run_1', 'call_1']],
    [['replay']],
    [['doctor', '--role', 'king']],
    [['doctor', '--only', 'weather']],
    [['assistants', 'creat']],
  ])('%j exits 2 with one sentence, and one document with --json', async (args) => {
    const people = await cli(args);
    expect(people.code).toBe(EXIT.usage);
    expect(people.stderr).toMatch(/^runs: .+\.\n$/);
    expect(people.stdout).toBe('');
    const [name = '', ...rest] = args;
    const scripts = await cli([name, '--json', ...rest]);
    expect(scripts.code).toBe(EXIT.usage);
    expect(scripts.json()).toMatchObject({
      error: { code: 'usage', message: people.stderr.replace(/^runs: /, '').trim(), exitCode: 2 },
    });
  });

  test('is met with a suggestion', async () => {
    expect((await cli(['strat'])).stderr).toContain('Did you mean start?');
  });
});

describe('a place that can be none', () => {
  test.each([
    [
      ['start', '--assistant', 'asst_1'],
      { RUNS_URL: 'localhost:8787' },
      'RUNS_URL must be the URL of the API',
    ],
    [['watch', 'run_1', '--thread', 'thread_1'], { RUNS_URL: 'nowhere' }, 'got "nowhere"'],
    [['start', '--assistant', 'asst_1'], { RUNS_BACKEND: 'chatt' }, 'RUNS_BACKEND must be "sandbox", "chat"'],
    [['list'], { TEMPORAL_ADDRESS: 'http://127.0.0.1:7233' }, 'Check TEMPORAL_ADDRESS'],
  ])('%j with %j exits 2 and says what it must be', async (args, env: Record<string, string>, words) => {
    const { code, stderr } = await cli(args, env);
    expect(stderr).toContain(words);
    expect(code).toBe(EXIT.usage);
  });
});

describe('a server that the doctor does not reach', () => {
  const shown = {
    RUNS_BACKEND: 'assistants',
    OPENAI_BASE_URL: 'http://127.0.0.1:9/v1',
    OPENAI_API_KEY: 'sk-canary',
  };
  test.each([
    ['backend', 'dev', shown, 'correct OPENAI_BASE_URL (http://127.0.0.1:9/v1)'],
    [
      'store',
      'serve',
      { ...shown, RUNS_BACKEND: 'chat', DATABASE_URL: 'postgres://u:canary@127.0.0.1:9/x' },
      'correct DATABASE_URL (postgres://***@127.0.0.1:9/x)',
    ],
  ])(
    '%s: the fix names what is set, without its secrets',
    async (check, role, env: Record<string, string>, fix) => {
      const { code, stdout, stderr } = await cli(['doctor', '--role', role, '--only', check], env);
      expect(stdout).toContain(fix);
      expect(code).toBe(EXIT.checkFailed);
      expect(stdout + stderr).not.toContain('canary');
    },
  );
});

describe('a history that does not replay', () => {
  test(
    'is one document with --json: what the SDK has to say of it is not on stdout',
    { timeout: 120_000 },
    async () => {
      const dir = await mkdtemp(join(tmpdir(), 'durable-runs-diverged-'));
      onTestFinished(() => rm(dir, { recursive: true, force: true }));
      const kept = (await readdir(join(ROOT, 'test/histories'))).find((name) => name.startsWith('one-call'));
      const text = await readFile(join(ROOT, 'test/histories', kept ?? 'none'), 'utf8');
      const file = join(dir, 'diverged.json');
      await writeFile(file, text.replaceAll(/"name":\s*"tool\.\w+"/g, '"name": "tool.another"'));
      const ended = await spawnCli(['replay', '--json', file], { env: { RUNS_DATA_DIR: REPLAY_DATA_DIR } })
        .ended;
      expect(ended.json()).toMatchObject({ ok: false, files: [{ file, verdict: 'diverged' }] });
      expect(ended.stderr).toBe(`replaying ${file}\n`);
      expect(ended.code).toBe(EXIT.checkFailed);
    },
  );
});

describe('a tools file with a syntax error', () => {
  test('is refused with a command that shows where it is', { timeout: 60_000 }, async () => {
    const dir = await mkdtemp(join(tmpdir(), 'durable-runs-broken-'));
    onTestFinished(() => rm(dir, { recursive: true, force: true }));
    const file = join(dir, 'broken.mjs');
    await writeFile(file, 'export default {');
    // By Node's own loader: the one of the tests has errors of its own.
    const { ended } = spawnCli(['doctor', '--only', 'tools'], {
      env: { RUNS_TOOLS: file, RUNS_DATA_DIR: dir },
    });
    const { code, stdout } = await ended;
    expect(code).toBe(EXIT.checkFailed);
    expect(stdout).toContain(`(node --check ${JSON.stringify(file)} shows where)`);
  });
});

describe('help', () => {
  test.each([['--help'], ['--version']])('%s is a success on stdout', async (option) => {
    const shown = await cli([option]);
    expect(shown.code).toBe(0);
    expect(shown.stdout).not.toBe('');
  });

  test('exists for every command, with --json among the options', async () => {
    const pages = await Promise.all(COMMANDS.map(({ name }) => cli([...name.split(' '), '--help'])));
    expect(pages.map(({ code }) => code)).toEqual(COMMANDS.map(() => 0));
    expect(pages.filter(({ stdout }) => !stdout.includes('--json'))).toEqual([]);
  });

  test('loads neither Temporal nor a server: only commander, Node and our own light files', () => {
    const seen = new Set<string>();
    const packages = new Set<string>();
    const visit = (file: string): void => {
      if (seen.has(file)) return;
      seen.add(file);
      // What a command imports while it runs is not loaded with it.
      const text = textOf(file).replaceAll(/\bawait import\(/g, 'later(');
      for (const { target, typeOnly } of importsOf(file, text)) {
        if (typeOnly) continue;
        if ('package' in target) packages.add(target.package);
        else visit(target.file);
      }
    };
    visit('cli/program.ts');
    expect(seen.size).toBeGreaterThan(15);
    expect([...packages].toSorted()).toEqual(['commander', 'node']);
  });
});

describe('an answer', () => {
  const base = { call_id: 'call_1', run_id: 'run_1' };
  test.each([
    [{ output: 'yes' }, { ...base, output: 'yes' }],
    [{ output: '' }, { ...base, output: '' }],
    [
      { approve: true, by: 'ada' },
      { ...base, decision: 'approve', by: 'ada' },
    ],
    [
      { approve: true, arguments: '{"a":1}' },
      { ...base, decision: 'approve', arguments: { a: 1 } },
    ],
    [
      { deny: true, reason: 'no' },
      { ...base, decision: 'deny', reason: 'no' },
    ],
  ])('of %j is the message %j', (options, payload) => {
    expect(answerPayload('run_1', 'call_1', options)).toEqual(payload);
  });

  test.each([
    [{}, /exactly one of --output, --approve, --deny and --delegate, got 0/],
    [{ output: 'x', approve: true }, /got 2/],
    [{ deny: true, arguments: '{}' }, /--arguments goes with --approve/],
    [{ approve: true, reason: 'x' }, /--reason goes with --deny/],
    [{ approve: true, arguments: '[1]' }, /--arguments must be a JSON object, got "\[1\]"/],
  ])('of %j is refused', (options, message) => {
    expect(() => answerPayload('run_1', 'call_1', options)).toThrow(message);
  });
});

describe('an error', () => {
  test.each([
    [usageError('x'), 2, 'usage'],
    [new RunsError('run_not_found', 'x'), 3, 'run_not_found'],
    [new RunsError('refused', 'x', { failure: 'RefusedConflict' }), 4, 'refused'],
    [new RunsError('no_worker', 'x'), 5, 'no_worker'],
    [new RunsError('run_failed', 'x'), 6, 'run_failed'],
    [new StoreError('unavailable', 'x'), 5, 'store_unavailable'],
    [new TypeError('x'), 1, 'unexpected'],
  ])('%s has exit code %i and code %s', (error, exitCode, code) => {
    expect(toCliFailure(error).document.error).toMatchObject({ code, exitCode });
  });

  test('after a signal asked the process to end is no unexpected failure', () => {
    const { text, exitCode } = toCliFailure(new Error('the compiler is gone'), true);
    expect(text).toBe('runs: stopped by a signal before it was done (the compiler is gone)');
    expect(exitCode).toBe(1);
    expect(toCliFailure(usageError('x'), true).document.error.code).toBe('usage');
  });

  test('that is unexpected shows its causes, and no stack', () => {
    const { text } = toCliFailure(new Error('outer', { cause: new Error('inner') }));
    expect(text).toBe('runs: unexpected failure: outer\n  because: inner');
  });
});

describe('a diagnosis', () => {
  const checks: Check[] = [
    { name: 'a', needs: [], run: async () => problem('broken', 'mend it') },
    { name: 'b', needs: ['a'], run: async () => ok('never asked') },
    { name: 'c', needs: [], run: () => Promise.reject(new RunsError('backend', 'no key')) },
    { name: 'd', needs: [], run: async () => ok('fine') },
  ];

  test('skips what stands on something broken, and takes a throw for a finding', async () => {
    const found = await diagnose(checks, [], () => undefined);
    expect(found.map(({ name, state }) => [name, state])).toEqual([
      ['a', 'problem'],
      ['b', 'skipped'],
      ['c', 'problem'],
      ['d', 'ok'],
    ]);
    expect(found[2]?.detail).toBe('no key');
  });

  test('of one check includes what it needs, and nothing else', async () => {
    const found = await diagnose(checks, ['b'], () => undefined);
    expect(found.map(({ name }) => name)).toEqual(['a', 'b']);
  });

  test.each([
    ['20.18.3', 'problem'],
    ['20.19.0', 'ok'],
    ['18.20.0', 'problem'],
    ['22.1.0', 'ok'],
  ])('calls Node %s %s', (version, state) => {
    expect(nodeCheck(version).state).toBe(state);
  });
});
