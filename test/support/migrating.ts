/**
 * Reads docs/how-to/migrate-a-program.md for the tests that run it: the line of each library, and the changed lines of
 * its examples.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './sources.ts';

export interface MigratingRow {
  library: string;
  language: string;
  /** What stands in backticks in the cell of the line, in order. */
  code: string[];
}

const text = readFileSync(join(ROOT, 'docs/how-to/migrate-a-program.md'), 'utf8');

/** The table of libraries. */
export const migratingRows = (): MigratingRow[] => {
  const [, section = ''] = text.split('## The line to change, by library\n');
  const [table = ''] = section.split('\n## ');
  return [...table.matchAll(/^\| (?!library)(\w[^|]*|@[^|]*) \| (\w+) \| (.+) \|$/gm)].map(
    ([, library = '', language = '', cell = '']) => ({
      library,
      language,
      code: [...cell.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code),
    }),
  );
};

/** Lines that its examples remove and add, in order. */
export const migratingDiffs = (): { removed: string; added: string }[] =>
  [...text.matchAll(/^```diff\n- (.+)\n\+ (.+)\n```$/gm)].map(([, removed = '', added = '']) => ({
    removed,
    added,
  }));
