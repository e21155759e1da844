/**
 * What tests build once and keep: programs and libraries below `~/.cache/durable-runs/`.
 *
 * Rule: nothing is built or installed below the checkout, and a place is complete or absent. Tests only.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const MAX_OUTPUT = 64 * 1024 * 1024;

export const cacheOf = (kind: string): string => join(homedir(), '.cache', 'durable-runs', kind);

/** Runs a command of a build to its end; returns what it printed. */
export const runBuild = async (
  command: string,
  args: string[],
  cwd: string,
  { env = {}, minutes = 20 }: { env?: Record<string, string>; minutes?: number } = {},
): Promise<string> => {
  const { stdout } = await promisify(execFile)(command, args, {
    cwd,
    env: { ...process.env, ...env },
    timeout: minutes * 60_000,
    maxBuffer: MAX_OUTPUT,
  });
  return stdout;
};

/** `fill` gets a directory beside `place`, which takes its name once it is complete. */
export const fillOnce = async (place: string, fill: (work: string) => Promise<void>): Promise<void> => {
  if (existsSync(place)) return;
  const work = `${place}.${process.pid}`;
  await mkdir(work, { recursive: true });
  try {
    await fill(work);
    await rename(work, place);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
};

/** Why a command can't be used here; null when it runs. */
export const missingCommand = async (command: string, ...args: string[]): Promise<string | null> => {
  try {
    await promisify(execFile)(command, args);
    return null;
  } catch {
    return `\`${[command, ...args].join(' ')}\` does not run here`;
  }
};
