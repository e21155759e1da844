/** Entry of the `runs` command. Only this file and `supervise.ts` touch the process; `bin/runs.mjs` imports it. */
import { isSupervised, joinSupervisor, supervise } from './supervise.ts';

const args = process.argv.slice(2);
const script = process.argv[1] ?? '';
process.exitCode = isSupervised(args, process.env) ? await supervise(script, args) : await runHere();

async function runHere(): Promise<number> {
  const stop = new AbortController();
  // A second signal ends the process at once.
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort(name));
  const supervisor = joinSupervisor(() => stop.abort('SIGTERM'));
  const [{ runCli }, { askOnTerminal }] = await Promise.all([
    import('./program.ts'),
    import('./terminal.ts'),
  ]);
  const code = await runCli(args, {
    env: process.env,
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
    stderrIsTty: process.stderr.isTTY && process.env['TERM'] !== 'dumb',
    stdoutIsTty: process.stdout.isTTY,
    columns: () => process.stderr.columns || 80,
    ...(process.stdin.isTTY && process.stderr.isTTY ? { ask: askOnTerminal(stop.signal) } : {}),
    signal: stop.signal,
    announced: supervisor.again,
    onReady: () => supervisor.report({ ready: true }),
  });
  supervisor.report({ ended: true });
  supervisor.leave();
  // An abandoned connection attempt may keep the event loop alive for a while; the process ends without it.
  setTimeout(() => process.exit(), 2_000).unref();
  return code;
}
