/**
 * What a model server has to stand: each step through the whole server, by the official client of Node.
 *
 * Rule: a step proves the wire, not the model: no step asks what an answer says. It returns what it saw, and throws what is wrong.
 * The script `npm run test:models` imports it.
 */
import type OpenAI from 'openai';
import { WINDOW_TOKENS } from './servers.ts';

type Run = OpenAI.Beta.Threads.Run;
type RunParams = OpenAI.Beta.Threads.RunCreateParams;

export interface StepContext {
  openai: OpenAI;
  assistant: string;
}

/** The API's smallest limit of an answer; a model of this size may not find its end before. */
const LIMIT = 256;
const ENDS: ReadonlySet<string> = new Set(['completed', 'incomplete']);
/** The server stops to generate soon after a cancel, or the next request waits for it. */
const CANCEL_MS = 20_000;

const check = (holds: boolean, what: string): void => {
  if (!holds) throw new Error(what);
};

const told = ({ status, last_error: error, incomplete_details: details }: Run): string =>
  [status, error?.message, details?.reason].filter((part) => part != null).join(': ');

/** Texts of the user and the assistant in turn, the user's last. */
const newThread = async ({ openai }: StepContext, ...texts: string[]): Promise<string> => {
  const messages = texts.map((content, index) => ({
    role: (texts.length - index) % 2 === 1 ? ('user' as const) : ('assistant' as const),
    content,
  }));
  return (await openai.beta.threads.create({ messages })).id;
};

const newest = async ({ openai }: StepContext, thread: string): Promise<string> => {
  const { data } = await openai.beta.threads.messages.list(thread, { limit: 1 });
  const [part] = data[0]?.content ?? [];
  return data[0]?.role === 'assistant' && part?.type === 'text' ? part.text.value : '';
};

const polled = async (
  { openai, assistant }: StepContext,
  thread: string,
  more: Partial<RunParams> = {},
): Promise<Run> =>
  await openai.beta.threads.runs.createAndPoll(
    thread,
    { assistant_id: assistant, temperature: 0, max_completion_tokens: LIMIT, ...more, stream: false },
    { pollIntervalMs: 200 },
  );

const answered = async (context: StepContext, thread: string, run: Run): Promise<string> => {
  check(ENDS.has(run.status), `the run ended as ${told(run)}`);
  check((run.usage?.completion_tokens ?? 0) > 0, 'the run counts no tokens');
  const text = await newest(context, thread);
  check(text !== '', 'the thread has no answer');
  return text;
};

const question = async (context: StepContext): Promise<string> => {
  const thread = await newThread(context, 'Say hi.');
  const first = await polled(context, thread);
  await answered(context, thread, first);
  await context.openai.beta.threads.messages.create(thread, { role: 'user', content: 'And goodbye.' });
  const second = await polled(context, thread);
  await answered(context, thread, second);
  const [before, after] = [first, second].map(({ usage }) => usage?.prompt_tokens ?? 0);
  check((after ?? 0) > (before ?? 0), 'the second prompt is not longer than the first');
  return `${first.status} and ${second.status}, prompts of ${before} and ${after} tokens`;
};

const stream = async (context: StepContext): Promise<string> => {
  const thread = await newThread(context, 'Say hi.');
  let text = '';
  let deltas = 0;
  const events = context.openai.beta.threads.runs
    .stream(thread, { assistant_id: context.assistant, temperature: 0, max_completion_tokens: LIMIT })
    .on('textDelta', ({ value }) => {
      text += value ?? '';
      deltas += 1;
    });
  const run = await events.finalRun();
  const whole = await answered(context, thread, run);
  check(text === whole, 'the deltas do not add up to the message');
  return `${run.status}, ${deltas} deltas`;
};

const WEATHER: OpenAI.Beta.FunctionTool = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'The weather of a city.',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
};

const tool = async (context: StepContext): Promise<string> => {
  const { openai, assistant } = context;
  const thread = await newThread(context, 'Use get_weather.');
  const asked = await openai.beta.threads.runs
    .stream(thread, {
      assistant_id: assistant,
      temperature: 0,
      tools: [WEATHER],
      tool_choice: 'required',
      max_completion_tokens: 2 * LIMIT,
    })
    .finalRun();
  check(asked.status === 'requires_action', `the run ended as ${told(asked)}`);
  const calls = asked.required_action?.submit_tool_outputs.tool_calls ?? [];
  for (const call of calls) JSON.parse(call.function.arguments);
  const outputs = calls.map(({ id }) => ({ tool_call_id: id, output: 'Sunny, 21 degrees.' }));
  let deltas = 0;
  const run = await openai.beta.threads.runs
    .submitToolOutputsStream(asked.id, { thread_id: thread, tool_outputs: outputs })
    .on('textDelta', () => (deltas += 1))
    .finalRun();
  check(ENDS.has(run.status), `after the outputs the run ended as ${told(run)}`);
  return `${calls.length} call, ${calls[0]?.function.arguments.replaceAll(/\s+/g, ' ')}; then ${run.status}, ${deltas} deltas`;
};

