/**
 * What the model does in a drill, written into the script's name: `drill:40/keyed+ask,once` = two rounds, the first with
 * two calls, and 40 ms of thinking before each turn.
 *
 * Rule: pure, and the same text tells the auditor what must have happened.
 */
import type { Script, ScriptEntry, ScriptedTurn } from '../../testing/index.ts';

export const TOOL_NAMES = ['keyed', 'slow', 'flaky', 'once', 'approve', 'ask'] as const;
export type ToolName = (typeof TOOL_NAMES)[number];

export interface Story {
  /** Milliseconds of thinking before each turn. */
  delayMs: number;
  /** Tools called in each round, in the model's order. */
  rounds: ToolName[][];
}

export const storyText = ({ delayMs, rounds }: Story): string =>
  `${delayMs}/${rounds.map((calls) => calls.join('+')).join(',')}`;

export const parseStory = (text: string): Story => {
  const [delay = '0', rounds = ''] = text.split('/');
  return {
    delayMs: Number(delay),
    rounds: rounds
      .split(',')
      .filter((round) => round !== '')
      .map((round) =>
        round.split('+').map((name) => {
          const known = TOOL_NAMES.find((tool) => tool === name);
          if (known === undefined)
            throw new RangeError(`No tool of a drill is named ${JSON.stringify(name)}.`);
          return known;
        }),
      ),
  };
};

const script: Script = ({ argument, round, outputs }): ScriptedTurn => {
  const { delayMs, rounds } = parseStory(argument ?? '');
  const calls = rounds[round];
  if (calls !== undefined)
    return { delayMs, calls: calls.map((name, at) => ({ name, arguments: { n: round * 100 + at } })) };
  return {
    delayMs,
    chunkDelayMs: 5,
    text: `Done in ${rounds.length} rounds; the last said: ${outputs.map(({ output }) => output).join(' | ') || 'nothing'}.`,
  };
};

const parameters = { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] };

/** The sandbox's script `drill`; assistants made from it declare every tool. */
export const drillScript: ScriptEntry = {
  script,
  about: 'drill:MS/A+B,C: rounds of calls, written into the name',
  tools: TOOL_NAMES.map((name) => ({ type: 'function', function: { name, description: name, parameters } })),
};
