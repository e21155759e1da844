/** `npm run demo` without a terminal, as a newcomer's CI would run it: no key, no account, no server that is there already. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isAlive } from '../../../app/dev-state.ts';
import { createSandbox } from '../../../testing/index.ts';
import { spawnCli, type CliResult } from '../../support/cli.ts';
import { ROOT } from '../../support/sources.ts';

const TSX = join(ROOT, 'node_modules', 'tsx', 'dist', 'cli.mjs');

const demo = async (...args: string[]): Promise<CliResult> => {
  const dir = await mkdtemp(join(tmpdir(), 'durable-runs-demo-'));
  try {
    const main = join(ROOT, 'cli', 'demo', 'main.ts');
    return await spawnCli([main, ...args], { script: TSX, env: { RUNS_DATA_DIR: dir } }).ended;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
};

test(
  'plays a run to its end: a retry, a person’s answer by the printed command, the final message',
  { timeout: 180_000 },
  async () => {
    const played = await demo();
    expect(played.stderr).toContain('attempt 2 of 3, last failure: the build server did not answer');
    expect(played.stderr).toMatch(/with one click on Approve:\n +http:\/\/127\.0\.0\.1:\d+\/console\/\n/);
    expect(played.stderr).toMatch(
      /http:\/\/127\.0\.0\.1:\d+\/namespaces\/default\/workflows\/run_\w+\/[\w-]+\/user-metadata/,
    );
    expect(played.stderr).toMatch(
      /TEMPORAL_ADDRESS=127\.0\.0\.1:\d+ npx runs answer run_\w+ call_\w+ --approve/,
    );
    expect(played.stderr).toMatch(
      /curl -sS http:\/\/127\.0\.0\.1:\d+\/v1\/threads\/thread_\w+\/runs\/run_\w+\/answers/,
    );
    expect(played.stderr).toContain('This terminal takes no keys, so the demo answers for you');
    expect(played.stderr).toContain('"result":"accepted"');
    expect(played.stdout).toBe('The deployment of checkout 1.4.2: checkout 1.4.2 is live.\n');
    expect(played.code).toBe(0);
    const temporal = Number(/pid (\d+)/.exec(played.stderr)?.[1]);
    expect(temporal).toBeGreaterThan(1);
    expect(isAlive(temporal)).toBe(false);
  },
);

test(
  'outlives a promise that is rejected in its process and that no code awaits',
  { timeout: 180_000 },
  async () => {
    // Loaded before the demo; rejects while the run goes on.
    const stray = `import { isMainThread } from 'node:worker_threads';
    if (isMainThread) setTimeout(() => void Promise.reject(new Error('stray')), 5_000);`;
    const dir = await mkdtemp(join(tmpdir(), 'durable-runs-demo-'));
    try {
      const played = await spawnCli([], {
        script: join(ROOT, 'cli', 'demo', 'main.ts'),
        env: {
          RUNS_DATA_DIR: dir,
          NODE_OPTIONS: `--import tsx --import data:text/javascript;base64,${Buffer.from(stray).toString('base64')}`,
        },
      }).ended;
      expect(played.stderr).toContain('a promise was rejected and no code handled it');
      expect([played.code, played.stdout]).toEqual([
        0,
        'The deployment of checkout 1.4.2: checkout 1.4.2 is live.\n',
      ]);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  },
);

test('the demo runs on a chat-completions server that the user names', { timeout: 180_000 }, async () => {
  const server = await createSandbox();
  try {
    const played = await demo('--model-url', server.modelUrl, '--model', 'scripted:deploy');
    expect([played.code, played.stdout]).toEqual([
      0,
      'The deployment of checkout 1.4.2: checkout 1.4.2 is live.\n',
    ]);
    expect(server.requests.some(({ face }) => face === 'model')).toBe(true);
  } finally {
    await server.close();
  }
});

test('the demo refuses an invalid address', async () => {
  const refused = await demo('--model-url', 'localhost');
  expect(refused.code).toBe(2);
  expect(refused.stderr).toMatch(/^runs: --model-url must be a URL .*got "localhost"/);
});
