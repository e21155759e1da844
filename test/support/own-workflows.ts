/** Workflows of a program that also uses runs, for tests of the plugin. */
import { getExternalWorkflowHandle, proxyActivities } from '@temporalio/workflow';
import { runAnswerSignal } from '../../workflows/public.ts';

const own = proxyActivities<{ greet(name: string): Promise<string> }>({ startToCloseTimeout: '10s' });

/** Answers a call of a run by signal, and says who did. */
export async function answerRun(runId: string, callId: string): Promise<string> {
  const output = await own.greet('Ada');
  await getExternalWorkflowHandle(runId).signal(runAnswerSignal, {
    call_id: callId,
    output,
    by: 'answerRun',
  });
  return output;
}
