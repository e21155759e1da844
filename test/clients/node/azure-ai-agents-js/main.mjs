/** @azure/ai-agents. It sends its token by https only, so it goes through the TLS proxy. */
import { AgentsClient } from '@azure/ai-agents';
import {
  ANSWER,
  KEY,
  FUNCTION,
  HTTPS,
  MODELS,
  needed,
  OUTPUT,
  refusalOf,
  same,
  sleep,
  step,
  words,
} from '../report.mjs';

/** A key of the server in the place of a token of Entra. */
const credential = {
  getToken: async () => ({ token: KEY, expiresOnTimestamp: Date.now() + 3_600_000 }),
};
const client = new AgentsClient(HTTPS + '/v1', credential, { retryOptions: { maxRetries: 0 } });
const LIVE = ['queued', 'in_progress', 'cancelling'];

const follow = async (run) => {
  let seen = run;
  while (LIVE.includes(seen.status)) {
    await sleep(100);
    seen = await client.runs.get(seen.threadId, seen.id);
  }
  return seen;
};
const start = async () => {
  const thread = await client.threads.create();
  await client.messages.create(thread.id, 'user', 'Weather?');
  return follow(await client.runs.create(thread.id, needed(agent, 'assistant').id));
};
const streamed = async (model) => {
  const speaker = await client.createAgent(model);
  const thread = await client.threads.create();
  let text = '';
  for await (const { event, data } of await client.runs.create(thread.id, speaker.id).stream())
    if (event === 'thread.message.delta') for (const part of data.delta.content) text += part.text.value;
  return text;
};
const textsOf = async (messages) => {
  const texts = [];
  for await (const { content } of messages) texts.push(content[0].text.value);
  return texts;
};

const agent = await step('assistant', () =>
  client.createAgent(MODELS.calling, { name: 'weather', tools: [{ type: 'function', function: FUNCTION }] }),
);
const run = await step('run', async () => {
  const waiting = await start();
  same(waiting.status, 'requires_action');
  return waiting;
});
await step('submit', async () => {
  const { threadId, id, requiredAction } = needed(run, 'run');
  const outputs = requiredAction.submitToolOutputs.toolCalls.map((call) => ({
    toolCallId: call.id,
    output: OUTPUT,
  }));
  same((await follow(await client.runs.submitToolOutputs(threadId, id, outputs))).status, 'completed');
});
await step('message', async () => {
  const [last] = await textsOf(client.messages.list(needed(run, 'run').threadId, { order: 'desc' }));
  same(last, ANSWER);
});
await step('stream', async () => same(await streamed(MODELS.words), words(5)));
await step('silence', async () => same(await streamed(MODELS.silent), words(2)));
await step('dripping', async () => same(await streamed(MODELS.dripping), words(21)));
await step('paging', async () => {
  const thread = await client.threads.create();
  for (const content of ['one', 'two', 'three']) await client.messages.create(thread.id, 'user', content);
  same(await textsOf(client.messages.list(thread.id, { order: 'asc', limit: 1 })), ['one', 'two', 'three']);
});
await step('cancel', async () => {
  const { threadId, id } = await start();
  same((await follow(await client.runs.cancel(threadId, id))).status, 'cancelled');
});
await step('error', async () => {
  const tools = [{ type: 'code_interpreter' }];
  const { name, statusCode, code } = await refusalOf(client.createAgent(MODELS.calling, { tools }));
  same([name, Number(statusCode), code], ['RestError', 400, 'unsupported_parameter']);
});
