import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { ROOT, textOf } from '../../support/sources.ts';

const { exports: entries } = JSON.parse(textOf('package.json')) as {
  exports: Record<string, { types: string }>;
};

test(
  'every public entry is as its report and page say: at most 25 names, each with a comment',
  { timeout: 180_000 },
  async () => {
    const script = join(ROOT, 'scripts', 'api-report.mjs');
    await expect(promisify(execFile)(process.execPath, [script])).resolves.toMatchObject({ stderr: '' });
  },
);

test('there is a report for each entry, and it lists names', () => {
  for (const { types } of Object.values(entries)) {
    const entry = /^\.\/dist\/(.+)\/public\.d\.ts$/.exec(types)?.[1]?.replaceAll('/', '-');
    const report = readFileSync(join(ROOT, 'docs/reference/api', `${entry}.api.md`), 'utf8');
    expect(report).toMatch(/^export (const|class|function) /m);
  }
});
