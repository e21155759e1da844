/**
 * What a scripted assistant does, turn by turn. One script drives both faces of the sandbox: a run of the runs API and
 * a request to the chat model.
 *
 * Rule: a script is a pure function of its turn (or a list of turns), so both faces, a retry and a replay agree. It is
 * chosen by name: metadata `script` of the run, then of the assistant, then the model. Imports wire shapes only.
 */
import type { FunctionTool, Metadata } from '../protocol/wire/objects.ts';

/** A tool call that a script makes. */
export interface ScriptedCall {
  name: string;
  /** An object is sent as JSON; a string is sent as it is, so that broken arguments can be scripted too. */
  arguments: Record<string, unknown> | string;
  /** Default: a fresh one. */
  id?: string;
}

interface Timing {
  /** Milliseconds of thinking before anything is said. Default 0. */
  delayMs?: number;
  /** Milliseconds between two pieces of the stream. Default 0: all at once. */
  chunkDelayMs?: number;
  /** Default: counted from the texts, about four characters a token. */
  usage?: {
    prompt_tokens: number;
    completion_tokens: number;
    cached_tokens?: number;
    reasoning_tokens?: number;
  };
}

/** One turn of the model. Exactly one of `calls`, `text` alone, `fail`, `incomplete` and `hang` decides what it is. */
export type ScriptedTurn =
  /** Asks for tools; `text`, when given, is said first. */
  | (Timing & { calls: ScriptedCall[]; text?: string })
  /** The final message. `chunks` = the exact pieces to stream instead of words. */
  | (Timing & { text: string; chunks?: string[] })
  /** The run fails with `last_error`; the model answers with the HTTP status (default 500). */
  | (Timing & { fail: { code: string; message: string; status?: number } })
  /** Stops early: `max_completion_tokens`, `max_prompt_tokens` or `content_filter`; `text` is what came before. */
  | (Timing & { incomplete: string; text?: string })
  /** Never answers. */
  | (Timing & { hang: true });

/** What a script knows of the turn that it plays. */
export interface TurnInput {
  /** Rounds of tool outputs so far: 0 at the first turn. */
  round: number;
  /** The conversation, oldest first. */
  messages: { role: string; text: string }[];
  /** Outputs of the previous round, in the order of its calls. */
  outputs: { callId: string; name: string; arguments: string; output: string }[];
  model: string;
  /** Instructions in force (the system message, on the chat model). */
  instructions: string | null;
  /** Tools declared for this turn. */
  tools: FunctionTool[];
  /** What follows the script's name after a colon: `rounds:3` → `"3"`. */
  argument: string | null;
  /** null on the chat model, which knows neither. */
  assistant: { id: string; name: string | null; metadata: Metadata } | null;
  run: { id: string; metadata: Metadata } | null;
}

/** What the model says: turns in order, or a function from the turn's input to the turn. */
export type Script = readonly ScriptedTurn[] | ((turn: TurnInput) => ScriptedTurn);

/** A script with its description, as the catalogue lists it. */
export interface ScriptEntry {
  script: Script;
  /** One line for the catalogue. */
  about: string;
  /** Tools that the script calls; assistants that are made from the script declare them. */
  tools?: FunctionTool[];
}

/** Scripts by name. */
export type ScriptCatalogue = ReadonlyMap<string, ScriptEntry>;

export interface ChosenScript {
  name: string;
  argument: string | null;
  entry: ScriptEntry;
}

/** `scripted:rounds:3`, `scripted/rounds:3` or `rounds:3` → its parts. The prefix means: must be a script. */
export const parseScriptName = (text: string): { name: string; argument: string | null; strict: boolean } => {
  const bare = text.replace(/^scripted[:/]/, '');
  const colon = bare.indexOf(':');
  return {
    name: colon < 0 ? bare : bare.slice(0, colon),
    argument: colon < 0 ? null : bare.slice(colon + 1),
    strict: bare.length < text.length,
  };
};

/** Finds a script by its exact request; a string is the reason why there is none. */
export const findScript = (scripts: ScriptCatalogue, text: string): ChosenScript | string => {
  const whole = scripts.get(text);
  if (whole !== undefined) return { name: text, argument: null, entry: whole };
  const { name, argument } = parseScriptName(text);
  const entry = scripts.get(name);
  if (entry !== undefined) return { name, argument, entry };
  return `No script is named ${JSON.stringify(text)}. Scripts here: ${[...scripts.keys()].toSorted().join(', ')}.`;
};

/** The script that a model name asks for: a script of that name, else `fallback`; a `scripted:` name must exist. */
export const scriptOfModel = (
  scripts: ScriptCatalogue,
  model: string,
  fallback: string,
): ChosenScript | string => {
  const found = findScript(scripts, model);
  if (typeof found !== 'string' || parseScriptName(model).strict) return found;
  return findScript(scripts, fallback);
};

/** The script's next turn. A script that has ended or throws gives a failing turn, with the reason as its message. */
export const takeTurn = (chosen: ChosenScript, input: TurnInput): ScriptedTurn => {
  const { script } = chosen.entry;
  const { name } = chosen;
  try {
    if (typeof script === 'function') return script(input);
    return (
      script[input.round] ?? {
        fail: {
          code: 'server_error',
          message: `Script ${JSON.stringify(name)} has ${script.length} turns; turn ${input.round + 1} does not exist.`,
        },
      }
    );
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return {
      fail: { code: 'server_error', message: `Script ${JSON.stringify(name)} threw: ${reason}` },
    };
  }
};

export const argumentsText = (call: ScriptedCall): string =>
  typeof call.arguments === 'string' ? call.arguments : JSON.stringify(call.arguments);

/** The pieces a text is streamed in: words with the space before them, punctuation apart; joined they are the text. */
export const pieces = (turn: { text?: string; chunks?: string[] }): string[] =>
  turn.chunks ?? turn.text?.match(/\s*(?:[\p{L}\p{N}]+|[^\p{L}\p{N}\s]|\s+$)/gu) ?? [];

/** Argument text in fragments, as models stream it. */
export const fragments = (text: string, size = 12): string[] => {
  const parts: string[] = [];
  // By character, so that no fragment ends inside a surrogate pair.
  const characters = Array.from(text);
  for (let at = 0; at < characters.length; at += size) parts.push(characters.slice(at, at + size).join(''));
  return parts;
};

/** About four characters a token: stable numbers, not a tokenizer. */
export const tokens = (...texts: string[]): number =>
  Math.ceil(texts.reduce((sum, text) => sum + text.length, 0) / 4);

/** The model's limit: the request's maximum overrules the script. */
export interface TurnRules {
  toolChoice: unknown;
  parallel: boolean;
}

export const underRules = (turn: ScriptedTurn, rules: TurnRules): ScriptedTurn => {
  if (!('calls' in turn)) return turn;
  if (rules.toolChoice === 'none') return { text: turn.text ?? 'I may not use tools here.' };
  return rules.parallel ? turn : { ...turn, calls: turn.calls.slice(0, 1) };
};
