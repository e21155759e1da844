/** Holds the import table of `test/support/layers.ts` against the sources and against lint's configuration. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  importProblem,
  LAYERS,
  lintOverrides,
  ROOMS,
  SCHEMAS,
  type LintOverride,
} from '../../support/layers.ts';
import { filesIn, importsOf, ROOT, textOf, type Import } from '../../support/sources.ts';

const sources = ROOMS.flatMap((room) => filesIn(room));
const graph = new Map<string, Import[]>(sources.map((file) => [file, importsOf(file, textOf(file))]));

describe('the sources', () => {
  test.each(ROOMS)('room %s has files', (room) => {
    expect(filesIn(room)).not.toEqual([]);
  });

  test('import only what their row of the table allows', () => {
    const problems = [...graph].flatMap(([file, imports]) =>
      imports.flatMap(({ target, typeOnly }) => importProblem(file, target, typeOnly) ?? []),
    );
    expect(problems).toEqual([]);
  });

  test('import files of ours by their real name, suffix included', () => {
    const files = new Set(sources);
    const missing = [...graph].flatMap(([file, imports]) =>
      imports.flatMap(({ target }) =>
        'file' in target && !files.has(target.file) && !/\.(?:json|css)$/.test(target.file)
          ? [`${file}: ${target.file}`]
          : [],
      ),
    );
    expect(missing).toEqual([]);
  });

  test('have no circular imports, types included', () => {
    expect(cycles(graph)).toEqual([]);
  });

  test('let the chat backend know a model by its port only', () => {
    const strangers = [...graph].flatMap(([file, imports]) =>
      file.startsWith('backends/chat/')
        ? imports.flatMap(({ target }) =>
            'file' in target && /^backends\/(http|models)\//.test(target.file)
              ? [`${file}: ${target.file}`]
              : [],
          )
        : [],
    );
    expect(strangers).toEqual([]);
  });

  test('load no schema, no Node module and no other package into the workflow sandbox', () => {
    const reached = [...reach('workflows/index.ts')];
    expect(reached).toContain('workflows/run/machine.ts');
    expect(reached).not.toContain(SCHEMAS);
    expect(packagesOf(reached).filter((name) => !SANDBOX_PACKAGES.includes(name))).toEqual([]);
  });

  test("keep the run's machine free of every package", () => {
    const reached = [...reach('workflows/run/machine.ts')];
    expect(reached.length).toBeGreaterThan(1);
    expect(packagesOf(reached)).toEqual([]);
  });

  test("load nothing of Node, Temporal or zod into the console's pages", () => {
    const reached = [...reach('console/src/main.tsx')];
    const shared = reached.filter((file) => !/^(?:console|protocol)\//.test(file));
    expect(shared.filter((file) => file !== 'client/http/read-frames.ts')).toEqual([]);
    expect(reached).not.toContain(SCHEMAS);
    expect(packagesOf(reached).toSorted()).toEqual(['@preact/signals', 'preact']);
  });

  test('suppress no rule of lint or compiler', () => {
    // In two halves, so that this file does not find itself.
    const marks = [
      ['oxlint-', 'disable'],
      ['eslint-', 'disable'],
      ['@ts-', 'ignore'],
      ['@ts-', 'nocheck'],
      ['@ts-', 'expect-error'],
    ].map((halves) => halves.join(''));
    const everywhere = [...sources, ...['scripts', 'bench', 'test', 'bin'].flatMap((dir) => filesIn(dir))];
    const found = everywhere.flatMap((file) => {
      const text = textOf(file);
      return marks.filter((mark) => text.includes(mark)).map((mark) => `${file}: ${mark}`);
    });
    expect(found).toEqual([]);
  });
});

describe('the reader', () => {
  test.each([
    [`import { a } from './b.ts';`, { file: 'api/b.ts' }, false],
    [`import type { a } from '../protocol/b.ts';`, { file: 'protocol/b.ts' }, true],
    [`import {\n  a,\n  type b,\n} from 'zod';`, { package: 'zod' }, false],
    [`import '@temporalio/worker/lib/x.js';`, { package: '@temporalio/worker' }, false],
    [`export * from "node:fs";`, { package: 'node' }, false],
    [`export type { a } from './b.ts';`, { file: 'api/b.ts' }, true],
    [`import type from './b.ts';`, { file: 'api/b.ts' }, false],
    [`const x = await import('pg');`, { package: 'pg' }, false],
  ])('sees %s', (text, target, typeOnly) => {
    expect(importsOf('api/a.ts', text)).toEqual([{ target, typeOnly }]);
  });

  test('does not see imports in comments', () => {
    expect(importsOf('api/a.ts', `/**\n * import 'x';\n */\n// import 'y';\nexport const a = 'b';`)).toEqual(
      [],
    );
  });

  test('finds a cycle, and names its files', () => {
    const ring = new Map<string, Import[]>([
      ['a', [{ target: { file: 'b' }, typeOnly: false }]],
      ['b', [{ target: { file: 'c' }, typeOnly: true }]],
      ['c', [{ target: { file: 'b' }, typeOnly: false }]],
    ]);
    expect(cycles(ring)).toEqual([['b', 'c']]);
  });
});

