/** A call's arguments in one line. Rule: pure; a long text is not parsed for it. */
import { parseArguments } from '../../../../protocol/rules/tool-arguments.ts';

export interface ArgumentPair {
  key: string;
  value: string;
}

/** Parsing more for one line of a list costs time at each scroll. */
const PARSED = 50_000;
const SHOWN = 120;

const inLine = (value: unknown): string => {
  const text = (typeof value === 'string' ? value : JSON.stringify(value)).replaceAll(/[\t\n\r ]+/g, ' ');
  return text.length > SHOWN ? `${text.slice(0, SHOWN).replace(/[\uD800-\uDBFF]$/, '')}…` : text;
};

/** The first arguments of a call; null = the text is too long for a line, or is no arguments. */
export const argumentPairs = (json: string, most = 4): ArgumentPair[] | null => {
  if (json.length > PARSED) return null;
  const parsed = parseArguments(json);
  if (!parsed.ok || typeof parsed.value !== 'object' || parsed.value === null) return null;
  return Object.entries(parsed.value)
    .slice(0, most)
    .map(([key, value]) => ({ key, value: inLine(value) }));
};

/** Such as `12 KB`. */
export const sizeText = (characters: number): string =>
  characters < 1_000
    ? `${characters} characters`
    : characters < 1_000_000
      ? `${Math.round(characters / 1_000)} KB`
      : `${(characters / 1_000_000).toFixed(1)} MB`;
