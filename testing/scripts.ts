/**
 * The scripts that come with the sandbox. Each is also an assistant (`asst_<name>`) and a model (`scripted:<name>`).
 *
 * Rule: deterministic, and each shows one thing; `about` is the documentation that `GET /sandbox/scripts` prints.
 * Users add their own by the `scripts` option. Imports the script shapes only.
 */
import type { FunctionTool } from '../protocol/wire/objects.ts';
import type { ScriptCatalogue, ScriptEntry, ScriptedCall, ScriptedTurn, TurnInput } from './script.ts';

const tool = (
  name: string,
  description: string,
  properties: Record<string, unknown>,
  required = Object.keys(properties),
): FunctionTool => ({
  type: 'function',
  function: { name, description, parameters: { type: 'object', properties, required } },
});

export const WEATHER_TOOL: FunctionTool = tool(
  'get_current_weather',
  'Get the current weather in a given location',
  {
    location: { type: 'string', description: 'The city and state, e.g. San Francisco, CA' },
    unit: { type: 'string', enum: ['celsius', 'fahrenheit'] },
  },
  ['location'],
);
const CHECKS_TOOL = tool('run_checks', 'Run the release checks of a service', {
  service: { type: 'string' },
  version: { type: 'string' },
});
const DEPLOY_TOOL = tool('deploy', 'Deploy a service to production; a person decides', {
  service: { type: 'string' },
  version: { type: 'string' },
});
const STEP_TOOL = tool('do_step', 'Do one step of the work', {
  round: { type: 'integer' },
  call: { type: 'integer' },
});

const lastUserText = (turn: TurnInput): string =>
  turn.messages.findLast((message) => message.role === 'user')?.text ?? '';

const quoteOutputs = (turn: TurnInput): string =>
  turn.outputs.map(({ name, output }) => `${name} said: ${output}`).join(' | ');

const weather = (location: string): ScriptedCall => ({
  name: 'get_current_weather',
  arguments: { location, unit: 'fahrenheit' },
});

/** A plain value for a JSON schema: default, first enum member, or one of its type. */
const sample = (schema: unknown, depth = 0): unknown => {
  if (typeof schema !== 'object' || schema === null || depth > 4) return 'example';
  const {
    default: fallback,
    enum: choices,
    const: only,
    type,
    properties,
    required,
    items,
  } = schema as {
    default?: unknown;
    enum?: unknown;
    const?: unknown;
    type?: unknown;
    properties?: unknown;
    required?: unknown;
    items?: unknown;
  };
  if (fallback !== undefined) return fallback;
  if (only !== undefined) return only;
  if (Array.isArray(choices)) return choices[0] as unknown;
  switch (Array.isArray(type) ? (type as unknown[])[0] : type) {
    case 'integer':
    case 'number':
      return 1;
    case 'boolean':
      return true;
    case 'array':
      return [sample(items, depth + 1)];
    case 'object': {
      const needed = Array.isArray(required) ? (required as unknown[]) : [];
      return Object.fromEntries(
        Object.entries(properties ?? {})
          .filter(([key]) => needed.includes(key))
          .map(([key, value]) => [key, sample(value, depth + 1)]),
      );
    }
    default:
      return 'example';
  }
};

const number = (text: string | null | undefined, fallback: number): number => {
  const value = Number(text ?? fallback);
  if (!Number.isInteger(value) || value < 0)
    throw new Error(`needs a whole number, got ${JSON.stringify(text)}`);
  return value;
};

const steps = (round: number, calls: number): ScriptedTurn => ({
  calls: Array.from({ length: calls }, (_, call) => ({ name: 'do_step', arguments: { round, call } })),
});

