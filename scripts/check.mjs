#!/usr/bin/env node
/**
 * `npm run check`: format, lint, types and dead code side by side, then the offline tests. Each step prints its time, and
 * the last line has the totals.
 *
 * Rule: every step runs, so that one call shows all problems; the exit code is 1 when a step failed. A step is an npm
 * script. The tests wait for the other steps, since some of them measure time. Properties try a tenth of their cases here, and
 * all of them in `npm test`.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const STATIC = ['format:check', 'lint', 'types', 'dead'];

const began = performance.now();
const results = await Promise.all(STATIC.map((script) => step(script, 'pipe')));
results.push(await step('test:offline', 'inherit'));
const failed = results.filter(({ code }) => code !== 0).map(({ script }) => script);
console.log(
  `${results.length - failed.length} steps passed, ${failed.length} failed${failed.length === 0 ? '' : ` (${failed.join(', ')})`}, ${seconds(began)}`,
);
process.exitCode = failed.length === 0 ? 0 : 1;

/** Runs an npm script to its end. Its output is printed as a whole, unless the script has the terminal. */
async function step(script, stdio) {
  const start = performance.now();
  const env = { ...process.env, PROPERTY_RUNS: 'tenth' };
  const child = spawn('npm', ['run', '-s', script], { cwd: root, env, stdio: ['ignore', stdio, stdio] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text) => (output += text));
  const code = await new Promise((resolve) => {
    child.once('error', (error) => {
      output += `${error.message}\n`;
      resolve(1);
    });
    child.once('close', (status) => resolve(status ?? 1));
  });
  if (code !== 0) process.stdout.write(output);
  console.log(`${code === 0 ? 'ok    ' : 'FAILED'} ${script} ${seconds(start)}`);
  return { script, code };
}

function seconds(since) {
  return `${((performance.now() - since) / 1_000).toFixed(1)} s`;
}
