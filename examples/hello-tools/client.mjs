import OpenAI from 'openai';

const { assistants, threads } = new OpenAI().beta;
const assistant = await assistants.create({
  model: 'scripted:auto',
  instructions: 'Answer about the weather.',
});
const run = await threads.createAndRunPoll({
  assistant_id: assistant.id,
  thread: { messages: [{ role: 'user', content: 'How warm is Oslo?' }] },
});
const { data } = await threads.messages.list(run.thread_id);
console.log(run.status, data[0].content[0].text.value);
