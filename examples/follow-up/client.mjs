import OpenAI from 'openai';

const { assistants, threads } = new OpenAI().beta;
const assistant = await assistants.create({ model: 'scripted:auto' });
let run = await threads.createAndRunPoll({
  assistant_id: assistant.id,
  thread: { messages: [{ role: 'user', content: 'Which colour does the customer want?' }] },
});
const [call] = run.required_action.submit_tool_outputs.tool_calls;
console.log(`waiting: npx runs answer ${run.id} ${call.id} --output blue`);
while (run.status === 'requires_action') {
  await new Promise((resolve) => setTimeout(resolve, 500));
  run = await threads.runs.retrieve(run.id, { thread_id: run.thread_id });
}
run = await threads.runs.poll(run.id, { thread_id: run.thread_id });
console.log(run.status, run.id);
