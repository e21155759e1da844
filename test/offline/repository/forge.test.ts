/** The files for a public forge: workflows call npm scripts that exist, and templates are readable. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { ROOT, textOf } from '../../support/sources.ts';

interface Workflow {
  permissions: Record<string, string>;
  jobs: Record<
    string,
    { 'timeout-minutes'?: number; steps: { run?: string; with?: Record<string, string> }[] }
  >;
}

const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Record<string, string> };
const workflows = readdirSync(join(ROOT, '.github/workflows')).map(
  (name) => [name, parse(textOf(`.github/workflows/${name}`)) as Workflow] as const,
);

/** Names of the npm scripts that a command line runs. */
const scriptsIn = (command: string): string[] =>
  [...command.matchAll(/npm run (?:-s )?([\w:-]+)/g)].map(([, name = '']) => name);

describe.each(workflows)('workflow %s', (_name, { permissions, jobs }) => {
  test('runs npm scripts that package.json has', () => {
    const commands = Object.values(jobs).flatMap(({ steps }) =>
      steps.flatMap((step) => [step.run ?? '', ...Object.values(step.with ?? {}).map(String)]),
    );
    const named = commands.flatMap(scriptsIn);
    expect(commands.join('')).toMatch(/npm run|\.ci\/run/);
    expect(named.filter((name) => scripts[name] === undefined)).toEqual([]);
  });

  test('bounds its time and names its permissions', () => {
    expect(Object.values(jobs).every((job) => (job['timeout-minutes'] ?? 0) > 0)).toBe(true);
    expect(permissions['contents']).toMatch(/read|write/);
  });
});

test('every supported Node runs the whole offline and live tests', () => {
  const { engines } = JSON.parse(textOf('package.json')) as { engines: { node: string } };
  const ci = parse(textOf('.github/workflows/ci.yml')) as {
    jobs: Record<string, { strategy: { matrix: { node: number[] } }; steps: { run?: string }[] }>;
  };
  const commands = ['check', 'live'].map((name) => ci.jobs[name]?.steps.at(-1)?.run);
  expect(commands).toEqual(['npm run check', 'bash .ci/run']);
  for (const name of ['check', 'live']) expect(ci.jobs[name]?.strategy.matrix.node).toEqual([20, 22, 24]);
  expect(engines.node).toMatch(/^>=20\./);
});

test('a script that does not exist is found', () => {
  expect(scriptsIn('npm run -s check && npm run none:such')).toEqual(['check', 'none:such']);
});

test('issue templates and the dependency updates are readable', () => {
  const files = [
    ...readdirSync(join(ROOT, '.github/ISSUE_TEMPLATE')).map((name) => `.github/ISSUE_TEMPLATE/${name}`),
    '.github/dependabot.yml',
  ];
  expect(files.filter((file) => typeof parse(textOf(file)) !== 'object')).toEqual([]);
});
