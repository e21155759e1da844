import OpenAI from 'openai';

const { assistants, threads } = new OpenAI().beta;
const assistant = await assistants.create({ model: 'scripted:auto' });
const run = await threads.createAndRunPoll({
  assistant_id: assistant.id,
  thread: { messages: [{ role: 'user', content: 'Pay the invoice, please.' }] },
});
const { data } = await threads.messages.list(run.thread_id);
console.log(run.status, data[0].content[0].text.value);