const BUILT_IN: Record<string, ScriptEntry> = {
  auto: {
    about:
      'calls the first declared tool once, with arguments made from its schema, then quotes the output; no tools: answers',
    script: (turn) => {
      const first = turn.tools[0]?.function;
      if (first === undefined) return { text: `You said: ${lastUserText(turn) || '(nothing)'}` };
      if (turn.round > 0) return { text: `Done. ${quoteOutputs(turn)}` };
      const args = sample(first.parameters ?? { type: 'object' });
      return {
        calls: [
          { name: first.name, arguments: typeof args === 'object' && args !== null ? { ...args } : {} },
        ],
      };
    },
  },
  chat: {
    about: 'no tools: answers with what was said',
    script: (turn) => ({ text: `You said: ${lastUserText(turn) || '(nothing)'}` }),
  },
  weather: {
    about: 'one call of get_current_weather, then the answer',
    tools: [WEATHER_TOOL],
    script: (turn) =>
      turn.round === 0
        ? { calls: [weather('San Francisco, CA')] }
        : { text: `The current weather in San Francisco, CA: ${turn.outputs[0]?.output ?? 'unknown'}` },
  },
  parallel: {
    about: 'three calls of get_current_weather at once, then the answer',
    tools: [WEATHER_TOOL],
    script: (turn) =>
      turn.round === 0
        ? { calls: [weather('San Francisco, CA'), weather('Paris, FR'), weather('Tokyo, JP')] }
        : { text: quoteOutputs(turn) },
  },
  deploy: {
    about: 'run_checks first (automatic), then deploy (a person decides), then the answer',
    tools: [CHECKS_TOOL, DEPLOY_TOOL],
    script: (turn) => {
      const args = { service: 'checkout', version: '1.4.2' };
      if (turn.round === 0) return { calls: [{ name: 'run_checks', arguments: args }] };
      if (turn.round === 1) return { calls: [{ name: 'deploy', arguments: args }] };
      return { text: `The deployment of checkout 1.4.2: ${turn.outputs[0]?.output ?? 'no answer'}` };
    },
  },
  mixed: {
    about: 'run_checks (automatic) and deploy (a person decides) in one round, then the answer',
    tools: [CHECKS_TOOL, DEPLOY_TOOL],
    script: (turn) => {
      const args = { service: 'checkout', version: '1.4.2' };
      return turn.round === 0
        ? {
            calls: [
              { name: 'run_checks', arguments: args },
              { name: 'deploy', arguments: args },
            ],
          }
        : { text: quoteOutputs(turn) };
    },
  },
  rounds: {
    about: 'rounds:N (default 3): N rounds with one call of do_step each, then the answer',
    tools: [STEP_TOOL],
    script: (turn) => {
      const total = number(turn.argument, 3);
      return turn.round < total ? steps(turn.round, 1) : { text: `Done in ${total} rounds.` };
    },
  },
  work: {
    about: 'work:KxR (default 1x1): R rounds with K parallel calls of do_step each, then the answer',
    tools: [STEP_TOOL],
    script: (turn) => {
      const [calls, rounds] = (turn.argument ?? '1x1').split('x');
      const total = number(rounds, 1);
      return turn.round < total ? steps(turn.round, number(calls, 1)) : { text: 'Done.' };
    },
  },
  slow: {
    about: 'slow:MS (default 2000): thinks that long before one call, and again before the answer',
    tools: [STEP_TOOL],
    script: (turn) => {
      const delayMs = number(turn.argument, 2000);
      return turn.round === 0 ? { ...steps(0, 1), delayMs } : { text: 'Done, slowly.', delayMs };
    },
  },
  words: {
    about: 'words:N or words:NxMS (default 20x0): streams N words, MS milliseconds apart',
    script: (turn) => {
      const [count, gap] = (turn.argument ?? '20').split('x');
      const chunks = Array.from(
        { length: number(count, 20) },
        (_, index) => `${index === 0 ? '' : ' '}word${index + 1}`,
      );
      return { text: chunks.join(''), chunks, chunkDelayMs: number(gap, 0) };
    },
  },
  failing: {
    about:
      'failing[:CODE] (default server_error): the run fails with that last_error; the model answers 500, or 429 for rate_limit_exceeded',
    script: (turn) => {
      const code = turn.argument ?? 'server_error';
      return {
        fail: {
          code,
          message: `The script failed on purpose (${code}).`,
          status: code === 'rate_limit_exceeded' ? 429 : 500,
        },
      };
    },
  },
  incomplete: {
    about:
      'incomplete[:REASON] (default max_completion_tokens, also max_prompt_tokens and content_filter): stops half-way',
    script: (turn) => ({
      incomplete: turn.argument ?? 'max_completion_tokens',
      text: 'This sentence stops in the',
    }),
  },
  hang: { about: 'never answers: for cancels, timeouts and expiry', script: () => ({ hang: true }) },
  unknown_tool: {
    about: 'calls a tool that the run does not declare, then the answer',
    script: (turn) =>
      turn.round === 0 ? { calls: [{ name: 'no_such_tool', arguments: {} }] } : { text: quoteOutputs(turn) },
  },
  bad_arguments: {
    about: 'calls get_current_weather with arguments that are not JSON, then the answer',
    tools: [WEATHER_TOOL],
    script: (turn) =>
      turn.round === 0
        ? { calls: [{ name: 'get_current_weather', arguments: '{"location": "San Fra' }] }
        : { text: quoteOutputs(turn) },
  },
};

/** The built-in scripts and the caller's; the caller's win. */
export const catalogue = (own: Record<string, ScriptEntry | ScriptEntry['script']> = {}): ScriptCatalogue =>
  new Map([
    ...Object.entries(BUILT_IN),
    ...Object.entries(own).map(([name, given]): [string, ScriptEntry] => [
      name,
      typeof given === 'object' && 'script' in given ? given : { script: given, about: 'your own' },
    ]),
  ]);
