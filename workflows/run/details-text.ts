/**
 * How the current details write text that a model or a person wrote: in spans and blocks that it cannot leave.
 *
 * Rule: such text is data, never markdown. Pure. Imported by the files that write details.
 */
import { visible } from '../../protocol/rules/visible.ts';

/** A code block whose fence is longer than any run of backticks in the text. */
export const codeFence = (text: string, language = ''): string => {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map((run) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}${language}\n${text}\n${fence}`;
};

/** A name or an id within a line. */
export const inline = (text: string): string => {
  const clean = visible(text).replaceAll('`', ' ').trim();
  return `\`${clean.length > 128 ? `${clean.slice(0, 128)}…` : clean}\``;
};

export const utc = (at: number): string =>
  new Date(at)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, ' UTC');
