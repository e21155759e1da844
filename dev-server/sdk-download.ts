/**
 * The Temporal SDK's own download of a server binary, kept in our cache and bounded in time.
 *
 * Rule: a closed network costs seconds, an open one is given the time a download takes. The SDK offers no
 * "download only" and no abort, so its test environment runs in a child process that can be ended: within
 * `connectMs` the download must have begun (its temporary file exists), within `downloadMs` it must be done.
 * Imported by `find-temporal.ts`.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DownloadError } from './download-error.ts';
import { cacheRoot } from './wheel-cache.ts';

export type SdkBinary = 'cli' | 'test-server';

const CONNECT_MS = 5_000;
const DOWNLOAD_MS = 5 * 60_000;
const POLL_INTERVAL_MS = 100;

/** What the SDK calls the files it downloads; the rest of the name is the SDK's version. */
const FILE_PREFIX: Record<SdkBinary, string> = {
  cli: 'temporal-sdk-typescript-',
  'test-server': 'temporal-test-server-sdk-typescript-',
};

const directory = (binary: SdkBinary, root: string): string => join(root, `sdk-${binary}`);

/** The path of an earlier download, if there is one. Touches no network. */
export async function sdkDownloaded(
  binary: SdkBinary,
  root: string = cacheRoot(),
): Promise<string | undefined> {
  const dir = directory(binary, root);
  const file = (await filesIn(dir)).find((name) => isFinished(name, binary));
  return file === undefined ? undefined : join(dir, file);
}

const isFinished = (name: string, binary: SdkBinary): boolean =>
  name.startsWith(FILE_PREFIX[binary]) && !name.endsWith('.downloading');

/** Lets the SDK download the binary; throws an error with the reason if that fails. */
export async function sdkDownload(
  binary: SdkBinary,
  { root = cacheRoot(), connectMs = CONNECT_MS, downloadMs = DOWNLOAD_MS, sdk = testingPackage() } = {},
): Promise<string> {
  const dir = directory(binary, root);
  await mkdir(dir, { recursive: true });
  const { child, ended } = startDownload(binary, dir, sdk);
  const began = Date.now();
  let outcome: string | undefined;
  // Polled because the SDK reports nothing; the child's end settles it at once either way.
  while (outcome === undefined) {
    outcome = await Promise.race([ended, pause(POLL_INTERVAL_MS)]);
    const age = Date.now() - began;
    const limit = (await filesIn(dir)).some((name) => name.endsWith('.downloading')) ? downloadMs : connectMs;
    if (outcome === undefined && age > limit) {
      child.kill('SIGKILL');
      await removeUnfinished(dir);
      outcome = `gave up after ${Math.round(limit / 1000)} s`;
    }
  }
  const path = await sdkDownloaded(binary, root);
  if (path !== undefined) return path;
  throw new DownloadError(
    outcome === '' ? 'the SDK left no file' : reasonIn(outcome),
    'let this machine reach temporal.download, once (by HTTPS_PROXY if need be); the download is kept',
  );
}

/** The SDK names its request in each layer of its error; the reason stands behind the last one. */
const reasonIn = (complaint: string): string =>
  complaint.replace(/^[^]*error sending request for url \([^)]*\): /, '');

/** `ended` resolves with the child's complaint, empty when it had none. */
function startDownload(
  binary: SdkBinary,
  dir: string,
  sdk: string,
): { child: ChildProcess; ended: Promise<string> } {
  const create = binary === 'cli' ? 'createLocal' : 'createTimeSkipping';
  const script = `
    const { TestWorkflowEnvironment } = require(process.argv[1]);
    const executable = { type: 'cached-download', version: 'default', downloadDir: process.argv[2], ttl: '365 days' };
    TestWorkflowEnvironment.${create}({ server: { executable } })
      .then((env) => env.teardown())
      .catch((error) => { process.stderr.write(String(error.message)); process.exitCode = 1; });
  `;
  const child = spawn(process.execPath, ['-e', script, sdk, dir], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let complaint = '';
  child.stderr.setEncoding('utf8');
  child.stderr.on('data', (chunk: string) => {
    complaint = (complaint + chunk).slice(-2_000);
  });
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', () => resolve(complaint));
  });
  return { child, ended };
}

const testingPackage = (): string =>
  createRequire(fileURLToPath(import.meta.url)).resolve('@temporalio/testing');

function pause(ms: number): Promise<undefined> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(undefined), ms);
  });
}

/** The SDK would wait a minute for the process that is gone. */
async function removeUnfinished(dir: string): Promise<void> {
  const files = (await filesIn(dir)).filter((name) => name.endsWith('.downloading'));
  await Promise.all(files.map((name) => rm(join(dir, name), { force: true })));
}

async function filesIn(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch {
    return [];
  }
}
