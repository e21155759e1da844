/**
 * The lower bound: a Temporal workflow with the same hops and calls as a run, and no logic: no policies, checks, search
 * attributes or summaries. It has a bundle without code of the project, so its cost is Temporal's cost.
 */
import { condition, defineSignal, defineUpdate, proxyActivities, setHandler } from '@temporalio/workflow';

interface Call {
  callId: string;
  name: string;
  arguments: string;
}
interface BareActivities {
  create(input: { assistantId: string; threadId: string }): Promise<{ runId: string; calls: Call[] }>;
  echo(input: Call): Promise<string>;
  submit(input: {
    threadId: string;
    runId: string;
    outputs: { callId: string; output: string }[];
  }): Promise<{ calls: Call[] }>;
  /** Unix ms with fractions at which the activity began. */
  stamp(): Promise<number>;
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
  const created = await activities.create(input);
  const { runId } = created;
  let { calls } = created;
  while (calls.length > 0) {
    const outputs = await Promise.all(
      calls.map(async (call) => ({ callId: call.callId, output: await echo.echo(call) })),
    );
    ({ calls } = await activities.submit({ threadId: input.threadId, runId, outputs }));
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
  const { runId, calls } = await activities.create(input);
  await condition(() => answer !== null, '10 minutes');
  const outputs = calls.map((call) => ({ callId: call.callId, output: answer ?? '' }));
  await activities.submit({ threadId: input.threadId, runId, outputs });
  return runId;
}

/** One activity, which says when it began: the way from a start to the first line of work. */
export async function bareStart(): Promise<number> {
  return await activities.stamp();
}

/** Waits as `bareWait` does, then one activity: the way from an answer to the first line of work. */
export async function bareResume(): Promise<number> {
  let answered = false;
  setHandler(bareAnswerUpdate, () => {
    answered = true;
    return 'accepted';
  });
  await condition(() => answered, '10 minutes');
  return await activities.stamp();
}