describe('lint', () => {
  test('has the rows of the table as its overrides', () => {
    const config: { overrides: Partial<LintOverride>[] } = JSON.parse(textOf('.oxlintrc.json'));
    const restricting = config.overrides.filter(
      ({ rules }) => rules !== undefined && 'no-restricted-imports' in rules,
    );
    expect(restricting).toEqual(lintOverrides());
  });

  test('refuses in each layer what the table refuses, and accepts what it allows', () => {
    const dir = mkdtempSync(join(tmpdir(), 'durable-runs-lint-'));
    try {
      cpSync(join(ROOT, '.oxlintrc.json'), join(dir, '.oxlintrc.json'));
      const refused = LAYERS.filter(({ packages }) => !packages.includes('*')).map(({ from }) => from);
      for (const { from } of LAYERS) write(join(dir, probe(from)), `import '@temporalio/worker';\n`);
      expect(lintedFiles(dir)).toEqual(refused.map(probe).toSorted());
      for (const { from, packages } of LAYERS) {
        const own = packages.filter((name) => name !== '*' && name !== 'node');
        write(join(dir, probe(from)), [...own, './x.ts'].map((name) => `import '${name}';\n`).join(''));
      }
      expect(lintedFiles(dir)).toEqual([]);
      const everyLayer = LAYERS.map(({ from }) => probe(from)).toSorted();
      for (const file of everyLayer) write(join(dir, file), `import '../test/support/x.ts';\n`);
      expect(lintedFiles(dir)).toEqual(everyLayer);
      const workflow = 'workflows/probe.ts';
      write(join(dir, workflow), `import type { a } from '../activities/x.ts';\nexport type b = a;\n`);
      expect(lintedFiles(dir)).not.toContain(workflow);
      write(join(dir, workflow), `import { a } from '../activities/x.ts';\nexport const b = a;\n`);
      expect(lintedFiles(dir)).toContain(workflow);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});

const SANDBOX_PACKAGES = ['@temporalio/workflow', '@temporalio/common'];

/** Files that `entry` loads at run time, itself included. */
function reach(entry: string, seen: Set<string> = new Set()): Set<string> {
  if (seen.has(entry) || !graph.has(entry)) return seen;
  seen.add(entry);
  for (const { target, typeOnly } of graph.get(entry) ?? []) {
    if (!typeOnly && 'file' in target) reach(target.file, seen);
  }
  return seen;
}

function packagesOf(files: readonly string[]): string[] {
  const values = files.flatMap((file) => graph.get(file) ?? []).filter(({ typeOnly }) => !typeOnly);
  return [...new Set(values.flatMap(({ target }) => ('package' in target ? [target.package] : [])))];
}

/** Strongly connected components of more than one file (Tarjan), each sorted. */
function cycles(edges: ReadonlyMap<string, Import[]>): string[][] {
  const index = new Map<string, number>();

  const stack: string[] = [];
  const found: string[][] = [];
  const visit = (file: string): number => {
    const number = index.size;
    index.set(file, number);
    let lowest = number;
    stack.push(file);
    for (const { target } of edges.get(file) ?? []) {
      if (!('file' in target) || !edges.has(target.file)) continue;
      const known = index.get(target.file);
      if (known === undefined) lowest = Math.min(lowest, visit(target.file));
      else if (stack.includes(target.file)) lowest = Math.min(lowest, known);
    }

    if (lowest === number) {
      const component = stack.splice(stack.indexOf(file));
      if (component.length > 1) found.push(component.toSorted());
    }
    return lowest;
  };
  for (const file of edges.keys()) if (!index.has(file)) visit(file);
  return found;
}

const probe = (from: string): string => (from.endsWith('/') ? `${from}probe.ts` : from);

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** Files in which lint's import restriction found something. */
function lintedFiles(dir: string): string[] {
  const bin = join(ROOT, 'node_modules', 'oxlint', 'bin', 'oxlint');
  const { stdout } = spawnSync(process.execPath, [bin, '--format', 'json'], { cwd: dir, encoding: 'utf8' });
  const report: { diagnostics: { code: string; filename: string }[] } = JSON.parse(stdout);
  const hits = report.diagnostics.filter(({ code }) => code.includes('no-restricted-imports'));
  return [...new Set(hits.map(({ filename }) => filename))].toSorted();
}