const SCHEMA = {
  type: 'object',
  properties: { city: { type: 'string', maxLength: 20 }, capital: { type: 'boolean' } },
  required: ['city', 'capital'],
  additionalProperties: false,
};
const FORMAT = {
  type: 'json_schema',
  json_schema: { name: 'place', schema: SCHEMA, strict: true },
} as const;

/** The words make a small model call the tool that stands for the format; to any other they say nothing. */
const json = async (context: StepContext, more: Partial<RunParams> = {}): Promise<string> => {
  const thread = await newThread(context, 'Use final_answer.');
  const run = await polled(context, thread, { response_format: FORMAT, ...more });
  check(run.status === 'completed', `the run ended as ${told(run)}`);
  const value = JSON.parse(await answered(context, thread, run)) as Record<string, unknown>;
  check(
    typeof value['city'] === 'string' && typeof value['capital'] === 'boolean',
    `not of the schema: ${JSON.stringify(value)}`,
  );
  return JSON.stringify(value);
};

/** About twice the window, in messages that fit one by one. */
const tooLong = async (context: StepContext): Promise<string> => {
  const words = 'one two three four five six seven eight nine ten '.repeat(12);
  const thread = await newThread(context, ...Array.from({ length: 16 }, () => words), 'Say hi.');
  const run = await polled(context, thread, { truncation_strategy: { type: 'auto' } });
  await answered(context, thread, run);
  const prompt = run.usage?.prompt_tokens ?? 0;
  check(prompt <= WINDOW_TOKENS, `the prompt has ${prompt} tokens, the window ${WINDOW_TOKENS}`);
  return `${run.status}, prompt of ${prompt} tokens`;
};

const TALK = 'Write a very long story about a dragon and a wizard, with all details.';

const incomplete = async (context: StepContext): Promise<string> => {
  const thread = await newThread(context, TALK);
  const run = await polled(context, thread, { max_completion_tokens: LIMIT });
  check(run.status === 'incomplete', `the run ended as ${told(run)}`);
  check(run.incomplete_details?.reason === 'max_completion_tokens', told(run));
  check((await newest(context, thread)) !== '', 'what was said is not kept');
  return `${run.usage?.completion_tokens} tokens, what was said is kept`;
};

const cancel = async (context: StepContext): Promise<string> => {
  const { openai, assistant } = context;
  const short = async (): Promise<number> => {
    const from = Date.now();
    const thread = await newThread(context, 'Say hi.');
    await answered(context, thread, await polled(context, thread));
    return Date.now() - from;
  };
  // How long a short answer takes on this machine as it is now.
  const usual = await short();
  const thread = await newThread(context, TALK);
  const events = openai.beta.threads.runs.stream(thread, { assistant_id: assistant, temperature: 0 });
  let requestedAt = 0;
  let run: Run | undefined;
  for await (const event of events) {
    if (event.event === 'thread.run.created') run = event.data;
    if (event.event === 'thread.run.cancelled') run = event.data;
    if (event.event === 'thread.message.delta' && requestedAt === 0 && run !== undefined) {
      requestedAt = Date.now();
      await openai.beta.threads.runs.cancel(run.id, { thread_id: thread });
    }
  }
  const ms = Date.now() - requestedAt;
  check(requestedAt > 0, 'the model said nothing');
  check(run?.status === 'cancelled', `the run ended as ${run === undefined ? 'nothing' : told(run)}`);
  // A server that goes on would have to finish first: it answers one request at a time.
  const after = await short();
  check(
    after < CANCEL_MS + 3 * usual,
    `the server answered ${after} ms after the cancel, and ${usual} ms after a question before it`,
  );
  return `cancelled in ${ms} ms, the next answer after ${after} ms`;
};

export const MODEL_STEPS: readonly (readonly [
  name: string,
  run: (context: StepContext) => Promise<string>,
])[] = [
  ['question, and a second one', question],
  ['stream', stream],
  ['stream with a tool call, one submit', tool],
  ['response_format', json],
  ['longer than the window', tooLong],
  ['max_completion_tokens', incomplete],
  ['cancel while it speaks', cancel],
];

/** With `RUNS_MODEL_JSON_SCHEMA=false`. */
export const JSON_BY_TOOL_STEPS: typeof MODEL_STEPS = [
  ['response_format as a tool', (context) => json(context)],
  ['response_format as a tool, beside others', (context) => json(context, { tools: [WEATHER] })],
];
