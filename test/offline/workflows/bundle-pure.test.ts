/** What all workflows of a thread share, by the imports of its sources. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bundleOptions } from '../../../worker/bundle-options.ts';
import { ROOT } from '../../support/sources.ts';

const { preloadModules } = bundleOptions(ROOT.replace(/\/$/, ''), 'ts');

/** Modules that a file loads at run time: types leave no import behind. */
const imported = (text: string): string[] =>
  [...text.matchAll(/^(?:import|export) (?!type\b)[^;]*?from '([^']+)';/gms)].map((match) => match[1] ?? '');

const reached = (file: string, seen = new Map<string, string>()): Map<string, string> => {
  if (seen.has(file)) return seen;
  const text = readFileSync(file, 'utf8');
  seen.set(file, text);
  for (const name of imported(text)) if (name.startsWith('.')) reached(join(dirname(file), name), seen);
  return seen;
};

describe('modules that are loaded once for all workflows', () => {
  test.each(preloadModules)(
    '%s is there, and with all that it imports knows no SDK and keeps no state',
    (file) => {
      expect(existsSync(file)).toBe(true);
      const foreign: string[] = [];
      const state: string[] = [];
      for (const [name, text] of reached(file)) {
        foreign.push(...imported(text).filter((from) => !from.startsWith('.')));
        if (/^(?:export )?(?:let|var) /m.test(text)) state.push(name);
      }
      expect({ foreign, state }).toEqual({ foreign: [], state: [] });
    },
  );

  test('a module of the glue would be refused', () => {
    const glue = join(ROOT, 'workflows/run/temporal-runtime.ts');
    expect([...reached(glue).values()].flatMap(imported)).toContain('@temporalio/workflow');
  });
});
