#!/usr/bin/env node
/**
 * The `runs` command: from `dist/` in a package, from the sources in a checkout.
 *
 * Rule: the command runs the current sources. In a checkout, a build that is older than a source is not used; a package has
 * no sources, so its build is used.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const built = join(root, 'dist', 'cli', 'main.js');
/** Written last by the build: its age is the age of all of `dist/`. */
const stamp = join(root, 'dist', 'built.json');
const source = join(root, 'cli', 'main.ts');
const ROOMS = [
  'activities',
  'api',
  'app',
  'backends',
  'cli',
  'client',
  'dev-server',
  'protocol',
  'service',
  'store',
  'testing',
  'worker',
  'workflows',
];

if (!existsSync(source) || isFresh()) {
  if (!existsSync(built)) {
    process.stderr.write(
      `runs: neither ${JSON.stringify(source)} nor ${JSON.stringify(built)} exists: this copy is incomplete. ` +
        'To fix it, install the package again, or clone the repository.\n',
    );
    process.exit(1);
  }
  await import(pathToFileURL(built).href);
} else {
  const [{ register: addHook }, { register }] = [await import('node:module'), await import('tsx/esm/api')];
  addHook('./own-name.mjs', import.meta.url);
  register();
  await import(pathToFileURL(source).href);
}

function isFresh() {
  if (!existsSync(stamp)) return false;
  const time = statSync(stamp).mtimeMs;
  return ROOMS.every((room) => !hasNewer(join(root, room), time));
}

function hasNewer(dir, time) {
  if (!existsSync(dir)) return false;
  return readdirSync(dir, { withFileTypes: true }).some((entry) => {
    const path = join(dir, entry.name);
    return entry.isDirectory() ? hasNewer(path, time) : statSync(path).mtimeMs > time;
  });
}
