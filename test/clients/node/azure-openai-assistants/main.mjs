/** @azure/openai-assistants. It sends its key by https only, so it goes through the TLS proxy; it asks for Azure's paths. */
import { AssistantsClient, AzureKeyCredential } from '@azure/openai-assistants';
import {
  absent,
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
} from '../report.mjs';

const client = new AssistantsClient(HTTPS, new AzureKeyCredential(KEY), {
  retryOptions: { maxRetries: 0 },
});
const LIVE = ['queued', 'in_progress', 'cancelling'];

const follow = async (run) => {
  let seen = run;
  while (LIVE.includes(seen.status)) {
    await sleep(100);
    seen = await client.getRun(seen.threadId, seen.id);
  }
  return seen;
};
const start = async () => {
  const thread = await client.createThread();
  await client.createMessage(thread.id, 'user', 'Weather?');
  return follow(await client.createRun(thread.id, { assistantId: needed(assistant, 'assistant').id }));
};
const textOf = ({ content }) => content[0].text.value;

const assistant = await step('assistant', () =>
  client.createAssistant({
    model: MODELS.calling,
    name: 'weather',
    tools: [{ type: 'function', function: FUNCTION }],
  }),
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
  same((await follow(await client.submitToolOutputsToRun(threadId, id, outputs))).status, 'completed');
});
await step('message', async () => {
  const { data } = await client.listMessages(needed(run, 'run').threadId, { order: 'desc' });
  same(textOf(data[0]), ANSWER);
});
for (const name of ['stream', 'silence', 'dripping']) absent(name, 'this client has no streams');
await step('paging', async () => {
  const thread = await client.createThread();
  for (const content of ['one', 'two', 'three']) await client.createMessage(thread.id, 'user', content);
  const texts = [];
  let page = { hasMore: true };
  while (page.hasMore) {
    const after = page.lastId === undefined ? {} : { after: page.lastId };
    page = await client.listMessages(thread.id, { order: 'asc', limit: 1, ...after });
    texts.push(...page.data.map(textOf));
  }
  same(texts, ['one', 'two', 'three']);
});
await step('cancel', async () => {
  const { threadId, id } = await start();
  same((await follow(await client.cancelRun(threadId, id))).status, 'cancelled');
});
await step('error', async () => {
  const tools = [{ type: 'code_interpreter' }];
  const error = await refusalOf(client.createAssistant({ model: MODELS.calling, tools }));
  same([error.name, Number(error.statusCode), error.code], ['RestError', 400, 'unsupported_parameter']);
});
