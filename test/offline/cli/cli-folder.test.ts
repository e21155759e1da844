/** Which servers a command uses, by the folder it is typed in: never another one than the reader means. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { folderDev, writeDevState, type DevState } from '../../../app/dev-state.ts';
import { LOCK_FILE, lockDirectory } from '../../../store/lock-file.ts';
import { cli } from '../../support/cli.ts';
import { refusingTemporal } from '../../support/refusing-temporal.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'runs-folder-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** No process has this pid. */
const DEAD = 2 ** 22 + 1;

const state = (more: Partial<DevState> = {}): DevState => ({
  pid: process.pid,
  temporalPid: null,
  temporalAddress: '127.0.0.1:9',
  namespace: 'default',
  uiUrl: null,
  apiUrl: 'http://127.0.0.1:9/v1',
  backend: 'sandbox',
  taskQueue: 'runs',
  ...more,
});

describe('the runs dev of a folder', () => {
  test('is null where nothing was started', async () => {
    expect(await folderDev(dir)).toEqual({ kind: 'none' });
    expect(await folderDev(join(dir, 'missing'))).toEqual({ kind: 'none' });
  });

  test.each(['temporal.db', 'store'])(
    'is not running where a start got as far as %s and no further',
    async (name) => {
      await mkdir(join(dir, name));
      expect(await folderDev(dir)).toMatchObject({ kind: 'not-running', state: undefined, starting: false });
      const { code, stderr } = await cli(['list'], { RUNS_DATA_DIR: dir });
      expect(stderr).toContain('it was started here and did not become ready');
      expect(code).toBe(5);
    },
  );

  test('is running while the process that wrote the file holds the lock', async () => {
    await writeDevState(dir, state());
    const lock = await lockDirectory(dir);
    expect(await folderDev(dir)).toEqual({ kind: 'running', state: state() });
    await lock.release();
    expect(await folderDev(dir)).toMatchObject({ kind: 'not-running', starting: false });
  });

  test('is not running when another process has its pid', async () => {
    await writeDevState(dir, state());
    const lock = await lockDirectory(dir);
    await lock.release();
    // A lock of the same pid and another start: what is left after a crash, when the pid was given out again.
    await writeFile(
      join(dir, LOCK_FILE),
      JSON.stringify({ pid: process.pid, host: (await import('node:os')).hostname(), started: '1' }),
    );
    expect(await folderDev(dir)).toMatchObject({ kind: 'not-running', starting: false });
  });

  test('is starting while a process holds the lock and has not written the file', async () => {
    const lock = await lockDirectory(dir);
    expect(await folderDev(dir)).toMatchObject({ kind: 'not-running', starting: true });
    await writeDevState(dir, state({ pid: DEAD }));
    expect(await folderDev(dir)).toMatchObject({ kind: 'not-running', starting: true });
    await lock.release();
  });
});

describe('a command in the folder of a runs dev that is not running', () => {
  const COMMANDS = [
    ['list'],
    ['show', 'run_1'],
    ['answer', 'run_1', 'call_1', '--approve'],
    ['cancel', 'run_1'],
    ['watch', 'run_1'],
    ['watch', 'run_1', '--thread', 'thread_1'],
    ['start', '--assistant', 'asst_1'],
  ];

  test.each(
    COMMANDS.flatMap((args) => [
      { args, left: state({ pid: DEAD }) },
      { args, left: state({ stopped: true }) },
    ]),
  )('$args ends with 5 and names the file, whether killed or stopped', async ({ args, left }) => {
    await writeDevState(dir, left);
    const ended = await cli([...args, '--json'], { RUNS_DATA_DIR: dir });
    expect(ended.json()).toMatchObject({
      error: {
        code: 'dev_not_running',
        message: expect.stringContaining(JSON.stringify(join(dir, 'dev.json'))),
      },
    });
    expect(ended.code).toBe(5);
  });

  test.each(['serve', 'worker', 'serve --worker'])('runs %s ends with 5, too', async (command) => {
    await writeDevState(dir, state({ pid: DEAD }));
    const { code, stderr } = await cli(command.split(' '), {
      RUNS_DATA_DIR: dir,
      RUNS_BACKEND: 'chat',
      OPENAI_BASE_URL: 'http://127.0.0.1:9/v1',
      DATABASE_URL: 'postgres://127.0.0.1:9/none',
    });
    expect(stderr).toContain('the "runs dev" of this folder is not running');
    expect(code).toBe(5);
  });

  test('says that it is not ready while it starts', async () => {
    const lock = await lockDirectory(dir);
    const { code, stderr } = await cli(['list'], { RUNS_DATA_DIR: dir });
    expect(stderr).toContain('the "runs dev" of this folder is not ready');
    expect(code).toBe(5);
    await lock.release();
  });

  test('goes where the environment says', async () => {
    await writeDevState(dir, state({ pid: DEAD }));
    const { address, ...temporal } = await refusingTemporal();
    onTestFinished(() => temporal.close());
    const { stderr } = await cli(['list'], { RUNS_DATA_DIR: dir, TEMPORAL_ADDRESS: address });
    expect(stderr).toContain(`Temporal at "${address}"`);
    const started = await cli(['start', '--assistant', 'asst_1'], {
      RUNS_DATA_DIR: dir,
      RUNS_URL: 'http://127.0.0.1:9',
    });
    expect(started.stderr).toContain('the API at "http://127.0.0.1:9"');
  });

  test('is a finding of the doctor', async () => {
    await writeDevState(dir, state({ pid: DEAD }));
    const { code, stdout } = await cli(['doctor', '--only', 'worker'], { RUNS_DATA_DIR: dir });
    expect(stdout).toMatch(/PROBLEM\s+temporal\s+the "runs dev" of this folder is not running/);
    expect(code).toBe(7);
  });
});
