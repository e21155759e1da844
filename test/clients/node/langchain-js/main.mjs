/** LangChain.js: OpenAIAssistantRunnable, which polls. */
import { OpenAIAssistantRunnable } from '@langchain/classic/experimental/openai_assistant';
import {
  absent,
  ANSWER,
  KEY,
  URL,
  FUNCTION,
  MODELS,
  needed,
  OUTPUT,
  refusalOf,
  same,
  step,
} from '../report.mjs';

const create = (tools) =>
  OpenAIAssistantRunnable.createAssistant({
    model: MODELS.calling,
    name: 'weather',
    instructions: 'Be brief.',
    tools,
    asAgent: true,
    pollIntervalMs: 100,
    clientOptions: { baseURL: URL, apiKey: KEY, maxRetries: 0 },
  });

const agent = await step('assistant', () => create([{ type: 'function', function: FUNCTION }]));
const action = await step('run', async () => {
  const [asked, ...others] = await needed(agent, 'assistant').invoke({ content: 'Weather?' });
  same([asked.tool, others], [FUNCTION.name, []]);
  return asked;
});
const finish = await step('submit', () => {
  const { toolCallId, runId, threadId } = needed(action, 'run');
  return agent.invoke({ toolOutputs: [{ tool_call_id: toolCallId, output: OUTPUT }], runId, threadId });
});
await step('message', () => same(needed(finish, 'submit').returnValues.output, ANSWER));
for (const name of ['stream', 'silence', 'dripping', 'paging', 'cancel'])
  absent(name, 'OpenAIAssistantRunnable polls; it has no call for this');
await step('error', async () => {
  const { constructor, status, code } = await refusalOf(create([{ type: 'code_interpreter' }]));
  same([constructor.name, status, code], ['BadRequestError', 400, 'unsupported_parameter']);
});
