/** Entry of the `runs` command. The only file of the CLI that touches the process; `bin/runs.mjs` imports it. */
import { askOnTerminal } from './terminal.ts';
import { runCli } from './program.ts';

const stop = new AbortController();
// A second signal ends the process the hard way, for whoever does not want to wait.
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.once(name, () => stop.abort(name));
}

process.exitCode = await runCli(process.argv.slice(2), {
  env: process.env,
  stdout: (text) => void process.stdout.write(text),
  stderr: (text) => void process.stderr.write(text),
  stderrIsTty: process.stderr.isTTY,
  columns: () => process.stderr.columns || 80,
  ...(process.stdin.isTTY && process.stderr.isTTY ? { ask: askOnTerminal(stop.signal) } : {}),
  signal: stop.signal,
});

// A connection attempt that was given up may hold the event loop for a while; nobody waits for it any more.
setTimeout(() => process.exit(), 2_000).unref();
