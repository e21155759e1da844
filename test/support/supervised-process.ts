/**
 * A program that stays below the supervisor of the `runs` command, or is that supervisor. Run by `supervised-processes.test.ts`.
 * `supervise WHAT` supervises this file with the argument WHAT.
 */
import { fileURLToPath } from 'node:url';
import { joinSupervisor, supervise } from '../../cli/supervise.ts';

const [what = '', more = ''] = process.argv.slice(2);
const say = (line: string): void => void process.stdout.write(`${line}\n`);

if (what === 'supervise') {
  process.exitCode = await supervise(fileURLToPath(import.meta.url), [more]);
} else {
  const staying = setInterval(() => undefined, 1_000);
  const supervisor = joinSupervisor(() => {
    say('asked to stop');
    supervisor.report({ ended: true });
    supervisor.leave();
    clearInterval(staying);
  });
  say(`${supervisor.again ? 'again' : 'first'} ${process.pid}`);
  if (what !== 'false-start') supervisor.report({ ready: true });
  if (what === 'crash-once' && !supervisor.again) setTimeout(() => process.exit(70), 50);
  if (what === 'killed-once' && !supervisor.again) setTimeout(() => process.kill(process.pid, 'SIGKILL'), 50);
  if (what === 'refuse') {
    process.exitCode = 2;
    supervisor.report({ ended: true });
    supervisor.leave();
    clearInterval(staying);
  }
}
