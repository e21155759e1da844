/**
 * A process with the guard of `runs worker` and one tool call that leaves something behind: a rejected promise, or a
 * timer that throws. `process-guard.test.ts` runs it as a program; the argument names the kind.
 */
import { openCall, withinCall, type CallScope } from '../../activities/tools/call-scope.ts';
import { makeLog } from '../../worker/log.ts';
import { guardProcess } from '../../worker/process-guard.ts';

guardProcess({ log: makeLog('info') });

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const leave: Record<string, () => void> = {
  rejection: () => void setTimeout(() => void Promise.reject(new Error('secret words')), 1),
  exception: () =>
    void setInterval(() => {
      throw new Error('secret words');
    }, 1),
};

const call = (callId: string, work: () => void): void => {
  const scope: CallScope = {
    tool: 'refund',
    runId: 'run_1',
    callId,
    attempt: 1,
    blame: () => say(`${callId} blamed`),
    spare: () => say(`${callId} spared`),
  };
  openCall(scope);
  withinCall(scope, work);
};

call('call_innocent', () => undefined);
call('call_1', () => leave[process.argv[2] ?? '']?.());
// Long after what was left behind: a process that still lives says so and ends in order.
setTimeout(() => {
  say('lives');
  process.exit(0);
}, 3_000);
