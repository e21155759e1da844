#!/usr/bin/env node
/**
 * `npm test`, and with it `npm cit`: all tests, then one line `N passed, N failed` as the last one.
 *
 * Rule: success means that tests ran and none failed. A file that does not load, an error outside a test and a
 * run without tests count as failures. So does a proof that docs/contributing/faults.md names and that did not pass: a test that was
 * left out proves nothing. Arguments go to vitest (`npm test -- test/offline/x.test.ts`); with them only a part runs, so
 * proofs are asked for only by `--proofs=FILE`.
 *
 * The tests on a real Temporal server are not among them (`npm run test:cluster`), unless RUNS_TEST_CLUSTER=1.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rowsOf, unproved } from './proofs.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'durable-runs-test-'));
const report = join(dir, 'report.json');

const PROOFS = '--proofs=';
const args = process.argv.slice(2);
const choosesProjects = args.some((arg) => arg.startsWith('--project') || arg.startsWith('--config'));
const projects = choosesProjects || process.env.RUNS_TEST_CLUSTER === '1' ? [] : ['--project=!cluster'];
const code = await vitest([...projects, ...args.filter((arg) => !arg.startsWith(PROOFS))]);
const result = reported();
const total = counts();
const missing = missingProofs();
rmSync(dir, { recursive: true, force: true });
if (total.skipped > 0) console.log(`${total.skipped} skipped`);
for (const problem of missing) console.log(`not proved: ${problem}`);
total.failed += missing.length;
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : code;

function vitest(passedOn) {
  const bin = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const child = spawn(process.execPath, [bin, 'run', ...reporters, ...passedOn], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  // The children stop by themselves on Ctrl-C (same group); a signal to us alone is passed on.
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  process.on('SIGINT', () => undefined);
  return new Promise((resolve) => {
    child.once('error', () => resolve(1));
    child.once('exit', (status) => resolve(status ?? 1));
  });
}

function reported() {
  try {
    return JSON.parse(readFileSync(report, 'utf8'));
  } catch {
    return undefined;
  }
}

function missingProofs() {
  const file = args.find((arg) => arg.startsWith(PROOFS))?.slice(PROOFS.length);
  if (result === undefined || (file === undefined && args.length > 0)) return [];
  const path = file ?? join(root, 'docs', 'contributing', 'faults.md');
  const folder = file === undefined ? root : dirname(path);
  return unproved(rowsOf(readFileSync(path, 'utf8')), result.testResults, folder);
}

function counts() {
  if (result === undefined) return { passed: 0, failed: 1, skipped: 0 };
  const broken = result.testResults.filter((file) => file.status === 'failed' && !hasFailedTest(file)).length;
  const failed = result.numFailedTests + broken;
  return {
    passed: result.numPassedTests,
    failed: failed === 0 && code !== 0 ? 1 : failed,
    skipped: result.numPendingTests + result.numTodoTests,
  };
}

function hasFailedTest(file) {
  return file.assertionResults.some((test) => test.status === 'failed');
}
