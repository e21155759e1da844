#!/usr/bin/env node
/**
 * `npm run test:node -- 22`: the tests on another version of Node, whose binary the npm package `node` carries. More arguments go to
 * vitest: `npm run test:node -- 24 --project offline`.
 *
 * Rule: everything runs on that version: the runner, and every program that a test starts, by PATH as well. Nothing is installed in
 * the checkout, whose native modules fit every supported Node.
 */
import { spawn, spawnSync } from 'node:child_process';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const [version = '', ...args] = process.argv.slice(2);
if (!/^\d+(?:\.\d+){0,2}$/.test(version))
  fail(
    `The version of Node must be like 22 or 22.12.0; got ${JSON.stringify(version)}. Such as: npm run test:node -- 22`,
  );

const node = binaryOf(version);
const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ''}` };
const child = spawn(node, [join(root, 'scripts', 'test.mjs'), ...args], { cwd: root, env, stdio: 'inherit' });
// Ctrl-C reaches the child by the terminal; a signal to this process alone is passed on.
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
process.on('SIGINT', () => undefined);
child.once('error', (error) => fail(`${node} can't be started: ${error.message}`));
child.once('exit', (code) => (process.exitCode = code ?? 1));

/** Path of the binary, which npm fetches into its cache. */
function binaryOf(wanted) {
  const command = ['exec', '--yes', `--package=node@${wanted}`, '--', 'node', '-p', 'process.execPath'];
  const { status, stdout, stderr } = spawnSync('npm', command, { cwd: root, encoding: 'utf8' });
  const path = stdout.trim();
  const found = spawnSync(path, ['-p', 'process.versions.node'], { encoding: 'utf8' }).stdout?.trim() ?? '';
  if (status !== 0 || !`${found}.`.startsWith(`${wanted}.`))
    fail(`npm has no binary of Node ${wanted} for this machine: ${stderr.trim() || `it gave Node ${found}`}`);
  console.log(`Node ${found} (${path})`);
  return path;
}

function fail(message) {
  console.error(message);
  process.exit(2);
}
