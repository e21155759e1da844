/** Help of the programs that npm scripts start: it is the header of the program's file. */
import { expect, test } from 'vitest';
import { headerOf } from '../../support/script-args.ts';
import { textOf } from '../../support/sources.ts';

test.each([
  ['drill', 'scripts/drill.ts'],
  ['test:clients', 'scripts/test-clients.ts'],
  ['bench', 'bench/main.ts'],
])('the help of %s says how it is started, and names each of its options', (script, file) => {
  const source = textOf(file);
  const help = headerOf(source);
  expect(help).toContain(`npm run ${script}`);
  const options = [...source.matchAll(/(\w+): \{ type: '(?:string|boolean)'/g)].map(
    ([, name]) => `--${name}`,
  );
  expect(options.length).toBeGreaterThan(0);
  expect(options.filter((option) => !help.includes(option))).toEqual([]);
});
