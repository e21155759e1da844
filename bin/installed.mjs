#!/usr/bin/env node
/**
 * The `runs` command of the published `durable-runs`: it runs the program of `durable-runs-server`, or says how to install that.
 *
 * Rule: client and server have one version. Where the server is missing or of another version, nothing runs: exit 2 and the command
 * that fixes it. The build copies this file to `bin/runs.mjs` of the package; it imports nothing of it.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const CLIENT = 'durable-runs';
const SERVER = 'durable-runs-server';

const { version } = manifestAt(new URL('../package.json', import.meta.url));
const found = serverManifest();
if (found === undefined) {
  stop(
    `this command needs the package ${SERVER}, which is not installed: ${CLIENT} alone is the client.`,
    `npm install ${SERVER}@${version}`,
  );
} else if (found.version === version) {
  await import(import.meta.resolve(`${SERVER}/cli`));
} else {
  stop(
    `${CLIENT} ${version} and ${SERVER} ${found.version} are installed; both must have one version.`,
    `npm install ${CLIENT}@${version} ${SERVER}@${version}`,
  );
}

function serverManifest() {
  try {
    return manifestAt(import.meta.resolve(`${SERVER}/package.json`));
  } catch (error) {
    if (error.code === 'ERR_MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

function manifestAt(url) {
  return JSON.parse(readFileSync(fileURLToPath(url), 'utf8'));
}

function stop(problem, command) {
  process.stderr.write(`runs: ${problem} To fix it, run:\n\n  ${command}\n\n`);
  process.exitCode = 2;
}
