/**
 * The adapter's faster Request and Response, which a server in a process of its own turns on. In a file of its own: they
 * replace the globals of the process.
 */
import OpenAI, { NotFoundError } from 'openai';
import { expect, test } from 'vitest';
import { createApi, serveApi } from '../../../api/index.ts';
import { createSandboxEngine } from '../../../testing/index.ts';

test('with the faster globals the official client sees no difference', async () => {
  const served = await serveApi(createApi({ engine: createSandboxEngine() }), { fastGlobals: true });
  const openai = new OpenAI({ baseURL: served.url, apiKey: 'x', maxRetries: 0 });
  const thread = await openai.beta.threads.create({ messages: [{ role: 'user', content: 'hi' }] });
  const stream = openai.beta.threads.runs.stream(thread.id, { assistant_id: 'asst_weather' });
  const waiting = await stream.finalRun();
  const calls = waiting.required_action?.submit_tool_outputs.tool_calls ?? [];
  const run = await openai.beta.threads.runs.submitToolOutputsAndPoll(waiting.id, {
    thread_id: thread.id,
    tool_outputs: calls.map(({ id }) => ({ tool_call_id: id, output: '70' })),
  });
  expect(run.status).toBe('completed');
  await expect(openai.beta.threads.retrieve('thread_none')).rejects.toBeInstanceOf(NotFoundError);
  await served.close();
});
