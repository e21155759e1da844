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
