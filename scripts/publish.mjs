#!/usr/bin/env node
/**
 * `npm run release:publish`: publishes both packages of the build in `dist/packages/` and tags the commit.
 *
 * Rule: the server depends on the client of the same version, so the client is published first. A version that the registry has is
 * left alone: a repeated release publishes what is missing. The line `New tag:` tells the release workflow which tag to push.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CLIENT, SERVER } from './packages.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

let published = 0;
for (const name of [CLIENT, SERVER]) {
  const folder = join(root, 'dist', 'packages', name);
  if (!existsSync(join(root, 'dist', 'built.json')) || manifestOf(folder).version !== version)
    fail(`${folder} is not a build of version ${version}. To fix it, run: npm run build`);
  if (isPublished(name)) continue;
  run('npm', ['publish', folder]);
  published += 1;
}
if (published > 0) {
  run('git', ['tag', `v${version}`]);
  console.log(`New tag: v${version}`);
}

function manifestOf(folder) {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
}

function isPublished(name) {
  const { stdout } = spawnSync('npm', ['view', `${name}@${version}`, 'version'], { encoding: 'utf8' });
  return stdout.trim() === version;
}

function run(command, args) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) fail(`${command} ${args.join(' ')} ended with ${status}.`);
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
