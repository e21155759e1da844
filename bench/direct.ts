/**
 * The direct loop: a program without durability, as fast as undici allows. Lower bound of every latency figure. It
 * sends the same requests as the project: create streamed, tools in memory, submit streamed.
 */
import type { Pool } from 'undici';

interface RunView {
  id: string;
  status: string;
  required_action: { submit_tool_outputs: { tool_calls: { id: string }[] } } | null;
}

const post = async (pool: Pool, path: string, body: unknown): Promise<string> => {
  const answer = await pool.request({
    method: 'POST',
    path,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return answer.body.text();
};

/** The last run object of a stream that has ended. */
const lastRun = (text: string): RunView => {
  const frames = text.split('\n\n').filter((frame) => frame.includes('event: thread.run.'));
  return JSON.parse((frames.at(-1) ?? '').replace(/^event: .*\ndata: /, '')) as RunView;
};

/** Runs one scenario to its end; returns its wall time in milliseconds. */
export const directRun = async (pool: Pool, prefix: string, assistantId: string): Promise<number> => {
  const began = performance.now();
  const thread = JSON.parse(await post(pool, `${prefix}/threads`, {})) as { id: string };
  let run = lastRun(
    await post(pool, `${prefix}/threads/${thread.id}/runs`, { assistant_id: assistantId, stream: true }),
  );
  while (run.required_action !== null) {
    const outputs = run.required_action.submit_tool_outputs.tool_calls.map((call) => ({
      tool_call_id: call.id,
      output: 'hello',
    }));
    run = lastRun(
      await post(pool, `${prefix}/threads/${thread.id}/runs/${run.id}/submit_tool_outputs`, {
        tool_outputs: outputs,
        stream: true,
      }),
    );
  }
  return performance.now() - began;
};
