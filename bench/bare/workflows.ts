/**
 * The limit: a Temporal workflow with the same hops as a run and no logic at all. Bundled on its own; nothing of the
 * project is in it, so what it costs is what Temporal costs.
 */
import { condition, defineSignal, defineUpdate, proxyActivities, setHandler } from '@temporalio/workflow';

interface BareActivities {
  create(input: { assistantId: string; threadId: string }): Promise<{ runId: string; calls: number }>;
  echo(input: { callId: string; text: string }): Promise<string>;
  submit(input: {
    threadId: string;
    runId: string;
    round: number;
    outputs: string[];
  }): Promise<{ calls: number }>;
}

const activities = proxyActivities<BareActivities>({
  startToCloseTimeout: '1 minute',
  heartbeatTimeout: '10 s',
});
const echo = proxyActivities<BareActivities>({ startToCloseTimeout: '1 minute' });

export const bareAnswerSignal = defineSignal<[string]>('bareAnswer');
export const bareAnswerUpdate = defineUpdate<string, [string]>('bareAnswerUpdate');

/** create → k activities at once → submit, as many rounds as the server asks for. */
export async function bare(input: { assistantId: string; threadId: string }): Promise<string> {
  let next: { runId: string; calls: number } = await activities.create(input);
  const { runId } = next;
  let round = 1;
  while (next.calls > 0) {
    const outputs = await Promise.all(
      Array.from({ length: next.calls }, (_, index) =>
        echo.echo({ callId: `call_${round}_${index}`, text: 'hello' }),
      ),
    );
    next = { runId, ...(await activities.submit({ threadId: input.threadId, runId, round, outputs })) };
    round += 1;
  }
  return runId;
}

/** create → wait for one answer, with a deadline timer → submit. */
export async function bareWait(input: { assistantId: string; threadId: string }): Promise<string> {
  let answer: string | null = null;
  setHandler(bareAnswerSignal, (text) => {
    answer = text;
  });
  setHandler(bareAnswerUpdate, (text) => {
    answer = text;
    return 'accepted';
  });
  const { runId } = await activities.create(input);
  await condition(() => answer !== null, '10 minutes');
  await activities.submit({ threadId: input.threadId, runId, round: 1, outputs: [answer ?? ''] });
  return runId;
}
