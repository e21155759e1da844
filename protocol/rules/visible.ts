/**
 * Makes text of a model, a person or a server safe to read: each character is shown as itself or as `\uXXXX`.
 *
 * Rule: shown text has no control, format, separator or invisible character, no space but U+0020, no mark that covers
 * its neighbours, no letters that reorder or imitate others, and no code fence. Nothing is left out: a JSON string
 * stays the same JSON string. Patterns are created within functions: the workflow bundle freezes modules, and a frozen
 * pattern with a `g` flag throws.
 * Imports nothing. Any room may import it; the workflow sandbox may too.
 */

const escaped = (text: string): string => {
  let out = '';
  for (let at = 0; at < text.length; at += 1)
    out += `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`;
  return out;
};

/** True when right-to-left letters are mixed with others: a display reorders such a line, digits included. */
const isReordered = (text: string): boolean =>
  /[\u0590-\u08FF\uFB1D-\uFDFF\uFE70-\uFEFF\u{10800}-\u{10FFF}\u{1E800}-\u{1EFFF}]/u.test(text) &&
  /(?![\u0590-\u08FF\uFB1D-\uFDFF\uFE70-\uFEFF\u{10800}-\u{10FFF}\u{1E800}-\u{1EFFF}])[\p{L}\p{N}]/u.test(
    text,
  );

/** Letters that look like Latin ones, where one word mixes them with Latin letters. */
const replaceLookalikes = (text: string): string =>
  text.replace(/[\p{L}\p{M}\p{N}_]+/gu, (word) =>
    /\p{Script=Latin}/u.test(word)
      ? word.replace(
          /[\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Armenian}\p{Script=Cherokee}\p{Script=Lisu}]/gu,
          escaped,
        )
      : word,
  );

const visiblePart = (text: string, reordered: boolean): string => {
  if (/^[\u0020-\u005F\u0061-\u007D]*$/.test(text)) return text;
  const ordered = reordered
    ? text.replace(
        /[\u0590-\u08FF\uFB1D-\uFDFF\uFE70-\uFEFF\u{10800}-\u{10FFF}\u{1E800}-\u{1EFFF}]/gu,
        escaped,
      )
    : text;
  return (
    replaceLookalikes(ordered)
      .replace(
        /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\p{Me}\u2800\uFFFC]|(?! )\p{Zs}/gu,
        escaped,
      )
      // A combining mark belongs to the letter before it; a pile of marks covers the lines around it.
      .replace(/(?<![\p{L}\p{N}\p{M}])\p{M}|(?<=\p{M}{3}|\\u[0-9a-f]{4})\p{M}+/gu, escaped)
      .replace(/`{3,}|~{3,}/g, escaped)
  );
};

/** Writes every character that could mislead a reader as `\uXXXX`, all others as they are. */
export const visible = (text: string): string => visiblePart(text, isReordered(text));

/** A JSON string with misleading characters escaped: it still parses to exactly `text`. */
export const visibleString = (text: string): string => {
  const json = JSON.stringify(text);
  const reordered = isReordered(text);
  // The letters of JSON escapes are no part of the text.
  return json
    .split(/(\\(?:u[0-9a-f]{4}|.))/)
    .map((part, index) => (index % 2 === 1 ? part : visiblePart(part, reordered)))
    .join('');
};

/** A JSON document without raw control or format characters in strings: the same document to every JSON parser. */
export const visibleJson = (json: string): string =>
  json.replaceAll(/[^\P{C}\n]|[\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu, escaped);

/** A JSON string in ASCII: for names, where a lookalike letter would be another name. */
export const asciiString = (text: string): string =>
  JSON.stringify(text)
    .replace(/[^ -~]/gu, escaped)
    .replace(/`{3,}|~{3,}/g, escaped);
