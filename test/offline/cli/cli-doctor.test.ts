/** `runs doctor` checks the process that runs in the folder, with its settings and addresses, and asks only what is promised. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import {
  writeProcessRecord,
  processesOf,
  settingsOf,
  type ProcessRecord,
} from '../../../app/process-file.ts';
import { learnedFinding } from '../../../cli/doctor/learned-check.ts';
import { processFinding } from '../../../cli/doctor/process-checks.ts';
import type { LearnedOfServer } from '../../../protocol/ports/model.ts';
import { NO_MODEL_SETTINGS } from '../../../worker/model-settings.ts';
import { cli } from '../../support/cli.ts';
import { refusingTemporal } from '../../support/refusing-temporal.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'runs-doctor-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const TEMPORAL = { address: '127.0.0.1:9', namespace: 'default', taskQueue: 'shop' };
const keep = (
  role: ProcessRecord['role'],
  env: Record<string, string>,
  apiUrl: string | null = null,
  temporal = TEMPORAL,
) => writeProcessRecord(dir, env, { role, temporal, apiUrl });

type Answer = (method: string, path: string, key: string | undefined) => [number, unknown];

const serve = async (answer: Answer): Promise<string> => {
  const server = createServer((request, response) => {
    request.resume();
    const [status, body] = answer(request.method ?? '', request.url ?? '', request.headers.authorization);
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
};

const doctor = (only: string[], env: Record<string, string> = {}) =>
  cli(['doctor', ...only.flatMap((check) => ['--only', check])], { RUNS_DATA_DIR: dir, ...env });

describe('the record of a process', () => {
  test('has no secret, but its name, and files that mean the same in every folder', () => {
    const { settings, secrets } = settingsOf(
      {
        PATH: '/bin',
        HOME: '/root',
        OPENAI_API_KEY: 'canary-1',
        DATABASE_URL: 'postgres://u:canary-2@h/x',
        RUNS_API_KEYS: 'team:canary-3',
        RUNS_API_KEY: 'canary-4',
        TEMPORAL_API_KEY: 'canary-5',
        TEMPORAL_TLS_CLIENT_KEY_DATA: 'canary-6',
        OPENAI_BASE_URL: 'https://h/v1?key=canary-7',
        RUNS_BACKEND: 'chat',
        RUNS_TOOLS: './tools.ts',
        TEMPORAL_ADDRESS: 'h:7233',
        RUNS_TASK_QUEUE: '  ',
      },
      '/app',
    );
    expect(settings).toEqual({
      RUNS_BACKEND: 'chat',
      RUNS_TOOLS: '/app/tools.ts',
      TEMPORAL_ADDRESS: 'h:7233',
    });
    expect(secrets.toSorted()).toEqual(
      [
        'DATABASE_URL',
        'OPENAI_API_KEY',
        'OPENAI_BASE_URL',
        'RUNS_API_KEY',
        'RUNS_API_KEYS',
        'TEMPORAL_API_KEY',
        'TEMPORAL_TLS_CLIENT_KEY_DATA',
      ].toSorted(),
    );
  });

  test('counts while its process lives, and is gone when it ends', async () => {
    const kept = await keep('worker', { RUNS_BACKEND: 'chat' });
    expect(await processesOf(dir)).toMatchObject([
      { role: 'worker', pid: process.pid, settings: { RUNS_BACKEND: 'chat' }, temporal: TEMPORAL },
    ]);
    await kept.remove();
    expect(await processesOf(dir)).toEqual([]);
  });

  test.each([
    ['a process that has ended', { pid: 2 ** 22 + 1 }],
    ['another process that got its pid', { started: '1' }],
    ['something else', { temporal: null }],
  ])('of %s counts for nothing', async (_name, change) => {
    await keep('worker', {});
    const folder = join(dir, 'processes');
    const [name = ''] = await readdir(folder);
    const record = JSON.parse(await readFile(join(folder, name), 'utf8')) as ProcessRecord;
    await writeFile(join(folder, name), JSON.stringify({ ...record, ...change }));
    expect(await processesOf(dir)).toEqual([]);
  });

  test('that can not be written hinders no process', async () => {
    await writeFile(join(dir, 'processes'), 'a file in the place of the folder');
    const kept = await keep('serve', {});
    await kept.remove();
    expect(await processesOf(dir)).toEqual([]);
  });
});

const base = (more: Partial<ProcessRecord>): ProcessRecord => ({
  role: 'worker',
  pid: 7,
  started: null,
  readyAt: 0,
  settings: {},
  secrets: [],
  temporal: TEMPORAL,
  apiUrl: null,
  learned: [],
  ...more,
});
const finding = (processes: ProcessRecord[], shell: Record<string, string> = {}, missing: string[] = []) =>
  processFinding(
    { role: 'worker', process: processes[0] ?? null, processes, env: {}, missing, shell },
    60_000,
  );

describe('the process of the folder', () => {
  test('is named with what this shell has otherwise and what it lacks', () => {
    const one = base({ settings: { RUNS_TASK_QUEUE: 'shop', RUNS_TOOLS: '/app/tools.ts' } });
    const other = base({ role: 'serve', pid: 8, settings: { RUNS_TASK_QUEUE: 'shop' } });
    expect(
      finding([one, other], { RUNS_TASK_QUEUE: 'runs', RUNS_TOOLS: './tools.ts' }, ['OPENAI_API_KEY']),
    ).toEqual({
      state: 'ok',
      detail:
        'runs worker (pid 7), ready for 1 m: its settings are checked (beside it runs serve (pid 8); this shell has another RUNS_TASK_QUEUE, which is not checked; it has OPENAI_API_KEY, and this shell does not)',
    });
  });

  test('is named with its Temporal where this shell names another one', () => {
    const one = base({ settings: { TEMPORAL_ADDRESS: '127.0.0.1:9' } });
    expect(finding([one], { TEMPORAL_ADDRESS: '127.0.0.1:9' }).detail).not.toContain('this shell');
    expect(finding([one], { TEMPORAL_ADDRESS: 'other:7233' }).detail).toContain(
      'it uses Temporal at 127.0.0.1:9; this shell names other:7233, which is checked in its place',
    );
  });

  test.each([
    [
      'the task queue',
      { settings: { RUNS_TASK_QUEUE: 'other' } },
      /RUNS_TASK_QUEUE is "not set" in runs worker \(pid 7\) and "other" in runs serve \(pid 8\)/,
    ],
    [
      'the namespace',
      { temporal: { ...TEMPORAL, namespace: 'other' } },
      /Temporal namespace is "default" .* "other"/,
    ],
    ['the data converter', { settings: { RUNS_DATA_CONVERTER: '/c.mjs' } }, /RUNS_DATA_CONVERTER/],
  ])('is a problem when another one differs in %s', (_name, more, words) => {
    const found = finding([base({}), base({ role: 'serve', pid: 8, ...more })]);
    expect(found.state).toBe('problem');
    expect(found.detail).toMatch(words);
  });

  test('is checked in the place of the shell: its base URL, and a server without GET /models is in order', async () => {
    const url = await serve((method, path) =>
      method === 'POST' && path === '/v1/chat/completions' ? [400, { error: {} }] : [404, {}],
    );
    await keep('worker', { RUNS_BACKEND: 'chat', OPENAI_BASE_URL: `${url}/v1`, RUNS_TASK_QUEUE: 'shop' });
    const { stdout, code } = await doctor(['process', 'backend']);
    expect(stdout).toMatch(/^ok +process +runs worker \(pid \d+\)/m);
    expect(stdout).toMatch(/^ok +config +backend chat, task queue shop/m);
    expect(stdout).toMatch(/^ok +backend +chat: .* has no GET \/models, which runs do not need$/m);
    expect(code).toBe(0);
  });

  test('is not asked when another role is named', async () => {
    await keep('worker', { RUNS_BACKEND: 'chat', OPENAI_BASE_URL: 'http://127.0.0.1:9/v1' });
    const { stdout } = await cli(['doctor', '--only', 'process', '--role', 'serve'], { RUNS_DATA_DIR: dir });
    expect(stdout).toMatch(
      /^- +process +no "runs serve" of this folder runs: the environment of this shell/m,
    );
  });

  test('may have a key that this shell lacks: that is no problem of the process', async () => {
    const url = await serve((_method, _path, key) =>
      key === 'Bearer sk-canary' ? [200, { data: [] }] : [401, { error: { message: 'no key' } }],
    );
    await keep('worker', { RUNS_BACKEND: 'chat', OPENAI_BASE_URL: `${url}/v1`, OPENAI_API_KEY: 'sk-canary' });
    const without = await doctor(['backend']);
    expect(without.stdout).toMatch(/^- +backend +the process .* has a OPENAI_API_KEY that this shell lacks/m);
    expect(without.code).toBe(0);
    const wrong = await doctor(['backend'], { OPENAI_API_KEY: 'sk-other' });
    expect(wrong.stdout).toMatch(/^PROBLEM +backend/m);
    const right = await doctor(['backend'], { OPENAI_API_KEY: 'sk-canary' });
    expect(right.stdout).toMatch(/^ok +backend/m);
    expect(without.stdout + wrong.stdout + right.stdout).not.toContain('canary');
  });

  test('may have a database that this shell does not know', async () => {
    await keep('worker', { RUNS_BACKEND: 'chat', DATABASE_URL: 'postgres://u:canary@127.0.0.1:9/x' });
    const { stdout } = await doctor(['store']);
    expect(stdout).toMatch(/^- +store +the process of this folder has a DATABASE_URL that this shell lacks/m);
  });

  test('tells where Temporal is', async () => {
    const { address, ...temporal } = await refusingTemporal();
    onTestFinished(() => temporal.close());
    await keep('worker', { RUNS_BACKEND: 'chat' }, null, { ...TEMPORAL, address });
    const { stdout } = await doctor(['temporal']);
    expect(stdout).toMatch(new RegExp(`^PROBLEM +temporal +.*"${address}" can't be reached`, 'm'));
  });
});

describe('what was learned of the model server', () => {
  const NOW = 1_000_000;
  const capability = (model: string, name: string, ms: number) => ({
    model,
    capability: name,
    until: NOW + ms,
    times: 1,
  });

  test('is listed for each server and model, with the setting that fixes it', () => {
    const process = base({
      learned: [
        {
          server: 'http://h:1',
          capabilities: [
            capability('a', 'no_stream_usage', 60_000),
            capability('b', 'roles_alternate', 600_000),
            capability('c', 'no_stream', -1),
          ],
        },
      ],
    });
    expect(learnedFinding(process, { ...NO_MODEL_SETTINGS, stream: 'always' }, NOW)).toEqual({
      state: 'ok',
      detail:
        'http://h:1: a: no_stream_usage, remembered for 1 m more, b: roles_alternate, remembered for 10 m more (RUNS_MODEL_ROLES_ALTERNATE=true sets it for good); set: streams always',
    });
    expect(learnedFinding(base({}), NO_MODEL_SETTINGS, NOW).detail).toBe(
      'nothing learned about the model server so far',
    );
    expect(learnedFinding(null, NO_MODEL_SETTINGS, NOW).state).toBe('skipped');
  });

  test('names the places of RUNS_MODELS where a file is configured', () => {
    const capabilities = [capability('a', 'no_response_format', 60_000)];
    const process = base({
      settings: { RUNS_MODELS: '/srv/models.yaml' },
      learned: [{ server: 'near', capabilities }],
    });
    expect(learnedFinding(process, NO_MODEL_SETTINGS, NOW).detail).toContain(
      '(capabilities.json_schema of the model sets it for good)',
    );
  });

  test('has the models and providers that are not asked for a while, and why', () => {
    const cooldowns = [
      { model: 'small', reason: 'rate_limited' as const, until: NOW + 30_000, times: 1 },
      { model: null, reason: 'unavailable' as const, until: NOW + 4_000, times: 3 },
      { model: 'over', reason: 'unavailable' as const, until: NOW, times: 1 },
    ];
    const process = base({ learned: [{ server: 'near', capabilities: [], cooldowns }] });
    expect(learnedFinding(process, NO_MODEL_SETTINGS, NOW).detail).toBe(
      'near/small is not asked for 30 s more: a limit was reached; the provider near is not asked for 4 s more: it was unavailable, 3 times in a row',
    );
  });

  test('does not flood the terminal', () => {
    const capabilities = Array.from({ length: 400 }, (_one, index) =>
      capability(`model-${index}`, 'no_stream', 1_000),
    );
    const { detail } = learnedFinding(
      base({ learned: [{ server: 'http://h:1', capabilities }] }),
      NO_MODEL_SETTINGS,
      NOW,
    );
    expect(detail).toContain('388 more');
    expect(detail.length).toBeLessThan(1_500);
  });

  test('follows into the record of the process', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    onTestFinished(() => void vi.useRealTimers());
    const learned: LearnedOfServer[] = [];
    const own = { role: 'worker', temporal: TEMPORAL, apiUrl: null } as const;
    const kept = await writeProcessRecord(dir, {}, own, () => learned);
    learned.push({ server: 'http://h:1', capabilities: [capability('a', 'no_stream', 1_000)] });
    vi.advanceTimersByTime(5_000);
    await expect.poll(async () => (await processesOf(dir))[0]?.learned).toEqual(learned);
    await kept.remove();
    expect(await processesOf(dir)).toEqual([]);
  });
});

describe('a base URL without its version', () => {
  test('gets the address to set as its fix', async () => {
    const url = await serve((_method, path) => (path === '/v1/models' ? [200, { data: [] }] : [404, {}]));
    const { stdout, code } = await doctor(['backend'], { RUNS_BACKEND: 'chat', OPENAI_BASE_URL: url });
    expect(stdout).toContain(`Set OPENAI_BASE_URL=${url}/v1.`);
    expect(stdout).toContain('fix: set OPENAI_BASE_URL to that address');
    expect(code).toBe(7);
  });
});

describe('the API', () => {
  test('of the folder is asked for its readiness, and names the part that is not ready', async () => {
    const sick = await serve((_method, path) =>
      path === '/readyz'
        ? [503, { status: 'not ready', problems: ['the store does not answer'] }]
        : [404, {}],
    );
    const kept = await keep('serve', { RUNS_BACKEND: 'chat' }, `${sick}/v1`);
    const { stdout } = await doctor(['api']);
    expect(stdout).toMatch(/^PROBLEM +api +http\S+ is not ready \(HTTP 503\): the store does not answer$/m);
    await kept.remove();
    expect((await doctor(['api'])).stdout).toMatch(/^- +api +no API of this folder runs/m);
  });

  test('that RUNS_URL names is asked in its place', async () => {
    const well = await serve((_method, path) =>
      path === '/readyz' ? [200, { status: 'ready' }] : [404, {}],
    );
    expect((await doctor(['api'], { RUNS_URL: `${well}/v1` })).stdout).toMatch(
      /^ok +api +http\S+ is ready$/m,
    );
    const gone = await doctor(['api'], { RUNS_URL: 'http://127.0.0.1:9' });
    expect(gone.stdout).toMatch(/^PROBLEM +api +http:\/\/127\.0\.0\.1:9 does not answer/m);
    expect(gone.stdout).toContain('correct RUNS_URL');
  });
});
