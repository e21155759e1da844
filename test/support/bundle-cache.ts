/**
 * Workflow bundles of this checkout, kept from one test run to the next: bundling takes seconds, and a digest of all sources is in a
 * bundle's name. Imported by tests.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './sources.ts';

/** For `RUNS_DATA_DIR` of a command that replays. */
export const REPLAY_DATA_DIR = join(ROOT, '.cache', 'replay');
export const BUNDLES = join(REPLAY_DATA_DIR, 'cache');
// A command caches a bundle only where the folder exists.
mkdirSync(BUNDLES, { recursive: true });
