/** Short pure texts: durations, tables, shell words. Imported by the commands and the demo. */

/** `850 ms`, `12 s`, `9 m 40 s`, `3 h 5 m`, `2 d 4 h`. Never negative. */
export const duration = (ms: number): string => {
  const rest = Math.max(0, Math.round(ms));
  if (rest < 1_000) return `${rest} ms`;
  const seconds = Math.floor(rest / 1_000);
  const units: [number, string][] = [
    [86_400, 'd'],
    [3_600, 'h'],
    [60, 'm'],
    [1, 's'],
  ];
  const parts: string[] = [];
  let left = seconds;
  for (const [size, name] of units) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count > 0 && parts.length < 2) parts.push(`${count} ${name}`);
    else if (parts.length === 1) break;
  }
  return parts.join(' ');
};

/** Columns padded to their widest cell; the last one is not padded. */
export const table = (rows: readonly (readonly string[])[]): string[] => {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, cell.length)));
  return rows.map((row) =>
    row
      .map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
};

/** One line, printable, cut at `max` characters: foreign text must not move the cursor. */
export const oneLine = (text: string, max = 100): string => {
  const clean = text.replace(CONTROL, ' ').trim();
  return clean.length > max ? `${clean.slice(0, max - 1)}…` : clean;
};

const CONTROL = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu;

/** The user's command, so that printed commands can be pasted: npm sets it in the environment. */
export const commandName = (env: Readonly<Record<string, string | undefined>>): string => {
  if (env['npm_command'] === 'exec') return 'npx runs';
  return env['npm_lifecycle_event'] === 'runs' ? 'npm run -s runs --' : 'runs';
};

/** A word, quoted for a POSIX shell. */
export const shellWord = (text: string): string =>
  /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

/** Letters that take two columns in a terminal. */
const WIDE_LETTERS =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\uFF01-\uFF60]/gu;

/** Surrogate pairs are rare outside of wide letters, so counting units errs by little. */
const widthOf = (text: string): number => text.length + (text.match(WIDE_LETTERS)?.length ?? 0);

/** A line broken at spaces where it is wider than the terminal; its further lines stand in by four more. */
export const wrapped = (line: string, columns: number): string[] => {
  const indent = /^ */.exec(line)?.[0].length ?? 0;
  const hang = ' '.repeat(Math.min(indent + 4, Math.floor(columns / 2)));
  const lines: string[] = [];
  let current = line.slice(0, indent);
  let empty = true;
  for (const word of line.slice(indent).split(/(?<= )(?=[^ ])/)) {
    if (!empty && widthOf(`${current}${word.trimEnd()}`) > columns) {
      lines.push(current.trimEnd());
      current = hang;
    }
    current += word;
    empty = false;
  }
  lines.push(current.trimEnd());
  return lines.flatMap((one) => cutTo(one, columns));
};

/** A word that is longer than a line is cut. */
const cutTo = (line: string, columns: number): string[] => {
  const parts: string[] = [];
  let part = '';
  for (const letter of line) {
    if (part !== '' && widthOf(part + letter) > columns) {
      parts.push(part);
      part = '';
    }
    part += letter;
  }
  return [...parts, part];
};

/** An error as a person reads it: at a terminal its lines are broken between words. `columns` null = not a terminal. */
export const errorText = (text: string, columns: number | null): string =>
  columns === null
    ? text
    : text
        .split('\n')
        .flatMap((line) => wrapped(line, columns))
        .join('\n');

/** A command to paste, or arguments behind their bar, which have their own width. */
const UNWRAPPED_LINE = /^ *(?:│|(?:[A-Z_]+=\S+ )*(?:npx )?(?:npm run -s )?runs (?:-- )?(?:answer|show) )/;

/** Lines of a result at a terminal: broken between words where they are wider than it. */
export const terminalLines = (lines: readonly string[], columns: number): string[] =>
  lines.flatMap((line) => (UNWRAPPED_LINE.test(line) ? [line] : wrapped(line, columns)));
